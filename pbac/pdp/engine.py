"""The decision: Laws 1 and 2 for a call, Law 6 for a list of tools, Law 9 for a token.

    plan (the few rules that can matter) → forbids → permits → requires → answer

Law 1. A request is permitted when at least one permit applies and no forbid applies. Every require
that applies adds its duties. Parts of a plan are in rule-name order and all of a part is evaluated,
so nothing in a decision depends on the order of rules or files.

Law 2. What a plan asks is already the right rail: a permit's "is it true", a forbid's and a
require's "is it not false". When one of the latter applies without being certain (`DOUBT`), the
interpreter is asked whom to blame: slow, but only when something unknown has made the difference.

Law 8. A request with a chain is decided with the lowest tier in it (`delegation`).

Speed. A plan answers with an integer, the rules that a decision follows from. Decisions that follow
from the same rules are equal, so a plan keeps the ones it has built by that integer; only blame
depends on the request and is found each time. Whatever is kept equals what would be built, so
nobody can tell. Texts are for one request, and rendered by `telling` for those who read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec.structs import replace

from pbac.base.lookalikes import Names
from pbac.lang.evaluate.interpret import outcomes
from pbac.lang.evaluate.truth import Truth
from pbac.lang.program import DOUBT, Data
from pbac.model.decision import Cause, Decision, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.delegation import NOBODY, narrowed
from pbac.pdp.faults import fault
from pbac.pdp.index import key_of
from pbac.pdp.plan import Candidate, Candidates, Plan
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import blamed, tell, united


def decide(policy_set: PolicySet, request: DecisionRequest) -> Decision:
    """The decision on one call, its texts untold (`telling.tell`).

    Total: a defect of ours is a denial with its traceback inside.
    """
    try:
        chain = request.chain
        if "actors" in chain and chain["actors"] != NOBODY:  # written out: most requests end here
            request = narrowed(request, policy_set.tiers)
        call = request.call
        try:
            plan = policy_set.index.tables[call["method"]][call["server"]][request.agent["tier"]][
                call["scope"]
            ][call["tool"]]
        except (KeyError, TypeError):  # not kept yet, or a part is missing or not even a name
            plan = _find_plan(policy_set, request)
        applied = plan.rules(request, policy_set.data, plan.given)
        try:
            return plan.answers[applied]
        except KeyError:
            return _answer(policy_set, request, plan, applied)
    except Exception:  # noqa: BLE001 - told in full by the answer, and never "no opinion"
        return fault(policy_set, request)


def arguments_read(policy_set: PolicySet, request: DecisionRequest) -> Names:
    """The arguments that a rule which can matter to this call reads."""
    return _find_plan(policy_set, narrowed(request, policy_set.tiers)).arguments


def _find_plan(policy_set: PolicySet, request: DecisionRequest) -> Plan:
    return policy_set.index.find(key_of(request))


# --- answers ---------------------------------------------------------------------------------


def _answer(policy_set: PolicySet, request: DecisionRequest, plan: Plan, applied: int) -> Decision:
    """The decision that follows from the rules that applied; kept when it is for these alone."""
    rules = plan.chosen(applied)
    unknown = united(blamed(policy_set, request, rules)) if applied & DOUBT else ()
    answer = _decision(policy_set, rules, unknown)
    if plan.shadows:
        return _with_shadows(policy_set, request, plan, answer)
    if not applied & DOUBT:
        plan.keep(applied, answer)
    return answer


def _decision(policy_set: PolicySet, applied: Candidates, unknown: tuple[str, ...]) -> Decision:
    """Of rules that are all forbids, or permits and then requires."""
    rules = sorted((candidate.rule for candidate in applied), key=lambda rule: rule.name)
    permitted = any(rule.effect == "permit" for rule in rules)
    cause = Cause.PERMITTED if permitted else Cause.FORBIDDEN if rules else Cause.NOT_PERMITTED
    return Decision(
        effect=Effect.PERMIT if permitted else Effect.DENY,
        cause=cause,
        policy_version=policy_set.version,
        rules=tuple(rule.name for rule in rules if rule.effect != "require"),
        duties=tuple(duty for rule in rules for duty in rule.duties) if permitted else (),
        unknown=unknown,
    )


def _with_shadows(
    policy_set: PolicySet, request: DecisionRequest, plan: Plan, answer: Decision
) -> Decision:
    applied = _applying(plan.shadows, request, policy_set.data)
    if not applied:
        return answer
    return replace(answer, shadow=tuple(candidate.rule.name for candidate in applied))


def _applying(candidates: Candidates, request: DecisionRequest, data: Data) -> Candidates:
    return tuple(candidate for candidate in candidates if candidate.ask(request, data))


# --- Law 6 -----------------------------------------------------------------------------------


def shown(policy_set: PolicySet, request: DecisionRequest) -> bool:
    """Could some call of this tool be permitted? `request` describes it without arguments.

    Hidden when some forbid cannot be false, or no permit can be true: sound, not complete. A defect
    of ours hides; a call of the tool then tells the fault.
    """
    try:
        return bool(_possible_permits(policy_set, narrowed(request, policy_set.tiers)))
    except Exception:  # noqa: BLE001 - fail closed
        return False


def _possible_permits(policy_set: PolicySet, request: DecisionRequest) -> Candidates:
    """The permits that could be true, or none when a forbid cannot be false."""
    plan = _find_plan(policy_set, request)
    if not plan.permits or any(_must_apply(policy_set, each, request) for each in plan.forbids):
        return ()
    return tuple(each for each in plan.permits if _can_be_true(policy_set, each, request))


def _must_apply(policy_set: PolicySet, candidate: Candidate, request: DecisionRequest) -> bool:
    if candidate.undetermined and not candidate.settled:
        return Truth.FALSE not in _outcomes(policy_set, candidate, request)
    return bool(candidate.ask(request, policy_set.data))


def _can_be_true(policy_set: PolicySet, candidate: Candidate, request: DecisionRequest) -> bool:
    rule, now = candidate.rule, request.env.get("now")
    if rule.expires_ms is not None and type(now) is int and now >= rule.expires_ms:
        return False  # the time of the call is not known yet, but it will not be earlier
    if candidate.settled:
        return True
    if candidate.undetermined or rule.expires_ms is not None:
        return Truth.TRUE in _outcomes(policy_set, candidate, request)
    return bool(rule.ask(request, policy_set.data))


def _outcomes(
    policy_set: PolicySet, candidate: Candidate, request: DecisionRequest
) -> frozenset[Truth]:
    rule = candidate.rule
    return outcomes(rule.node, request, policy_set.data, policy_set.tiers, rule.servers)


# --- Law 9 -----------------------------------------------------------------------------------


def grant_scope(
    policy_set: PolicySet, request: DecisionRequest, calls: Sequence[dict[str, Any]]
) -> Decision:
    """May an access token hold this scope now, and with which duties?

    Args:
        policy_set: what decides.
        request: `call` is `{"method": "token/issue", "scope": …}`.
        calls: the `call` root of every tool that needs the scope.

    Granted when some of the calls could be permitted (Law 6) and no `on token` rule forbids, on
    any of the servers of these calls.
    `rules` are then the permits that could be true for the first such call.
    """
    try:
        return _grant(policy_set, narrowed(request, policy_set.tiers), calls)
    except Exception:  # noqa: BLE001 - told in full by the answer
        return fault(policy_set, request)


def _grant(
    policy_set: PolicySet, request: DecisionRequest, calls: Sequence[dict[str, Any]]
) -> Decision:
    asked = issue_requests(request, calls)
    forbids = [_applied(policy_set, each, "forbid") for each in asked]
    for each, applied in zip(asked, forbids, strict=True):
        if applied:
            unknown = united(blamed(policy_set, each, applied))
            return tell(policy_set, each, _decision(policy_set, applied, unknown))
    possible = (_possible_permits(policy_set, replace(request, call=call)) for call in calls)
    permits = next(filter(None, possible), ())
    if not permits:
        return Decision(
            effect=Effect.DENY, cause=Cause.NOT_PERMITTED, policy_version=policy_set.version
        )
    requires = [_applied(policy_set, each, "require") for each in asked]
    rules = {one.rule.name: one.rule for applied in requires for one in applied}
    blame = [blamed(policy_set, *each) for each in zip(asked, requires, strict=True)]
    return Decision(
        effect=Effect.PERMIT,
        cause=Cause.PERMITTED,
        policy_version=policy_set.version,
        rules=tuple(sorted(candidate.rule.name for candidate in permits)),
        duties=tuple(duty for name in sorted(rules) for duty in rules[name].duties),
        unknown=tuple(dict.fromkeys(path for each in blame for path in united(each))),
    )


def issue_requests(
    request: DecisionRequest, calls: Iterable[dict[str, Any]]
) -> tuple[DecisionRequest, ...]:
    """Issuing a scope, once for each server with a tool that needs it.

    `package … on server …` confines `on token` rules too: they are about tokens for its servers.
    """
    servers = sorted({server for call in calls if type(server := call.get("server")) is str})
    about = (replace(request, call={**request.call, "server": server}) for server in servers)
    return tuple(about) or (request,)


def _applied(
    policy_set: PolicySet, request: DecisionRequest, effect: Literal["forbid", "require"]
) -> Candidates:
    plan = _find_plan(policy_set, request)
    part = plan.forbids if effect == "forbid" else plan.requires
    return _applying(part, request, policy_set.data)
