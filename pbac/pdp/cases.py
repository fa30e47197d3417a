"""Running tests: the `test` blocks of policy files, and the rows of case files.

A test sees the rules of its own package only, so that packages can be tested on their own; tiers
and data are the set's. What a test does not say is filled in as plainly as possible: an agent named
`agent`, no user, a pinned tool, the package's first server, and a clock that stands at `NOW_MS`
until the test turns it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.program import CompiledPackage
from pbac.model.decision import Decision
from pbac.model.request import ISSUE, DecisionRequest
from pbac.pdp.engine import decide, grant_scope, shown
from pbac.pdp.expected import write_expectation
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

NOW_MS: Final = 1_767_261_600_000
"""2026-01-01T10:00:00Z, a Thursday: what time it is in a test that does not say."""

FILLED_IN: Final = frozenset(
    {"agent.id", "agent.name", "chain.depth", "chain.actors", "env.now", "env.today"}
)
"""What every test's request holds, whatever is given."""

_ROOTS: Final = ("user", "chain", "token", "args", "facts", "session", "env")

MoreTests: TypeAlias = Mapping[str, Sequence[nodes.Test]]
"""Package → tests that are not written in its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One expectation and what came of it.

    Attributes:
        test: the name of the test; `span` underlines the expectation.
        step: what was expected; `expected` and `got` say it, and what came, in its words.
        why: one line more about a failure, or "".
        request: what was decided, by `policy_set`: the package alone, on the data of the test.
        calls: for `issue`, the calls that need the scope.
        decision: None for `list`.
    """

    package: str
    test: str
    span: Span
    step: nodes.Expectation
    policy_set: PolicySet
    request: DecisionRequest
    expected: str
    passed: bool = False
    got: str = ""
    why: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """The givens so far. `policy_set` is the package by itself, on the data of the test."""

    policy_set: PolicySet
    agent: dict[str, Any] = field(default_factory=lambda: {"id": "agent", "name": "agent"})
    roots: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    now_ms: int = NOW_MS


def run_tests(
    policy_set: PolicySet,
    more: MoreTests | None = None,
    *,
    tested: Collection[CompiledPackage] = (),
) -> Iterator[CaseResult]:
    """Every expectation of every package, in the order written: its own tests, then `more`.

    `tested`: packages that need not be tried again. A package is tested alone, so others that
    changed do not matter to it.
    """
    for package in policy_set.program.packages:
        if package in tested:
            continue
        alone = alone_of(policy_set, package)
        for test in (*package.tests, *(more or {}).get(package.name, ())):
            yield from run_test(alone, test)


def alone_of(policy_set: PolicySet, package: CompiledPackage) -> PolicySet:
    """The package by itself: what its tests are decided by."""
    program = replace(policy_set.program, packages=(package,))
    return PolicySet(program, policy_set.texts, policy_set.trees, previous=policy_set)


def run_test(alone: PolicySet, test: nodes.Test) -> Iterator[CaseResult]:
    """Every expectation of one test, by a package that is `alone`."""
    (package,) = alone.program.packages
    world = _World(policy_set=alone)
    for step in test.steps:
        match step:
            case nodes.Given():
                world = _given(world, step)
            case nodes.Expectation():
                yield _expect(package, test, step, world)


def _given(world: _World, given: nodes.Given) -> _World:
    match given.what, given.value:
        case "agent", dict(value):
            return replace(world, agent={"id": "agent", "name": "agent", **value})
        case "now", int(now_ms):
            return replace(world, now_ms=now_ms)
        case "no user", _:
            kept = {name: root for name, root in world.roots.items() if name != "user"}
            return replace(world, roots=kept)
        case "tool", dict(value):
            return replace(world, tools={**world.tools, given.name: value})
        case "data", dict(value):
            return replace(world, policy_set=_with_data(world.policy_set, value))
        case what, value:
            return replace(world, roots={**world.roots, what: value})


def _with_data(policy_set: PolicySet, documents: dict[str, Any]) -> PolicySet:
    program = replace(policy_set.program, data={**policy_set.program.data, **documents})
    return PolicySet(program, policy_set.texts, policy_set.trees, previous=policy_set)


def _expect(
    package: CompiledPackage, test: nodes.Test, step: nodes.Expectation, world: _World
) -> CaseResult:
    policy_set, request = world.policy_set, _request(package, step, world)
    result = CaseResult(
        package=package.name,
        test=test.name,
        span=step.span,
        step=step,
        policy_set=policy_set,
        request=request,
        expected=write_expectation(step.outcome, step.by, step.duties, step.unknown),
    )
    match step.what:
        case "list":
            got = "shown" if shown(policy_set, request) else "hidden"
            return replace(result, passed=got == step.outcome, got=got)
        case "call":
            decision = tell(policy_set, request, decide(policy_set, request))
            return _judge(result, package, step, decision)
        case "issue":
            calls = tuple(_calls_needing(package, step.subject, world))
            decision = grant_scope(policy_set, request, calls)
            return _judge(replace(result, calls=calls), package, step, decision)


def _calls_needing(package: CompiledPackage, scope: str, world: _World) -> Iterable[dict[str, Any]]:
    """The tools of the test that need a scope; without any, some tool that is not named."""
    needing = [name for name, tool in world.tools.items() if tool.get("scope") == scope]
    calls = [_call(package, name, world) for name in needing]
    return calls or [{**_call(package, scope, world), "scope": scope}]


def _request(package: CompiledPackage, step: nodes.Expectation, world: _World) -> DecisionRequest:
    roots = {name: world.roots[name] for name in _ROOTS if name in world.roots}
    arguments = {**roots.pop("args", {}), **(step.arguments or {})}
    today = datetime.fromtimestamp(world.now_ms / 1000, UTC).date().isoformat()
    env = {"now": world.now_ms, "today": today, **roots.pop("env", {})}
    call = (
        {"method": ISSUE, "scope": step.subject}
        if step.what == "issue"
        else _call(package, step.subject, world)
    )
    chain = {"depth": 0, "actors": [], **roots.pop("chain", {})}
    return DecisionRequest(
        agent=world.agent, call=call, args=arguments, env=env, chain=chain, **roots
    )


def _call(package: CompiledPackage, name: str, world: _World) -> dict[str, Any]:
    call: dict[str, Any] = {"method": "tools/call", "tool": name, "pinned": True}
    if package.servers:
        call["server"] = package.servers[0]
    return call | world.tools.get(name, {})


# --- judging --------------------------------------------------------------------------------------


def _judge(
    result: CaseResult, package: CompiledPackage, step: nodes.Expectation, decision: Decision
) -> CaseResult:
    names = [_qualified(package, name) for name in step.by]
    kinds = sorted({duty.kind for duty in decision.duties})
    passed = (
        decision.effect.value == step.outcome
        and (not names or sorted(names) == sorted(decision.rules))
        and (step.outcome == "deny" or not step.duties or sorted(step.duties) == kinds)
        and set(step.unknown) <= set(decision.unknown)
    )
    got = write_expectation(
        decision.effect.value,
        [name.removeprefix(f"{package.name}.") for name in decision.rules],
        kinds if decision.permitted else (),
        decision.unknown if not decision.permitted else (),
    )
    why = decision.reason or decision.help
    return replace(result, passed=passed, got=got, why=why, decision=decision)


def _qualified(package: CompiledPackage, name: str) -> str:
    return name if "." in name else f"{package.name}.{name}"
