"""Lint about what is true of an empty list: `all`, `not any` and `subset of` in a permit.

Such a part is no mistake where the same list is asked to hold something beside it, or where an
empty one is let in by name (`count(args.l) == 0 or …`). So the list is taken to be empty, all else
to be unknown, and what stands beside the part is worked out: where something needed is false then,
no empty list passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pbac.lang import nodes
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.paths import paths_in
from pbac.lang.evaluate.truth import (
    UNKNOWN,
    Truth,
    conjunction,
    disjunction,
    negation,
    truth_of,
    value_of,
)
from pbac.lang.lint.claims import Shape, shape_of, walk
from pbac.lang.lint.documents import lengths
from pbac.lang.lint.linting import Finding, Linting, rules_of
from pbac.lang.lint.parts import Part, conditions_of, is_needed
from pbac.model.values import Value

_TOLD_BY_OTHERS: Final = frozenset({"args", "facts"})
"""`unless any label in session.labels: …` looks for what is bad in a list that the gateway keeps:
an empty one is the ordinary case. Callers and backends send empty lists on purpose."""


def vacuous_alls(linting: Linting) -> Iterator[Finding]:
    """Parts of permits that hold because a list holds nothing: an open door."""
    for rule in rules_of(linting, "permit"):
        needed = conditions_of(rule)
        for number, part in enumerate(needed):
            beside = (*needed[:number], *needed[number + 1 :])
            yield from _open(part, beside, linting)


def _open(part: Part, beside: tuple[Part, ...], linting: Linting) -> Iterator[Finding]:
    """`beside`: what must hold as well for this part to matter."""
    expression, negated = part
    match expression:
        case nodes.Not():
            yield from _open((expression.operand, not negated), beside, linting)
        case nodes.And() | nodes.Or():
            items = [(item, negated) for item in expression.items]
            for number, item in enumerate(items):
                others = (*items[:number], *items[number + 1 :])
                if is_needed(part):
                    yield from _open(item, (*beside, *others), linting)
                elif not any(_lets_in(other, item) for other in others):
                    yield from _open(item, beside, linting)
        case nodes.Quantified() | nodes.Operation():
            yield from _vacuous(part, beside, linting)
            if isinstance(expression, nodes.Quantified):
                yield from _open((expression.body, negated), beside, linting)


def _vacuous(part: Part, beside: tuple[Part, ...], linting: Linting) -> Iterator[Finding]:
    expression, negated = part
    path = _list_of(part)
    if path is None or _is_filled(path, linting):
        return
    empty = shape_of(path)
    if conjunction(_truth(each, empty) for each in beside) is Truth.FALSE:
        return
    name = path.text()
    counted = f"count({name}) > 0"
    if negated:
        message = f"`any` is false when `{name}` is empty, and its opposite holds"
        help_ = f"add `when {counted}`"
    else:
        word = "subset of" if isinstance(expression, nodes.Operation) else "all"
        message = f"`{word}` is true when `{name}` is empty"
        help_ = f"write `{counted} and {'…' if word == 'subset of' else 'all …'}`"
    yield Finding(message, expression.span, help_)


def _list_of(part: Part) -> nodes.Path | None:
    """The list whose emptiness makes the part true, where it is read by a path."""
    expression, negated = part
    match expression:
        case nodes.Quantified():
            if (expression.quantifier == "any") != negated:
                return None
            path = _path(expression.collection)
            known = path is None or not negated or path.root in _TOLD_BY_OTHERS
            return path if known else None
        case nodes.Operation(name="subset of") if not negated:
            return _path(expression.operands[0])
    return None


def _path(expression: nodes.Expression) -> nodes.Path | None:
    if isinstance(expression, nodes.Default):
        return expression.path
    return expression if isinstance(expression, nodes.Path) else None


def _is_filled(path: nodes.Path, linting: Linting) -> bool:
    """A list of a data document, which is not empty in any request."""
    found = lengths(path, linting.data) if linting.data and path.root == "data" else ()
    return bool(found) and min(found) > 0


def _lets_in(other: Part, item: Part) -> bool:
    """Does the alternative say by `count` that an empty list of `item` passes?"""
    counted = [
        path
        for part in walk(other[0])
        if isinstance(part, nodes.Operation) and part.name == "count"
        for path in paths_in(part)
    ]
    lists = {shape_of(path) for path in paths_in(item[0])}
    return any(
        shape_of(path) in lists and _truth(other, shape_of(path)) is Truth.TRUE for path in counted
    )


# --- when a list is empty ------------------------------------------------------------------------


def _truth(part: Part, empty: Shape) -> Truth:
    """The truth of a part when the list of this shape is empty and nothing else is known.

    False says that it is never true then; below a `not`, true may be said for too much.
    """
    found = _unnegated(part[0], empty)
    return negation(found) if part[1] else found


def _unnegated(expression: nodes.Expression, empty: Shape) -> Truth:
    match expression:
        case nodes.Not():
            return _truth((expression.operand, True), empty)
        case nodes.And():
            return conjunction(_unnegated(item, empty) for item in expression.items)
        case nodes.Or():
            return disjunction(_unnegated(item, empty) for item in expression.items)
        case nodes.Quantified():
            return _quantified(expression, empty)
        case nodes.Has():
            return Truth.TRUE if shape_of(expression.path) == empty else Truth.UNKNOWN
        case nodes.IsKind():
            if _value(expression.operand, empty) == []:
                return truth_of((expression.kind == "list") is not expression.negated)
            return Truth.UNKNOWN
    return truth_of(_value(expression, empty))


def _quantified(expression: nodes.Quantified, empty: Shape) -> Truth:
    some = expression.quantifier == "any"
    if _value(expression.collection, empty) == []:
        return truth_of(not some)
    never = _unnegated(expression.body, empty) is Truth.FALSE
    return Truth.FALSE if some and never else Truth.UNKNOWN


def _value(expression: nodes.Expression, empty: Shape) -> Value:
    match expression:
        case nodes.Path() | nodes.Default():
            path = _path(expression)
            return [] if path is not None and shape_of(path) == empty else UNKNOWN
        case nodes.Literal():
            return expression.value
        case nodes.ListExpression():
            return [_value(item, empty) for item in expression.items]
        case nodes.Operation():
            operands = [_value(operand, empty) for operand in expression.operands]
            if expression.name == "intersects" and [] in operands:
                return False
            return function_of(expression).evaluate(*operands)
        case nodes.RecordExpression() | nodes.Apply():
            return UNKNOWN
    return value_of(_unnegated(expression, empty))
