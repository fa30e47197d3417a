"""Definitions put in place of their names. Only what was measured comes here: recursion is short.

Hygiene: the body of a definition is written where only its parameters are variables, but it is put
where quantifiers may bind others. An argument may hold those; a quantifier of the body must not
capture them, so it takes a fresh name (`x_2`) wherever its own is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, assert_never

from msgspec import structs

from pbac.base.diagnostics import Diagnostic
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.resolve.names import complaint

Bodies: TypeAlias = Mapping[str, tuple[tuple[str, ...], nodes.Expression]]
"""Definition → parameters and expanded body."""


class NotAPath(Exception):  # noqa: N818  # caught by `resolve`, never told as such
    """A definition or argument that is no path stands where only a path can."""

    def __init__(self, name: str, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.name, self.diagnostic = name, diagnostic


_PATH_HELP: Final = (
    "only paths have fields, and only paths can be missing: `has` and `default` need one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where an expression is being put.

    Attributes:
        meanings: parameter or renamed variable → what stands for it here.
        bound: the variables that quantifiers above bind here, and a definition's parameters.
    """

    bodies: Bodies
    meanings: Mapping[str, nodes.Expression] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()


def expand(
    expression: nodes.Expression, bodies: Bodies, parameters: tuple[str, ...] = ()
) -> nodes.Expression:
    """The same expression with no definition left in it; its parameters and variables stay.

    Raises:
        NotAPath: when `limits.max`, `has limits` or `limits default 1` is written and `limits`
            stands for something else than a path.
    """
    return _expand(expression, _Place(bodies=bodies, bound=frozenset(parameters)))


def _expand(expression: nodes.Expression, place: _Place) -> nodes.Expression:
    match expression:
        case nodes.Literal():
            return expression
        case nodes.ListExpression() | nodes.And() | nodes.Or():
            return structs.replace(
                expression, items=tuple(_expand(i, place) for i in expression.items)
            )
        case nodes.RecordExpression():
            pairs = tuple((name, _expand(value, place)) for name, value in expression.pairs)
            return structs.replace(expression, pairs=pairs)
        case nodes.Path():
            return _path(expression, place)
        case nodes.Default():
            fallback = _expand(expression.fallback, place)
            return structs.replace(
                expression, path=_only_path(expression.path, place), fallback=fallback
            )
        case nodes.Has():
            return structs.replace(expression, path=_only_path(expression.path, place))
        case nodes.IsKind() | nodes.Not():
            return structs.replace(expression, operand=_expand(expression.operand, place))
        case nodes.Operation():
            operands = tuple(_expand(one, place) for one in expression.operands)
            return structs.replace(expression, operands=operands)
        case nodes.Quantified():
            return _quantified(expression, place)
        case nodes.Apply():
            return _apply(expression, place)
    assert_never(expression)


def _path(path: nodes.Path, place: _Place) -> nodes.Expression:
    steps = tuple(
        structs.replace(step, key=_expand(step.key, place))
        if isinstance(step, nodes.Index)
        else step
        for step in path.steps
    )
    stands = _meaning(path.root, place)
    if stands is None:
        return structs.replace(path, steps=steps)
    if not steps:
        return stands
    if isinstance(stands, nodes.Path):
        return nodes.Path(span=path.span, root=stands.root, steps=stands.steps + steps)
    raise _not_a_path(path.root, path.span)


def _meaning(root: str, place: _Place) -> nodes.Expression | None:
    """What stands for a name: an argument, a renamed variable, a definition's body, or itself."""
    if root in place.meanings:
        return place.meanings[root]
    if root in place.bodies and root not in place.bound:
        _, body = place.bodies[root]
        return _expand(body, replace(place, meanings={}))
    return None


def _only_path(path: nodes.Path, place: _Place) -> nodes.Path:
    found = _path(path, place)
    if isinstance(found, nodes.Path):
        return found
    raise _not_a_path(path.root, path.span)


def _not_a_path(name: str, span: Span) -> NotAPath:
    message = f"`{name}` does not stand for a path here"
    return NotAPath(name, complaint("not-a-path", message, span, help=_PATH_HELP))


def _quantified(node: nodes.Quantified, place: _Place) -> nodes.Expression:
    variable, number = node.variable, 1
    while variable in place.bound or variable in place.bodies:
        number += 1
        variable = f"{node.variable}_{number}"
    # INVARIANT: the variables of every meaning are bound here, so a fresh name captures none.
    meanings = {name: stands for name, stands in place.meanings.items() if name != node.variable}
    if number > 1:
        meanings[node.variable] = nodes.Path(span=node.span, root=variable)
    inner = replace(place, meanings=meanings, bound=place.bound | {variable})
    return structs.replace(
        node,
        variable=variable,
        collection=_expand(node.collection, place),
        body=_expand(node.body, inner),
    )


def _apply(apply: nodes.Apply, place: _Place) -> nodes.Expression:
    parameters, body = place.bodies[apply.name]
    arguments = [_expand(one, place) for one in apply.arguments]
    meanings = dict(zip(parameters, arguments, strict=True))
    try:
        return _expand(body, replace(place, meanings=meanings))
    except NotAPath as refused:
        if refused.name not in parameters:
            raise
        # The mistake is here, not in the definition, which may be fine elsewhere.
        argument = apply.arguments[parameters.index(refused.name)]
        message = f"`{apply.name}` needs a path as its `{refused.name}`"
        told = complaint("not-a-path", message, argument.span, help=_PATH_HELP)
        raise NotAPath("", told) from None
