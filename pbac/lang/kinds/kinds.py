"""What the checker knows about a value before there is one.

`any` is a value of plain JSON that nobody described: arguments, facts, data. It may be compared
with anything JSON can hold, but never with a moment or a stretch of time: those are milliseconds
here, and no document says that a number of its own is one.

A vocabulary describes: then a value is of one kind or of a few, a *union*. `unions` puts such
kinds together, `json_schema` reads them out of a tool's schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pbac.base import json
from pbac.model.request import ACTOR_FIELDS
from pbac.model.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind.

    Attributes:
        word: `any`, `null`, `boolean`, `number`, `string`, `tier`, `version`, `datetime`,
            `date`, `duration`, `address`, `list`, `record` or `union`.
        item: of a list: what each item is.
        fields: of a record: its fields. None for a record that holds anything.
        rest: of a record with fields: what every other member is. None: there is no other;
            `UNDECLARED`: there may be, but nobody described one.
        required: the fields such a record always has; None where nobody says.
        holders: field → the tools that have it, where several are meant and not all of them do.
        options: of a union: what it may be, one kind for each word.
        choices: of a scalar: the only values there are.
        whole: of a number: it has no fraction.
        sent: it comes from outside, so a text may be read as a date, a version or an address.
        written: of a list that is written out: the kind of each item.
    """

    word: str
    item: Kind | None = None
    fields: Mapping[str, Kind] | None = None
    rest: Kind | None = None
    required: frozenset[str] | None = None
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    options: tuple[Kind, ...] = ()
    choices: tuple[Value, ...] | None = None
    whole: bool = False
    sent: bool = False
    written: tuple[Kind, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.word == "union":
            return " or ".join(map(str, self.options))
        if self.word == "list" and self.item and self.item.word not in ("any", "union"):
            return f"a list of {_PLURALS.get(self.item.word, self.item.word + 's')}"
        return _PHRASES.get(self.word, f"a {self.word}")

    def brief(self) -> str:
        """A type in short: `"open" | "closed"`, `list of string`, `{ id: integer }`."""
        if self.choices is not None:
            shown = [json.encode(choice).decode() for choice in self.choices[:_CHOICES_BRIEF]]
            return " | ".join(shown + ["…"] * (len(self.choices) > _CHOICES_BRIEF))
        if self.word == "union":
            return " | ".join(each.brief() for each in self.options)
        if self.word == "list":
            item = (self.item or ANY).brief()
            return f"list of ({item})" if "|" in item else f"list of {item}"
        if self.word == "record" and self.fields:
            members = ", ".join(
                f"{name}{'' if name in (self.required or ()) else '?'}: {kind.brief()}"
                for name, kind in self.fields.items()
            )
            return f"{{ {members} }}"
        return "integer" if self.whole else self.word


_CHOICES_BRIEF: Final = 8
_PHRASES: Final = {
    "any": "a value of any kind",
    "null": "null",
    "boolean": "true or false",
    "datetime": "a moment",
    "address": "an address",
}
_PLURALS: Final = {"datetime": "moments", "address": "addresses"}

ANY: Final = Kind(word="any")
UNDECLARED: Final = Kind(word="any", sent=True)
"""Members that a schema neither describes nor rules out."""

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

_READ_AS: Final = frozenset({"date", "address", "version"})
"""What a text from outside may be read as: JSON has no other spelling for these."""


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


def options(kind: Kind) -> tuple[Kind, ...]:
    """What a value may turn out to be: the options of a union, or the kind itself."""
    return kind.options if kind.word == "union" else (kind,)


def option(kind: Kind, word: str) -> Kind | None:
    """The option of this word, or None."""
    return next((each for each in options(kind) if each.word == word), None)


def accepts(word: str, kind: Kind) -> bool:
    """Can a value of this kind be the operand that a function's table calls `word`?"""
    return any(_accepts(word, each) for each in options(kind))


def misfits(word: str, kind: Kind) -> tuple[Kind, ...]:
    """The options of a kind that can never be such an operand."""
    return tuple(each for each in options(kind) if not _accepts(word, each))


def _accepts(word: str, kind: Kind) -> bool:
    return kind.word in _ACCEPTS[word] or (_is_sent_text(kind) and word in _READ_AS)


def alike(left: Kind, right: Kind) -> bool:
    """Law 3, no coercion: can a comparison of two such values ever be known?

    A tier is compared with the text of its name; every other kind only with its own and with
    values of any kind. A text from outside may be a date, a version or an address.
    """
    return any(_alike(one, other) for one in options(left) for other in options(right))


def strangers(left: Kind, right: Kind) -> tuple[Kind, ...]:
    """The options of `left` that are like nothing `right` can be."""
    return tuple(one for one in options(left) if not alike(one, right))


def _alike(left: Kind, right: Kind) -> bool:
    words = {left.word, right.word}
    if len(words) == 1 or words == {"tier", "string"}:
        return True
    if any(map(_is_sent_text, (left, right))) and words & _READ_AS:
        return True
    return "any" in words and words <= _JSON


def _is_sent_text(kind: Kind) -> bool:
    return kind.sent and kind.word == "string"


def either(left: Kind, right: Kind) -> Kind:
    """What the items of a written list are, when it has such two: equal kinds, or anything."""
    return left if left == right else ANY


def is_key(kind: Kind) -> bool:
    """Can it stand in the brackets of a path?"""
    return any(each.word in _STRINGS | {"any", "number"} for each in options(kind))
