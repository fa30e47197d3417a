"""One tool call, one step a line. This is the enforcement point.

Theory. A call is a value that gains certainty on its way down and is forwarded at the bottom:

    know the tool → describe the call → decide → refuse what may not go on → RECORD → forward
    → carry out the duties on the result → record the outcome → answer

`rule` is everything before the record: pure, testable with literals, and the only place that
turns a decision into a refusal. Three invariants hold, whatever is cancelled or breaks:

INVARIANT: nothing is forwarded before `audit.append` has returned, so an upstream never saw a
call that the record does not know.
INVARIANT: one policy set and one offer per call, taken at its start; the record names them.
INVARIANT: what is forwarded is built from the tree that was decided, never from received bytes.

A quota is consumed by `rule`, last of all: a refused call consumes nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from pbac.audit.record import DecisionRecord, OutcomeRecord, decision_record
from pbac.audit.record import decision_id as new_decision_id
from pbac.audit.storage import AuditUnavailable
from pbac.catalog.tools import Tool
from pbac.duties.redact import RedactionError
from pbac.duties.table import DutyConflict, Plan, after, before, join
from pbac.gateway.answer import Answer, json_answer, with_header
from pbac.gateway.decision_request import decision_request, environment, tool_call
from pbac.gateway.enforce import Refusal, answer_refusal, denied, unknown_tool
from pbac.gateway.filters import is_shown
from pbac.gateway.gateway import Gateway
from pbac.gateway.ports import Notify
from pbac.gateway.principal import Principal
from pbac.gateway.upstream import UpstreamError, UpstreamFailure
from pbac.mcp.legacy_session import plain
from pbac.mcp.messages import ToolCall
from pbac.mcp.modern import complete
from pbac.mcp.versions import Wire
from pbac.mcp.wire_errors import RequestId, error, http_status, relayed_error, result
from pbac.model.decision import Decision, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import arguments_read, decide
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

DECISION_HEADER: Final = "Pbac-Decision"
"""Names the decision on every answer to a call, so that a log line leads to its record."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, over which protocol, from where. `client` is what it calls itself."""

    principal: Principal
    wire: Wire
    request_id: RequestId
    ip: str
    client: str
    notify: Notify


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call before anything was forwarded. No refusal means: go on."""

    call: ToolCall
    request: DecisionRequest
    decision: Decision
    tool: Tool | None = None
    plan: Plan | None = None
    refusal: Refusal | None = None


async def call_tool(gateway: Gateway, caller: Caller, call: ToolCall) -> Answer:
    """Decide, record, forward and answer one `tools/call`.

    Raises:
        AuditUnavailable: the record could not be written; nothing was forwarded.
    """
    started = gateway.clock.monotonic()
    decision_id = new_decision_id(gateway.entropy(16))
    ruling = rule(gateway, gateway.policies.current, caller, call)
    await gateway.audit.append(_record(gateway, caller, ruling, decision_id))
    refusal = ruling.refusal
    gateway.counters.decided("deny" if refusal else "permit", refusal.code if refusal else "")
    if refusal is not None:
        answer = _refused(gateway, caller, refusal, decision_id)
    else:
        answer = await _forward(gateway, caller, ruling, decision_id, started)
    return with_header(answer, DECISION_HEADER, decision_id)


# --- before the record: pure but for the quota ------------------------------------------------


def rule(gateway: Gateway, policy_set: PolicySet, caller: Caller, call: ToolCall) -> Ruling:
    """Everything that is decided about a call before it is recorded."""
    principal, now_ms = caller.principal, gateway.clock.now_ms()
    tool = gateway.offer.current.find(call.name)
    if tool is not None and (filled := tool.arguments.filled(call.arguments)) is not call.arguments:
        call = replace(call, arguments=filled)
    request = decision_request(
        principal,
        tool_call(tool) if tool else {"method": "tools/call", "tool": call.name},
        call.arguments,
        session=gateway.sessions.describe(principal.key, now_ms),
        env=environment(
            now_ms, ip=caller.ip, client=caller.client, name=gateway.settings.environment
        ),
    )
    decision = tell(policy_set, request, decide(policy_set, request))
    plan = join(decision.duties)
    if tool is None:
        refusal: Refusal | None = unknown_tool(call.name)
    else:
        refusal = (
            _refuse_by_scope(principal, tool, call, decision)
            or _refuse_by_policy(policy_set, principal, tool, request, decision)
            or refuse_by_arguments(policy_set, tool, request)
            or _refuse_by_duties(gateway, plan, request)
        )
        if refusal is None:
            gateway.sessions.count(principal.key, now_ms, server=tool.backend, tool=tool.name)
    return Ruling(
        call=call,
        request=request,
        decision=decision,
        tool=tool,
        plan=None if isinstance(plan, DutyConflict) else plan,
        refusal=refusal,
    )


def _refuse_by_scope(
    principal: Principal, tool: Tool, call: ToolCall, decision: Decision
) -> Refusal | None:
    if tool.scope in principal.scopes:
        return None
    # Consenting would not help where policy denies anyway: then the tool does not exist for it.
    if not decision.permitted:
        return unknown_tool(call.name)
    return Refusal(
        code="insufficient_scope",
        message=f"this call needs the scope `{tool.scope}`",
        help="ask for a token with that scope",
        scope=tool.scope,
    )


def _refuse_by_policy(
    policy_set: PolicySet,
    principal: Principal,
    tool: Tool,
    request: DecisionRequest,
    decision: Decision,
) -> Refusal | None:
    if decision.permitted:
        return None
    listed = is_shown(policy_set, principal, tool, request.env)
    return denied(decision, withheld=not listed)


def refuse_by_arguments(
    policy_set: PolicySet, tool: Tool, request: DecisionRequest
) -> Refusal | None:
    """What the tool's schema has against the arguments that were decided on."""
    complaint = tool.arguments.complaint(request.args, arguments_read(policy_set, request))
    if complaint is None:
        return None
    return Refusal(code="invalid_params", message=complaint, help="see the tool's `inputSchema`")


def _refuse_by_duties(
    gateway: Gateway, plan: Plan | DutyConflict, request: DecisionRequest
) -> Refusal | None:
    if isinstance(plan, DutyConflict):
        return Refusal(code="duty_failed", message=plan.message, rules=plan.rules)
    # Not the wall clock: whoever can set that forward would hand out every used call again.
    refusal = before(plan, request, gateway.quotas, int(gateway.clock.monotonic() * 1_000))
    if refusal is None:
        return None
    return Refusal(
        code=refusal.code, message=refusal.message, help=refusal.help, rules=refusal.rules
    )


# --- the record -------------------------------------------------------------------------------


def _record(gateway: Gateway, caller: Caller, ruling: Ruling, decision_id: str) -> DecisionRecord:
    """What was decided, by policy or, where policy permitted, by the enforcement point."""
    record = decision_record(
        ruling.request,
        ruling.decision,
        decision_id=decision_id,
        token_id=caller.principal.token_id,
        protocol=caller.wire.version,
        arguments=gateway.digest_arguments(ruling.request.args),
    )
    return as_refused(record, ruling.refusal)


def as_refused(record: DecisionRecord, refusal: Refusal | None) -> DecisionRecord:
    """The record of a decision, of the enforcement point's where policy permitted."""
    if refusal is None or refusal.code == "policy_denied":
        return record
    return replace(
        record,
        effect=Effect.DENY.value,
        cause=refusal.code,
        rules=refusal.rules,
        unknown=refusal.unknown,
        reason=refusal.message,
        internal=refusal.internal or record.internal,
    )


def _refused(gateway: Gateway, caller: Caller, refusal: Refusal, decision_id: str) -> Answer:
    return answer_refusal(
        refusal,
        caller.request_id,
        decision_id=decision_id,
        modern=caller.wire.modern,
        denials=gateway.settings.denials,
        resource_metadata=gateway.settings.resource_metadata,
    )


# --- behind the record ------------------------------------------------------------------------


class _Told(msgspec.Struct, frozen=True):
    """An answer, and what its outcome record says."""

    answer: Answer
    outcome: str
    detail: str = ""
    upstream_us: int = 0


_WITHHELD: Final = "the tool failed; policy keeps back what it said"
_GONE: Final = _Told(Answer(status=0), "cancelled")


async def _forward(
    gateway: Gateway, caller: Caller, ruling: Ruling, decision_id: str, started: float
) -> Answer:
    """Ask the upstream. The outcome is recorded also when the client went away meanwhile."""
    told = _GONE
    try:
        told = await _ask(gateway, caller, ruling)
    finally:
        took = gateway.clock.monotonic() - started
        gateway.counters.answered(took)
        _record_outcome(gateway, decision_id, told, took)
    return told.answer


def _record_outcome(gateway: Gateway, decision_id: str, told: _Told, took: float) -> None:
    record = OutcomeRecord(
        decision_id=decision_id,
        outcome=told.outcome,
        detail=told.detail,
        http_status=told.answer.status,
        upstream_us=told.upstream_us,
        total_us=round(took * 1_000_000),
    )
    try:
        gateway.audit.enqueue(record)
    except AuditUnavailable:
        # The decision is durable and the upstream has acted: the caller is told what happened.
        # The log has failed, so the next call is refused.
        gateway.counters.refused("outcome_unrecorded")


async def _ask(gateway: Gateway, caller: Caller, ruling: Ruling) -> _Told:
    """The upstream's answer, after its duties, in the caller's protocol."""
    tool, plan = ruling.tool, ruling.plan
    assert tool is not None
    assert plan is not None
    asked = gateway.clock.monotonic()
    try:
        answered = await gateway.upstreams[tool.backend].call_tool(
            tool.name,
            ruling.call.arguments,
            principal_key=caller.principal.key,
            meta=_meta(ruling.call),
            # What a duty would take out of the result must not leave by a side door before it.
            on_notification=None if plan.changes_result else caller.notify,
        )
    except UpstreamError as failed:
        if plan.changes_result:
            # Its own words may hold what the rule takes out of results.
            failed = UpstreamError(failed.failure, _WITHHELD, executed=failed.executed)
        ran = {True: "it ran", False: "it did not run", None: "it may have run"}[failed.executed]
        return _Told(_failed(caller, failed), failed.code, f"{failed.message}; {ran}")
    upstream_us = round((gateway.clock.monotonic() - asked) * 1_000_000)
    try:
        kept = after(plan, answered)
    except RedactionError as failed:
        message = "the result could not be redacted as policy demands, so it is withheld"
        status = http_status("duty_failed", modern=caller.wire.modern)
        withheld = error(caller.request_id, "duty_failed", message)
        return _Told(json_answer(withheld, status), "duty_failed", failed.message, upstream_us)
    shaped = complete(kept, gateway.settings.server) if caller.wire.modern else plain(kept)
    outcome = "tool_error" if answered.get("isError") is True else "completed"
    return _Told(json_answer(result(caller.request_id, shaped)), outcome, "", upstream_us)


def _meta(call: ToolCall) -> dict[str, Any]:
    token = call.meta.progress_token
    return dict(call.meta.trace) if token is None else {**call.meta.trace, "progressToken": token}


def _failed(caller: Caller, failed: UpstreamError) -> Answer:
    """An upstream's own JSON-RPC error is passed on; a broken upstream is ours to name."""
    if failed.failure is UpstreamFailure.RPC:
        return json_answer(
            relayed_error(caller.request_id, failed.number, failed.message, failed.data)
        )
    status = http_status(failed.code, modern=caller.wire.modern)
    return json_answer(error(caller.request_id, failed.code, failed.message), status)
