"""`redact result.content.*.text` and `redact matching r"…" [in path]`.

Theory. A tool's result holds the same data twice: `structuredContent`, and its text twin in
`content` ("a tool that returns structured content SHOULD also return the serialized JSON in a
TextContent block", MCP, server/tools). Whatever is taken out of one has to leave the other, or a
redaction is shown as enforced and is not. So

- a path into `structuredContent` is also followed in texts that are JSON, and when it took
something
  out, texts that are not JSON are taken out whole;
- a path into `content` that took something out drops `structuredContent`;
- a pattern with a path also covers the whole twin, and looks into texts that are JSON.

A value is replaced by an empty one of its own kind (a text by `[redacted]`), so that the result
keeps its shape. Paths are followed as sets of positions, each node once: `**` costs nothing extra.
The given tree is never changed; untouched parts are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import REDACTION_CHARACTERS_MAX, REDACTION_PATTERNS_CACHED_MAX
from pbac.duties.refusal import DutyConflict
from pbac.lang.evaluate.patterns import Automaton, PatternError, regex
from pbac.model.decision import Duty

REDACTED: Final = "[redacted]"
_CONTENT: Final = "content"
_STRUCTURED: Final = "structuredContent"

Steps: TypeAlias = tuple[str, ...]
Change: TypeAlias = Callable[[Any], Any]

# A pure function remembered: compiling an automaton takes milliseconds, decisions microseconds.
_compiled: Final = lru_cache(maxsize=REDACTION_PATTERNS_CACHED_MAX)(regex)


class RedactionError(PbacError):
    """The result cannot be redacted within bounds, so it must not be delivered."""

    code = "duty_failed"


class Matching(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to take out wherever they stand, or below `inside`."""

    finder: Automaton
    inside: Steps


class Redactions(msgspec.Struct, frozen=True, kw_only=True):
    """The union of all redactions of one call."""

    paths: tuple[Steps, ...]
    matching: tuple[Matching, ...]


def join(duties: Sequence[Duty]) -> Redactions | DutyConflict:
    """Union: whatever anyone wants taken out."""
    paths: dict[Steps, None] = {}
    matching: dict[tuple[str, Steps], Matching] = {}
    for duty in duties:
        try:
            for path in duty.parameters.get("paths", ()):
                paths[parse_path(path)] = None
            if (pattern := duty.parameters.get("pattern")) is not None:
                inside = parse_path(duty.parameters.get("in") or "result")
                matching[pattern, inside] = Matching(finder=_compiled(pattern), inside=inside)
        except (PatternError, ValueError) as error:
            return DutyConflict(
                message=f"the redaction of `{duty.rule}` cannot be carried out: {error}",
                rules=(duty.rule,),
            )
    return Redactions(paths=tuple(paths), matching=tuple(matching.values()))


def parse_path(text: str) -> Steps:
    """The steps behind `result`; neighbouring `**` are one.

    Raises:
        ValueError: for a path that does not begin with `result` or has an empty step.
    """
    root, *steps = text.split(".")
    if root != "result" or not all(steps):
        raise ValueError(f"`{text}` is not a path into the result")
    kept = [s for at, s in enumerate(steps) if s != "**" or steps[at - 1 : at] != ["**"]]
    return tuple(kept)


def redact(redactions: Redactions, result: dict[str, Any]) -> dict[str, Any]:
    """The result without what has to go.

    Raises:
        RedactionError: when there is more text than patterns may be searched in.
    """
    for steps in redactions.paths:
        result = _redact_path(steps, result)
    if redactions.matching and _characters(result) > REDACTION_CHARACTERS_MAX:
        raise RedactionError(
            f"the result has more than {REDACTION_CHARACTERS_MAX} characters, too many to redact",
            help="ask for less at once",
        )
    for matching in redactions.matching:
        result = _redact_matching(matching, result)
    return result


# --- paths ---------------------------------------------------------------------------------


def _redact_path(steps: Steps, result: dict[str, Any]) -> dict[str, Any]:
    redacted: dict[str, Any] = change_at(result, steps, empty)
    took_content = redacted.get(_CONTENT) is not result.get(_CONTENT)
    took_structured = redacted.get(_STRUCTURED) is not result.get(_STRUCTURED)
    if below := _positions_below(steps, _STRUCTURED):
        redacted = _with_texts(redacted, lambda text: _twin(text, steps, below, took_structured))
    if took_content:
        redacted = {name: value for name, value in redacted.items() if name != _STRUCTURED}
    if _CONTENT in result and not isinstance(redacted.get(_CONTENT), list):
        redacted = {**redacted, _CONTENT: []}  # a result without content is not a result
    return redacted


def _twin(text: str, steps: Steps, below: frozenset[int], took: bool) -> str:  # noqa: FBT001
    """A text that may be the serialised form of the structured content."""
    parsed = _parsed(text)
    if parsed is None:
        return REDACTED if took else text
    changed = _walk(parsed, steps, below, empty)
    return text if changed is parsed else json.encode(changed).decode()


def change_at(tree: Any, steps: Steps, change: Change) -> Any:
    """The tree with `change` applied to every node the path leads to."""
    return _walk(tree, steps, _closure(steps, {0}), change)


def _walk(node: Any, steps: Steps, at: frozenset[int], change: Change) -> Any:
    if len(steps) in at:
        return change(node)
    match node:
        case dict():
            return _each(node, lambda key, v: _walk_child(v, steps, _next(steps, at, key), change))
        case list():
            after = _next(steps, at, None)
            return _each_item(node, lambda item: _walk_child(item, steps, after, change))
        case _:
            return node


def _walk_child(node: Any, steps: Steps, at: frozenset[int], change: Change) -> Any:
    return _walk(node, steps, at, change) if at else node


def _next(steps: Steps, at: frozenset[int], key: str | None) -> frozenset[int]:
    """Positions after one member (`key`) or one list element (None)."""
    found = set()
    for position in at:
        if position < len(steps):
            step = steps[position]
            if step == "**":
                found.add(position)
            elif step in ("*", key):
                found.add(position + 1)
    return _closure(steps, found)


def _closure(steps: Steps, at: set[int]) -> frozenset[int]:
    """`**` stands for no step at all as well."""
    more = {p + 1 for p in at if p < len(steps) and steps[p] == "**"}
    return frozenset(at | more)


def _positions_below(steps: Steps, member: str) -> frozenset[int]:
    """Where the path stands within that member of the result; empty when it never gets there."""
    return _next(steps, _closure(steps, {0}), member)


def empty(value: Any) -> Any:
    """The value's own kind with nothing in it."""
    match value:
        case str():
            return REDACTED
        case list():
            return []
        case dict():
            return {}
        case _:
            return None


# --- patterns ------------------------------------------------------------------------------


def _redact_matching(matching: Matching, result: dict[str, Any]) -> dict[str, Any]:
    def change(node: Any) -> Any:
        return _redact_texts(node, matching.finder)

    redacted: dict[str, Any] = change_at(result, matching.inside, change)
    for member, twin in ((_STRUCTURED, _CONTENT), (_CONTENT, _STRUCTURED)):
        if twin in redacted and _positions_below(matching.inside, member):
            redacted = {**redacted, twin: change(redacted[twin])}
    return redacted


def _redact_texts(node: Any, finder: Automaton) -> Any:
    """Every text in the tree, names of members included, without what the pattern finds."""
    match node:
        case str():
            return _redact_text(node, finder)
        case dict():
            kept = _each(node, lambda _key, value: _redact_texts(value, finder))
            names = {name: _replaced(name, finder) for name in kept}
            if all(name == new for name, new in names.items()):
                return kept
            return {names[name]: value for name, value in kept.items()}
        case list():
            return _each_item(node, lambda item: _redact_texts(item, finder))
        case _:
            return node


def _redact_text(text: str, finder: Automaton) -> str:
    parsed = _parsed(text)
    if parsed is not None:
        # An escape within JSON (`\u002d`, `\n`) hides a match from the text as it stands.
        changed = _redact_texts(parsed, finder)
        if changed is not parsed:
            text = json.encode(changed).decode()
    return _replaced(text, finder)


def _replaced(text: str, finder: Automaton) -> str:
    pieces, kept_from = [], 0
    for start, end in finder.finditer(text):
        pieces += [text[kept_from:start], REDACTED]
        kept_from = end
    return text if not pieces else "".join([*pieces, text[kept_from:]])


# --- trees ---------------------------------------------------------------------------------


def _each(node: dict[str, Any], change: Callable[[str, Any], Any]) -> dict[str, Any]:
    """The members changed; the same object when none is."""
    changed = {key: change(key, value) for key, value in node.items()}
    return changed if any(changed[key] is not node[key] for key in node) else node


def _each_item(node: list[Any], change: Change) -> list[Any]:
    changed = [change(item) for item in node]
    return changed if any(a is not b for a, b in zip(changed, node, strict=True)) else node


def _with_texts(result: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The result with the texts of its content changed."""
    changed: dict[str, Any] = change_at(
        result,
        (_CONTENT, "**", "text"),
        lambda text: change(text) if isinstance(text, str) else text,
    )
    return changed


def _parsed(text: str) -> Any:
    """The tree of a text that is a JSON object or list, or None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.decode_answer(text.encode())
    except json.JsonError:
        return None


def _characters(node: Any) -> int:
    match node:
        case str():
            return len(node)
        case dict():
            return sum(len(key) + _characters(value) for key, value in node.items())
        case list():
            return sum(map(_characters, node))
        case _:
            return 0
