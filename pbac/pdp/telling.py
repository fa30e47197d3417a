"""What a decision tells: its texts, rendered when somebody is about to read them.

A decision is what follows from rules: the same for many requests, so the engine keeps it. Its texts
are for one request. They hold its values and say what would have helped, for which other tiers are
tried. Whoever only enforces or counts decisions never pays for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec.structs import replace

from pbac.lang import nodes
from pbac.lang.evaluate.interpret import blame
from pbac.lang.evaluate.texts import render_text
from pbac.lang.program import DOUBT
from pbac.model.decision import Cause, Decision
from pbac.model.request import ISSUE, DecisionRequest
from pbac.pdp.delegation import acts_alone, narrowed
from pbac.pdp.faults import fault
from pbac.pdp.index import key_of
from pbac.pdp.plan import Candidates, Plan
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.reasons import doubt, joined, what_helps

Blamed: TypeAlias = Mapping[str, tuple[str, ...]]
"""Rule name → paths, for the rules that applied because they could not be ruled out."""


def tell(policy_set: PolicySet, request: DecisionRequest, decision: Decision) -> Decision:
    """The decision on this request with its texts.

    Args:
        policy_set: what decided.
        request: what was decided.
        decision: as `engine.decide` answered.

    Total, as `decide` is: what is told is about to be recorded, and then forwarded or refused.
    """
    try:
        match decision.cause:
            case Cause.PERMITTED:
                return _permitted(policy_set, request, decision)
            case Cause.FORBIDDEN:
                return _forbidden(policy_set, narrowed(request, policy_set.tiers), decision)
            case Cause.NOT_PERMITTED if request.call.get("method") != ISSUE:
                return _not_permitted(policy_set, narrowed(request, policy_set.tiers), decision)
    except Exception:  # noqa: BLE001 - told in full by the answer
        return fault(policy_set, request)
    return decision  # a fault has told itself; a scope is permitted by calls, not by rules about it


def blamed(policy_set: PolicySet, request: DecisionRequest, applied: Candidates) -> Blamed:
    """What those that are not certain cannot be ruled out for: slow, the interpreter knows."""
    data, tiers = policy_set.data, policy_set.tiers
    return {
        each.rule.name: blame(each.rule.node, request, data, tiers, each.rule.servers)
        for each in applied
        if each.rule.effect != "permit" and each.ask(request, data) & DOUBT
    }


def united(blamed_: Blamed) -> tuple[str, ...]:
    """Every path once, in rule-name order."""
    return tuple(dict.fromkeys(path for name in sorted(blamed_) for path in blamed_[name]))


def _permitted(policy_set: PolicySet, request: DecisionRequest, decision: Decision) -> Decision:
    names = {*decision.rules, *(duty.rule for duty in decision.duties)}
    if names.isdisjoint(policy_set.with_internal):
        return decision
    texts = (policy_set.by_name[name].node.internal for name in sorted(names))
    request = narrowed(request, policy_set.tiers)
    return replace(decision, internal=joined(_text(text, policy_set, request) for text in texts))


def _forbidden(policy_set: PolicySet, request: DecisionRequest, decision: Decision) -> Decision:
    plan = policy_set.index.find(key_of(request))
    applied = tuple(each for each in plan.forbids if each.rule.name in decision.rules)
    rules = [candidate.rule for candidate in applied]
    # The plan is asked again, and not each rule: their own functions are seldom compiled yet.
    doubted = plan.ask(request, policy_set.data) & DOUBT
    paths = blamed(policy_set, request, applied) if doubted else {}
    reasons = [
        doubt(rule.name, paths[rule.name])
        if rule.name in paths
        else _text(rule.node.because, policy_set, request)
        for rule in rules
    ]
    return replace(
        decision,
        reason=joined(reasons),
        internal=joined(_text(rule.node.internal, policy_set, request) for rule in rules),
        help=what_helps(decision.unknown, request),
    )


def _not_permitted(policy_set: PolicySet, request: DecisionRequest, decision: Decision) -> Decision:
    """Nothing permits it. What the permits for such calls say is why, another tier may help."""
    plan = policy_set.index.find(key_of(request))
    permits = plan.permits + plan.beyond
    return replace(
        decision,
        reason=joined(_text(each.rule.node.because, policy_set, request) for each in permits),
        help=_what_tier_helps(policy_set, request, plan),
    )


def _what_tier_helps(policy_set: PolicySet, request: DecisionRequest, plan: Plan) -> str:
    """The lowest tier that would be permitted this very call, found by deciding for it."""
    if not acts_alone(request):
        return ""  # another tier of the caller alone would not be the lowest of its chain
    for higher in plan.higher:
        raised = replace(request, agent={**request.agent, "tier": higher.tier})
        raised_plan = policy_set.index.find(key_of(raised))
        applied = raised_plan.ask(raised, policy_set.data)
        if applied and raised_plan.chosen(applied)[0].rule.effect == "permit":
            return higher.help
    return ""


def _text(text: nodes.Text | None, policy_set: PolicySet, request: DecisionRequest) -> str:
    return render_text(text, request, policy_set.data) if text else ""
