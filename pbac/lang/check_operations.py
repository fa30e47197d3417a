"""Kinds of operands: what each operator and function can be given, by its row in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.checking import Checking, check_tier, described
from pbac.lang.functions import FUNCTIONS, Function, function_of
from pbac.lang.kinds import ANY, Kind, accepts, alike
from pbac.lang.regex_syntax import PatternError


def check_operation(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> Kind:
    """The kind of the result, after complaints about operands that can never fit."""
    wanted = len(FUNCTIONS[operation.name].operands)
    if wanted != len(kinds):
        message = f"`{operation.name}` takes {wanted} value, not {len(kinds)}"
        return checking.complain("wrong-arity", message, operation.span)
    function = function_of(operation)
    if _operands_fit(operation, function, kinds, checking):
        if operation.name in _SPECIAL:
            _SPECIAL[operation.name](operation, kinds, checking)
        if function.prepare is not None:
            _check_constants(operation, function, checking)
    return Kind(word=function.result)


def _operands_fit(
    operation: nodes.Operation, function: Function, kinds: list[Kind], checking: Checking
) -> bool:
    """Complain about the first operand that the function can never take."""
    for operand, word, kind in zip(operation.operands, function.operands, kinds, strict=True):
        if not accepts(word, kind):
            message = f"`{operation.name}` cannot take {described(operand, kind)}"
            help_ = _instead(operation, kind, function, word)
            checking.complain("unlike-kinds", message, operand.span, help=help_)
            return False
    return True


def _instead(operation: nodes.Operation, kind: Kind, function: Function, word: str) -> str:
    """What to write instead of an operand of this kind."""
    if word == "version":
        return 'a version is compared with a version: `v"2.1"`'
    if kind.word == "tier":
        return f"tiers are compared in the target: `for tier {operation.name} …`"
    if kind.word == "list":
        return "compare lists with `in`, `contains`, `intersects` or `subset of`"
    if kind.word == "record":
        return "compare its fields"
    if kind.word == "version":
        return 'compare it with a version: `v"2.1"`'
    if word in ("scalar", "comparable"):
        return "only numbers, texts, dates, moments and durations have an order"
    wanted = function.operands[0] if len(set(function.operands)) == 1 else word
    return f"it takes {Kind(word=wanted)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One side of a comparison; `is_item`: the expression is a list, and an item of it is meant."""

    expression: nodes.Expression
    kind: Kind
    is_item: bool = False

    def __str__(self) -> str:
        text = described(self.expression, self.kind)
        return f"an item of {text}" if self.is_item and text.startswith("`") else text


def _sides(operation: nodes.Operation, kinds: list[Kind]) -> list[_Side]:
    pairs = zip(operation.operands, kinds, strict=True)
    return [_Side(expression=expression, kind=kind) for expression, kind in pairs]


def _items(side: _Side) -> list[_Side]:
    """What stands for the items of a list: each of them where they are written out."""
    if isinstance(side.expression, nodes.ListExpression):
        written = zip(side.expression.items, side.kind.written, strict=True)
        return [_Side(expression=item, kind=kind) for item, kind in written]
    return [_Side(expression=side.expression, kind=side.kind.item or ANY, is_item=True)]


def _compare(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    left, right = _sides(operation, kinds)
    _check_alike(left, right, operation.span, checking)


def _membership(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    member, collection = _sides(operation, kinds)
    for item in _items(collection):
        _check_alike(member, item, item.expression.span, checking)


def _contains(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    whole, part = _sides(operation, kinds)
    match whole.kind.word:
        case "list":
            for item in _items(whole):
                _check_alike(part, item, part.expression.span, checking)
        case "string":
            _check_alike(whole, part, operation.span, checking)
        case "any":
            pass
        case _:
            message, help_ = f"{whole} contains nothing", "lists and texts contain something"
            checking.complain("unlike-kinds", message, whole.expression.span, help=help_)


def _overlap(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    left, right = _sides(operation, kinds)
    for item in _items(left):
        for other in _items(right):
            written = other if isinstance(right.expression, nodes.ListExpression) else item
            _check_alike(item, other, written.expression.span, checking)


def _countable(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    if not (accepts("list", kinds[0]) or accepts("record", kinds[0])):
        operand = operation.operands[0]
        message = f"`count` cannot take {described(operand, kinds[0])}"
        help_ = "it counts the items of a list or the members of a record"
        checking.complain("unlike-kinds", message, operand.span, help=help_)


_SPECIAL: Final[Mapping[str, Callable[[nodes.Operation, list[Kind], Checking], None]]] = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _compare),
    **dict.fromkeys(("in", "not in"), _membership),
    **dict.fromkeys(("intersects", "subset of"), _overlap),
    "contains": _contains,
    "count": _countable,
}
"""What an operation asks for beyond the kinds of its operands one by one."""


def _check_alike(left: _Side, right: _Side, span: Span, checking: Checking) -> None:
    if not alike(left.kind, right.kind):
        message = f"{left} can never be compared with {right}"
        checking.complain("unlike-kinds", message, span, help=_remedy(left.kind, right.kind))
    for one, other in ((left, right), (right, left)):
        named = other.expression
        if isinstance(named, nodes.Literal) and (one.kind.word, named.kind) == ("tier", "string"):
            check_tier(str(named.value), named.span, checking)


_REMEDIES: Final[Mapping[frozenset[str], str]] = {
    frozenset({"string", "number"}): 'there is no coercion: write `"3"` or `3`, as the value is',
    frozenset({"version", "string"}): 'write a version as `v"2.1"`',
    frozenset({"date", "string"}): "write a date without quotes: `2026-07-06`",
    frozenset({"datetime", "string"}): "write a moment without quotes: `2026-07-06T09:00:00Z`",
    frozenset({"datetime", "date"}): "compare a date with `env.today`",
    frozenset({"address", "string"}): 'one address has many spellings: write `in cidr "10.0.0.1"`',
    frozenset({"duration", "number"}): "write a duration with its unit: `15m`",
    frozenset({"duration", "any"}): "arguments, facts and data hold numbers: compare with a number",
    frozenset({"datetime", "any"}): "arguments, facts and data hold texts and numbers, not moments",
}


def _remedy(left: Kind, right: Kind) -> str | None:
    words = frozenset({left.word, right.word})
    if "null" in words:
        return "what nobody knows is missing, not null: ask `has`"
    return _REMEDIES.get(words)


# --- constants -------------------------------------------------------------------------------


def _check_constants(operation: nodes.Operation, function: Function, checking: Checking) -> None:
    """Prepare what will be prepared at load, to report now what would fail then."""
    constants: list[Any] = []
    for operand in operation.operands[1:]:
        if not isinstance(operand, nodes.Literal):
            return
        constants.append(operand.value)
    assert function.prepare is not None
    try:
        function.prepare(*constants)
    except PatternError as error:
        span = _inside(operation.operands[1].span, str(constants[0]), error.position)
        checking.complain("bad-pattern", error.message, span)
    except ValueError:
        code, message, help_ = _UNUSABLE[operation.name]
        message = message.format(constants[0])
        checking.complain(code, message, operation.operands[1].span, help=help_)


_UNUSABLE: Final[Mapping[str, tuple[str, str, str]]] = {
    "in cidr": (
        "bad-network",
        "`{}` is not a network",
        "write its first address and its length: `10.0.0.0/8`",
    ),
    "in window": ("bad-window", "this is not a window", "write `09:00-17:00`"),
    "like": ("bad-pattern", "`{}` is not a pattern", "patterns are texts such as `acme/*`"),
    "matches": ("bad-pattern", "`{}` is not a pattern", "patterns are texts such as `[a-z]+`"),
}
"""Operation → code, message and help when its constants cannot be used."""


def _inside(span: Span, text: str, position: int) -> Span:
    """From a position of a pattern to its end, where the quoted text has no escapes."""
    lead = span.end - span.start - len(text) - 1
    if lead not in (1, 2) or position >= len(text):
        return span
    skip = lead + position
    return replace(span, start=span.start + skip, end=span.end - 1, column=span.column + skip)
