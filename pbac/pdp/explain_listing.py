"""Why a tool is listed or hidden (Law 6), and why a scope is issued or withheld (Law 9).

Neither has arguments yet, so what is told of a clause is not its truth but all that it can still
become. A tool is hidden when some forbid can no longer be false, or no permit can become true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from pbac.lang.evaluate import interpret, targets
from pbac.lang.evaluate.truth import Truth, conjunction
from pbac.lang.program import CompiledRule
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import grant_scope, issue_requests, shown
from pbac.pdp.explain import RuleExplained, annotations_of, explain_rules, is_about, subject
from pbac.pdp.explain_clauses import ClauseReader, Reading, TruthWord
from pbac.pdp.policy_set import PolicySet

_ORDER: Final = ("forbid", "permit")
_TRUTHS: Final = (Truth.TRUE, Truth.FALSE, Truth.UNKNOWN)


class ClauseListed(msgspec.Struct, frozen=True, kw_only=True):
    """A clause and what it can still become; what it reads, where that is known already."""

    text: str
    can: tuple[TruthWord, ...]
    readings: tuple[Reading, ...] = ()


class RuleListed(msgspec.Struct, frozen=True, kw_only=True):
    """A permit or forbid about the tool.

    Attributes:
        can: what its whole condition can still become.
        decides: a permit that can be true where the tool is listed, and a forbid that cannot be
            false.
    """

    name: str
    effect: Literal["permit", "forbid"]
    can: tuple[TruthWord, ...]
    decides: bool
    clauses: tuple[ClauseListed, ...]
    annotations: dict[str, Any] = {}


class ListingExplained(msgspec.Struct, frozen=True, kw_only=True):
    """One tool in one listing. `elsewhere` counts the rules about other tools."""

    shown: bool
    subject: str
    rules: tuple[RuleListed, ...]
    elsewhere: int


class IssueExplained(msgspec.Struct, frozen=True, kw_only=True):
    """One scope of an access token.

    Attributes:
        rules: the `on token` rules.
        calls: the calls that need the scope: it is issued when one of them could be permitted.
    """

    decision: Decision
    subject: str
    rules: tuple[RuleExplained, ...]
    calls: tuple[ListingExplained, ...]


def explain_list(policy_set: PolicySet, request: DecisionRequest) -> ListingExplained:
    """Is the tool listed, and why? `request` describes it without arguments."""
    listed = shown(policy_set, request)
    rules = [rule for rule in policy_set.rules if rule.effect != "require" and not rule.shadow]
    about = [rule for rule in rules if is_about(rule, request)]
    about.sort(key=lambda rule: (_ORDER.index(rule.effect), rule.name))
    return ListingExplained(
        shown=listed,
        subject=subject(request),
        rules=tuple(_rule(rule, policy_set, request, listed=listed) for rule in about),
        elsewhere=len(rules) - len(about),
    )


def explain_issue(
    policy_set: PolicySet, request: DecisionRequest, calls: Sequence[dict[str, Any]]
) -> IssueExplained:
    """Is the scope issued, and why? Arguments as for `engine.grant_scope`."""
    decision = grant_scope(policy_set, request, calls)
    asked = issue_requests(request, calls)
    told = [explain_rules(policy_set, each, decision)[0] for each in asked]
    rules = next((each for each in told if any(rule.decides for rule in each)), told[0])
    return IssueExplained(
        decision=decision,
        subject=subject(request),
        rules=rules,
        calls=tuple(explain_list(policy_set, replace(request, call=call)) for call in calls),
    )


def _rule(
    rule: CompiledRule, policy_set: PolicySet, request: DecisionRequest, *, listed: bool
) -> RuleListed:
    clauses = list(_clauses(rule, policy_set, request))
    parts = [frozenset(map(Truth, clause.can)) for clause in clauses]
    can = interpret.combined(parts, conjunction)
    decides = Truth.FALSE not in can
    if rule.effect == "permit":
        decides = listed and Truth.TRUE in can
    return RuleListed(
        name=rule.name,
        effect="permit" if rule.effect == "permit" else "forbid",
        can=_words(can),
        decides=decides,
        clauses=tuple(clauses),
        annotations=annotations_of(rule),
    )


def _clauses(
    rule: CompiledRule, policy_set: PolicySet, request: DecisionRequest
) -> list[ClauseListed]:
    """As they are explained for a call, but with all that they can still become."""
    told = list(ClauseReader(policy_set, request).clauses(rule))
    known = [each for each in told if each.clause in ("server", "expires")]
    found = interpret.clause_outcomes(rule.node, request, policy_set.data, policy_set.tiers)
    can = [_expiry(rule, request) if each.clause == "expires" else _confined(rule, request)
           for each in known]  # fmt: skip
    can += [outcomes for _, outcomes in found]
    return [
        ClauseListed(
            text=each.text,
            can=_words(outcomes),
            readings=each.readings if len(outcomes) == 1 else (),
        )
        for each, outcomes in zip(told, can, strict=True)
    ]


def _confined(rule: CompiledRule, request: DecisionRequest) -> interpret.Outcomes:
    return frozenset({targets.server_truth(rule.servers, request)})


def _expiry(rule: CompiledRule, request: DecisionRequest) -> interpret.Outcomes:
    """The time of the call is not known yet, but it will not be earlier."""
    now, end = request.env.get("now"), rule.expires_ms
    over = type(now) is int and end is not None and now >= end
    return frozenset({Truth.FALSE}) if over else interpret.ANYTHING


def _words(outcomes: interpret.Outcomes) -> tuple[TruthWord, ...]:
    return tuple(truth.value for truth in _TRUTHS if truth in outcomes)
