"""What generated functions call for everything that is not worth writing out in line.

All are total. `test` arguments are one-rail questions (see `generate`): True means *certainly*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from pbac.base.limits import QUANTIFIER_ITEMS_MAX
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.paths import step
from pbac.lang.evaluate.truth import UNKNOWN, conjunction, disjunction, negation, truth_of, value_of
from pbac.lang.generate.filing import Found
from pbac.model.values import MISSING, Value, kind_of

ItemTest: TypeAlias = Callable[[Value], bool]


def some(collection: Value, test: ItemTest) -> bool:
    """Certainly some item of the list passes; False for what is no list within the cap."""
    items = items_of(collection)
    if items is None or len(items) > QUANTIFIER_ITEMS_MAX:
        return False
    return any(map(test, items))


def every(collection: Value, test: ItemTest) -> bool:
    """Certainly every item of the list passes; False for what is no list within the cap."""
    items = items_of(collection)
    if items is None or len(items) > QUANTIFIER_ITEMS_MAX:
        return False
    return all(map(test, items))


def some_value(collection: Value, body: Callable[[Value], Value]) -> Value:
    """`any` used as a value."""
    items = items_of(collection)
    if items is None or len(items) > QUANTIFIER_ITEMS_MAX:
        return UNKNOWN
    return value_of(disjunction(truth_of(body(item)) for item in items))


def every_value(collection: Value, body: Callable[[Value], Value]) -> Value:
    """`all` used as a value."""
    items = items_of(collection)
    if items is None or len(items) > QUANTIFIER_ITEMS_MAX:
        return UNKNOWN
    return value_of(conjunction(truth_of(body(item)) for item in items))


def and_value(*values: Value) -> Value:
    """`and` used as a value."""
    return value_of(conjunction(map(truth_of, values)))


def or_value(*values: Value) -> Value:
    """`or` used as a value."""
    return value_of(disjunction(map(truth_of, values)))


def not_value(value: Value) -> Value:
    """`not` used as a value."""
    return value_of(negation(truth_of(value)))


def has_value(found: Value) -> Value:
    """`has` of what a path led to."""
    return UNKNOWN if found is UNKNOWN else found is not MISSING


def is_kind(value: Value, kind: str) -> Value:
    """`value is kind`; unknown when there is no value."""
    return UNKNOWN if value is MISSING or value is UNKNOWN else kind_of(value) == kind


def known(value: Value) -> Value:
    """An item of a written list or record: there, what is missing is merely unknown."""
    return UNKNOWN if value is MISSING else value


def present(record: Mapping[str, Value] | None) -> Value:
    """A root that may be absent (`user`), as a value."""
    return MISSING if record is None else record


_HASHED: Final = frozenset({str, int, float})


def filed(file: Found, value: Value, nothing: int) -> int:
    """What is filed under a string or number; anything else has nothing filed under it."""
    return file(value, nothing) if type(value) in _HASHED else nothing


def picked(bits: int, rules: tuple[Any, ...]) -> Iterable[Any]:
    """The rules of a set."""
    if bits == (1 << len(rules)) - 1:
        return rules
    found = []
    while bits:
        lowest = bits & -bits
        found.append(rules[lowest.bit_length() - 1])
        bits ^= lowest
    return found


NAMES: Final[Mapping[str, object]] = {
    "some": some,
    "every": every,
    "some_value": some_value,
    "every_value": every_value,
    "and_value": and_value,
    "or_value": or_value,
    "not_value": not_value,
    "has_value": has_value,
    "is_kind": is_kind,
    "known": known,
    "filed": filed,
    "hashed": _HASHED,
    "picked": picked,
    "present": present,
    "step": step,
    "MISSING": MISSING,
    "UNKNOWN": UNKNOWN,
    "kind": type,
    "record": dict,
    "string": str,
    "integer": int,
    "decimal": float,
}
"""The globals of every generated module, beside its own constants. There are no others."""
