"""Which rules can matter to a call: found by its tool, so that a decision never scans the set.

Two steps, both exact.

1. Rules are grouped by *target*: servers, `on tool`, `on server`, `on any`, `on token`. A target that
   names tools exactly is filed under those names; all others (globs, or nothing about tools) are
   in one list. For a call the targets under its tool and those of the list are tested, once each.
2. What is left is narrowed by the call's scope and the agent's tier: a `for tier` or `on scope`
   that is false makes the rule's condition false (Law 2), whatever else it says.

The outcome is a `Plan`, kept per (method, server, tool, scope, tier): all five come from the registry
and the agent's registration. Callers choose tool names, though, so only calls that name a server
are kept (the gateway names one for tools it knows) and the table has a bound.

INVARIANT: a permit missing from a plan does not have a true condition, a forbid or require missing
from it has a false one; `tests/pdp` holds decisions to a full scan by the interpreter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

from pbac.base.limits import INDEX_KEYS_MAX
from pbac.lang import nodes, targets
from pbac.lang.paths import is_undetermined, paths_in
from pbac.lang.program import Applies, CompiledRule, Data
from pbac.lang.targets import ClauseTest, names_matcher, on_names_test, texts, tier_truth
from pbac.lang.truth import UNKNOWN, Truth, conjunction, truth_of
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest
from pbac.model.values import Value

ISSUE: Final = targets.ISSUE

Key: TypeAlias = tuple[Any, Any, Any, Any, Any]
"""Method, server, tool and scope of the call, tier of the agent; None for what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rule whose target does not rule it out for this key.

    Attributes:
        applies: Law 2 for the whole rule, expiry included. In a plan no two are the same object.
        certain: of a forbid or require: its whole condition is true, nothing is unknown.
        undetermined: its clauses read what is not known yet when tools are listed (Law 6).
        told: what a decision says because of it depends on the request (texts with values).
    """

    rule: CompiledRule
    applies: Applies
    certain: Applies
    undetermined: bool
    told: bool


Functions: TypeAlias = tuple[Applies, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Higher:
    """A tier that some permit here asks for and the agent is not of; `help` says so to the agent."""

    tier: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All a decision on one key has to look at, each part in rule-name order.

    Parts are bare functions: with thousands of rules what a decision costs is the memory it
    touches, so what is said about a rule is looked up only once the rule applies.

    Attributes:
        shadows: of any effect; they are evaluated but not enforced.
        rules: what stands behind each function.
        beyond: permits that only agents of other tiers can get; `higher`: those tiers, lowest
            first.
        answers: decisions already built, by what they followed from; see `engine`.
    """

    forbids: Functions
    permits: Functions
    requires: Functions
    shadows: Functions
    rules: Mapping[Applies, Candidate]
    beyond: tuple[Candidate, ...]
    higher: tuple[Higher, ...]
    answers: dict[tuple[Applies | Higher, ...], Decision] = field(default_factory=dict)


_Clause: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...]]
"""What an `on` clause is about, its names, its `except` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The part of a rule that the index answers."""

    servers: tuple[str, ...]
    clauses: tuple[_Clause, ...]
    on_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Rules with one target, its tests prepared."""

    target: _Target
    tests: tuple[ClauseTest, ...]
    rules: tuple[CompiledRule, ...]


class Index:
    """All rules of a policy set by what they can concern. Only `plans` changes: it is a cache."""

    def __init__(self, rules: Iterable[CompiledRule], tiers: tuple[str, ...]) -> None:
        members: dict[_Target, list[CompiledRule]] = {}
        for rule in rules:
            members.setdefault(_target(rule), []).append(rule)
        self.tiers = tiers
        self.plans: dict[Key, Plan] = {}
        self._groups = tuple(_group(target, found) for target, found in members.items())
        self._by_tool: dict[str, list[_Group]] = {}
        self._others: list[_Group] = []
        for group in self._groups:
            names = _exact_tools(group.target)
            if names is None:
                self._others.append(group)
            for name in dict.fromkeys(names or ()):
                self._by_tool.setdefault(name, []).append(group)

    def considered(self, request: DecisionRequest) -> Iterator[tuple[CompiledRule, Truth]]:
        """Every rule whose target is not false for this call, with the truth of its target."""
        tool = request.call.get("tool")
        # Without a name every target is asked: `on tool` is unknown then, not false.
        groups: Sequence[_Group] = self._groups
        if type(tool) is str:
            groups = (*self._by_tool.get(tool, ()), *self._others)
        for group in groups:
            truth = _target_truth(group, request)
            if truth is not Truth.FALSE:
                for rule in group.rules:
                    yield rule, truth

    def find(self, key: Key) -> Plan:
        """The plan for a key: kept, or made now."""
        kept = all(type(part) is str or part is None for part in key)
        found = self.plans.get(key) if kept else None
        if found is not None:
            return found
        plan = _plan(self, key)
        if kept and key[1] is not None:
            if len(self.plans) >= INDEX_KEYS_MAX:
                self.plans.clear()
            # Names that many keys share are then the same object, and comparing them is free.
            self.plans[tuple(map(_interned, key))] = plan  # type: ignore[index]
        return plan


def key_of(request: DecisionRequest) -> Key:
    """What a request is found by."""
    call = request.call
    return (
        call.get("method"),
        call.get("server"),
        call.get("tool"),
        call.get("scope"),
        request.agent.get("tier"),
    )


# --- targets ---------------------------------------------------------------------------------


def _target(rule: CompiledRule) -> _Target:
    clauses = tuple(
        (clause.what, texts(clause.names), texts(clause.without)) for clause in _indexed(rule.node)
    )
    return _Target(servers=rule.servers, clauses=clauses, on_token=rule.on_token)


def _indexed(rule: nodes.Rule) -> Iterator[nodes.OnNames]:
    """The clauses that `CompiledRule.applies` leaves to the index."""
    for clause in rule.what:
        if isinstance(clause, nodes.OnNames) and clause.what in ("tool", "server"):
            yield clause


def _group(target: _Target, rules: Sequence[CompiledRule]) -> _Group:
    tests = [on_names_test(clause) for clause in _indexed(rules[0].node)]
    if target.servers:
        tests.append(_server_test(target.servers))
    return _Group(target=target, tests=tuple(tests), rules=tuple(rules))


def _server_test(servers: tuple[str, ...]) -> ClauseTest:
    """`package … on server …`; unlike `on server` it holds for issuance too."""
    matcher = names_matcher("server", servers)

    def test(request: DecisionRequest) -> Value:
        server = request.call.get("server")
        return matcher(server) if type(server) is str else UNKNOWN

    return test


def _exact_tools(target: _Target) -> tuple[str, ...] | None:
    """The only tools that the target can match, or None when it is not that simple."""
    for what, names, _ in target.clauses:
        if what == "tool" and not any("*" in name for name in names):
            return names
    return None


def _target_truth(group: _Group, request: DecisionRequest) -> Truth:
    # Law 9: rules with `on token` match issuance only, all others match calls only.
    if group.target.on_token is not (request.call.get("method") == ISSUE):
        return Truth.FALSE
    return conjunction([truth_of(test(request)) for test in group.tests])


# --- plans -----------------------------------------------------------------------------------


def _plan(index: Index, key: Key) -> Plan:
    method, server, tool, scope, tier = key
    call = {"method": method, "server": server, "tool": tool, "scope": scope}
    request = DecisionRequest(agent={"tier": tier}, call=call)
    parts: dict[str, list[Candidate]] = {
        name: [] for name in ("permit", "forbid", "require", "shadow", "beyond")
    }
    seen: set[Applies] = set()
    for rule, target in index.considered(request):
        part = _part(rule, target, request, index.tiers)
        if part is not None:
            parts[part].append(_candidate(rule, seen, sure=target is Truth.TRUE))
    for found in parts.values():
        found.sort(key=lambda candidate: candidate.rule.name)
    return Plan(
        forbids=_functions(parts["forbid"]),
        permits=_functions(parts["permit"]),
        requires=_functions(parts["require"]),
        shadows=_functions(parts["shadow"]),
        rules={candidate.applies: candidate for found in parts.values() for candidate in found},
        beyond=tuple(parts["beyond"]),
        higher=_higher(parts["beyond"], index.tiers),
    )


def _functions(candidates: Iterable[Candidate]) -> Functions:
    return tuple(candidate.applies for candidate in candidates)


def _interned(part: str | None) -> str | None:
    return None if part is None else sys.intern(part)


def _part(
    rule: CompiledRule, target: Truth, request: DecisionRequest, tiers: tuple[str, ...]
) -> str | None:
    """The part of the plan a rule belongs to, or None when its condition cannot matter."""
    tier = request.agent["tier"]
    tier_clause = conjunction(tier_truth(who, tier, tiers) for who in _tier_clauses(rule.node))
    scope_clause = conjunction(
        truth_of(on_names_test(what)(request))
        for what in rule.node.what
        if isinstance(what, nodes.OnNames) and what.what == "scope"
    )
    if rule.effect != "permit" or rule.shadow:
        possible = Truth.FALSE not in (tier_clause, scope_clause)
        return ("shadow" if rule.shadow else rule.effect) if possible else None
    # A permit applies only when its condition is true, so unknown is enough to leave it out.
    if target is not Truth.TRUE or scope_clause is not Truth.TRUE:
        return None
    return "permit" if tier_clause is Truth.TRUE else "beyond"


def _tier_clauses(rule: nodes.Rule) -> list[nodes.ForTier]:
    return [who for who in rule.who if isinstance(who, nodes.ForTier)]


def _higher(beyond: Iterable[Candidate], tiers: tuple[str, ...]) -> tuple[Higher, ...]:
    """For each permit out of reach the lowest tier it is for, in order of tiers, each once."""
    found: dict[str, Higher] = {}
    for candidate in beyond:
        clauses = _tier_clauses(candidate.rule.node)
        wanted = [
            tier
            for tier in tiers
            if all(tier_truth(clause, tier, tiers) is Truth.TRUE for clause in clauses)
        ]
        if wanted:
            first = tiers.index(wanted[0])
            above = " or higher" if len(wanted) > 1 and wanted == list(tiers[first:]) else ""
            help_ = f"an agent of tier `{wanted[0]}`{above} may do this"
            found.setdefault(wanted[0], Higher(tier=wanted[0], help=help_))
    return tuple(sorted(found.values(), key=lambda higher: tiers.index(higher.tier)))


def _candidate(rule: CompiledRule, seen: set[Applies], *, sure: bool) -> Candidate:
    applies = rule.applies if rule.expires_ms is None else _until(rule.expires_ms, rule.applies)
    if applies in seen:
        applies = partial(rule.applies)
    seen.add(applies)
    return Candidate(
        rule=rule,
        applies=applies,
        certain=rule.certain if sure and rule.certain is not None else _never,
        undetermined=any(
            is_undetermined(path)
            for condition in rule.node.conditions
            for path in paths_in(condition.expression)
        ),
        told=any(
            isinstance(part, nodes.Path)
            for text in (rule.node.because, rule.node.internal)
            for part in (text.parts if text else ())
        ),
    )


def _never(_request: DecisionRequest, _data: Data) -> bool:
    """Of a rule whose target is unknown."""
    return False


def _until(expires_ms: int, applies: Applies) -> Applies:
    """A permit with `@expires`: exclusive, and unknown (so not granted) without a clock."""

    def unexpired(request: DecisionRequest, data: Data) -> bool:
        now = request.env.get("now")
        return type(now) is int and now < expires_ms and applies(request, data)

    return unexpired
