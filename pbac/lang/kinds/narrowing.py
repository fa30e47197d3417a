"""What the parts of a condition tell those that stand behind them.

In `has args.x and args.x > 3` the second part may count on the first: where that is false, the
whole is false, whatever the second comes to (Law 2). So a part of an `and` is checked as if those
before it held, a part of an `or` as if they did not.

Only those before it: two parts that each count on the other, `args.x is string and args.x is
string`, would both be let pass, and be unknown together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pbac.lang import nodes
from pbac.lang.kinds.kinds import Kind, options
from pbac.lang.kinds.unions import union

Place: TypeAlias = tuple[str | int, ...]
"""A path whose every step is written out: `args.items[0]` is ("args", "items", 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What may be counted on.

    Attributes:
        present: paths that lead somewhere.
        kinds: path, kind word, and whether the value is of that kind.
    """

    present: frozenset[Place] = frozenset()
    kinds: tuple[tuple[Place, str, bool], ...] = ()

    def __or__(self, other: Known) -> Known:
        return Known(present=self.present | other.present, kinds=self.kinds + other.kinds)

    def narrowed(self, place: Place | None, kind: Kind) -> Kind:
        """The kind of what stands at a place, without what it certainly is not."""
        left = [each for each in options(kind) if place is None or self._may_be(place, each.word)]
        return kind if not left or len(left) == len(options(kind)) else union(left)

    def _may_be(self, place: Place, word: str) -> bool:
        return all(
            word == "any" or (word == asked) == truth
            for about, asked, truth in self.kinds
            if about == place
        )


NOTHING: Known = Known()


def step_key(step: nodes.Field | nodes.Index) -> str | int | None:
    """The name or place that a step certainly asks for; None when it is computed."""
    if isinstance(step, nodes.Field):
        return step.name
    if isinstance(step.key, nodes.Literal) and type(step.key.value) in (str, int):
        return step.key.value  # type: ignore[return-value]
    return None


def place_of(expression: nodes.Expression) -> Place | None:
    """Where a path leads, when that is written out."""
    if not isinstance(expression, nodes.Path):
        return None
    keys = [step_key(step) for step in expression.steps]
    written = tuple(key for key in keys if key is not None)
    return (expression.root, *written) if len(written) == len(keys) else None


def known_if(expression: nodes.Expression, truth: bool) -> Known:  # noqa: FBT001 - it is data
    """What may be counted on where the expression is true, or where it is false."""
    match expression:
        case nodes.Not():
            return known_if(expression.operand, not truth)
        case nodes.And() if truth:
            return _all_of(known_if(item, truth) for item in expression.items)
        case nodes.Or() if not truth:
            return _all_of(known_if(item, truth) for item in expression.items)
        case nodes.Has() if truth:
            return Known(present=_with_the_way(place_of(expression.path)))
        case nodes.IsKind():
            place = place_of(expression.operand)
            found = NOTHING if place is None else _is(place, expression.kind, expression, truth)
            return found | Known(present=_with_the_way(place))
    return NOTHING


def _is(place: Place, word: str, asked: nodes.IsKind, truth: bool) -> Known:  # noqa: FBT001
    return Known(kinds=((place, word, truth != asked.negated),))


def _with_the_way(place: Place | None) -> frozenset[Place]:
    """A path that leads somewhere leads through somewhere."""
    return frozenset(place[:length] for length in range(2, len(place or ()) + 1) if place)


def _all_of(found: Iterable[Known]) -> Known:
    total = NOTHING
    for known in found:
        if known is not NOTHING:
            total = total | known
    return total


def in_turn(parts: Sequence[tuple[nodes.Expression, bool]], known: Known) -> Iterator[Known]:
    """For each part what is known there, when those before it come to what is said here."""
    for expression, truth in parts:
        yield known
        told = known_if(expression, truth)
        if told != NOTHING:
            known = known | told


def without(known: Known, variable: str) -> Known:
    """What is known where a variable of this name begins to stand for something else."""
    return replace(
        known,
        present=frozenset(place for place in known.present if place[0] != variable),
        kinds=tuple(each for each in known.kinds if each[0][0] != variable),
    )
