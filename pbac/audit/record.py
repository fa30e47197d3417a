"""What happened, as typed values, and their bytes: the record format, version 1.

One record is one JSON object in canonical form (`base.json.canonical`). The log adds what only it
knows: `sequence` (1 for the first record; the leaf index plus 1), `batch` (the sequence of the
first record made durable by the same sync), `time` and `time_ms` of that batch, and
`clock_back_ms` when the wall clock went back. Order is given by `sequence`, never by time.

| kind | written |
|---|---|
| decision | before anything is forwarded; a call without it never leaves the gateway |
| outcome | after the answer, under the same `decision_id` |
| token | an access token was issued, asked about or revoked; an agent registered or changed |
| policy | a policy set was published or refused |
| gateway | started, stopped, recovered, fault |
| refusals | unauthenticated and malformed requests of a window, counted: never one row each |
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from pbac.audit.redact import storable
from pbac.base.clock import rfc3339
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest

RECORD_VERSION: Final = 1
ESSENTIAL: Final = (
    "v", "kind", "sequence", "batch", "time", "time_ms", "decision_id", "effect", "cause", "event",
    "method", "server", "tool", "token_id", "policy_version", "door", "asked_by",
)  # fmt: skip
"""What is left of a record that is too large however much is cut."""

_AGENT_FIELDS: Final = ("id", "name", "tier", "kind")
_USER_FIELDS: Final = ("id", "login", "idp")


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Members with a default are left out of the bytes while they have it."""


class DecisionRecord(_Record, frozen=True, tag="decision"):
    """One decision on one call.

    Attributes:
        decision_id: what the agent was told, and what the outcome is joined by.
        now_ms: the instant the decision was made with (`env.now`): replay needs it.
        agent: id, name, tier, kind, as far as known. `user`: id, login, idp, or null.
        chain: actors between user and agent, outermost first.
        token_id: names the access token; the token itself is nowhere in the log.
        protocol: MCP protocol version of the caller.
        door: `authzen` or `opa` when another enforcement point asked; "" for a call through this
            gateway. `asked_by`: its configured id. It enforces by itself, so no outcome follows.
        arguments: keyed digest (`redact.arguments_digest`), "" when the method has none.
        duties: attached duties, in the form of `model.decision.Duty`.
        reason: what the agent may see. `internal`: for operators only.
    """

    decision_id: str
    now_ms: int
    agent: dict[str, Any]
    user: dict[str, Any] | None
    effect: str
    cause: str
    policy_version: str
    method: str
    server: str = ""
    tool: str = ""
    scope: str = ""
    chain: list[Any] = []
    token_id: str = ""
    protocol: str = ""
    door: str = ""
    asked_by: str = ""
    arguments: str = ""
    rules: tuple[str, ...] = ()
    duties: tuple[Any, ...] = ()
    unknown: tuple[str, ...] = ()
    reason: str = ""
    internal: str = ""


class OutcomeRecord(_Record, frozen=True, tag="outcome"):
    """How a decided call ended.

    Attributes:
        outcome: `completed`, `tool_error`, `refused`, or the symbolic code of what went wrong.
        http_status: status of the answer to the agent, 0 when it was gone.
        code: symbolic code of a refusal that came after the decision (a duty, the schema).
        redacted: how many places of the result a duty changed.
        upstream_us: microseconds the backend took. `total_us`: the whole call in the gateway.
    """

    decision_id: str
    outcome: str
    http_status: int = 0
    code: str = ""
    detail: str = ""
    redacted: int = 0
    upstream_us: int = 0
    total_us: int = 0


class TokenRecord(_Record, frozen=True, tag="token"):
    """What happened to an access token or to the agent that holds it.

    Attributes:
        event: `issued`, `refused`, `revoked`, `introspected`; `registered`, `suspended`,
            `resumed`, `promoted` (the operator set the tier, in either direction).
        outbox_id: of a change made in another process: its number there. Two records with one
            number are one change, told again after a crash.
        changed_ms: when that change was made. `actor`: the system's name for who made it.
    """

    event: str
    agent: dict[str, Any]
    user: dict[str, Any] | None = None
    token_id: str = ""
    grant: str = ""
    requested: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    code: str = ""
    detail: str = ""
    policy_version: str = ""
    actor: str = ""
    changed_ms: int = 0
    outbox_id: int = 0


class PolicyRecord(_Record, frozen=True, tag="policy"):
    """A policy set version came into force, or was refused.

    Attributes:
        event: `published` or `refused`; `problems` are the diagnostics of a refusal.
        how: by a changed `source` (folder or bundle), or the command `publish` or `rollback`.
        act: the number `pbac policy list` shows. `actor`: the system's name for who did it.
    """

    event: str
    how: str = ""
    act: int = 0
    actor: str = ""
    note: str = ""
    policy_version: str = ""
    previous_version: str = ""
    rules: int = 0
    problems: tuple[str, ...] = ()


class GatewayRecord(_Record, frozen=True, tag="gateway"):
    """`event`: `started`, `stopped`, `recovered` (from a crash) or `fault`."""

    event: str
    detail: dict[str, Any] = {}


class RefusalsRecord(_Record, frozen=True, tag="refusals"):
    """Symbolic code → how many requests it refused, from `from_ms` until `to_ms`."""

    from_ms: int
    to_ms: int
    counts: dict[str, int]


Record: TypeAlias = (
    DecisionRecord | OutcomeRecord | TokenRecord | PolicyRecord | GatewayRecord | RefusalsRecord
)


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What the log adds to each record of one batch, beside the sequence."""

    batch: int
    time_ms: int
    time: str
    clock_back_ms: int = 0


def stamp(batch: int, now_ms: int, latest_ms: int) -> Stamp:
    """The stamp of the batch whose first record is number `batch`.

    `latest_ms` is the latest time in the log so far: a clock behind it has been turned back.
    """
    return Stamp(
        batch=batch,
        time_ms=now_ms,
        time=rfc3339(now_ms),
        clock_back_ms=max(0, latest_ms - now_ms),
    )


def decision_id(random: bytes) -> str:
    """`d_` and 32 hex digits, from 16 random bytes."""
    assert len(random) == 16
    return "d_" + random.hex()


def decision_record(
    request: DecisionRequest,
    decision: Decision,
    *,
    decision_id: str,
    token_id: str,
    protocol: str,
    arguments: str,
) -> DecisionRecord:
    """The record of one decision. `arguments` is their keyed digest, not they."""
    call = request.call
    return DecisionRecord(
        decision_id=decision_id,
        now_ms=request.env.get("now", 0),
        agent=_members(request.agent, _AGENT_FIELDS),
        user=None if request.user is None else _members(request.user, _USER_FIELDS),
        chain=request.chain.get("actors", []),
        token_id=token_id,
        protocol=protocol,
        method=call.get("method", ""),
        server=call.get("server", ""),
        tool=call.get("tool", ""),
        scope=call.get("scope", ""),
        arguments=arguments,
        effect=decision.effect.value,
        cause=decision.cause.value,
        policy_version=decision.policy_version,
        rules=decision.rules,
        duties=decision.duties,
        unknown=decision.unknown,
        reason=decision.reason,
        internal=decision.internal,
    )


def _members(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def render(record: Record, sequence: int, stamp: Stamp) -> bytes:
    """The canonical bytes of one record, at most `AUDIT_RECORD_BYTES_MAX`. Never fails."""
    body: dict[str, Any] = msgspec.to_builtins(record)
    body["v"] = RECORD_VERSION
    body["sequence"] = sequence
    body["batch"] = stamp.batch
    body["time"] = stamp.time
    body["time_ms"] = stamp.time_ms
    if stamp.clock_back_ms:
        body["clock_back_ms"] = stamp.clock_back_ms
    return storable(body, ESSENTIAL)
