"""Case files as trees of JSON values that know their places, whether written as JSON or as YAML.

YAML readers disagree: plain `no`, `2026-07-01`, `1_000`, `1:30` and `~` are texts to one and a
boolean, a date, a thousand, ninety and null to another. So a plain word here is what JSON says it
is, or a text that every reader takes for one, and whatever else is refused, as are the anchors and
types that `base/yaml_events` refuses: what comes out is JSON.

A local tag is a marker of case files: `!missing`, or `"!missing"` where there are no tags.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from pbac.base import json, yaml_events
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.source import Source, Span
from pbac.base.tree_builder import Names, TreeBuilder, TreeError
from pbac.base.yaml_events import read_yaml

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
    places = _Places(source)
    builder = TreeBuilder(places.placed)
    try:
        if source.name.endswith(".json"):
            _read_json(source.text, builder, places)
        else:
            read_yaml(source.text, builder, _scalar)
    except TreeError as error:
        raise refusal(error.message, places.span(error.start, error.end), error.help) from None
    if builder.root is None:
        raise refusal("the file is empty", places.span(0, 0), "begin with `tests:`")
    found: Placed = builder.root
    return found


def refusal(message: str, span: Span, help_text: str | None = None) -> PolicyError:
    """A case file that cannot be read."""
    return PolicyError([Diagnostic(code=CODE, message=message, span=span, help=help_text)])


class _Places:
    """Offsets in a file as stretches of it."""

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._lines = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", source.text))]

    def span(self, start: int, end: int) -> Span:
        """A stretch of the file, by offsets."""
        line = bisect_right(self._lines, start)
        return Span(self._name, start, end, line, start - self._lines[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Where a line and column, both from 1, are in the text."""
        return self._lines[min(line, len(self._lines)) - 1] + column - 1

    def placed(self, value: Any, start: int, end: int, names: Names) -> Placed:
        """A node of the tree."""
        spans = {name: self.span(*at) for name, at in names.items()}
        return Placed(value=value, span=self.span(start, end), names=spans)


# --- JSON ------------------------------------------------------------------------------------


def _read_json(text: str, builder: TreeBuilder, places: _Places) -> None:
    try:
        json.decode(text.encode("utf-8", "surrogatepass"))
    except json.JsonError as error:
        place = _PLACE.search(error.message)
        at = places.offset(int(place[1]), int(place[2])) if place else 0
        raise TreeError(_PLACE.sub("", error.message), at, at, error.help) from None
    for token in _TOKEN.finditer(text):  # it is JSON: what comes where need not be looked at
        word, start, end = token[0], token.start(), token.end()
        match word:
            case "{":
                builder.begin({}, start, end)
            case "[":
                builder.begin([], start, end)
            case "}" | "]":
                builder.end(end)
            case "," | ":":
                pass
            case _:
                builder.scalar(json.decode(word.encode()), start, end)


# --- YAML ------------------------------------------------------------------------------------


def _scalar(event: yaml.ScalarEvent, _is_name: bool) -> Any:  # noqa: FBT001 - as `ReadScalar`
    if event.tag is not None:
        if not _MARKER.fullmatch(event.tag):
            help_ = 'a marker in braces or brackets is put into quotes: `"!missing"`'
            raise yaml_events.refusal(event, f"the type `{event.tag}` is not read", help_)
        return f"{event.tag} {event.value}".strip()
    text = _whole(event)
    if not event.implicit[0]:  # written in quotes, or as a block
        return text
    if _JSON_WORD.fullmatch(text):
        try:
            return json.decode(text.encode())
        except json.JsonError as error:
            raise yaml_events.refusal(event, error.message, error.help) from None
    if _is_disputed(text):
        message = f"`{text}` is not the same to every reader of YAML"
        message = message if text else "a value is missing"
        raise yaml_events.refusal(event, message, _SAY_IT_PLAINLY)
    return text


def _whole(event: yaml.ScalarEvent) -> str:
    """With pairs of surrogate escapes put together, as JSON does; half a pair is refused."""
    try:
        return str(event.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        message = "a text holds half a surrogate pair"
        raise yaml_events.refusal(event, message) from None


def _is_disputed(text: str) -> bool:
    """Do some readers take a plain word for something else than a text?"""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    return any(pattern.match(text) for _, pattern in resolvers) or bool(_OCTAL.fullmatch(text))
