"""Which rules can matter to a call: found by its tool, so that a decision never scans the set.

Two steps, both exact.

1. The rules of each package are filed by the tools they can concern, and their targets tested, once
   each (`filed`).
2. What is left is evaluated as far as the key goes. A clause that is false makes the whole
   condition false (Law 2), whatever the others say: the rule is left out. A clause that is true is
   left out of its rule. A rule of which nothing is left is *settled*: it applies to every call of
   this key, unasked. Most rules of most policies (`for tier … on tool …`) end here.

The outcome is a `Plan`; keys about which the same is left of the same rules share one. It is found
again by (method, server, tool, scope, tier): all five come from the registry and the agent's
registration. Callers choose tool names, though, so only keys that name a server are kept (the
gateway names one for tools it knows), and all tables have a bound.

INVARIANT: a permit missing from a plan does not have a true condition, a forbid or require missing
from it has a false one; `tests/pdp` holds decisions to a full scan by the interpreter.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import Any, TypeAlias, TypeGuard

from msgspec import structs

from pbac.base.limits import INDEX_KEYS_MAX
from pbac.lang import nodes
from pbac.lang.evaluate.interpret import truth
from pbac.lang.evaluate.paths import is_undetermined, paths_in
from pbac.lang.evaluate.targets import on_names_test, tier_truth
from pbac.lang.evaluate.truth import Truth, conjunction, negation, truth_of
from pbac.lang.program import CompiledPackage, CompiledRule, Data
from pbac.model.request import DecisionRequest
from pbac.pdp.filed import Filed
from pbac.pdp.plan import ASKED, PARTS, Candidate, Candidates, Functions, Higher, Plan

Key: TypeAlias = tuple[Any, Any, Any, Any, Any]
"""Method, server, tool and scope of the call, tier of the agent; None for what is missing."""


Tables: TypeAlias = dict[Any, dict[Any, dict[Any, dict[Any, dict[Any, Plan]]]]]
"""The same by method, server, tier, scope and tool: what there are few of comes first, so that it
stays in the processor's cache, and no key has to be built and compared."""


def key_of(request: DecisionRequest) -> Key:
    """The key of a call."""
    call = request.call.get
    return call("method"), call("server"), call("tool"), call("scope"), request.agent.get("tier")


class Index:
    """All rules of a policy set by what they can concern. Only `plans` and what they share change.

    Those are caches: what is kept equals what would be made, by one thread at a time. `filed`: of
    each package; those of an earlier index are taken over, and its lock with them.
    """

    def __init__(
        self,
        packages: Iterable[CompiledPackage],
        tiers: tuple[str, ...],
        data: Data,
        previous: Index | None = None,
    ) -> None:
        kept = previous.filed if previous else {}
        self.filed: Mapping[CompiledPackage, Filed] = {
            package: kept.get(package) or Filed(package) for package in packages
        }
        self.tiers = tiers
        self.data = data
        self.plans: dict[Key, Plan] = {}
        self.tables: Tables = {}
        self._same: dict[tuple[Candidates, ...], Plan] = {}
        self.lock: AbstractContextManager[Any] = previous.lock if previous else RLock()
        self._functions = Functions(self.lock)

    def find(self, key: Key) -> Plan:
        """The plan for a key: kept, or made now."""
        with self.lock:
            return self._find(key)

    def _find(self, key: Key) -> Plan:
        kept = all(type(part) is str or part is None for part in key)
        found = self.plans.get(key) if kept else None
        if found is not None:
            return found
        if not kept or key[1] is None:
            return self._plan(key)
        if len(self.plans) >= INDEX_KEYS_MAX:
            self.plans.clear()
            self.tables.clear()
        # Names that many keys share are then the same object, and comparing them is free.
        plan = self.plans[tuple(map(_interned, key))] = self._plan(key)  # type: ignore[index]
        method, server, tool, scope, tier = key
        by_server = self.tables.setdefault(method, {}).setdefault(server, {})
        by_server.setdefault(tier, {}).setdefault(scope, {})[tool] = plan
        return plan

    def _plan(self, key: Key) -> Plan:
        method, server, tool, scope, tier = key
        call = {"method": method, "server": server, "tool": tool, "scope": scope}
        request = DecisionRequest(agent={"tier": tier}, call=call)
        found: dict[str, list[Candidate]] = {name: [] for name in PARTS}
        for filed in self.filed.values():
            for rule, target in filed.considered(request):
                known = _known(rule, target, request, self)
                part = _part(rule, known)
                if part is not None:
                    found[part].append(_candidate(rule, known, filed.candidates))
        parts = {name: tuple(sorted(each, key=_by_name)) for name, each in found.items()}
        same = tuple(parts.values())
        plan = self._same.get(same)
        if plan is None:
            if len(self._same) >= INDEX_KEYS_MAX:
                self._same.clear()
                self._functions.clear()
                for filed in self.filed.values():
                    filed.candidates.clear()
            plan = Plan(parts, _higher(parts["beyond"], self.tiers), self._functions)
            self._same[same] = plan
        return plan


# --- plans -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What a key says about a rule.

    Attributes:
        target: what the index answers; `reach`: with the scope; `whole`: all that the key decides.
        true: for each part of `_clauses`, is it true by the key?
    """

    target: Truth
    reach: Truth
    whole: Truth
    true: tuple[bool, ...]


def _by_name(candidate: Candidate) -> str:
    return candidate.rule.name


def _interned(part: str | None) -> str | None:
    return None if part is None else sys.intern(part)


def _part(rule: CompiledRule, known: _Known) -> str | None:
    """The part of the plan a rule belongs to, or None when it has nothing to say about this key."""
    if rule.effect != "permit":
        if known.whole is Truth.FALSE:
            return None
    elif known.whole is not Truth.TRUE:
        # It applies only when its condition is true, so unknown is enough to leave it out.
        return "beyond" if known.reach is Truth.TRUE and not rule.shadow else None
    return "shadows" if rule.shadow else ASKED[rule.effect]


_Part: TypeAlias = nodes.ForClause | nodes.OnClause | nodes.Condition


def _clauses(rule: nodes.Rule) -> Iterator[_Part]:
    """All clauses, `when a and b` as two."""
    yield from rule.who
    yield from rule.what
    for condition in rule.conditions:
        whole = condition.expression
        if condition.negated or not isinstance(whole, nodes.And):
            yield condition
        else:
            for item in whole.items:
                yield nodes.Condition(span=item.span, negated=False, expression=item)


def _known(rule: CompiledRule, target: Truth, request: DecisionRequest, index: Index) -> _Known:
    found = [(part, _truth_by_key(part, request, index)) for part in _clauses(rule.node)]
    scopes = [truth for part, truth in found if isinstance(part, nodes.OnNames)]
    reach = conjunction([target, *filter(None, scopes)])
    return _Known(
        target=target,
        reach=reach,
        whole=conjunction([reach, *(truth for _, truth in found if truth is not None)]),
        true=tuple(truth is Truth.TRUE for _, truth in found),
    )


def _truth_by_key(part: _Part, request: DecisionRequest, index: Index) -> Truth | None:
    """The truth of a clause; None when it reads more than the key, or the target answers it."""
    match part:
        case nodes.ForTier():
            return tier_truth(part, request.agent["tier"], index.tiers)
        case nodes.OnNames(what="scope"):
            return truth_of(on_names_test(part)(request))
        case nodes.Condition() if _reads_only_key(part.expression, request):
            found = truth(part.expression, request, index.data)
            return negation(found) if part.negated else found
    return None


def _reads_only_key(expression: nodes.Expression, request: DecisionRequest) -> bool:
    """Data belong to the policy set. A key does not tell missing from null, so only texts count."""
    for path in paths_in(expression):
        if path.root == "data":
            continue
        match path.steps:
            case (nodes.Field(name=name),) if path.root == "call" and name in request.call:
                found = request.call[name]
            case (nodes.Field(name="tier"),) if path.root == "agent":
                found = request.agent["tier"]
            case _:
                return False
        if type(found) is not str:
            return False
    return True


def _tier_clauses(rule: nodes.Rule) -> list[nodes.ForTier]:
    return [who for who in rule.who if isinstance(who, nodes.ForTier)]


def _higher(beyond: Iterable[Candidate], tiers: tuple[str, ...]) -> tuple[Higher, ...]:
    """For each permit out of reach the lowest tier it is for, in order of tiers, each once."""
    found: dict[str, Higher] = {}
    for clauses in filter(None, (_tier_clauses(candidate.rule.node) for candidate in beyond)):
        wanted = [
            tier
            for tier in tiers
            if all(tier_truth(clause, tier, tiers) is Truth.TRUE for clause in clauses)
        ]
        if wanted:
            above = (
                " or higher" if len(wanted) > 1 and wanted == list(tiers[-len(wanted) :]) else ""
            )
            help_ = f"an agent of tier `{wanted[0]}`{above} may do this"
            found.setdefault(wanted[0], Higher(tier=wanted[0], help=help_))
    return tuple(sorted(found.values(), key=lambda higher: tiers.index(higher.tier)))


def _candidate(rule: CompiledRule, known: _Known, kept: dict[Hashable, Candidate]) -> Candidate:
    key = (rule.name, known.true, known.target)
    if key not in kept:
        if len(kept) >= INDEX_KEYS_MAX:  # documents of many versions have settled other clauses
            kept.clear()
        kept[key] = _make_candidate(rule, known)
    return kept[key]


def _make_candidate(rule: CompiledRule, known: _Known) -> Candidate:
    left = [part for part, true in zip(_clauses(rule.node), known.true, strict=True) if not true]
    who = tuple(part for part in left if isinstance(part, nodes.ForTier | nodes.ForNames))
    what = tuple(part for part in left if _is_asked(part))
    conditions = tuple(part for part in left if isinstance(part, nodes.Condition))
    return Candidate(
        rule=rule,
        left=structs.replace(rule.node, who=who, what=what, conditions=conditions),
        sure=known.target is Truth.TRUE,
        settled=not (who or what or conditions) and rule.expires_ms is None,
        undetermined=any(
            is_undetermined(path)
            for condition in rule.node.conditions
            for path in paths_in(condition.expression)
        ),
    )


def _is_asked(part: _Part) -> TypeGuard[nodes.OnNames]:
    """Is it an `on` clause that the target does not answer?"""
    return isinstance(part, nodes.OnNames) and part.what not in ("tool", "server")
