"""What would have permitted a call that was denied: tried, and told as it came out.

    permits   `p.m` would permit it if `args.n > 100` (tried: args.n = 101)
    forbids   `p.m` would permit it if `args.n > 100`, but `p.f` would then forbid it (tried: …)
    untried   `p.m` asks for `chain.depth == 0`; whether it would permit this call was not tried

For a permit about such calls, the nearest way to make it apply (`goals`) is looked for among
requests like this one (`witness`), and what is found is decided. Where a forbid stops it, ways to
keep that from applying are added, and it is tried again. Only what the engine permitted is
promised.
Goals that nothing fulfils together are no near miss, and nothing is said about them.

Trying is bounded by `Budget`. What is not reached within it is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pbac.base.limits import NEAR_MISSES_MAX
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.truth import Truth, conjunction
from pbac.lang.program import CompiledRule
from pbac.model.decision import Cause, Decision
from pbac.model.request import DecisionRequest
from pbac.model.values import MISSING
from pbac.pdp.engine import decide
from pbac.pdp.goals import Goal, GoalReader, Way, distance
from pbac.pdp.places import Place, differences, overlap, place_text
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.witness import Budget, Solver


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A path that has another value in the request that was tried, or none (`missing`)."""

    path: str
    state: Literal["value", "missing"] = "value"
    value: Any = None


class Avoided(msgspec.Struct, frozen=True, kw_only=True):
    """A forbid that applied, or would have come to apply, and what keeps it from that."""

    rule: str
    needs: tuple[str, ...]


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A permit for such calls, what it lacks, and what came of trying that.

    Attributes:
        outcome: `permits`: the changed request is permitted, by this rule. `forbids`: this rule
            would permit it, but `forbidden_by` forbid it. `untried`: no request was found to try.
        needs: what has to hold, each as a policy would write it: all that does not hold yet, and
            all that reads what is changed.
        changes: how the request that was tried differs from the one that was denied.
    """

    rule: str
    outcome: Literal["permits", "forbids", "untried"]
    needs: tuple[str, ...]
    avoided: tuple[Avoided, ...] = ()
    forbidden_by: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


def near_misses(policy_set: PolicySet, request: DecisionRequest) -> tuple[NearMiss, ...]:
    """The nearest, at most `NEAR_MISSES_MAX`: those that permit, or else what there is to say."""
    return _Search(policy_set, request).nearest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forbidden:
    """A forbid to be kept from applying, and how."""

    rule: str
    way: Way


class _Search:
    """One search, with one budget."""

    def __init__(self, policy_set: PolicySet, request: DecisionRequest) -> None:
        self._set = policy_set
        self._request = request
        self._goals = GoalReader(policy_set, request)
        self._around: dict[str, list[Way]] = {}
        self._budget = Budget()
        self._solver = Solver(request=request, tiers=policy_set.tiers, budget=self._budget)

    def nearest(self) -> tuple[NearMiss, ...]:
        permitting: dict[str, NearMiss] = {}
        others: dict[str, NearMiss] = {}
        least: int | None = None
        for permit, way in self._ways():
            further_off = least is not None and distance(way) > least
            if self._budget.spent or further_off or len(permitting) == NEAR_MISSES_MAX:
                break
            if permit.name in permitting:
                continue
            found = self._tried(permit.name, way, ())
            if found is not None and found.outcome == "permits":
                permitting[permit.name] = found
                least = distance(way)
            elif found := found or self._untried(permit.name, way):
                others.setdefault(permit.name, found)
        told = permitting or others
        return tuple(told.values())[:NEAR_MISSES_MAX]

    def _ways(self) -> list[tuple[CompiledRule, Way]]:
        """To every permit that is about such calls, the nearest first."""
        permits = [
            rule
            for rule in self._set.rules
            if rule.effect == "permit"
            and not rule.shadow
            and _is_certainly_about(rule, self._request)
        ]
        ways = [(permit, way) for permit in permits for way in self._goals.to_apply(permit)]
        return sorted(ways, key=lambda each: distance(each[1]))

    # --- trying ------------------------------------------------------------------------------

    def _tried(self, rule: str, way: Way, avoided: tuple[_Forbidden, ...]) -> NearMiss | None:
        """What came of a request for which the permit applies and those forbids do not."""
        goals = (*way, *(goal for each in avoided for goal in each.way))
        witness = self._solver.find(goals)
        if witness is None or not self._budget.take_try():
            return None
        decision = decide(self._set, witness)
        if decision.permitted:
            return self._permitting(rule, way, avoided, witness)
        if decision.cause is not Cause.FORBIDDEN:
            return None  # the engine failed on it: there is nothing to promise
        further = self._avoiding(rule, way, avoided, decision)
        if further is not None or avoided:
            return further
        return self._forbidding(rule, way, decision, witness)

    def _avoiding(
        self, rule: str, way: Way, avoided: tuple[_Forbidden, ...], decision: Decision
    ) -> NearMiss | None:
        """All that stop it are kept from applying at once, or else the first, in some way."""
        known = {each.rule for each in avoided}
        ways = {name: self._ways_around(name) for name in decision.rules if name not in known}
        if not ways or not all(ways.values()):
            return None
        nearest = tuple(_Forbidden(rule=name, way=found[0]) for name, found in ways.items())
        found = self._tried(rule, way, (*avoided, *nearest))
        name, others = next(iter(ways.items()))
        for other in others if len(ways) > 1 else others[1:]:
            if found is not None or self._budget.spent:
                break
            found = self._tried(rule, way, (*avoided, _Forbidden(rule=name, way=other)))
        return found

    def _ways_around(self, name: str) -> list[Way]:
        if name not in self._around:
            self._around[name] = self._goals.to_avoid(self._set.by_name[name])
        return self._around[name]

    # --- telling -----------------------------------------------------------------------------

    def _permitting(
        self, rule: str, way: Way, avoided: tuple[_Forbidden, ...], witness: DecisionRequest
    ) -> NearMiss:
        changes = dict(_changes(self._request, witness))
        ways_around = ((each.rule, _needs(each.way, changes)) for each in avoided)
        return NearMiss(
            rule=rule,
            outcome="permits",
            needs=_needs(way, changes),
            avoided=tuple(Avoided(rule=name, needs=needs) for name, needs in ways_around if needs),
            changes=tuple(changes.values()),
        )

    def _forbidding(
        self, rule: str, way: Way, decision: Decision, witness: DecisionRequest
    ) -> NearMiss | None:
        """Worth telling when something is lacking, and no forbid is there whatever is changed."""
        if not distance(way) or not all(map(self._can_be_avoided, decision.rules)):
            return None
        changes = dict(_changes(self._request, witness))
        return NearMiss(
            rule=rule,
            outcome="forbids",
            needs=_needs(way, changes),
            forbidden_by=decision.rules,
            changes=tuple(changes.values()),
        )

    def _can_be_avoided(self, name: str) -> bool:
        return any(self._solver.find(way) is not None for way in self._ways_around(name))

    def _untried(self, rule: str, way: Way) -> NearMiss | None:
        """A goal that could be otherwise, but not by trying values, beside others that can be."""
        alone = {goal: goal.held or self._solver.find((goal,)) is not None for goal in way}
        hard = [goal for goal, possible in alone.items() if not possible]
        rest = [goal for goal, possible in alone.items() if possible]
        if not hard or not all(goal.changeable for goal in hard):
            return None
        if self._solver.find(rest) is None or self._budget.spent:
            return None
        return NearMiss(rule=rule, outcome="untried", needs=_needs(way, {}))


def _is_certainly_about(rule: CompiledRule, request: DecisionRequest) -> bool:
    """Another tool or scope is another call, not a near miss."""
    truths = [targets.phase_truth(rule.node, request), targets.server_truth(rule.servers, request)]
    truths += [targets.on_truth(clause, request) for clause in rule.node.what]
    return conjunction(truths) is Truth.TRUE


def _changes(before: DecisionRequest, after: DecisionRequest) -> Iterator[tuple[Place, Change]]:
    for place, value in differences(before, after):
        if value is MISSING:
            yield place, Change(path=place_text(place), state="missing")
        else:
            yield place, Change(path=place_text(place), value=value)


def _needs(way: Way, changes: Iterable[Place]) -> tuple[str, ...]:
    """In the order written, each once."""
    told = (goal.text for goal in way if not goal.held or _reads_one_of(goal, changes))
    return tuple(dict.fromkeys(text for text in told if text))


def _reads_one_of(goal: Goal, changes: Iterable[Place]) -> bool:
    return any(overlap(place, change) for change in changes for place in goal.places)
