"""Kinds of operands: what each operator and function can be given, by its row in the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec import structs

from pbac.base import json
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.checking import Checking, check_tier, described, warn_of_strangers
from pbac.lang.evaluate.functions import FUNCTIONS, Function, function_of
from pbac.lang.evaluate.networks import within
from pbac.lang.evaluate.regex_syntax import PatternError
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.lang.kinds.kinds import ANY, Kind, accepts, alike, misfits, option, options, strangers
from pbac.model.values import Value

_CHOICES_SHOWN_MAX: Final = 6


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
        if operation.name == "within":
            _check_folder(operation.operands[1], checking)
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
        if operation.name not in _SPECIAL:
            wanted = "list" if word == "list" else function.operands[0]
            warn_of_strangers(operand, misfits(word, kind), wanted, checking)
    return True


def _instead(operation: nodes.Operation, kind: Kind, function: Function, word: str) -> str:
    """What to write instead of an operand of this kind."""
    if word == "version":
        return 'a version is compared with a version: `v"2.1"`'
    if kind.word == "tier":
        named = [each.value for each in operation.operands[1:] if isinstance(each, nodes.Literal)]
        tier = named[0] if named else "…"
        return f"tiers are compared in the target: `for tier {operation.name} {tier}`"
    first, last = operation.operands[0], operation.operands[-1]
    if word == "list" and isinstance(last, nodes.Literal):
        written = _written(last.value)[1:-1]
        is_address = isinstance(first, nodes.Path) and first.text() == "env.ip"
        return f"write `in cidr {written}`" if is_address else f"it takes a list: `[{written}]`"
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
    items = option(side.kind, "list")
    kind = (items and items.item) or ANY
    return [_Side(expression=side.expression, kind=kind, is_item=True)]


def _compare(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    left, right = _sides(operation, kinds)
    _check_alike(left, right, operation.span, checking)
    for one, other in ((left, right), (right, left)):
        _check_fallback(one.expression, other, checking)
    if operation.name in ("==", "!="):
        _check_listed(left, right, checking)


def _check_fallback(expression: nodes.Expression, other: _Side, checking: Checking) -> None:
    """A default that stands in for nothing: the comparison is unknown with it, as without."""
    fallback = expression.fallback if isinstance(expression, nodes.Default) else None
    if not isinstance(fallback, nodes.Literal) or fallback.kind == "null":
        return
    side = _Side(expression=fallback, kind=Kind(word=fallback.kind))
    told = any(each.span == fallback.span for each in checking.found)
    if not told and not alike(side.kind, other.kind):
        message = f"the default is {side}, which can never be compared with {other}"
        help_ = _remedy(side, other)
        checking.complain("unlike-kinds", message, fallback.span, help=help_)


def _membership(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    member, collection = _sides(operation, kinds)
    _warn_unless_list(collection, checking)
    for item in _items(collection):
        _check_alike(member, item, item.expression.span, checking)
        _check_listed(member, item, checking)


def _contains(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    whole, part = _sides(operation, kinds)
    if whole.kind.word == "any":
        for item in _items(whole):
            _check_alike(part, item, part.expression.span, checking)
        return
    found = {word: each for word in ("list", "string") if (each := option(whole.kind, word))}
    if not found:
        message, help_ = f"{whole} contains nothing", "lists and texts contain something"
        checking.complain("unlike-kinds", message, whole.expression.span, help=help_)
        return
    others = tuple(each for each in options(whole.kind) if each.word not in found)
    warn_of_strangers(whole.expression, others, next(iter(found)), checking)
    for item in _items(whole) if "list" in found else ():
        _check_alike(part, item, part.expression.span, checking)
        _check_listed(part, item, checking)
    if list(found) == ["string"]:
        text = replace(whole, kind=found["string"])
        _check_alike(text, part, operation.span, checking)


def _overlap(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    left, right = _sides(operation, kinds)
    for side in (left, right):
        _warn_unless_list(side, checking)
    for item in _items(left):
        for other in _items(right):
            written = other if isinstance(right.expression, nodes.ListExpression) else item
            _check_alike(item, other, written.expression.span, checking)
            _check_listed(item, other, checking)


def _warn_unless_list(side: _Side, checking: Checking) -> None:
    warn_of_strangers(side.expression, misfits("list", side.kind), "list", checking)


def _countable(operation: nodes.Operation, kinds: list[Kind], checking: Checking) -> None:
    operand = operation.operands[0]
    others = tuple(each for each in misfits("list", kinds[0]) if each.word != "record")
    if len(others) == len(options(kinds[0])):
        message = f"`count` cannot take {described(operand, kinds[0])}"
        help_ = "it counts the items of a list or the members of a record"
        checking.complain("unlike-kinds", message, operand.span, help=help_)
    else:
        warn_of_strangers(operand, others, "list", checking)


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
        checking.complain("unlike-kinds", message, span, help=_remedy(left, right))
        return
    for side in (left, right):
        if help_ := _PART_BY_PART.get(side.kind.word):
            message = f"{side} equals nothing, so this is never true"
            checking.complain("unlike-kinds", message, side.expression.span, help=help_)
            return
    for one, other in ((left, right), (right, left)):
        wanted = next((each.word for each in options(other.kind)), "string")
        warn_of_strangers(one.expression, strangers(one.kind, other.kind), wanted, checking)
        named = other.expression
        if isinstance(named, nodes.Literal) and (one.kind.word, named.kind) == ("tier", "string"):
            check_tier(str(named.value), named.span, checking)


_PART_BY_PART: Final[Mapping[str, str]] = {
    "list": "ask `intersects` for some of its items, `subset of` for all of them",
    "record": "compare its fields: `any item in …: item.name == …`",
}
"""Kind that equals nothing, not even itself (Law 3) → what to write instead."""


def _check_listed(left: _Side, right: _Side, checking: Checking) -> None:
    """Complain about a value that a schema's `enum` or `integer` rules out for the other side."""
    for one, other in ((left, right), (right, left)):
        written = other.expression
        if not isinstance(written, nodes.Literal) or other.is_item:
            continue
        same = [each for each in options(one.kind) if each.word == other.kind.word]
        if any(_may_be(each, written.value) for each in same) or len(same) != 1:
            continue
        value = _written(written.value)
        help_ = "it is a whole number"
        if (choices := same[0].choices) is not None:
            texts = [choice for choice in choices if isinstance(choice, str)]
            near = did_you_mean(written.value, texts) if isinstance(written.value, str) else None
            more = ", …" * (len(choices) > _CHOICES_SHOWN_MAX)
            help_ = near or (
                "it is one of " + ", ".join(map(_written, choices[:_CHOICES_SHOWN_MAX])) + more
            )
        item = "an item of " if one.is_item else ""
        message = f"{item}{_named(one.expression)} is never {value}"
        checking.complain("unlisted-value", message, written.span, help=help_)


def _named(expression: nodes.Expression) -> str:
    path = expression.path if isinstance(expression, nodes.Default) else expression
    return f"`{path.text()}`" if isinstance(path, nodes.Path) else "this"


def _may_be(kind: Kind, value: Value) -> bool:
    if kind.choices is not None:
        return value in kind.choices
    return not kind.whole or not isinstance(value, float) or value.is_integer()


def _written(value: Value) -> str:
    """As it stands in a policy."""
    return f'`"{value}"`' if isinstance(value, str) else f"`{json.encode(value).decode()}`"


_REMEDIES: Final[Mapping[frozenset[str], str]] = {
    frozenset({"string", "number"}): "there is no coercion: a number is compared with a number",
    frozenset({"version", "string"}): 'write a version as `v"2.1"`',
    frozenset({"date", "string"}): "write a date without quotes: `2026-07-06`",
    frozenset({"datetime", "string"}): "write a moment without quotes: `2026-07-06T09:00:00Z`",
    frozenset({"datetime", "date"}): "compare a date with `env.today`",
    frozenset({"address", "string"}): 'one address has many spellings: write `in cidr "10.0.0.1"`',
    frozenset({"duration", "number"}): "write a duration with its unit: `15m`",
    frozenset({"duration", "string"}): "write a duration with its unit, without quotes: `15m`",
    frozenset({"duration", "any"}): "arguments, facts and data hold numbers: compare with a number",
    frozenset({"datetime", "any"}): "arguments, facts and data hold texts and numbers, not moments",
}


def _remedy(left: _Side, right: _Side) -> str | None:
    words = frozenset({left.kind.word, right.kind.word})
    if "null" in words and "union" not in words:
        return "what nobody knows is missing, not null: ask `has`"
    for side in (left, right):
        written, rewrite = side.expression, _REWRITTEN.get(words)
        if isinstance(written, nodes.Literal) and rewrite and (help_ := rewrite(written.value)):
            return help_
    return _REMEDIES.get(words)


def _number_or_text(value: Value) -> str | None:
    if not isinstance(value, str):
        return f'there is no coercion: write `"{json.encode(value).decode()}"`, in quotes'
    if _NUMBER.fullmatch(value):
        return f"there is no coercion: write `{value}`, without quotes"
    return None


def _duration(value: Value) -> str | None:
    text = isinstance(value, str) and _DURATION.fullmatch(value)
    return f"write `{value}`, without quotes" if text else None


_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?")
_DURATION: Final = re.compile(r"[0-9]{1,9}[smhdw]")

_REWRITTEN: Final[Mapping[frozenset[str], Callable[[Value], str | None]]] = {
    frozenset({"string", "number"}): _number_or_text,
    frozenset({"duration", "string"}): _duration,
}
"""What was written, as it should be; None where that is not the slip."""


# --- constants -------------------------------------------------------------------------------


def _check_folder(folder: nodes.Expression, checking: Checking) -> None:
    """A path lies within itself, unless it is none that can be told by its text."""
    if isinstance(folder, nodes.Literal) and within(folder.value, folder.value) is UNKNOWN:
        message = f"no path is known to lie within `{folder.value}`"
        help_ = "write an absolute path without `..`, `\\` and `%`: `/srv/space`"
        checking.complain("bad-folder", message, folder.span, help=help_)


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
        checking.complain("bad-pattern", error.message, span, help=error.help)
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
    return structs.replace(
        span, start=span.start + skip, end=span.end - 1, column=span.column + skip
    )
