"""A request like another one for which goals hold: found by trying values, never by reasoning.

Goals that read the same places belong together, each such group is solved by itself: value after
value for place after place, what is there already first, and back as soon as a goal that reads
nothing else any more does not hold. Whatever comes out was tested goal by goal, so it can only be
missing, not wrong. How much is tried is bounded for a whole explanation (`Budget`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from pbac.base.limits import (
    NEAR_MISS_PLACE_VALUES_MAX,
    NEAR_MISS_TESTS_MAX,
    NEAR_MISS_TRIES_MAX,
)
from pbac.model.request import FIELDS, DecisionRequest
from pbac.model.values import MISSING, Value, kind_of
from pbac.pdp.goals import Goal
from pbac.pdp.places import Place, changed, key_of_place, may_be, read

_ANYTHING: Final[tuple[Value, ...]] = (MISSING, "x", True, False, 0, 1, None, [], {})
"""For goals that ask only for presence or a kind."""


@dataclass(slots=True)
class Budget:
    """What may still be tried: decisions, and tests of goals."""

    tries: int = NEAR_MISS_TRIES_MAX
    tests: int = NEAR_MISS_TESTS_MAX

    def take_try(self) -> bool:
        """May one more request be decided?"""
        self.tries -= 1
        return self.tries >= 0

    def holds(self, goal: Goal, request: DecisionRequest) -> bool:
        """Tested, or not even that any more."""
        self.tests -= goal.weight
        return self.tests >= 0 and goal.test(request)

    @property
    def spent(self) -> bool:
        """Something was not tried that might have been."""
        return self.tries < 0 or self.tests < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """Finds witnesses among requests like one."""

    request: DecisionRequest
    tiers: tuple[str, ...]
    budget: Budget

    def find(self, goals: Sequence[Goal]) -> DecisionRequest | None:
        """A request for which all goals hold; None when none was found."""
        found: DecisionRequest | None = self.request
        for group in _groups(goals):
            if found is not None and not all(goal.held for goal in group):
                found = self._solved(group, found)
        return found

    def _solved(self, group: Sequence[Goal], request: DecisionRequest) -> DecisionRequest | None:
        """Places of what does not hold come first."""
        if any(not goal.held and not goal.places for goal in group):
            return None
        ordered = sorted(group, key=lambda goal: goal.held)
        places = tuple(dict.fromkeys(place for goal in ordered for place in goal.places))
        values = [tuple(self._values(place, ordered)) for place in places]
        return self._search(ordered, list(zip(places, values, strict=True)), request)

    def _search(
        self,
        goals: Sequence[Goal],
        open_: Sequence[tuple[Place, Sequence[Value]]],
        request: DecisionRequest,
    ) -> DecisionRequest | None:
        later = {key_of_place(place) for place, _ in open_[1:]}
        now = [goal for goal in goals if later.isdisjoint(map(key_of_place, goal.places))]
        rest = [goal for goal in goals if goal not in now]
        if not open_:
            return request if all(self.budget.holds(goal, request) for goal in now) else None
        (place, values), *others = open_
        for tried in chain((request,), (changed(request, place, value) for value in values)):
            if self.budget.spent:
                return None
            if all(self.budget.holds(goal, tried) for goal in now):
                found = self._search(rest, others, tried)
                if found is not None:
                    return found
        return None

    def _values(self, place: Place, goals: Sequence[Goal]) -> Iterator[Value]:
        """Each once; first those of the kind that is there, and of numbers the nearest."""
        seeds = [seed for goal in goals if place in goal.places for seed in goal.seeds()]
        usual, here = _usual_kind(self.request, place), read(self.request, place)
        several = [*seeds, *_between(seeds), *_more_and_less(self.request, place, seeds)]
        several.sort(key=lambda value: _unlike(value, here, usual))
        found: dict[str, Value] = {}
        for value in (*several, *_ANYTHING):
            if may_be(place, value, self.tiers):
                found.setdefault(repr(value), value)
        return iter(list(found.values())[:NEAR_MISS_PLACE_VALUES_MAX])


def _usual_kind(request: DecisionRequest, place: Place) -> str | None:
    here = read(request, place)
    if here is not MISSING:
        return kind_of(here)
    kind = FIELDS[place[0]].get(place[1], "") if len(place) == 2 else ""
    return "list" if kind.startswith("list") else None


def _unlike(value: Value, here: Value, usual: str | None) -> tuple[bool, bool, float]:
    """What makes a value a worse witness; whole numbers are better than broken ones."""
    another_kind = usual is not None and kind_of(value) != usual
    if type(value) not in (int, float):
        return another_kind, False, 0
    far = abs(value - here) if type(here) in (int, float) else 0
    broken = type(value) is float and not value.is_integer()
    return another_kind, broken, far


def _between(seeds: Sequence[Value]) -> Iterator[Value]:
    """Half-way from each number to the next."""
    numbers = sorted({seed for seed in seeds if type(seed) in (int, float)})
    for low, high in pairwise(numbers):
        yield low + (high - low) / 2


def _more_and_less(
    request: DecisionRequest, place: Place, seeds: Sequence[Value]
) -> Iterator[Value]:
    """A list with something more in it, and without some item."""
    here = read(request, place)
    if type(here) is not list:
        return
    for seed in seeds:
        if type(seed) is list and len(seed) == 1:
            yield [*here, *seed]
            yield [item for item in here if item not in seed]


def _groups(goals: Sequence[Goal]) -> list[list[Goal]]:
    """Goals that depend on each other, directly or through others."""
    groups: list[tuple[set[Place], list[Goal]]] = []
    for goal in goals:
        keys, members = {key_of_place(place) for place in goal.places}, [goal]
        apart = []
        for group in groups:
            if group[0].isdisjoint(keys):
                apart.append(group)
            else:
                keys, members = keys | group[0], [*group[1], *members]
        groups = [*apart, (keys, members)]
    return [members for _, members in groups]
