"""Plans: what a decision has to look at, and the two ways to ask it.

A plan is asked by one generated function for all of its rules: roots and fields of the request are
read once, clauses that the key settles are gone, and the answer is an integer. Plans whose rules
have the same shapes share the code of that function (see `generate`). The order of rules means
nothing (Law 1), so they are asked in the order of their shapes, which makes most plans of a large
policy set alike.

With more than `PLAN_SHAPES_MAX` shapes a plan asks its rules one by one: compiling so much would
hold up everybody else. It is also how a fault is explained. Both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from types import CodeType
from typing import Any, Final, TypeAlias

from pbac.base.limits import PLAN_SHAPES_MAX
from pbac.base.lookalikes import Names, names_of
from pbac.lang import nodes
from pbac.lang.evaluate.arguments import arguments_of
from pbac.lang.generate.generate import (
    Group,
    Question,
    Shape,
    constants_of,
    generate_plan,
    plan_code,
    screen_for,
    shape_of,
)
from pbac.lang.generate.screens import Screen
from pbac.lang.program import DOUBT, Ask, CompiledRule, Data, bit_of
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest

SCREENED_RULES_MIN: Final = 4
"""Rules of a shape in one plan, from which on a test for all of them pays."""

ASKED: Final = {"forbid": "forbids", "permit": "permits", "require": "requires"}
PARTS: Final = (*ASKED.values(), "shadows", "beyond")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A rule whose target does not rule it out for this key. One for all keys that leave the same.

    Attributes:
        left: the rule without the clauses that are true by the key.
        sure: the target is true; otherwise it is unknown, and the rule a forbid or require.
        settled: nothing is left, so it applies.
        undetermined: its clauses read what is not known yet when tools are listed (Law 6).
    """

    rule: CompiledRule
    left: nodes.Rule
    sure: bool
    settled: bool
    undetermined: bool

    def ask(self, request: DecisionRequest, data: Data) -> int:
        """Does it apply? As a function of one rule answers."""
        found = bit_of(0) if self.settled else self.rule.ask(request, data)
        return found | DOUBT if found and not self.sure else found

    def question(self) -> Question:
        """What a function for many rules asks about it."""
        rule = self.rule
        return Question(
            rule=self.left, materials=rule.materials, sure=self.sure, until_ms=rule.expires_ms
        )


Candidates: TypeAlias = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Higher:
    """A tier some permit here asks for and the agent is not of; `help` says so to the agent."""

    tier: str
    help: str


class Functions:
    """The functions of plans, with what they share. Only grows, by what can be made again.

    `lock`: of whoever makes something that is shared.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self.lock = lock
        self._shapes: dict[Candidate, Shape] = {}
        self._numbers: dict[str, int] = {}
        self._codes: dict[tuple[tuple[int, tuple[bool, bool]], ...], CodeType] = {}
        self._screens: dict[int, Screen | None] = {}
        self._constants: dict[Candidates, object] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def clear(self) -> None:
        """Forgets everything; functions that were handed out stay good."""
        self._shapes.clear()
        self._numbers.clear()
        self._codes.clear()
        self._screens.clear()
        self._constants.clear()

    def in_order(self, part: Candidates) -> Candidates:
        """Candidates of one effect in the order of their shapes."""
        return tuple(sorted(part, key=self._number))

    def generate(self, candidates: Candidates) -> Ask | None:
        """The function that asks them; None when they have too many shapes."""
        groups = {number: tuple(group) for number, group in groupby(candidates, key=self._number)}
        if len(groups) > PLAN_SHAPES_MAX:
            return None
        made = [
            Group(
                first=group[0].question(),
                many=len(group) > 1,
                screened=self._screen(number, group) is not None,
            )
            for number, group in groups.items()
        ]
        key = tuple(zip(groups, ((one.many, one.screened) for one in made), strict=True))
        if key not in self._codes:
            self._codes[key] = plan_code(made)
        given = [self._constants_of(number, group) for number, group in groups.items()]
        return generate_plan(self._codes[key], given)

    def _constants_of(self, number: int, group: Candidates) -> object:
        """Of candidates with one shape: the same object for all plans that ask the same."""
        if group not in self._constants:
            shapes = [self._shapes[each] for each in group]
            self._constants[group] = constants_of(shapes, self._screen(number, group))
        return self._constants[group]

    def _screen(self, number: int, group: Candidates) -> Screen | None:
        """The screen of a shape, where there are enough rules for one."""
        if len(group) < SCREENED_RULES_MIN:
            return None
        if number not in self._screens:
            self._screens[number] = screen_for(group[0].question())
        return self._screens[number]

    def _number(self, candidate: Candidate) -> int:
        """Of its shape."""
        if candidate not in self._shapes:
            self._shapes[candidate] = shape_of(candidate.question())
        return self._numbers.setdefault(self._shapes[candidate].text, len(self._numbers))


class Plan:
    """All a decision on some keys has to look at.

    Attributes:
        forbids, permits, requires: those that apply or have to be asked, in rule-name order, as
            all parts.
        shadows: of any effect; they are evaluated but not enforced.
        beyond: permits for such calls that the key rules out; `higher`: the tiers they are for,
            lowest first.
        candidates: forbids, permits and requires in the order of their bits.
        ask: the rules that a decision follows from (Law 1): forbids alone, or permits and then
            requires, or 0.
        answers: decisions already built, by what they followed from; see `engine`.
    """

    __slots__ = (
        "_arguments", "_functions", "answers", "ask", "beyond", "candidates", "forbids", "higher",
        "permits", "requires", "shadows",
    )  # fmt: skip

    def __init__(
        self, parts: Mapping[str, Candidates], higher: tuple[Higher, ...], functions: Functions
    ) -> None:
        self.forbids, self.permits, self.requires = (parts[name] for name in ASKED.values())
        self.shadows, self.beyond = parts["shadows"], parts["beyond"]
        self.higher = higher
        self.candidates = self.forbids + self.permits + self.requires
        self.ask: Ask = self.ask_at_first if self.candidates else _nothing_applies
        self.answers: dict[int, Decision] = {}
        self._functions = functions
        self._arguments: Names | None = None

    @property
    def arguments(self) -> Names:
        """The arguments that its rules read, by conditions and limits."""
        if self._arguments is None:
            rules = {candidate.rule.name: candidate.rule for candidate in self.candidates}
            paths = {path for rule in rules.values() for path in arguments_of(rule)}
            self._arguments = names_of(sorted(paths, key=str))
        return self._arguments

    def chosen(self, applied: int) -> Candidates:
        """The rules behind the bits: a few, of how many there ever are."""
        found, bits = [], applied & ~DOUBT
        while bits:
            lowest = bits & -bits
            found.append(self.candidates[lowest.bit_length() - bit_of(0).bit_length()])
            bits ^= lowest
        return tuple(found)

    def ask_at_first(self, request: DecisionRequest, data: Data) -> int:
        """`ask`, which is prepared by that: who only lists tools need not wait for it."""
        with self._functions.lock:
            if self.ask == self.ask_at_first:  # no other thread was first
                parts = map(self._functions.in_order, (self.forbids, self.permits, self.requires))
                self.candidates = tuple(candidate for part in parts for candidate in part)
                self.ask = self._functions.generate(self.candidates) or self.ask_singly
        return self.ask(request, data)

    def ask_singly(self, request: DecisionRequest, data: Data) -> int:
        """`ask`, rule by rule."""
        refused = self._ask_part("forbid", request, data)
        if refused:
            return refused
        permitted = self._ask_part("permit", request, data)
        return permitted and permitted | self._ask_part("require", request, data)

    def _ask_part(self, effect: str, request: DecisionRequest, data: Data) -> int:
        applied = 0
        for number, candidate in enumerate(self.candidates):
            if candidate.rule.effect == effect:
                found = candidate.ask(request, data)
                applied |= bit_of(number) | found & DOUBT if found else 0
        return applied


def _nothing_applies(_request: DecisionRequest, _data: Data) -> int:
    return 0
