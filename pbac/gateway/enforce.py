"""Answers to a call, decided once: the one table of what a refusal looks like.

| case | answer |
|---|---|
| scope not consented, policy would permit the call with it | 403, challenge, JSON-RPC error |
| scope consented, withheld now (the tool is not listed) | 403, no challenge, JSON-RPC error |
| scope neither consented nor permitted, or no such tool | the answer of an unknown tool |
| forbidden for these arguments, quota, approval | 200 with an `isError` result the model reads |
| the same under `denials = "403"` | 403, no challenge, JSON-RPC error |
| audit or storage cannot write | 503, JSON-RPC error |

The symbolic code is the same in every form. A challenge is sent only when consenting would help:
otherwise it would open a browser for nothing.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pbac.gateway.answer import Answer, json_answer
from pbac.mcp.wire_errors import RequestId, error, http_status, result
from pbac.model.decision import Decision

META_DENIAL: Final = "pbac/denial"
"""The `_meta` key under which a refused result says why, for programs."""

READABLE: Final = frozenset(
    {"policy_denied", "quota_exceeded", "approval_unavailable", "approval_refused", "duty_failed"}
)
"""Refusals that a model can act on: told as a result unless the operator wants 403."""

Denials = Literal["result", "403"]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call goes no further.

    Attributes:
        code: symbolic word of `WIRE_ERRORS`; the same in the answer, the record and metrics.
        message: text the agent may see.
        help: what would help, or "".
        rules: qualified names of the rules that refused.
        unknown: paths that could not be evaluated.
        scope: what to consent to, for `insufficient_scope`.
        withheld: the tool is hidden from this caller now, so no result form.
        internal: what operators are told beside it, or "".
    """

    code: str
    message: str
    help: str = ""
    rules: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    scope: str = ""
    withheld: bool = False
    internal: str = ""


def denied(decision: Decision, *, withheld: bool) -> Refusal:
    """The refusal that a denial by policy is."""
    return Refusal(
        code="policy_denied",
        message=decision.reason or _because(decision),
        help=decision.help,
        rules=decision.rules,
        unknown=decision.unknown,
        withheld=withheld,
    )


def _because(decision: Decision) -> str:
    if not decision.rules:
        return "no rule permits this call"
    names = ", ".join(f"`{name}`" for name in decision.rules)
    if not decision.unknown:
        return f"refused by {names}"
    paths = ", ".join(f"`{path}`" for path in decision.unknown)
    return f"{paths} is missing or of the wrong kind, so {names} cannot be ruled out"


def unknown_tool(name: str) -> Refusal:
    """The answer for a tool that does not exist, or that this caller could never call."""
    return Refusal(
        code="unknown_tool",
        message=f"there is no tool `{name}`",
        help="list the tools to see what can be called",
    )


def answer_refusal(
    refusal: Refusal,
    request_id: RequestId,
    *,
    decision_id: str,
    modern: bool,
    denials: Denials,
    resource_metadata: str,
) -> Answer:
    """One refusal as the HTTP answer of the table above."""
    why = _why(refusal, decision_id)
    if refusal.code in READABLE and denials == "result" and not refusal.withheld:
        return json_answer(result(request_id, _readable(refusal, why, modern=modern)))
    message = error(request_id, refusal.code, _text(refusal), why)
    status = http_status(refusal.code, modern=modern)
    if refusal.code == "insufficient_scope":
        return json_answer(message, status, _challenge(refusal, resource_metadata))
    return json_answer(message, status)


def _why(refusal: Refusal, decision_id: str) -> dict[str, Any]:
    why: dict[str, Any] = {"code": refusal.code, "decision_id": decision_id}
    # An unknown tool and a tool this caller must not know of have to look alike.
    if refusal.code == "unknown_tool":
        return why
    why["reason"] = refusal.message
    for name in ("help", "rules", "unknown", "scope"):
        if value := getattr(refusal, name):
            why[name] = list(value) if isinstance(value, tuple) else value
    return why


def _text(refusal: Refusal) -> str:
    return f"{refusal.message}; {refusal.help}" if refusal.help else refusal.message


def _readable(refusal: Refusal, why: dict[str, Any], *, modern: bool) -> dict[str, Any]:
    lines = [f"Refused by the gateway ({refusal.code}): {refusal.message}."]
    if refusal.help:
        lines.append(f"What would help: {refusal.help}.")
    lines.append(f"Decision {why['decision_id']}.")
    told: dict[str, Any] = {
        "content": [{"type": "text", "text": " ".join(lines)}],
        "isError": True,
        "_meta": {META_DENIAL: why},
    }
    return told | {"resultType": "complete"} if modern else told


def _challenge(refusal: Refusal, resource_metadata: str) -> tuple[str, str]:
    # RFC 6750 3.1 and MCP authorization: name every scope the operation needs, in one challenge.
    scope, metadata = refusal.scope, resource_metadata
    value = f'error="insufficient_scope", scope="{scope}", resource_metadata="{metadata}"'
    return ("WWW-Authenticate", f"Bearer {value}")
