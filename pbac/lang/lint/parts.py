"""The parts of a rule's conditions, each with whether it stands under an odd number of `not`s."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pbac.lang import nodes

Part = tuple[nodes.Expression, bool]
"""An expression, and whether what counts is its opposite."""


def conditions_of(rule: nodes.Rule) -> tuple[Part, ...]:
    """What has to hold, all together: `unless x` is the opposite of `x`."""
    return tuple((each.expression, each.negated) for each in rule.conditions)


def parts_of(part: Part) -> Iterator[Part]:
    """The part and all within it that is true or false, by `not`, `and`, `or`, `any` and `all`."""
    yield part
    expression, negated = part
    match expression:
        case nodes.Not():
            yield from parts_of((expression.operand, not negated))
        case nodes.And() | nodes.Or():
            for item in expression.items:
                yield from parts_of((item, negated))
        case nodes.Quantified():
            yield from parts_of((expression.body, negated))


def is_needed(part: Part) -> bool:
    """Of an `and` or `or`: must each item hold, as it stands under its `not`s?"""
    return isinstance(part[0], nodes.And) != part[1]


def holds_by(part: Part, test: Callable[[Part], bool]) -> bool:
    """Does whatever makes the part true make something true that passes the test?"""
    expression, negated = part
    match expression:
        case nodes.Not():
            return holds_by((expression.operand, not negated), test)
        case nodes.And() | nodes.Or():
            some = any if is_needed(part) else all
            return some(holds_by((item, negated), test) for item in expression.items)
    return test(part)
