"""Which rules can matter to a call: found by its tool, so that a decision never scans the set.

Two steps, both exact.

1. Rules are grouped by *target*: servers, `on tool`, `on server`, `on any`, `on token`. A target
   that names tools exactly is filed under those names; all others (globs, or nothing about tools)
   are in one list. For a call the targets under its tool and those of the list are tested, once
   each.
2. What is left is evaluated as far as the key goes. A clause that is false makes the whole
   condition false (Law 2), whatever the others say: the rule is left out. A rule of which every
   clause is true by the key alone is *settled*: it applies to every call of this key, unasked. Most
   rules of most policies (`for tier … on tool …`) end here.

The outcome is a `Plan`, kept per (method, server, tool, scope, tier): all five come from the
registry and the agent's registration. Callers choose tool names, though, so only calls that name
a server are kept (the gateway names one for tools it knows) and the table has a bound.

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
from pbac.lang.interpret import truth
from pbac.lang.paths import is_undetermined, paths_in
from pbac.lang.program import Applies, CompiledRule, Data
from pbac.lang.targets import ClauseTest, names_matcher, on_names_test, texts, tier_truth
from pbac.lang.truth import UNKNOWN, Truth, conjunction, negation, truth_of
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
    """A tier some permit here asks for and the agent is not of; `help` says so to the agent."""

    tier: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All a decision on one key has to look at, each part in rule-name order.

    Parts are bare functions: with thousands of rules what a decision costs is the memory it
    touches, so what is said about a rule is looked up only once the rule applies.

    Attributes:
        refusing, granting, requiring: forbids, permits and requires that are settled.
        forbids, permits, requires: those that have to be asked.
        shadows: of any effect; they are evaluated but not enforced.
        rules: what stands behind each function.
        beyond: permits for such calls that the key rules out; `higher`: the tiers they are for,
            lowest first.
        answers: decisions already built, by what they followed from; see `engine`.
    """

    refusing: Functions
    granting: Functions
    requiring: Functions
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
    """Rules with one target, its tests prepared.

    `heads`: how the name of a tool must begin to match; of globs what stands before the first star.
    """

    target: _Target
    heads: tuple[str, ...]
    tests: tuple[ClauseTest, ...]
    rules: tuple[CompiledRule, ...]


class Index:
    """All rules of a policy set by what they can concern. Only `plans` changes: it is a cache."""

    def __init__(self, rules: Iterable[CompiledRule], tiers: tuple[str, ...], data: Data) -> None:
        members: dict[_Target, list[CompiledRule]] = {}
        for rule in rules:
            members.setdefault(_target(rule), []).append(rule)
        self.tiers = tiers
        self.data = data
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
            globs = [group for group in self._others if tool.startswith(group.heads)]
            groups = (*self._by_tool.get(tool, ()), *globs)
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
    return _Group(target=target, heads=_heads(target), tests=tuple(tests), rules=tuple(rules))


def _heads(target: _Target) -> tuple[str, ...]:
    for what, names, _ in target.clauses:
        if what == "tool":
            return tuple(name.partition("*")[0] for name in names)
    return ("",)


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
    parts: dict[str, list[Candidate]] = {name: [] for name in _PARTS}
    seen: set[Applies] = set()
    for rule, target in index.considered(request):
        part = _part(rule, target, request, index)
        if part is not None:
            parts[part].append(_candidate(rule, seen, sure=target is Truth.TRUE))
    for found in parts.values():
        found.sort(key=lambda candidate: candidate.rule.name)
    functions = {name: tuple(each.applies for each in found) for name, found in parts.items()}
    return Plan(
        refusing=functions["refusing"],
        granting=functions["granting"],
        requiring=functions["requiring"],
        forbids=functions["forbids"],
        permits=functions["permits"],
        requires=functions["requires"],
        shadows=functions["shadows"],
        rules={candidate.applies: candidate for found in parts.values() for candidate in found},
        beyond=tuple(parts["beyond"]),
        higher=_higher(parts["beyond"], index.tiers),
    )


_SETTLED: Final = {"forbid": "refusing", "permit": "granting", "require": "requiring"}
_ASKED: Final = {"forbid": "forbids", "permit": "permits", "require": "requires"}
_PARTS: Final = (*_SETTLED.values(), *_ASKED.values(), "shadows", "beyond")


def _interned(part: str | None) -> str | None:
    return None if part is None else sys.intern(part)


def _part(rule: CompiledRule, target: Truth, request: DecisionRequest, index: Index) -> str | None:
    """The part of the plan a rule belongs to, or None when it has nothing to say about this key."""
    scopes = (what for what in _named(rule.node) if what.what == "scope")
    reach = conjunction([target, *(truth_of(on_names_test(what)(request)) for what in scopes)])
    tier = conjunction(
        tier_truth(who, request.agent["tier"], index.tiers) for who in _tier_clauses(rule.node)
    )
    conditions, settled = _conditions(rule.node, request, index.data)
    known = conjunction([reach, tier, conditions])
    if rule.effect != "permit":
        if known is Truth.FALSE:
            return None
    elif known is not Truth.TRUE:
        # It applies only when its condition is true, so unknown is enough to leave it out.
        return "beyond" if reach is Truth.TRUE and not rule.shadow else None
    if rule.shadow:
        return "shadows"
    settled = settled and rule.expires_ms is None
    return (_SETTLED if settled and _is_by_key(rule.node) else _ASKED)[rule.effect]


def _named(rule: nodes.Rule) -> Iterator[nodes.OnNames]:
    return (what for what in rule.what if isinstance(what, nodes.OnNames))


def _is_by_key(rule: nodes.Rule) -> bool:
    """Do all `for` and `on` clauses read nothing but the key?"""
    return len(_tier_clauses(rule)) == len(rule.who) and all(
        what.what in ("tool", "server", "scope") for what in _named(rule)
    )


def _conditions(rule: nodes.Rule, request: DecisionRequest, data: Data) -> tuple[Truth, bool]:
    """The truth of all conditions that read nothing but the key, and: are there no others?"""
    parts = [part for condition in rule.conditions for part in _conjuncts(condition)]
    known = [(part, negated) for part, negated in parts if _reads_only_key(part, request)]
    truths = [(truth(part, request, data), negated) for part, negated in known]
    found = conjunction(negation(truth) if negated else truth for truth, negated in truths)
    return found, len(known) == len(parts)


def _conjuncts(condition: nodes.Condition) -> list[tuple[nodes.Expression, bool]]:
    """`when a and b` as two conditions; each with: is it negated?"""
    if not condition.negated and isinstance(condition.expression, nodes.And):
        return [(item, False) for item in condition.expression.items]
    return [(condition.expression, condition.negated)]


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
