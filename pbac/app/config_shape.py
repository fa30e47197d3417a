"""What is wrong with the shape of a configuration: unknown names, and values of another kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from pbac.base.suggest import did_you_mean

_EXPECTED: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`$")
_STEP: Final = re.compile(r"\.?(\w+)|\[(\d+)\]")
_KINDS: Final = {
    "str": ("a text", 'a text stands in quotes: `"…"`'),
    "bool": ("true or false", "write `true` or `false`, without quotes"),
    "array": ("a list", 'a list stands in brackets: `["…", "…"]`'),
    "object": ("a table", 'a table stands in braces, `{ name = "…" }`, or below its own heading'),
    "int": ("a number", None),
    "float": ("a number", None),
}
"""msgspec's word for a kind → ours, and how it is written."""


def unknown_keys(tree: Any, kind: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every key that no section knows, with its place and the nearest known one."""
    section = _section_of(kind)
    if isinstance(tree, list) and section is not None:
        for position, item in enumerate(tree, 1):
            yield from unknown_keys(item, section, f"{place}[{position}]")
    elif isinstance(tree, dict) and section is not None:
        fields = {f.name: f.type for f in msgspec.structs.fields(section) if f.name != "directory"}
        for key, value in tree.items():
            at = f"{place}.{key}" if place else key
            if key in fields:
                yield from unknown_keys(value, fields[key], at)
            else:
                near = did_you_mean(key, fields)
                yield f"there is no setting `{at}`", near or f"known here: {_listed(fields)}"


def wrong_value(error: msgspec.ValidationError, tree: Any, kind: Any) -> tuple[str, str | None]:
    """What msgspec found, in the words of who wrote the file; places count from 1."""
    told = str(error)
    found = _PLACE.search(told)
    steps = _STEP.findall(found[1]) if found else []
    place = "".join(f"[{int(at) + 1}]" if at else f".{name}" for name, at in steps).lstrip(".")
    if missing := _MISSING.match(told):
        return f"`{place}` has no `{missing[1]}`", f"write `{missing[1]} = …` there"
    if choices := _choices(kind, steps):
        found_there = _value_at(tree, steps)
        return f"`{place}` cannot be `{found_there}`", f"it is one of {_listed(choices)}"
    if expected := _EXPECTED.match(told):
        wanted, how = _KINDS.get(expected[1].removesuffix(" | null"), (expected[1], None))
        got, _ = _KINDS.get(expected[2], (expected[2], None))
        return f"`{place}` is {got}, and has to be {wanted}", how
    return told.lower(), None


def _choices(kind: Any, steps: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The words that may stand at a place, where only certain ones may."""
    for name, _ in steps:
        section = _section_of(kind)
        if name and section is not None:
            kind = {field.name: field.type for field in msgspec.structs.fields(section)}.get(name)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _value_at(tree: Any, steps: Iterable[tuple[str, str]]) -> Any:
    for name, at in steps:
        tree = tree[int(at)] if at else tree[name]
    return tree


def _section_of(kind: Any) -> type[msgspec.Struct] | None:
    """The section that a value of this kind is, or is a list of."""
    inner = get_args(kind) if get_origin(kind) in (tuple, UnionType) else ()
    found = (k for k in (kind, *inner) if isinstance(k, type) and issubclass(k, msgspec.Struct))
    return next(found, None)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
