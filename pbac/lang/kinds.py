"""What the checker knows about a value before there is one.

`any` is a value of plain JSON that nobody described: arguments, facts, data. It may be compared
with anything JSON can hold, but never with a moment or a stretch of time: those are milliseconds
here, and no document says that a number of its own is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pbac.model.request import ACTOR_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind.

    Attributes:
        word: `any`, `null`, `boolean`, `number`, `string`, `tier`, `version`, `datetime`,
            `date`, `duration`, `address`, `list` or `record`.
        item: of a list: what each item is.
        fields: of a closed record: its fields. None for a record that holds anything.
        written: of a list that is written out: the kind of each item.
    """

    word: str
    item: Kind | None = None
    fields: Mapping[str, Kind] | None = None
    written: tuple[Kind, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.word == "list" and self.item and self.item.word != "any":
            return f"a list of {_PLURALS.get(self.item.word, self.item.word + 's')}"
        return _PHRASES.get(self.word, f"a {self.word}")


_PHRASES: Final = {
    "any": "a value of any kind",
    "null": "null",
    "boolean": "true or false",
    "datetime": "a moment",
    "address": "an address",
}
_PLURALS: Final = {"datetime": "moments", "address": "addresses"}

ANY: Final = Kind(word="any")
BOOLEAN: Final = Kind(word="boolean")

_STRINGS: Final = frozenset({"string", "tier", "version", "date", "address"})
"""Kinds whose values are texts at run time."""

_JSON: Final = frozenset({"any", "null", "boolean", "number", "list", "record"}) | _STRINGS
"""Kinds that a value of any kind may turn out to be."""

_ACCEPTS: Final[Mapping[str, frozenset[str]]] = {
    "any": frozenset(_JSON | {"datetime", "duration"}),
    "scalar": (_JSON | {"datetime", "duration"}) - {"list", "record"},
    "comparable": frozenset({"any", "number", "string", "datetime", "date", "duration"}),
    "string": frozenset({"any", "string", "tier"}),
    "number": frozenset({"any", "number"}),
    "boolean": frozenset({"any", "boolean"}),
    "list": frozenset({"any", "list"}),
    "record": frozenset({"any", "record"}),
    "datetime": frozenset({"datetime"}),
    "duration": frozenset({"duration"}),
    "date": frozenset({"any", "date"}),
    "address": frozenset({"any", "address", "string"}),
    "version": frozenset({"any", "version"}),
}
"""Operand word of `functions.FUNCTIONS` → kinds that fit."""


def parse_kind(text: str) -> Kind:
    """The kind written in the tables of `model.request`: `number`, `list of string`."""
    if text.startswith("list of "):
        return Kind(word="list", item=parse_kind(text.removeprefix("list of ")))
    if text == "actor":
        return record_of(ACTOR_FIELDS)
    return Kind(word=text)


def record_of(fields: Mapping[str, str]) -> Kind:
    """A closed record of fields and their kinds as text."""
    return Kind(word="record", fields={name: parse_kind(kind) for name, kind in fields.items()})


def accepts(word: str, kind: Kind) -> bool:
    """Can a value of this kind be the operand that a function's table calls `word`?"""
    return kind.word in _ACCEPTS[word]


def alike(left: Kind, right: Kind) -> bool:
    """Law 3, no coercion: can a comparison of two such values ever be known?

    A tier is compared with the text of its name; every other kind only with its own and with
    values of any kind.
    """
    words = {left.word, right.word}
    if len(words) == 1 or words == {"tier", "string"}:
        return True
    return "any" in words and words <= _JSON


def either(left: Kind, right: Kind) -> Kind:
    """What a value is that is one or the other: `path default value`, the items of a list."""
    return left if left == right else ANY


def is_key(kind: Kind) -> bool:
    """Can it stand in the brackets of a path?"""
    return kind.word in _STRINGS | {"any", "number"}
