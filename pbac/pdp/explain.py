"""Why a request is decided as it is: rules, clauses and values as data, and as a tree to read.

    deny  `merge_pull_request` on `github` by `bot-1` (developer)

      permit github.merge  does not apply
      ├─ ✗ for tier >= trusted         agent.tier = "developer"
      └─ ✓ on tool merge_pull_request  call.tool = "merge_pull_request"

      2 rules are about other calls
      `github.merge` would permit it if `agent.tier >= trusted`

The decision is the engine's own. What is told about clauses comes from the interpreter, the
specification of the language: so an explanation also shows the one from the other side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from pbac.base.limits import NEAR_MISSES_MAX
from pbac.base.source import NOWHERE, Span
from pbac.lang import interpret, nodes, targets
from pbac.lang.paths import children, paths_in
from pbac.lang.program import CompiledRule
from pbac.lang.truth import UNKNOWN, Truth, conjunction, truth_of
from pbac.model.decision import Cause, Decision
from pbac.model.request import FIELDS, DecisionRequest
from pbac.model.values import MISSING
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet

TruthWord: TypeAlias = Literal["true", "false", "unknown"]
Clause: TypeAlias = Literal["for", "on", "when", "unless", "server", "expires", "part"]

_ORDER: Final = ("forbid", "permit", "require")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A path that a clause reads. `value` means something only when `state` is `value`."""

    path: str
    state: Literal["value", "missing", "unknown"]
    value: Any = None


class ClauseExplained(msgspec.Struct, frozen=True, kw_only=True):
    """A clause, or a part of one that `and` or `or` joins; a part without parts has readings.

    Attributes:
        clause: its keyword; `server` and `expires` for what package and annotation ask for.
        text: as written, on one line.
        needs: what would have to hold for it to be true, as a policy would write it.
    """

    clause: Clause
    text: str
    truth: TruthWord
    needs: str
    readings: tuple[Reading, ...] = ()
    parts: tuple[ClauseExplained, ...] = ()


class RuleExplained(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is about the call.

    Attributes:
        truth: of its whole condition; `applies` follows from it by Law 2.
        decides: the decision names it.
        duties: what it adds, of a require that applies to what is permitted.
    """

    name: str
    effect: Literal["permit", "forbid", "require"]
    truth: TruthWord
    applies: bool
    decides: bool
    shadow: bool
    clauses: tuple[ClauseExplained, ...]
    duties: tuple[str, ...] = ()


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A permit that does not apply, and everything it lacks."""

    rule: str
    needs: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, explained.

    Attributes:
        subject: who asks for what, in a few words.
        rules: those about this call: forbids, permits, requires, each by name.
        elsewhere: how many rules are about other calls.
        near_misses: the permits that lack least, of a call that nothing permits.
    """

    decision: Decision
    subject: str
    rules: tuple[RuleExplained, ...]
    elsewhere: int
    near_misses: tuple[NearMiss, ...] = ()


def explain(policy_set: PolicySet, request: DecisionRequest) -> Explanation:
    """Decide a call, and say why. Clauses are quoted from `policy_set.texts`."""
    request = narrowed(request, policy_set.tiers)
    decision = decide(policy_set, request)
    rules = [rule for package in policy_set.program.packages for rule in package.rules]
    about = [rule for rule in rules if _is_about(rule, request)]
    about.sort(key=lambda rule: (_ORDER.index(rule.effect), rule.name))
    explained = tuple(_rule(rule, policy_set, request, decision) for rule in about)
    return Explanation(
        decision=decision,
        subject=_subject(request),
        rules=explained,
        elsewhere=len(rules) - len(about),
        near_misses=_near_misses(explained) if decision.cause is Cause.NOT_PERMITTED else (),
    )


def _is_about(rule: CompiledRule, request: DecisionRequest) -> bool:
    """False when its target rules it out for this call, whoever calls."""
    truths = [targets.phase_truth(rule.node, request), targets.server_truth(rule.servers, request)]
    truths += [targets.on_truth(clause, request) for clause in rule.node.what]
    return conjunction(truths) is not Truth.FALSE


def _subject(request: DecisionRequest) -> str:
    call, agent = request.call, request.agent
    what = call.get("tool") or call.get("resource") or call.get("prompt") or call.get("method")
    told = f"`{what}`" if what else "a call"
    if server := call.get("server"):
        told += f" on `{server}`"
    return f"{told} by `{agent.get('id', 'an agent')}` ({agent.get('tier', 'no tier')})"


# --- rules -----------------------------------------------------------------------------------


def _rule(
    rule: CompiledRule, policy_set: PolicySet, request: DecisionRequest, decision: Decision
) -> RuleExplained:
    reader = _Reader(policy_set, request)
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
        duties=tuple(duty.kind for duty in rule.duties) if adds else (),
    )


def _near_misses(rules: Iterable[RuleExplained]) -> tuple[NearMiss, ...]:
    found = [
        NearMiss(rule=rule.name, needs=tuple(_lacking(rule.clauses)))
        for rule in rules
        if rule.effect == "permit" and not rule.shadow and _is_certainly_about(rule)
    ]
    least = min((len(miss.needs) for miss in found), default=0)
    return tuple(miss for miss in found if len(miss.needs) == least)[:NEAR_MISSES_MAX]


def _is_certainly_about(rule: RuleExplained) -> bool:
    """Another tool or scope is another call, not a near miss."""
    return all(each.truth == "true" for each in rule.clauses if each.clause in ("on", "server"))


def _lacking(clauses: Iterable[ClauseExplained]) -> Iterator[str]:
    return (clause.needs for clause in clauses if clause.truth != "true")


# --- clauses ---------------------------------------------------------------------------------


class _Reader:
    """Explains clauses against one request."""

    def __init__(self, policy_set: PolicySet, request: DecisionRequest) -> None:
        self._set = policy_set
        self._request = request

    def clauses(self, rule: CompiledRule) -> Iterator[ClauseExplained]:
        """In the order written, after what the package and `@expires` ask for."""
        confined = targets.server_truth(rule.servers, self._request)
        if confined is not Truth.TRUE:
            text = f"on server {', '.join(rule.servers)}"
            yield self._asked("server", text, confined, "call.server")
        if rule.expires_ms is not None:
            yield self._expiry(rule.expires_ms)
        truths = interpret.clause_truths(rule.node, self._request, self._set.data, self._set.tiers)
        for clause, truth in truths:
            if isinstance(clause, nodes.Condition):
                yield self._condition(clause, truth)
            else:
                yield self._target(clause, truth)

    def _asked(self, clause: Clause, text: str, truth: Truth, path: str) -> ClauseExplained:
        """A clause that reads one field."""
        readings = (self._reading(_path(path)),)
        return ClauseExplained(
            clause=clause, text=text, truth=truth.value, needs=text, readings=readings
        )

    def _expiry(self, expires_ms: int) -> ClauseExplained:
        now = self._request.env.get("now")
        truth = truth_of(now < expires_ms) if type(now) is int else Truth.UNKNOWN
        day = datetime.fromtimestamp(expires_ms / 1000, UTC).date().isoformat()
        asked = self._asked("expires", f"@expires {day}", truth, "env.now")
        return replace(asked, needs=f"env.today < {day}")

    def _target(self, clause: nodes.ForClause | nodes.OnClause, truth: Truth) -> ClauseExplained:
        text = self._text(clause.span)
        match clause:
            case nodes.ForTier():
                asked = self._asked("for", f"for {text}", truth, "agent.tier")
                names = ", ".join(targets.texts(clause.tiers))
                return replace(asked, needs=f"agent.tier {clause.operator} {names}")
            case nodes.ForNames():
                return self._asked("for", f"for {text}", truth, targets.FIELD_OF[clause.what])
            case nodes.OnNames():
                return self._asked("on", f"on {text}", truth, targets.FIELD_OF[clause.what])
        return self._asked("on", f"on {text}", truth, "call.method")

    def _condition(self, clause: nodes.Condition, truth: Truth) -> ClauseExplained:
        inner = self._part(clause.expression)
        needs = f"not ({inner.text})" if clause.negated else inner.needs
        return replace(
            inner,
            clause="unless" if clause.negated else "when",
            text=self._text(clause.span),
            truth=truth.value,
            needs=needs,
        )

    def _part(self, expression: nodes.Expression) -> ClauseExplained:
        """An expression; what `and` and `or` join is told apart, where it is written apart."""
        text = self._text(expression.span)
        truth = interpret.truth(expression, self._request, self._set.data)
        parts: tuple[ClauseExplained, ...] = ()
        if isinstance(expression, nodes.And | nodes.Or):
            parts = tuple(self._part(item) for item in children(expression))
        if any(part.text == text for part in parts):  # a definition, written as one name here
            parts = ()
        needs = text
        if isinstance(expression, nodes.And) and parts:
            needs = " and ".join(_lacking(parts))
        readings = () if parts else tuple(self._readings(expression))
        return ClauseExplained(
            clause="part",
            text=text,
            truth=truth.value,
            needs=needs,
            readings=readings,
            parts=parts,
        )

    def _readings(self, expression: nodes.Expression) -> Iterator[Reading]:
        paths = {path.text(): path for path in paths_in(expression) if path.root in FIELDS}
        return (self._reading(path) for path in paths.values())

    def _reading(self, path: nodes.Path) -> Reading:
        found = interpret.value(path, self._request, self._set.data)
        if found is MISSING:
            return Reading(path=path.text(), state="missing")
        if found is UNKNOWN:
            return Reading(path=path.text(), state="unknown")
        return Reading(path=path.text(), state="value", value=found)

    def _text(self, span: Span) -> str:
        written = self._set.texts.get(span.source, "")[span.start : span.end]
        return " ".join(written.split())


def _path(text: str) -> nodes.Path:
    """The path of a field that a target reads."""
    root, *names = text.split(".")
    steps = tuple(nodes.Field(name=name, span=NOWHERE) for name in names)
    return nodes.Path(root=root, steps=steps, span=NOWHERE)
