"""Plans: what a decision has to look at, and the two ways to ask it.

A plan is asked by one generated function for all of its rules: roots and fields of the request are
read once, clauses that the key settles are gone, and the answer is an integer. Writing and
compiling that function takes as long as a few hundred decisions. So a plan begins by asking its
rules one by one, each with its own function, and gets its own when it has been asked
`PLAN_ASKS_BEFORE_COMPILED` times; with more than `PLAN_RULES_COMPILED_MAX` rules it never does.
Both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pbac.base.limits import PLAN_ASKS_BEFORE_COMPILED, PLAN_RULES_COMPILED_MAX
from pbac.lang import nodes
from pbac.lang.generate import Question, generate_plan
from pbac.lang.program import DOUBT, Ask, CompiledRule, Data, bit_of
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest

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
        told: what a decision says because of it depends on the request (texts with values).
    """

    rule: CompiledRule
    left: nodes.Rule
    sure: bool
    settled: bool
    undetermined: bool
    told: bool

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


class Plan:
    """All a decision on some keys has to look at, each part in rule-name order.

    Attributes:
        forbids, permits, requires: those that apply or have to be asked; numbered through, for the
            bits of `ask`.
        shadows: of any effect; they are evaluated but not enforced.
        beyond: permits for such calls that the key rules out; `higher`: the tiers they are for,
            lowest first.
        ask: the rules that a decision follows from (Law 1): forbids alone, or permits and then
            requires, or 0.
        answers: decisions already built, by what they followed from; see `engine`.
    """

    __slots__ = (
        "_asked", "answers", "ask", "beyond", "forbids", "higher", "permits", "requires", "shadows"
    )  # fmt: skip

    def __init__(self, parts: Mapping[str, Candidates], higher: tuple[Higher, ...]) -> None:
        self.forbids, self.permits, self.requires = (parts[name] for name in ASKED.values())
        self.shadows, self.beyond = parts["shadows"], parts["beyond"]
        self.higher = higher
        self.ask: Ask = self.ask_at_first if self.candidates else _nothing_applies
        self.answers: dict[int | Higher, Decision] = {}
        self._asked = 0

    @property
    def candidates(self) -> Candidates:
        """The rules in the order of their bits."""
        return self.forbids + self.permits + self.requires

    def chosen(self, applied: int) -> Candidates:
        """The rules behind the bits."""
        return tuple(
            each for number, each in enumerate(self.candidates) if applied & bit_of(number)
        )

    def ask_at_first(self, request: DecisionRequest, data: Data) -> int:
        """`ask`, until this plan has been asked often enough to be worth a function of its own."""
        self._asked += 1
        candidates = self.candidates
        if self._asked > PLAN_ASKS_BEFORE_COMPILED and len(candidates) <= PLAN_RULES_COMPILED_MAX:
            self.ask = generate_plan([each.question() for each in candidates])
            return self.ask(request, data)
        return self.ask_singly(request, data)

    def ask_singly(self, request: DecisionRequest, data: Data) -> int:
        """`ask`, rule by rule."""
        first, applied = 0, 0
        for part in (self.forbids, self.permits, self.requires):
            found = _asked_of(part, first, request, data)
            applied |= found
            first += len(part)
            # A forbid ends it, and so does it when no permit applies.
            if (found and part is self.forbids) or (not found and part is self.permits):
                break
        return applied


def _nothing_applies(_request: DecisionRequest, _data: Data) -> int:
    return 0


def _asked_of(part: Candidates, first: int, request: DecisionRequest, data: Data) -> int:
    applied = 0
    for number, candidate in enumerate(part, first):
        found = candidate.ask(request, data)
        if found:
            applied |= bit_of(number) | (found & DOUBT)
    return applied
