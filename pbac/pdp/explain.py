"""Why a request is decided as it is: rules, clauses and values as data, and as a tree to read.

    deny  `merge_pull_request` on `github` by `bot-1` (developer)

      permit github.merge  does not apply
      ├─ ✗ for tier >= trusted         agent.tier = "developer"
      └─ ✓ on tool merge_pull_request  call.tool = "merge_pull_request"

      2 rules are about other calls
      `github.merge` would permit it if `for tier >= trusted` (tried: agent.tier = "trusted")

The decision is the engine's own. What is told about clauses comes from the interpreter, the
specification of the language: so an explanation also shows the one from the other side.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pbac.base.source import Span
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.truth import Truth, conjunction
from pbac.lang.program import CompiledRule
from pbac.model.decision import Cause, Decision
from pbac.model.request import DecisionRequest
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide
from pbac.pdp.explain_clauses import ClauseExplained, ClauseReader, TruthWord
from pbac.pdp.near_misses import NearMiss, near_misses
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

_ORDER: Final = ("forbid", "permit", "require")
_SAID_OTHERWISE: Final = frozenset({"expires", "shadow"})


class RuleExplained(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is about the call.

    Attributes:
        truth: of its whole condition; `applies` follows from it by Law 2.
        decides: the decision names it.
        annotations: `owner`, `ticket`, … with their values.
        duties: what it adds, as written, of a require that applies to what is permitted.
    """

    name: str
    effect: Literal["permit", "forbid", "require"]
    truth: TruthWord
    applies: bool
    decides: bool
    shadow: bool
    clauses: tuple[ClauseExplained, ...]
    annotations: dict[str, Any] = {}
    duties: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, explained.

    Attributes:
        subject: who asks for what, in a few words.
        rules: those about this call: forbids, permits, requires, each by name.
        elsewhere: how many rules are about other calls.
        near_misses: the permits that lack least, of a call that is denied, and what came of trying.
    """

    decision: Decision
    subject: str
    rules: tuple[RuleExplained, ...]
    elsewhere: int
    near_misses: tuple[NearMiss, ...] = ()


def explain(policy_set: PolicySet, request: DecisionRequest) -> Explanation:
    """Decide a call, and say why. Clauses are quoted from `policy_set.texts`."""
    request = narrowed(request, policy_set.tiers)
    decision = tell(policy_set, request, decide(policy_set, request))
    explained, elsewhere = explain_rules(policy_set, request, decision)
    denied = decision.cause in (Cause.NOT_PERMITTED, Cause.FORBIDDEN)
    return Explanation(
        decision=decision,
        subject=subject(request),
        rules=explained,
        elsewhere=elsewhere,
        near_misses=near_misses(policy_set, request) if denied else (),
    )


def explain_rules(
    policy_set: PolicySet, request: DecisionRequest, decision: Decision
) -> tuple[tuple[RuleExplained, ...], int]:
    """The rules about a request, in the order they are told, and how many are not about it."""
    rules = policy_set.rules
    about = [rule for rule in rules if is_about(rule, request)]
    about.sort(key=lambda rule: (_ORDER.index(rule.effect), rule.name))
    reader = ClauseReader(policy_set, request)
    told = tuple(_rule(rule, reader, decision, policy_set) for rule in about)
    return told, len(rules) - len(about)


def is_about(rule: CompiledRule, request: DecisionRequest) -> bool:
    """False when its target rules it out for this call, whoever calls."""
    truths = [targets.phase_truth(rule.node, request), targets.server_truth(rule.servers, request)]
    truths += [targets.on_truth(clause, request) for clause in rule.node.what]
    return conjunction(truths) is not Truth.FALSE


def subject(request: DecisionRequest) -> str:
    """Who asks for what."""
    call, agent = request.call, request.agent
    what = call.get("tool") or call.get("resource") or call.get("prompt")
    what = what or call.get("scope") or call.get("method")
    told = f"`{what}`" if what else "a call"
    if server := call.get("server"):
        told += f" on `{server}`"
    return f"{told} by `{agent.get('id', 'an agent')}` ({agent.get('tier', 'no tier')})"


def _rule(
    rule: CompiledRule, reader: ClauseReader, decision: Decision, policy_set: PolicySet
) -> RuleExplained:
    clauses = tuple(reader.clauses(rule))
    truth = conjunction(Truth(clause.truth) for clause in clauses)
    applies = truth is Truth.TRUE if rule.effect == "permit" else truth is not Truth.FALSE
    adds = applies and decision.permitted and not rule.shadow
    return RuleExplained(
        name=rule.name,
        effect=rule.effect,
        truth=truth.value,
        applies=applies,
        decides=rule.name in decision.rules,
        shadow=rule.shadow,
        clauses=clauses,
        annotations=annotations_of(rule),
        duties=_duties(rule, policy_set) if adds else (),
    )


def annotations_of(rule: CompiledRule) -> dict[str, Any]:
    """What people wrote about the rule."""
    return {
        each.name: each.value.value if each.value else None
        for each in rule.node.annotations
        if each.name not in _SAID_OTHERWISE
    }


def _duties(rule: CompiledRule, policy_set: PolicySet) -> tuple[str, ...]:
    """As written, or by their first words where there is no text."""

    def text(span: Span) -> str:
        return " ".join(policy_set.texts.get(span.source, "")[span.start : span.end].split())

    told = [text(line.span) for line in rule.node.duties]
    return tuple(told) if all(told) and told else tuple(duty.kind for duty in rule.duties)
