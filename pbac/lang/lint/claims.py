"""What a rule claims, in a form that can be compared: lint's theory of conditions.

A rule's condition is a conjunction (Law 2); each part of it becomes a *claim*. Most claims are
about one *subject* (a path, or any expression, known by its shape) and say where its value lies:

    `for tier >= developer`, `args.x in ["a", "b"]`   OneOf      one of these values
    `args.x != "a"`                                   NoneOf     none of these values
    `args.amount > 100`                               Between    a stretch of numbers
    `on tool get_* except get_secret_*`               Named      a name by patterns
    `a or b`                                          Either     one of several lists of claims
    whatever else                                     Opaque     known by its shape alone
    `false`                                           Never      false of every request

Claims of one kind about one subject are unknown for the same values: a comparison with a number is
unknown for exactly what is no number. So an implication found here holds in both halves of Law 2:
what makes the first true makes the second true, and where the first is not false neither is the
second. Everything is *sound*, nothing complete: no answer means "cannot tell".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate import interpret
from pbac.lang.evaluate.functions import is_version
from pbac.lang.evaluate.paths import children, paths_in
from pbac.lang.evaluate.targets import texts
from pbac.lang.evaluate.truth import Truth
from pbac.lang.lint.results import never_holds
from pbac.model.request import DecisionRequest

Shape: TypeAlias = Any
"""A hashable picture of an expression without its places: equal shapes mean the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One part of a condition; `span` is where it is written and no part of what it says."""

    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Claim):
    """The subject equals one of these values, all of one kind."""

    subject: Shape
    kind: str
    values: frozenset[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOf(Claim):
    """The subject is of this kind and equals none of these values."""

    subject: Shape
    kind: str
    values: frozenset[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between(Claim):
    """The subject is a number between the ends; `(100, False)` is an end that is left out."""

    subject: Shape
    low: tuple[float, bool] = (float("-inf"), True)
    high: tuple[float, bool] = (float("inf"), True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(Claim):
    """A target by names: `what` as in the clause. `package … on server` is one about `server`."""

    what: str
    names: tuple[str, ...]
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Either(Claim):
    """At least one of these lists of claims holds."""

    shape: Shape
    alternatives: tuple[tuple[Claim, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque(Claim):
    """An expression that is compared by its shape only, or its opposite."""

    shape: Shape
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Never(Claim):
    """True of no request; `certain` where it is false of every one, and never unknown."""

    certain: bool


TIER: Final[Shape] = ("the tier of a target",)
"""A subject of its own: `for tier` is unknown for undeclared tiers, where `==` is false."""

NUMBERS: Final = frozenset({"number", "duration", "datetime"})
_PLAIN: Final = NUMBERS | {"string", "boolean"}
_ORDERS: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NO_REQUEST: Final = DecisionRequest(agent={}, chain={}, call={})


def shape_of(node: nodes.Node) -> Shape:
    """The shape of any node: its class and all it holds but the places, kinds of literals told."""
    kept = [_part(getattr(node, name)) for name in node.__struct_fields__ if name != "span"]
    return (type(node).__name__, *kept)


def _part(part: Any) -> Shape:
    if isinstance(part, nodes.Node):
        return shape_of(part)
    if isinstance(part, tuple):
        return tuple(map(_part, part))
    return (type(part).__name__, part)


# --- from rules to claims --------------------------------------------------------------------


def claims_of(
    rule: nodes.Rule, servers: Sequence[nodes.Pattern], tiers: Sequence[str]
) -> tuple[Claim, ...]:
    """Every claim of one rule, its package's confinement included; `on any` claims nothing."""
    found: list[Claim] = []
    if servers and all(server.text != "*" for server in servers):
        found.append(Named(span=servers[0].span, what="server", names=texts(tuple(servers))))
    for clause in (*rule.who, *rule.what):
        match clause:
            case nodes.ForTier():
                found.append(_tier(clause, tiers))
            case nodes.ForNames() | nodes.OnNames():
                names, without = texts(clause.names), texts(clause.without)
                found.append(
                    Named(span=clause.span, what=clause.what, names=names, without=without)
                )
    for condition in rule.conditions:
        found += _claims(condition.expression, negated=condition.negated)
    return tuple(found)


def _tier(clause: nodes.ForTier, tiers: Sequence[str]) -> Claim:
    names = texts(clause.tiers)
    if not set(names) <= set(tiers):  # unknown of everyone; an error in a sound set
        return Opaque(span=clause.span, shape=shape_of(clause), negated=False)
    if clause.operator == "in":
        allowed = set(names)
    else:
        rank = tiers.index(names[0])
        if clause.operator in ("<", "<="):
            allowed = set(tiers[: rank + (clause.operator == "<=")])
        else:
            allowed = set(tiers[rank + (clause.operator == ">") :])
    return OneOf(span=clause.span, subject=TIER, kind="tier", values=frozenset(allowed))


def _claims(expression: nodes.Expression, *, negated: bool) -> list[Claim]:
    """One expression, or its opposite, as a conjunction. De Morgan's laws hold in three values."""
    if not any(True for _ in paths_in(expression)):
        return _constant(expression, negated=negated)
    match expression:
        case nodes.Not():
            return _claims(expression.operand, negated=not negated)
        case nodes.And() | nodes.Or():
            parts = [_claims(item, negated=negated) for item in expression.items]
            if isinstance(expression, nodes.And) != negated:
                return [claim for part in parts for claim in part]
            shape = (negated, shape_of(expression))
            alternatives = tuple(map(tuple, parts))
            return [Either(span=expression.span, shape=shape, alternatives=alternatives)]
        case nodes.Path() | nodes.Default():
            # A condition that is only a value: true, false, or unknown for all else.
            value = frozenset({not negated})
            subject = shape_of(expression)
            return [OneOf(span=expression.span, subject=subject, kind="boolean", values=value)]
        case nodes.Operation():
            if never_holds(expression, negated=negated):
                return [Never(span=expression.span, certain=False)]
            claim = _comparison(expression, negated=negated) or _membership(
                expression, negated=negated
            )
            if claim is not None:
                return [claim]
    return [Opaque(span=expression.span, shape=shape_of(expression), negated=negated)]


def _constant(expression: nodes.Expression, *, negated: bool) -> list[Claim]:
    found = interpret.truth(expression, _NO_REQUEST, {})
    if found is Truth.UNKNOWN:
        return [Never(span=expression.span, certain=False)]
    holds = (found is Truth.TRUE) != negated
    return [] if holds else [Never(span=expression.span, certain=True)]


def _comparison(operation: nodes.Operation, *, negated: bool) -> Claim | None:
    """`subject == constant` and the like, whichever side the constant stands on."""
    if len(operation.operands) != 2 or any(map(is_version, operation.operands)):
        return None
    left, right = operation.operands
    name = operation.name
    if isinstance(left, nodes.Literal):
        left, right, name = right, left, _MIRRORED.get(name, name)
    if not isinstance(right, nodes.Literal) or right.kind not in _PLAIN:
        return None
    subject, kind = shape_of(left), _kind(right)
    if name in ("==", "!="):
        same = (name == "==") != negated
        return _values(operation.span, subject, kind, frozenset({right.value}), among=same)
    if name not in _ORDERS or kind != "number":
        return None
    return _stretch(operation.span, subject, _ORDERS[name] if negated else name, right.value)


def _kind(literal: nodes.Literal) -> str:
    """Durations and moments are numbers at run time."""
    return "number" if literal.kind in NUMBERS else literal.kind


def _values(
    span: Span, subject: Shape, kind: str, values: frozenset[Any], *, among: bool
) -> OneOf | NoneOf:
    if kind == "boolean" and not among:
        among, values = True, frozenset({True, False}) - values
    make = OneOf if among else NoneOf
    return make(span=span, subject=subject, kind=kind, values=values)


def _stretch(span: Span, subject: Shape, order: str, value: Any) -> Between:
    between = Between(span=span, subject=subject)
    end = (value, order.endswith("="))
    return replace(between, high=end) if order.startswith("<") else replace(between, low=end)


def _membership(operation: nodes.Operation, *, negated: bool) -> Claim | None:
    """`subject in [constants]`, `not in`: an *or* of equalities, so all of one kind."""
    if operation.name not in ("in", "not in") or any(map(is_version, operation.operands)):
        return None
    subject, collection = operation.operands
    if not isinstance(collection, nodes.ListExpression):
        return None
    items = [item for item in collection.items if isinstance(item, nodes.Literal)]
    kinds = {_kind(item) if item.kind in _PLAIN else "" for item in items}
    if len(items) < len(collection.items) or len(kinds) != 1 or "" in kinds:
        return None
    among = (operation.name == "in") != negated
    values = frozenset(item.value for item in items)
    return _values(operation.span, shape_of(subject), kinds.pop(), values, among=among)


def walk(expression: nodes.Expression) -> Iterable[nodes.Expression]:
    """The expression and all within it, paths' keys left out."""
    yield expression
    for child in children(expression):
        yield from walk(child)
