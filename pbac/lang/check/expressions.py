"""Kinds of expressions: what can never be known at run time is an error now (Law 3).

`kind_of` computes the kind of an expression from below and complains on the way up. After a
complaint the kind is `ANY`, so that one mistake is told once. Recursion is bounded: `resolve`
refused what is deeper than `EXPRESSION_DEPTH_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Final, assert_never

from pbac.base.limits import QUANTIFIER_DEPTH_MAX
from pbac.lang import nodes
from pbac.lang.check.checking import Checking, described, warn_of_strangers
from pbac.lang.check.operations import check_operation
from pbac.lang.check.paths import kind_of_path
from pbac.lang.kinds.json_schema import kind_of_value
from pbac.lang.kinds.kinds import ANY, BOOLEAN, Kind, accepts, alike, either, misfits, option
from pbac.lang.kinds.narrowing import in_turn, without
from pbac.lang.kinds.unions import union

_JSON_KINDS: Final = frozenset({"null", "boolean", "number", "string"})


def check_condition(expression: nodes.Expression, checking: Checking) -> None:
    """Check an expression where only true or false makes sense."""
    kind = kind_of(expression, checking)
    if accepts("boolean", kind):
        warn_of_strangers(expression, misfits("boolean", kind), "boolean", checking)
        return
    checking.complain(
        "not-a-condition",
        f"{described(expression, kind)} is neither true nor false",
        expression.span,
        help="there is no truthiness: compare it, or ask `has`" if kind.word != "null" else None,
    )


def check_conditions(conditions: Sequence[nodes.Condition], checking: Checking) -> None:
    """Check the `when`s and `unless`es of a rule, which hold together."""
    parts = [(condition.expression, not condition.negated) for condition in conditions]
    _check_parts(parts, checking)


def _check_parts(parts: list[tuple[nodes.Expression, bool]], checking: Checking) -> None:
    for (expression, _), known in zip(parts, in_turn(parts, checking.known), strict=True):
        check_condition(expression, replace(checking, known=known))


def kind_of(expression: nodes.Expression, checking: Checking) -> Kind:
    """The kind of an expression, its mistakes told."""
    match expression:
        case nodes.Literal():
            return Kind(word=expression.kind)
        case nodes.Path():
            return kind_of_path(expression, checking, "value", kind_of)
        case nodes.ListExpression():
            kinds = [kind_of(item, checking) for item in expression.items]
            item = reduce(either, kinds) if kinds else ANY
            return Kind(word="list", item=item, written=tuple(kinds))
        case nodes.RecordExpression():
            return _record(expression, checking)
        case nodes.Default():
            return _default(expression, checking)
        case nodes.Has():
            kind_of_path(expression.path, checking, "has", kind_of)
        case nodes.IsKind():
            kind_of(expression.operand, checking)
        case nodes.Not():
            check_condition(expression.operand, checking)
        case nodes.And() | nodes.Or():
            together = isinstance(expression, nodes.And)
            _check_parts([(item, together) for item in expression.items], checking)
        case nodes.Operation():
            kinds = [kind_of(operand, checking) for operand in expression.operands]
            return check_operation(expression, kinds, checking)
        case nodes.Quantified():
            _quantified(expression, checking)
        case nodes.Apply():
            return ANY  # only a broken definition leaves one, and that was told
        case _:
            assert_never(expression)
    return BOOLEAN


# --- the other forms -----------------------------------------------------------------------


def _record(expression: nodes.RecordExpression, checking: Checking) -> Kind:
    names: set[str] = set()
    for name, value in expression.pairs:
        kind_of(value, checking)
        if name in names:
            message = f"`{name}` is given twice in one record"
            checking.complain("duplicate-name", message, value.span, help="keep one of them")
        names.add(name)
    return Kind(word="record")


def _default(expression: nodes.Default, checking: Checking) -> Kind:
    kind = kind_of_path(expression.path, checking, "default", kind_of)
    fallback = kind_of(expression.fallback, checking)
    if not alike(kind, fallback):
        return checking.complain(
            "unlike-kinds",
            f"{described(expression.path, kind)} has {fallback} as its default",
            expression.fallback.span,
            help="a default is of the same kind as what it stands for",
        )
    written = expression.fallback
    if isinstance(written, nodes.Literal) and written.kind in _JSON_KINDS:
        fallback = kind_of_value(written.value)  # the very value: what an `enum` lists stays listed
    return union((kind, fallback))


def _quantified(expression: nodes.Quantified, checking: Checking) -> None:
    collection = kind_of(expression.collection, checking)
    if not accepts("list", collection):
        checking.complain(
            "unlike-kinds",
            f"{described(expression.collection, collection)} is not a list",
            expression.collection.span,
            help=f"`{expression.quantifier}` looks at the items of a list",
        )
    else:
        warn_of_strangers(expression.collection, misfits("list", collection), "list", checking)
    depth = checking.quantifiers + 1
    if depth > QUANTIFIER_DEPTH_MAX:
        # Law 4: lists come from callers, and each level multiplies by the length of one.
        checking.complain(
            "expression-too-deep",
            f"`any` and `all` nest at most {QUANTIFIER_DEPTH_MAX} deep",
            expression.span,
            help="compare whole lists with `intersects` or `subset of`, or split the rule",
        )
        return
    items = option(collection, "list")
    variables = {**checking.variables, expression.variable: (items and items.item) or ANY}
    known = without(checking.known, expression.variable)
    inner = replace(checking, variables=variables, quantifiers=depth, known=known)
    check_condition(expression.body, inner)
