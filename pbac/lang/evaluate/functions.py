"""The one table of operators and functions: name, kinds, evaluator, cost.

The checker reads the kinds, the interpreter and the generator the evaluators, the cost pass the
costs, the reference manual all of it. Evaluators are *total*: given any values, `MISSING` and
`UNKNOWN` included, they return a value or `UNKNOWN` and never raise (Laws 2 and 3).

Kind words of operands and results: `any`, `scalar` (null, boolean, number, string: what `==`
knows), `comparable` (two numbers, or two strings, and the dates and durations made of those),
`string`, `number`, `boolean`, `list`, `record`, `datetime`, `duration`, `date`, `address`,
`version`.

Some functions have operands that are constants of the policy (a pattern, a network, a window).
`prepare` turns those into a function of the first operand alone, once, at load; it raises
`ValueError` when they cannot be used, which the checker reports. Their `evaluate` prepares each
time and answers `UNKNOWN` instead.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pbac.base.limits import (
    LIST_OPERAND_ITEMS_MAX,
    STRINGS_MAX,
    TEXT_OPERAND_CHARACTERS_MAX,
)
from pbac.lang import nodes
from pbac.lang.evaluate import comparisons, patterns
from pbac.lang.evaluate.networks import host, in_cidr, scheme, within
from pbac.lang.evaluate.times import in_window
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.request import FIELDS
from pbac.model.values import Value

Evaluator: TypeAlias = Callable[..., Value]
Prepare: TypeAlias = Callable[..., Callable[[Value], Value]]
Growth: TypeAlias = Literal["", "text", "list", "tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One row of the table.

    Attributes:
        name: as in `nodes.Operation.name`.
        operands: kind word of each operand.
        result: kind word of the result.
        evaluate: the operands' values → value or `UNKNOWN`; never raises.
        cost: relative to one comparison of two scalars, for operands of ordinary size.
        prepare: the operands after the first → evaluator of the first (see the module).
    """

    name: str
    operands: tuple[str, ...]
    result: str
    evaluate: Evaluator
    cost: int
    grows: Growth = ""
    prepare: Prepare | None = None


# --- evaluators that live nowhere else -----------------------------------------------------


def _starts_with(text: Value, start: Value) -> Value:
    return text.startswith(start) if type(text) is str and type(start) is str else UNKNOWN


def _ends_with(text: Value, end: Value) -> Value:
    return text.endswith(end) if type(text) is str and type(end) is str else UNKNOWN


def _of_text(matcher: Callable[[str], Value]) -> Callable[[Value], Value]:
    """The matcher, unknown for anything but a string that is not too long (Law 4)."""

    def matched(text: Value) -> Value:
        if type(text) is not str or len(text) > TEXT_OPERAND_CHARACTERS_MAX:
            return UNKNOWN
        return matcher(text)

    return matched


def _like(pattern: str) -> patterns.Matcher:
    """`text like "acme/*"`: always a whole match.

    `*` stays within a segment, segments end at `/`, `**` crosses them, a lone `*` is everything.
    """
    return patterns.glob(pattern, "/")


TEXT_MATCHERS: Final[Mapping[str, Callable[[str], patterns.Matcher]]] = {
    "like": _like,
    "matches": patterns.regex,
}
"""Operators that hold a text against a constant pattern: the matcher of the pattern."""


def _of_pattern(make: Callable[[str], patterns.Matcher]) -> Prepare:
    """The prepared evaluator of a text matcher."""

    def prepare(pattern: Value) -> Callable[[Value], Value]:
        if type(pattern) is not str:
            raise ValueError("a pattern is a text")
        return _of_text(make(pattern))

    return prepare


def _at_once(prepare: Prepare) -> Evaluator:
    """The evaluator that prepares and answers in one step; unknown when it cannot prepare."""

    def evaluate(first: Value, *rest: Value) -> Value:
        try:
            prepared = prepare(*rest)
        except ValueError:
            return UNKNOWN
        return prepared(first)

    return evaluate


def _count(value: Value) -> Value:
    """Items of a list, members of a record."""
    if type(value) is dict:
        return len(value)
    items = comparisons.items_of(value)
    return UNKNOWN if items is None else len(items)


def _strings(value: Value) -> Value:
    """Every string in a value, however deep, in document order; names of members are not values.

    Unknown above `STRINGS_MAX` strings or `LIST_OPERAND_ITEMS_MAX` parts, and when any part of the
    value is itself unknown.
    """
    found: list[str] = []
    waiting = [value]
    seen = 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if type(part) is str:
            found.append(part)
        elif type(part) is dict:
            waiting.extend(reversed(part.values()))
        elif (items := comparisons.items_of(part)) is not None:
            waiting.extend(reversed(items))
        elif part is not None and type(part) not in (bool, int, float):
            return UNKNOWN
        if len(found) > STRINGS_MAX or seen + len(waiting) > LIST_OPERAND_ITEMS_MAX:
            return UNKNOWN
    return found


_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _lower(text: str) -> Value:
    """ASCII letters in lower case; all others stay, as case mappings differ between engines."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


# --- the table -----------------------------------------------------------------------------

_ANY2: Final = ("any", "any")
_ORDER: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_EQUALITY: Final = {"==": operator.eq, "!=": operator.ne}


def _row(
    name: str,
    operands: tuple[str, ...],
    result: str,
    evaluate: Evaluator,
    cost: int = 1,
    *,
    grows: Growth = "",
) -> Function:
    return Function(
        name=name, operands=operands, result=result, evaluate=evaluate, cost=cost, grows=grows
    )


def _prepared(
    name: str, operands: tuple[str, ...], prepare: Prepare, cost: int, grows: Growth = ""
) -> Function:
    return Function(
        name=name,
        operands=operands,
        result="boolean",
        evaluate=_at_once(prepare),
        cost=cost,
        grows=grows,
        prepare=prepare,
    )


_ROWS: Final = (
    _row("==", ("scalar", "scalar"), "boolean", comparisons.equal),
    _row("!=", ("scalar", "scalar"), "boolean", comparisons.unequal),
    *(
        _row(name, ("comparable", "comparable"), "boolean", comparisons.ordering(compare))
        for name, compare in _ORDER.items()
    ),
    _row("in", ("scalar", "list"), "boolean", comparisons.is_in, 4, grows="list"),
    _row("not in", ("scalar", "list"), "boolean", comparisons.is_not_in, 4, grows="list"),
    _row(
        "contains", _ANY2, "boolean", comparisons.contains, 4, grows="list"
    ),  # or a text, then a part
    _row("intersects", ("list", "list"), "boolean", comparisons.intersects, 16, grows="list"),
    _row("subset of", ("list", "list"), "boolean", comparisons.subset_of, 16, grows="list"),
    _row("starts with", ("string", "string"), "boolean", _starts_with),
    _row("ends with", ("string", "string"), "boolean", _ends_with),
    _prepared("like", ("string", "string"), _of_pattern(TEXT_MATCHERS["like"]), 4, grows="text"),
    _prepared(
        "matches", ("string", "string"), _of_pattern(TEXT_MATCHERS["matches"]), 16, grows="text"
    ),
    _row("within", ("string", "string"), "boolean", within, 8, grows="text"),
    _prepared("in cidr", ("address", "string"), in_cidr, 16),
    _prepared("in window", ("datetime", "string", "number", "number", "string"), in_window, 16),
    _row("host", ("string",), "string", _of_text(host), 16, grows="text"),
    _row("scheme", ("string",), "string", _of_text(scheme), 16, grows="text"),
    _row("count", ("any",), "number", _count),
    _row("strings", ("any",), "list", _strings, 8, grows="tree"),
    _row("lower", ("string",), "string", _of_text(_lower), 2, grows="text"),
    *(
        _row(f"version {name}", ("version", "version"), "boolean", compared, 8)
        for name, compared in {
            n: comparisons.version_comparison(c) for n, c in (_EQUALITY | _ORDER).items()
        }.items()
    ),
    *(
        _row(f"version {name}", ("version", "list"), "boolean", contained, 8, grows="list")
        for name, contained in {
            "in": comparisons.version_in,
            "not in": comparisons.version_not_in,
        }.items()
    ),
)

FUNCTIONS: Final[Mapping[str, Function]] = {row.name: row for row in _ROWS}
"""By name. `version <` and its like are never written: `function_of` chooses them."""


# --- choosing the row ----------------------------------------------------------------------


def is_version(expression: nodes.Expression) -> bool:
    """True for what the language knows to be a version.

    That is a `v"…"`, a field of that kind, a list with one in it, either side of a `default`.
    """
    match expression:
        case nodes.Literal():
            return expression.kind == "version"
        case nodes.Path(root=root, steps=(nodes.Field(name=name),)):
            return FIELDS.get(root, {}).get(name) == "version"
        case nodes.Default():
            return is_version(expression.path) or is_version(expression.fallback)
        case nodes.ListExpression():
            return any(map(is_version, expression.items))
    return False


def function_of(operation: nodes.Operation) -> Function:
    """The row an operation means: comparisons with a version on either side compare versions.

    Raises:
        KeyError: when there is no such operator or function (the parser's table is this table).
    """
    special = FUNCTIONS.get(f"version {operation.name}")
    if special is not None and any(map(is_version, operation.operands)):
        return special
    return FUNCTIONS[operation.name]


def prepared(operation: nodes.Operation) -> Callable[[Value], Value] | None:
    """The evaluator of the first operand with the written constants built in, where there are any.

    None for operations without constants of the policy, and where one is not written as a literal.

    Raises:
        ValueError: when a constant cannot be used (`PatternError` also says where in it).
    """
    prepare = function_of(operation).prepare
    constants = [item for item in operation.operands[1:] if isinstance(item, nodes.Literal)]
    if prepare is None or len(constants) < len(operation.operands) - 1:
        return None
    return prepare(*(constant.value for constant in constants))
