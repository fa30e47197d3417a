"""The decision: Law 1 over the candidates of the index, Law 2 in the functions they call.

A request is permitted when a permit applies and no forbid does. Order never matters, so the forbids
come first: most denials end there. Texts and blame are made only when somebody will read them.

Any defect of ours is a denial that says so (`engine_fault`): there is no "no opinion".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pbac.lang import interpret, nodes
from pbac.lang.program import CompiledRule
from pbac.lang.texts import render_text
from pbac.lang.truth import Truth
from pbac.model.decision import Cause, Decision, Duty, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.index import Candidates
from pbac.pdp.policy_set import PolicySet


def decide(policy_set: PolicySet, request: DecisionRequest) -> Decision:
    """The decision on one request. Never raises: a fault is a denial with cause `ENGINE_FAULT`."""
    try:
        return _decide(policy_set, request)
    except Exception as fault:  # noqa: BLE001 - a fault denies; its text goes to the record
        return Decision(
            effect=Effect.DENY,
            cause=Cause.ENGINE_FAULT,
            policy_version=policy_set.version,
            reason="the policy engine failed on this request",
            internal=f"{type(fault).__name__}: {fault}",
        )


def _decide(policy_set: PolicySet, request: DecisionRequest) -> Decision:
    found, data = policy_set.index.find(request.call), policy_set.data
    forbids = [rule for rule in found.forbids if rule.applies(request, data)]
    if forbids:
        return _forbidden(policy_set, request, forbids, found)
    permits = [
        rule.name
        for rule in found.permits
        if (rule.expires_ms is None or _in_time(rule, request)) and rule.applies(request, data)
    ]
    if not permits:
        return _not_permitted(policy_set, request, found)
    requires = [rule for rule in found.requires if rule.applies(request, data)]
    return Decision(
        effect=Effect.PERMIT,
        cause=Cause.PERMITTED,
        policy_version=policy_set.version,
        rules=tuple(permits),
        duties=_duties(requires) if requires else (),
        unknown=_unknown(policy_set, request, requires) if requires else (),
        shadow=_shadow(policy_set, request, found) if found.shadow else (),
    )


def _in_time(rule: CompiledRule, request: DecisionRequest) -> bool:
    """`@expires`: exclusive. A request without a time is not known to be in time."""
    now = request.env.get("now")
    assert rule.expires_ms is not None
    return type(now) is int and now < rule.expires_ms


def _duties(requires: Iterable[CompiledRule]) -> tuple[Duty, ...]:
    return tuple(duty for rule in requires for duty in rule.duties)


def _shadow(policy_set: PolicySet, request: DecisionRequest, found: Candidates) -> tuple[str, ...]:
    return tuple(
        rule.name
        for rule in found.shadow
        if (rule.expires_ms is None or _in_time(rule, request))
        and rule.applies(request, policy_set.data)
    )


# --- denials: worth their time, because somebody reads them ---------------------------------------


def _forbidden(
    policy_set: PolicySet,
    request: DecisionRequest,
    forbids: Sequence[CompiledRule],
    found: Candidates,
) -> Decision:
    unknown = _unknown(policy_set, request, forbids)
    return Decision(
        effect=Effect.DENY,
        cause=Cause.FORBIDDEN,
        policy_version=policy_set.version,
        rules=tuple(rule.name for rule in forbids),
        unknown=unknown,
        reason=_texts(policy_set, request, [rule.node.because for rule in forbids]),
        internal=_texts(policy_set, request, [rule.node.internal for rule in forbids]),
        help=_help_for_unknown(unknown),
        shadow=_shadow(policy_set, request, found),
    )


def _not_permitted(policy_set: PolicySet, request: DecisionRequest, found: Candidates) -> Decision:
    """Nothing permits it: say what the permits for this tool would have needed."""
    reasons = [rule.node.because for rule in found.permits]
    internal = [rule.node.internal for rule in found.permits]
    return Decision(
        effect=Effect.DENY,
        cause=Cause.NOT_PERMITTED,
        policy_version=policy_set.version,
        reason=_texts(policy_set, request, reasons),
        internal=_texts(policy_set, request, internal),
        help=_nearest(policy_set, request, found.permits),
        shadow=_shadow(policy_set, request, found),
    )


def _unknown(
    policy_set: PolicySet, request: DecisionRequest, rules: Iterable[CompiledRule]
) -> tuple[str, ...]:
    """The paths to blame for rules that applied because they could not be ruled out."""
    paths = [
        path
        for rule in rules
        if not rule.always
        for path in interpret.blame(
            rule.node, request, policy_set.data, policy_set.tiers, rule.servers
        )
    ]
    return tuple(dict.fromkeys(paths))


def _texts(
    policy_set: PolicySet, request: DecisionRequest, texts: Iterable[nodes.Text | None]
) -> str:
    rendered = [render_text(text, request, policy_set.data) for text in texts if text is not None]
    return "; ".join(dict.fromkeys(rendered))


def _help_for_unknown(unknown: Iterable[str]) -> str:
    """What an agent can do about it: only arguments are in its hands."""
    paths = [f"`{path.removeprefix('args.')}`" for path in unknown if path.startswith("args.")]
    return f"send {', '.join(paths)} with a value of the right kind" if paths else ""


def _nearest(
    policy_set: PolicySet, request: DecisionRequest, permits: Iterable[CompiledRule]
) -> str:
    """What one clause away is: the tier another agent would have."""
    for rule in permits:
        truths = interpret.clause_truths(rule.node, request, policy_set.data, policy_set.tiers)
        open_clauses = [clause for clause, truth in truths if truth is not Truth.TRUE]
        if len(open_clauses) == 1 and isinstance(open_clauses[0], nodes.ForTier):
            return f"{_tier_needed(open_clauses[0])} may do this"
    return ""


def _tier_needed(clause: nodes.ForTier) -> str:
    names = " or ".join(f"`{tier.text}`" for tier in clause.tiers)
    return f"an agent of tier {names}{' or higher' if clause.operator == '>=' else ''}"


# --- Law 6 and Law 9 ------------------------------------------------------------------------------


def shown(policy_set: PolicySet, request: DecisionRequest) -> bool:
    """Law 6: could a call with some arguments, facts, session and time be permitted?

    Hidden implies that every such call is denied; the other way round it is only likely.
    """
    found = policy_set.index.find(request.call)
    if any(Truth.FALSE not in _outcomes(policy_set, request, rule) for rule in found.forbids):
        return False
    return any(Truth.TRUE in _outcomes(policy_set, request, rule) for rule in found.permits)


def _outcomes(
    policy_set: PolicySet, request: DecisionRequest, rule: CompiledRule
) -> interpret.Outcomes:
    return interpret.outcomes(rule.node, request, policy_set.data, policy_set.tiers, rule.servers)


def grant_scope(
    policy_set: PolicySet, request: DecisionRequest, calls: Iterable[dict[str, Any]]
) -> Decision:
    """Law 9: granted when some call could be permitted and no `on token` rule forbids.

    `request.call` is `{"method": "token/issue", "scope": …}`; `calls` are the `call` roots of the
    tools that need the scope. The duties of a permit are those of `require … on token`.
    """
    found, data = policy_set.index.find(request.call), policy_set.data
    forbids = [rule for rule in found.forbids if rule.applies(request, data)]
    if forbids:
        return _forbidden(policy_set, request, forbids, found)
    if not any(shown(policy_set, msgspec.structs.replace(request, call=call)) for call in calls):
        return _not_permitted(policy_set, request, found)
    requires = [rule for rule in found.requires if rule.applies(request, data)]
    return Decision(
        effect=Effect.PERMIT,
        cause=Cause.PERMITTED,
        policy_version=policy_set.version,
        duties=_duties(requires),
        unknown=_unknown(policy_set, request, requires),
    )
