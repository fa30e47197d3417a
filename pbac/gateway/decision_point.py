"""The decision point for other enforcement points: they ask, and enforce by themselves.

    who asks → what is asked → who the agent is → know the tool → decide → refuse → RECORD → answer

A question is decided as a call through this gateway would be, but for what belongs to the access
token, which stays with whoever asks: `token` is unknown to rules, and whether a consented scope
covers the call is answered by introspection. Duties are handed over as obligations. A question is
no call: it counts in no quota and in no session.

INVARIANT: nothing is answered before every decision of the answer is durably recorded. What goes
out is made from the record. An item of a batch that cannot be read is refused, and is no decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from pbac.audit.record import DecisionRecord, decision_record
from pbac.audit.record import decision_id as new_decision_id
from pbac.catalog.tools import Tool
from pbac.duties.table import DutyConflict, join
from pbac.gateway.decision_request import environment, tool_call
from pbac.gateway.enforce import Refusal, denied, unknown_tool
from pbac.gateway.gateway import Gateway
from pbac.gateway.offer import Offer
from pbac.gateway.pipeline import as_refused, refuse_by_arguments
from pbac.gateway.principal import acting_alone
from pbac.gateway.question import Inquiry, Question, QuestionError
from pbac.model.decision import Decision, Effect
from pbac.model.request import DecisionRequest
from pbac.oauth.client_authentication import read_credentials
from pbac.oauth.errors import OAuthError
from pbac.oauth.introspection import require_resource_server
from pbac.oauth.model import Client, ResourceServer, describe_agent
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

CALL: Final = "tools/call"
"""The method that can be asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPoint:
    """The parts of the decision point. `enforcement_points` are those who may introspect.

    `origin` is its public address. `find_client` raises `StorageError`.
    """

    origin: str
    gateway: Gateway
    enforcement_points: tuple[ResourceServer, ...]
    find_client: Callable[[str], Client | None]


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, by its configured id, and through which door."""

    id: str
    door: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as it was recorded.

    Attributes:
        code: the symbolic word of a refusal, as calls have it; "" for a permit.
        help: what would help the agent, or "".
    """

    record: DecisionRecord
    code: str = ""
    help: str = ""

    @property
    def permitted(self) -> bool:
        """True for a permit; its obligations still have to be met."""
        return self.record.effect == Effect.PERMIT.value


Answered: TypeAlias = Reply | QuestionError


def admit(point: DecisionPoint, authorization: str | None, door: str) -> Asker:
    """The enforcement point that a request's credential proves.

    Raises:
        OAuthError: `invalid_client`.
    """
    try:
        found = require_resource_server(
            read_credentials(authorization, {}), point.enforcement_points
        )
    except OAuthError as error:
        point.gateway.counters.refused(error.code)
        raise
    return Asker(id=found.id, door=door)


async def answer(point: DecisionPoint, asker: Asker, inquiry: Inquiry) -> tuple[Answered, ...]:
    """Decide, record and answer every question, until one is answered as `inquiry.until` says.

    Raises:
        AuditUnavailable: a decision could not be recorded; none may be told.
        StorageError: agents cannot be looked up.
    """
    policy_set, offer = point.gateway.policies.current, point.gateway.offer.current
    answered: list[Answered] = []
    for question in inquiry.questions:
        if answered:
            await asyncio.sleep(0)  # a long batch must not hold up everybody else's calls
        if isinstance(question, QuestionError):
            answered.append(question)
            told = False  # AuthZEN 7.2.1: "Decisions default to closed"
        else:
            reply = _reply(point, policy_set, offer, asker, question)
            answered.append(reply)
            told = reply.permitted
        if told is inquiry.until:
            break
    await _record(point.gateway, [one for one in answered if isinstance(one, Reply)])
    return tuple(answered)


async def _record(gateway: Gateway, replies: Sequence[Reply]) -> None:
    """All of them, in their order, waited for together."""
    await asyncio.gather(*(gateway.audit.append(reply.record) for reply in replies))
    for reply in replies:
        gateway.counters.decided(reply.record.effect, reply.code)


# --- one question: pure but for looking the agent up ---------------------------------------------


class _Matter(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a refusal may look at."""

    question: Question
    client: Client | None
    tool: Tool | None
    policy_set: PolicySet
    request: DecisionRequest
    decision: Decision


def _reply(
    point: DecisionPoint,
    policy_set: PolicySet,
    offer: Offer,
    asker: Asker,
    question: Question,
) -> Reply:
    gateway = point.gateway
    client, tool = point.find_client(question.agent), _find_tool(offer, question)
    request = _request(gateway, client, tool, question)
    decision = tell(policy_set, request, decide(policy_set, request))
    matter = _Matter(
        question=question,
        client=client,
        tool=tool,
        policy_set=policy_set,
        request=request,
        decision=decision,
    )
    refusal = next((found for refuse in REFUSALS if (found := refuse(matter))), None)
    record = decision_record(
        request,
        decision,
        decision_id=new_decision_id(gateway.entropy(16)),
        token_id="",
        protocol="",
        arguments=gateway.digest_arguments(request.args),
    )
    record = msgspec.structs.replace(record, door=asker.door, asked_by=asker.id)
    if refusal is None:
        return Reply(record=record)
    record = as_refused(record, refusal)
    # A denial without words of its rules is told in ours, and recorded as it is told.
    record = msgspec.structs.replace(record, reason=record.reason or refusal.message)
    return Reply(record=record, code=refusal.code, help=refusal.help)


def _find_tool(offer: Offer, question: Question) -> Tool | None:
    if question.method != CALL:
        return None
    if question.server:
        return offer.registry.tools.get((question.server, question.tool))
    return offer.find(question.tool)


def _request(
    gateway: Gateway, client: Client | None, tool: Tool | None, question: Question
) -> DecisionRequest:
    """As for a call through the gateway; what is not known here is left out, never null."""
    now_ms = gateway.clock.now_ms()
    call = {"method": question.method, "tool": question.tool}
    return DecisionRequest(
        agent=describe_agent(client) if client else {"id": question.agent},
        chain=acting_alone(),
        call=tool_call(tool) if tool else call,
        args=tool.arguments.filled(question.arguments) if tool else question.arguments,
        session=gateway.sessions.describe(question.agent, now_ms),
        env=environment(
            now_ms, ip=question.ip, client=question.client, name=gateway.settings.environment
        ),
    )


# --- what is refused, in order ---------------------------------------------------------------


_NOT_ADMITTED: Final = "this agent is not admitted here"
"""The agent does not learn whether it is unknown or suspended, as with its token."""


def _unknown_agent(matter: _Matter) -> Refusal | None:
    if matter.client is not None:
        return None
    told = f"no agent `{matter.question.agent}` is registered"
    return Refusal(code="unknown_agent", message=_NOT_ADMITTED, internal=told)


def _suspended(matter: _Matter) -> Refusal | None:
    if matter.client is None or matter.client.status == "active":
        return None
    told = f"the agent `{matter.question.agent}` is suspended"
    return Refusal(code="agent_suspended", message=_NOT_ADMITTED, internal=told)


def _another_subject(matter: _Matter) -> Refusal | None:
    # COAZ-MCP, "The Subject-Identity Claim": the subject is whom the agent acts for, and
    # `context.agent` the agent itself. Until people can sign in here, an agent acts for itself:
    # nobody vouches for another subject.
    if matter.question.subject == matter.question.agent:
        return None
    told = f"`{matter.question.subject}` is not `{matter.question.agent}`, and no person is known"
    return Refusal(
        code="unknown_subject",
        message="agents act for themselves here",
        help="name the agent as the subject",
        internal=told,
    )


def _another_method(matter: _Matter) -> Refusal | None:
    if matter.question.method == CALL:
        return None
    # COAZ-MCP, "Unknown Methods": what has no mapping is denied.
    message = f"nothing is decided here about `{matter.question.method}`"
    return Refusal(code="unknown_action", message=message, help=f"ask about `{CALL}`")


def _unknown_tool(matter: _Matter) -> Refusal | None:
    return unknown_tool(matter.question.tool) if matter.tool is None else None


def _by_policy(matter: _Matter) -> Refusal | None:
    return None if matter.decision.permitted else denied(matter.decision, withheld=False)


def _by_arguments(matter: _Matter) -> Refusal | None:
    assert matter.tool is not None
    return refuse_by_arguments(matter.policy_set, matter.tool, matter.request)


def _by_duties(matter: _Matter) -> Refusal | None:
    """Duties that contradict each other, or that no enforcement point can carry out yet."""
    plan = join(matter.decision.duties)
    if not isinstance(plan, DutyConflict):
        return None
    return Refusal(code="duty_failed", message=plan.message, rules=plan.rules)


REFUSALS: Final[tuple[Callable[[_Matter], Refusal | None], ...]] = (
    _unknown_agent,
    _suspended,
    _another_subject,
    _another_method,
    _unknown_tool,  # behind it there is a tool
    _by_policy,
    _by_arguments,
    _by_duties,
)
"""The first that refuses is told."""
