"""Kinds of expressions: what can never be known at run time is an error now (Law 3).

`kind_of` computes the kind of an expression from below and complains on the way up. After a
complaint the kind is `ANY`, so that one mistake is told once. Recursion is bounded: `resolve`
refused what is deeper than `EXPRESSION_DEPTH_MAX`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import assert_never

from pbac.base.limits import QUANTIFIER_DEPTH_MAX
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check_operations import check_operation
from pbac.lang.checking import Checking, described
from pbac.lang.kinds import ANY, BOOLEAN, Kind, accepts, alike, either, is_key


def check_condition(expression: nodes.Expression, checking: Checking) -> None:
    """Check an expression where only true or false makes sense."""
    kind = kind_of(expression, checking)
    if kind.word in ("any", "boolean"):
        return
    checking.complain(
        "not-a-condition",
        f"{described(expression, kind)} is neither true nor false",
        expression.span,
        help="there is no truthiness: compare it, or ask `has`" if kind.word != "null" else None,
    )


def kind_of(expression: nodes.Expression, checking: Checking) -> Kind:
    """The kind of an expression, its mistakes told."""
    match expression:
        case nodes.Literal():
            return Kind(word=expression.kind)
        case nodes.Path():
            return _path(expression, checking)
        case nodes.ListExpression():
            kinds = [kind_of(item, checking) for item in expression.items]
            item = reduce(either, kinds) if kinds else ANY
            return Kind(word="list", item=item, written=tuple(kinds))
        case nodes.RecordExpression():
            return _record(expression, checking)
        case nodes.Default():
            return _default(expression, checking)
        case nodes.Has():
            kind_of(expression.path, checking)
        case nodes.IsKind():
            kind_of(expression.operand, checking)
        case nodes.Not():
            check_condition(expression.operand, checking)
        case nodes.And() | nodes.Or():
            for operand in expression.items:
                check_condition(operand, checking)
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


# --- paths -------------------------------------------------------------------------------------


def _path(path: nodes.Path, checking: Checking) -> Kind:
    kind = checking.variables.get(path.root) or checking.schema.roots.get(path.root, ANY)
    walked = path.root
    for step in path.steps:
        key = kind_of(step.key, checking) if isinstance(step, nodes.Index) else None
        name = _name(step)
        if kind.word == "any":
            _check_key(step, key, checking)
        elif kind.word == "record" and name is not None:
            kind = _field(kind, name, walked, step, checking)
        elif kind.word == "record":
            kind = ANY
        elif kind.word == "list" and key is not None:
            kind = _item(kind, key, step, checking)
        else:
            kind = _no_fields(kind, walked, step, checking)
        walked += f".{name}" if name is not None else "[…]"
    return kind


def _name(step: nodes.Field | nodes.Index) -> str | None:
    """The name a step certainly asks for: `.name` or `["name"]`."""
    if isinstance(step, nodes.Field):
        return step.name
    key = step.key
    return key.value if isinstance(key, nodes.Literal) and isinstance(key.value, str) else None


def _check_key(step: nodes.Field | nodes.Index, key: Kind | None, checking: Checking) -> None:
    if key is not None and not is_key(key):
        message = f"{key} is no name and no place in a list"
        checking.complain("unlike-kinds", message, step.span, help="texts and numbers are")


def _field(
    record: Kind, name: str, walked: str, step: nodes.Field | nodes.Index, checking: Checking
) -> Kind:
    fields = record.fields or {}
    if name in fields:
        return fields[name]
    help_ = did_you_mean(name, fields) or "it has " + ", ".join(f"`{known}`" for known in fields)
    return checking.complain(
        "unknown-field", f"`{walked}` has no field `{name}`", step.span, help=help_
    )


def _item(kind: Kind, key: Kind, step: nodes.Field | nodes.Index, checking: Checking) -> Kind:
    if key.word in ("any", "number"):
        return kind.item or ANY
    message = f"{key} is no place in {kind}"
    return checking.complain("unlike-kinds", message, step.span, help="places count from 0")


def _no_fields(
    kind: Kind, walked: str, step: nodes.Field | nodes.Index, checking: Checking
) -> Kind:
    if kind.word == "list":
        help_ = f"write `any item in {walked}: item.{_name(step)} …`, or take one: `{walked}[0]`"
    else:
        help_ = f"compare `{walked}` itself"
    message = f"`{walked}` is {kind} and has no fields"
    return checking.complain("unknown-field", message, step.span, help=help_)


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
    kind = kind_of(expression.path, checking)
    fallback = kind_of(expression.fallback, checking)
    if not alike(kind, fallback):
        return checking.complain(
            "unlike-kinds",
            f"{described(expression.path, kind)} has {fallback} as its default",
            expression.fallback.span,
            help="a default is of the same kind as what it stands for",
        )
    return either(kind, fallback)


def _quantified(expression: nodes.Quantified, checking: Checking) -> None:
    collection = kind_of(expression.collection, checking)
    if not accepts("list", collection):
        checking.complain(
            "unlike-kinds",
            f"{described(expression.collection, collection)} is not a list",
            expression.collection.span,
            help=f"`{expression.quantifier}` looks at the items of a list",
        )
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
    variables = {**checking.variables, expression.variable: collection.item or ANY}
    check_condition(expression.body, replace(checking, variables=variables, quantifiers=depth))
