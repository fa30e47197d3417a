"""Walking a request by path, and finding the paths of an expression."""

from __future__ import annotations

from collections.abc import Iterator

from pbac.lang import nodes
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.request import UNDETERMINED_WHEN_LISTING
from pbac.model.values import MISSING, Value


def step(container: Value, key: Value) -> Value:
    """One step of a path: a text into a record, a whole number into a list (from 0).

    Missing stays missing; a step into anything else, or with a key of another kind, is unknown.
    """
    if type(container) is dict:
        return container.get(key, MISSING) if type(key) is str else UNKNOWN
    if container is MISSING:
        return MISSING
    items = items_of(container)
    if items is None or type(key) is not int or key < 0:
        return UNKNOWN
    return items[key] if key < len(items) else MISSING


def paths_in(expression: nodes.Expression) -> Iterator[nodes.Path]:
    """Every path that the expression may read, in the order written, index keys included."""
    match expression:
        case nodes.Path():
            yield expression
            for part in expression.steps:
                if isinstance(part, nodes.Index):
                    yield from paths_in(part.key)
        case _:
            for child in children(expression):
                yield from paths_in(child)


def children(expression: nodes.Expression) -> tuple[nodes.Expression, ...]:
    """The expressions directly within one that is no path."""
    match expression:
        case nodes.ListExpression() | nodes.And() | nodes.Or():
            return expression.items
        case nodes.RecordExpression():
            return tuple(value for _, value in expression.pairs)
        case nodes.Default():
            return expression.path, expression.fallback
        case nodes.Has():
            return (expression.path,)
        case nodes.IsKind() | nodes.Not():
            return (expression.operand,)
        case nodes.Operation():
            return expression.operands
        case nodes.Quantified():
            return expression.collection, expression.body
        case nodes.Apply():
            return expression.arguments
    return ()


def is_undetermined(path: nodes.Path) -> bool:
    """True when listing tools cannot know what the path holds (Law 6).

    `token` as a whole holds `token.age`, and so may `token[…]`: those are undetermined too.
    """
    if path.root in UNDETERMINED_WHEN_LISTING:
        return True
    first = path.steps[0] if path.steps else None
    if isinstance(first, nodes.Field):
        return f"{path.root}.{first.name}" in UNDETERMINED_WHEN_LISTING
    return any(name.startswith(f"{path.root}.") for name in UNDETERMINED_WHEN_LISTING)
