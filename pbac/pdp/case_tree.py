"""Case files as trees of JSON values that know their places, whether written as JSON or as YAML.

YAML readers disagree: plain `no`, `2026-07-01`, `1_000`, `1:30` and `~` are texts to one and a
boolean, a date, a thousand, ninety and null to another. So a plain word here is what JSON says it
is, or a text that every reader takes for one, and whatever else is refused. Anchors, aliases, merge
keys and types are refused too, and so are names that stand twice: what comes out is JSON.

A local tag is a marker of case files: `!missing`, or `"!missing"` where there are no tags.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import JSON_DEPTH_MAX
from pbac.base.source import Source, Span

CODE: Final = "bad-case-file"

_JSON_WORD: Final = re.compile(r"null|true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_OCTAL: Final = re.compile(r"[-+]?0o[0-7]+")
_MARKER: Final = re.compile(r"![a-z]+")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_PLACE: Final = re.compile(r" at line (\d+) column (\d+)$")
_SAY_IT_PLAINLY: Final = "put it into quotes, or write `true`, `false`, `null` or the number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A value and where it stands.

    Attributes:
        value: a scalar, a list of `Placed`, or a dict of them.
        names: where the names of a dict stand.
    """

    value: Any
    span: Span
    names: dict[str, Span] = field(default_factory=dict)


def read_tree(source: Source) -> Placed:
    """The tree of a case file; `*.json` is read as JSON, anything else as YAML.

    Raises:
        PolicyError: with the first thing that is wrong.
    """
    builder = _Builder(source)
    if source.name.endswith(".json"):
        _read_json(builder)
    else:
        _read_yaml(builder)
    if builder.root is None:
        raise refusal("the file is empty", builder.span(0, 0), "begin with `tests:`")
    return builder.root


def refusal(message: str, span: Span, help_text: str | None = None) -> PolicyError:
    """A case file that cannot be read."""
    return PolicyError([Diagnostic(code=CODE, message=message, span=span, help=help_text)])


# --- building --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Frame:
    """A record or list that is open. `name` is of the member whose value comes next."""

    value: Any
    span: Span
    names: dict[str, Span] = field(default_factory=dict)
    name: str | None = None


class _Builder:
    """Puts a tree together from what a reader meets, in order: not recursive, bounded in depth."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Placed | None = None
        self._open: list[_Frame] = []
        self._lines = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", source.text))]

    def span(self, start: int, end: int) -> Span:
        """A stretch of the file, by offsets."""
        line = bisect_right(self._lines, start)
        return Span(self.source.name, start, end, line, start - self._lines[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Where a line and column, both from 1, are in the text."""
        return self._lines[min(line, len(self._lines)) - 1] + column - 1

    def begin(self, value: dict[str, Placed] | list[Placed], span: Span) -> None:
        """A record or list opens."""
        if self._awaits_name():
            raise refusal("a name has to be a text", span)
        if len(self._open) >= JSON_DEPTH_MAX:
            raise refusal(f"nested deeper than {JSON_DEPTH_MAX} levels", span)
        self._open.append(_Frame(value, span))

    def end(self, end: int) -> None:
        """It closes."""
        frame = self._open.pop()
        span = self.span(frame.span.start, max(end, frame.span.end))
        self._put(Placed(value=frame.value, span=span, names=frame.names))

    def scalar(self, value: Any, span: Span) -> None:
        """A name or a value, whichever is next."""
        if not self._awaits_name():
            self._put(Placed(value=value, span=span))
            return
        frame = self._open[-1]
        if type(value) is not str:
            raise refusal("a name has to be a text", span, "put it into quotes")
        if value in frame.names:
            raise refusal(f"`{value}` is given twice", span, "give it once")
        frame.names[value], frame.name = span, value

    def _awaits_name(self) -> bool:
        return bool(
            self._open and type(self._open[-1].value) is dict and self._open[-1].name is None
        )

    def _put(self, placed: Placed) -> None:
        if not self._open:
            self.root = placed
            return
        frame = self._open[-1]
        if frame.name is None:
            frame.value.append(placed)
        else:
            frame.value[frame.name], frame.name = placed, None


# --- JSON ------------------------------------------------------------------------------------


def _read_json(builder: _Builder) -> None:
    text = builder.source.text
    try:
        json.decode(text.encode("utf-8", "surrogatepass"))
    except json.JsonError as error:
        raise _misread(builder, error) from None
    for token in _TOKEN.finditer(text):  # it is JSON: what comes where need not be looked at
        word, span = token[0], builder.span(token.start(), token.end())
        match word:
            case "{":
                builder.begin({}, span)
            case "[":
                builder.begin([], span)
            case "}" | "]":
                builder.end(token.end())
            case "," | ":":
                pass
            case _:
                builder.scalar(json.decode(word.encode()), span)


def _misread(builder: _Builder, error: json.JsonError) -> PolicyError:
    """The reader's complaint, at the place that it names."""
    place = _PLACE.search(error.message)
    at = builder.offset(int(place[1]), int(place[2])) if place else 0
    return refusal(_PLACE.sub("", error.message), builder.span(at, at), error.help)


# --- YAML ------------------------------------------------------------------------------------


def _read_yaml(builder: _Builder) -> None:
    """By its events: nothing is ever constructed but texts, numbers, booleans and null."""
    documents = 0
    try:
        for event in yaml.parse(builder.source.text, Loader=yaml.SafeLoader):
            span = builder.span(event.start_mark.index, event.end_mark.index)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise refusal("a case file is one document", span, "split the file")
            _take(builder, event, span)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = mark.index if mark else 0
        message = (error.problem or "this is no YAML").lower().replace("'", "`")
        raise refusal(message, builder.span(at, at)) from None
    except yaml.reader.ReaderError as error:
        message = f"the character U+{error.character:04X} may not stand in YAML"
        raise refusal(message, builder.span(error.position, error.position + 1)) from None


def _take(builder: _Builder, event: yaml.Event, span: Span) -> None:
    if getattr(event, "anchor", None) is not None:
        raise refusal("anchors and aliases are not read", span, "write the value out")
    match event:
        case yaml.ScalarEvent():
            builder.scalar(_scalar(event, span), span)
        case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
            if event.tag is not None:
                raise refusal(f"the type `{event.tag}` is not read", span, "write plain values")
            container: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            builder.begin(container, builder.span(span.start, span.start))
        case yaml.CollectionEndEvent():
            builder.end(span.start)


def _scalar(event: yaml.ScalarEvent, span: Span) -> Any:
    if event.tag is not None:
        if not _MARKER.fullmatch(event.tag):
            help_ = 'a marker in braces or brackets is put into quotes: `"!missing"`'
            raise refusal(f"the type `{event.tag}` is not read", span, help_)
        return f"{event.tag} {event.value}".strip()
    text = _whole(str(event.value), span)
    if not event.implicit[0]:  # written in quotes, or as a block
        return text
    if _JSON_WORD.fullmatch(text):
        try:
            return json.decode(text.encode())
        except json.JsonError as error:
            raise refusal(error.message, span, error.help) from None
    if _is_disputed(text):
        message = f"`{text}` is not the same to every reader of YAML"
        raise refusal(message if text else "a value is missing", span, _SAY_IT_PLAINLY)
    return text


def _whole(text: str, span: Span) -> str:
    """With pairs of surrogate escapes put together, as JSON does; half a pair is refused."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise refusal("a text holds half a surrogate pair", span) from None


def _is_disputed(text: str) -> bool:
    """Do some readers take a plain word for something else than a text?"""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    return any(pattern.match(text) for _, pattern in resolvers) or bool(_OCTAL.fullmatch(text))
