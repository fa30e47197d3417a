"""Plans: what a decision has to look at, and the two ways to ask it.

A plan is asked by one generated function for all of its rules: clauses that the key settles are
gone, and the answer is an integer. A function is about shapes of rules and has slots for more of
them than one plan needs, so plans share a few (see `lang.generate.plans`); a plan has what is given
for the slots. The order of rules means nothing (Law 1), so they are asked in the order of their
shapes.

With more than `PLAN_SHAPES_MAX` shapes a plan asks its rules one by one: compiling so much would
hold up everybody else. It is also how a fault is explained. Both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final, TypeAlias

from pbac.base.limits import ANSWER_NAMES_KEPT_MAX, ANSWERS_KEPT_MAX, PLAN_SHAPES_MAX
from pbac.base.lookalikes import Names, names_of
from pbac.lang import nodes
from pbac.lang.evaluate.arguments import arguments_of
from pbac.lang.generate.generate import Question, Shape, shape_of
from pbac.lang.generate.plans import (
    ABSENT,
    Form,
    Group,
    Rules,
    given_for,
    plan_function,
    screen_for,
)
from pbac.lang.generate.screens import Screen
from pbac.lang.program import DOUBT, CompiledRule, Data, Prepared, bit_of
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest

SCREENED_RULES_MIN: Final = 4
"""Rules of a shape in one plan, from which on a screen before them pays."""
SLOTS_MAX: Final = 48
"""Up to so many slots functions are shared; passing one by takes a few nanoseconds."""

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


class _Common(Prepared):
    """What constants of rules become, the same for all packages: less memory to touch."""

    def __init__(self, own: Prepared, made: dict[tuple[object, ...], object]) -> None:
        self.own, self.made = own, made

    def get(self, key: tuple[object, ...], make: Callable[[], object]) -> object:
        """What the first package to ask has."""
        if key not in self.made:
            self.made[key] = self.own.get(key, make)
        return self.made[key]


_Slot: TypeAlias = tuple[int, Form]
"""The number of a shape, and the form of the group."""


class Functions:
    """The functions of plans, with what they share. Only grows, by what can be made again.

    `lock`: of whoever adds to it; whoever decides with a plan that is prepared need not wait.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self.lock = lock
        self._begin()

    def _begin(self) -> None:
        self._shapes: dict[Candidate, Shape] = {}
        self._numbers: dict[Hashable, int] = {}
        self._firsts: list[Question] = []
        self._screens: dict[int, Screen | None] = {}
        self._given: dict[Candidates, object] = {}
        self._made: list[tuple[tuple[_Slot, ...], Rules]] = []
        self._prepared: dict[tuple[object, ...], object] = {}
        self._names_kept = 0

    def __len__(self) -> int:
        return len(self._shapes)

    def clear(self) -> None:
        """Forgets everything; functions that were handed out stay good."""
        with self.lock:
            self._begin()

    def spare(self, names: int) -> bool:
        """Is there room for a decision with so many rules? Then it is taken."""
        self._names_kept += names
        return self._names_kept <= ANSWER_NAMES_KEPT_MAX

    def in_order(self, part: Candidates) -> Candidates:
        """Candidates of one effect in the order of their shapes."""
        return tuple(sorted(part, key=self._number))

    def generate(self, candidates: Candidates) -> tuple[Rules, tuple[object, ...]] | None:
        """The function that asks them, with what it is given; None for too many shapes."""
        groups = {number: tuple(group) for number, group in groupby(candidates, key=self._number)}
        if len(groups) > PLAN_SHAPES_MAX:
            return None
        wanted = {(number, self._form(number, group)): group for number, group in groups.items()}
        slots, rules = self._function(frozenset(wanted))
        given = [
            self._constants(slot, wanted[slot]) if slot in wanted else ABSENT for slot in slots
        ]
        return rules, tuple(given)

    def _function(self, wanted: frozenset[_Slot]) -> tuple[tuple[_Slot, ...], Rules]:
        """One that has these slots: of those there are, or the last one with them added."""
        for slots, rules in reversed(self._made):
            if wanted.issubset(slots):
                return slots, rules
        last = frozenset(self._made[-1][0] if self._made else ())
        every = wanted | last if len(wanted | last) <= SLOTS_MAX else wanted
        slots = tuple(sorted(every, key=self._place))
        groups = [Group(first=self._firsts[number], form=form) for number, form in slots]
        self._made.append((slots, plan_function(groups)))
        return self._made[-1]

    def _place(self, slot: _Slot) -> tuple[int, _Slot]:
        number, _ = slot
        return list(ASKED).index(self._firsts[number].rule.effect), slot

    def _constants(self, slot: _Slot, group: Candidates) -> object:
        """Of candidates with one shape: the same object for all plans that ask the same."""
        if group not in self._given:
            number, form = slot
            shapes = [self._shapes[each] for each in group]
            screen = self._screens[number] if form == "many" else None
            self._given[group] = given_for(shapes, form, screen)
        return self._given[group]

    def _form(self, number: int, group: Candidates) -> Form:
        """Many are screened where their shape can be."""
        if len(group) < SCREENED_RULES_MIN:
            return "some" if len(group) > 1 else "one"
        if number not in self._screens:
            self._screens[number] = screen_for(self._firsts[number])
        return "some" if self._screens[number] is None else "many"

    def _number(self, candidate: Candidate) -> int:
        """Of its shape."""
        if candidate not in self._shapes:
            question = candidate.question()
            common = _Common(question.materials.prepared, self._prepared)
            question = replace(question, materials=replace(question.materials, prepared=common))
            self._shapes[candidate] = shape = shape_of(question)
            if self._numbers.setdefault(shape.key, len(self._firsts)) == len(self._firsts):
                self._firsts.append(question)
        return self._numbers[self._shapes[candidate].key]


class Plan:
    """All a decision on some keys has to look at.

    Attributes:
        forbids, permits, requires: those that apply or have to be asked, in rule-name order, as
            all parts.
        shadows: of any effect; they are evaluated but not enforced.
        beyond: permits for such calls that the key rules out; `higher`: the tiers they are for,
            lowest first.
        candidates: forbids, permits and requires in the order of their bits.
        rules: asks which rules a decision follows from (Law 1): forbids alone, or permits and then
            requires, or 0. `given` is its third argument, prepared with it when first asked.
        answers: decisions already built, by what they followed from; see `engine`.
    """

    __slots__ = (
        "_arguments", "_functions", "answers", "beyond", "candidates", "forbids", "given", "higher",
        "permits", "requires", "rules", "shadows",
    )  # fmt: skip

    def __init__(
        self, parts: Mapping[str, Candidates], higher: tuple[Higher, ...], functions: Functions
    ) -> None:
        self.forbids, self.permits, self.requires = (parts[name] for name in ASKED.values())
        self.shadows, self.beyond = parts["shadows"], parts["beyond"]
        self.higher = higher
        self.candidates = self.forbids + self.permits + self.requires
        self.rules: Rules = self._rules_at_first
        self.given: tuple[object, ...] = ()
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

    def keep(self, applied: int, answer: Decision) -> None:
        """Keeps a decision that follows from these rules alone: a few, then as many as fit."""
        if len(self.answers) < ANSWERS_KEPT_MAX or self._functions.spare(1 + len(answer.rules)):
            self.answers[applied] = answer

    def ask(self, request: DecisionRequest, data: Data) -> int:
        """What `rules` says."""
        return self.rules(request, data, self.given)

    def _rules_at_first(self, request: DecisionRequest, data: Data, _: object) -> int:
        """`rules`, prepared by being asked: who only lists tools need not wait for it."""
        with self._functions.lock:
            self._prepare(request, data)
        return self.ask(request, data)

    def _prepare(self, request: DecisionRequest, data: Data) -> None:
        if self.rules != self._rules_at_first:
            return  # by another thread, while this one waited
        parts = map(self._functions.in_order, (self.forbids, self.permits, self.requires))
        self.candidates = tuple(candidate for part in parts for candidate in part)
        if all(candidate.settled for candidate in self.candidates):
            applied = self.ask_singly(request, data)
            self.rules = lambda _request, _data, _given: applied
        else:
            made = self._functions.generate(self.candidates)
            rules, self.given = made or (self._rules_singly, ())
            self.rules = rules  # last: whoever decides meanwhile reads it first

    def _rules_singly(self, request: DecisionRequest, data: Data, _: object) -> int:
        return self.ask_singly(request, data)

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
