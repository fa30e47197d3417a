"""Equality, order and membership without coercion (Law 3). Every function here is total.

Inputs are any values at all, `MISSING` and `UNKNOWN` included: those have no comparable kind, so
every comparison with them is `UNKNOWN` and no caller needs to look first.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pbac.base.limits import LIST_OPERAND_ITEMS_MAX, TEXT_OPERAND_CHARACTERS_MAX
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.values import Value

_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
}
"""The kinds that `==` knows. Exact classes: a bool is never a number."""

_ORDERED: Final = frozenset({"number", "string"})
_TEXTS_ONLY: Final = frozenset({str})
_VERSION: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,15}")


def items_of(value: Value) -> Sequence[Value] | None:
    """The items of a list, None for anything else."""
    return value if type(value) is list or type(value) is tuple else None


def equal(left: Value, right: Value) -> Value:
    """`==`: unknown for unlike kinds, lists, records. Integers and decimals compare exactly.

    >>> equal(1, 1.0), equal(True, 1), equal(None, None)
    (True, UNKNOWN, True)
    """
    kind = _KINDS.get(type(left))
    if kind is None or kind != _KINDS.get(type(right)):
        return UNKNOWN
    return left == right


def unequal(left: Value, right: Value) -> Value:
    """`!=`: unknown wherever `==` is."""
    return inverted(equal(left, right))


def inverted(value: Value) -> Value:
    """`not` of True, False or `UNKNOWN`."""
    return UNKNOWN if value is UNKNOWN else not value


def ordering(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], Value]:
    """`<`, `<=`, `>` or `>=` over two numbers, or two strings by code point."""

    def ordered(left: Value, right: Value) -> Value:
        kind = _KINDS.get(type(left))
        if kind not in _ORDERED or kind != _KINDS.get(type(right)):
            return UNKNOWN
        return compare(left, right)

    return ordered


# --- versions ------------------------------------------------------------------------------


def _numbers(value: Value) -> tuple[int, ...] | None:
    """`2.1.0` → (2, 1): dotted numbers, trailing zeros dropped; None for other spellings."""
    if type(value) is not str or not _VERSION.fullmatch(value):
        return None
    numbers = [int(part) for part in value.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def version_comparison(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], Value]:
    """A comparison of dotted numeric versions: `2.10` is above `2.9`, `2.1` is `2.1.0`."""

    def compared(left: Value, right: Value) -> Value:
        first, second = _numbers(left), _numbers(right)
        return UNKNOWN if first is None or second is None else compare(first, second)

    return compared


version_equal: Final = version_comparison(operator.eq)


def version_in(value: Value, collection: Value) -> Value:
    """`in` over versions: an *or* of version equalities."""
    items = _few_items_of(collection)
    return UNKNOWN if items is None else _any_of(version_equal(value, item) for item in items)


def version_not_in(value: Value, collection: Value) -> Value:
    """`not in` over versions."""
    return inverted(version_in(value, collection))


# --- membership ----------------------------------------------------------------------------


def _few_items_of(value: Value) -> Sequence[Value] | None:
    """The items of a list that is not too long to be looked through (Law 4)."""
    items = items_of(value)
    return None if items is None or len(items) > LIST_OPERAND_ITEMS_MAX else items


def _any_of(outcomes: Iterable[Value]) -> Value:
    """An *or*: True when any is, else `UNKNOWN` when any is, else False."""
    answer: Value = False
    for outcome in outcomes:
        if outcome is True:
            return True
        if outcome is UNKNOWN:
            answer = UNKNOWN
    return answer


def is_in(value: Value, collection: Value) -> Value:
    """`value in collection`: an *or* of equalities; unknown when the collection is no list.

    An empty list holds nothing, whatever the value is: the empty *or* is false.
    """
    items = _few_items_of(collection)
    if items is None:
        return UNKNOWN
    if type(value) is str:  # a string equals nothing but a string: let C do the search
        if value in items:
            return True
        return False if set(map(type, items)) <= _TEXTS_ONLY else UNKNOWN
    return _any_of(equal(value, item) for item in items)


def is_not_in(value: Value, collection: Value) -> Value:
    """`value not in collection`."""
    return inverted(is_in(value, collection))


def contains(collection: Value, value: Value) -> Value:
    """`list contains value`, as `in`; `string contains string` looks for a part of the text.

    Unknown in a text that is too long to be looked through (Law 4).
    """
    if type(collection) is str:
        short = len(collection) <= TEXT_OPERAND_CHARACTERS_MAX
        return value in collection if short and type(value) is str else UNKNOWN
    return is_in(value, collection)


_Keys = set[tuple[str | None, Value]]


def _keys(items: Sequence[Value]) -> tuple[_Keys, set[str | None]]:
    """The comparable items with their kinds (`1` and `true` are two keys), and all the kinds.

    None is the kind of what equals nothing for certain: lists, records, unknown.
    """
    kinds = {_KINDS.get(type(item)) for item in items}
    keys = {(_KINDS[type(item)], item) for item in items if type(item) in _KINDS}
    return keys, kinds  # type: ignore[return-value]


def intersects(left: Value, right: Value) -> Value:
    """Some item of one list equals some item of the other: an *or* over all pairs.

    Linear: a pair is unknown exactly when its kinds differ, so kinds are compared once.
    """
    first, second = _few_items_of(left), _few_items_of(right)
    if first is None or second is None:
        return UNKNOWN
    if not first or not second:
        return False
    if set(map(type, first)) | set(map(type, second)) == _TEXTS_ONLY:
        return not set(first).isdisjoint(second)
    (keys, kinds), (other_keys, other_kinds) = _keys(first), _keys(second)
    if not keys.isdisjoint(other_keys):
        return True
    certain = len(kinds | other_kinds) == 1 and None not in kinds
    return False if certain else UNKNOWN


def subset_of(left: Value, right: Value) -> Value:
    """Every item of the left list is `in` the right one: an *and* of *or*s, in linear time."""
    first, second = _few_items_of(left), _few_items_of(right)
    if first is None or second is None:
        return UNKNOWN
    (keys, kinds), (other_keys, other_kinds) = _keys(first), _keys(second)
    absent = keys - other_keys
    if any(other_kinds <= {kind} for kind, _ in absent) or (first and not second):
        return False
    return UNKNOWN if absent or None in kinds else True
