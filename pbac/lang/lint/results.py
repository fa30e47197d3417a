"""What a function's result is never equal to: `lower(x) == "ABC"`, `count(x) < 0`, `x in []`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pbac.lang import nodes
from pbac.model.values import Value

_Judge = Callable[[Value], bool]


def _is_text_unlike(pattern: str) -> _Judge:
    unlike = re.compile(pattern)
    return lambda value: type(value) is str and unlike.search(value) is not None


def _is_no_count(value: Value) -> bool:
    return type(value) in (int, float) and (value < 0 or value != int(value))


NEVER_EQUAL: Final[Mapping[str, _Judge]] = {
    "lower": _is_text_unlike(r"[A-Z]"),
    "scheme": _is_text_unlike(r"[A-Z:/]"),
    "host": _is_text_unlike(r"[A-Z/]"),
    "count": _is_no_count,
}
"""Function → whether its result is certainly another value than this one."""

_BELOW_ANY_COUNT: Final[Mapping[str, _Judge]] = {
    "<": lambda value: type(value) in (int, float) and value <= 0,
    "<=": lambda value: type(value) in (int, float) and value < 0,
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE: Final = {
    "==": "!=",
    "!=": "==",
    "in": "not in",
    "not in": "in",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


def never_holds(operation: nodes.Operation, *, negated: bool) -> bool:
    """Is the operation, or its opposite, true of no request? No means: cannot tell."""
    if len(operation.operands) != 2:
        return False
    left, right = operation.operands
    name = _OPPOSITE.get(operation.name, "") if negated else operation.name
    if isinstance(left, nodes.Literal):
        left, right, name = right, left, _MIRRORED.get(name, name)
    function = left.name if isinstance(left, nodes.Operation) else ""
    unequal = NEVER_EQUAL.get(function, lambda _value: False)
    if name == "in" and isinstance(right, nodes.ListExpression):
        return all(isinstance(item, nodes.Literal) and unequal(item.value) for item in right.items)
    if not isinstance(right, nodes.Literal):
        return False
    if name == "==":
        return unequal(right.value)
    return function == "count" and name in _BELOW_ANY_COUNT and _BELOW_ANY_COUNT[name](right.value)
