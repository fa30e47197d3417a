"""One call, described for the decision point. Time is read once, here, and is in the request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

from pbac.catalog.tools import Tool
from pbac.gateway.principal import Principal, acting_alone
from pbac.model.request import ISSUE, DecisionRequest
from pbac.oauth.model import Client, describe_agent

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 24 * 3_600 * 1_000


def tool_call(tool: Tool, method: str = "tools/call") -> dict[str, Any]:
    """The `call` root. What nobody has reviewed (tags, hints) is left out: Law 8."""
    call: dict[str, Any] = {
        "method": method,
        "tool": tool.name,
        "server": tool.backend,
        "scope": tool.scope,
    }
    for name in ("tags", "read_only", "destructive", "pinned"):
        value = getattr(tool, name)
        if value is not None:
            call[name] = list(value) if name == "tags" else value
    return call


def environment(now_ms: int, *, ip: str, client: str, name: str) -> dict[str, Any]:
    """The `env` root; `client` is self-reported, `ip` the peer or what a trusted proxy says."""
    env = {"now": now_ms, "today": _date(now_ms // _DAY_MS), "environment": name}
    if ip:
        env["ip"] = ip
    if client:
        env["client"] = client
    return env


@lru_cache(maxsize=2)
def _date(days: int) -> str:
    """The date so many days after the epoch."""
    return date.fromordinal(_EPOCH + days).isoformat()


def token(principal: Principal, now_ms: int) -> dict[str, Any]:
    """The `token` root."""
    return {**principal.token, "age": now_ms - principal.issued_at_ms}


def issue_request(
    client: Client, scope: str, *, consented: Sequence[str], grant: str, env: dict[str, Any]
) -> DecisionRequest:
    """Issuing a scope to an agent now (Law 9). When the token will end is decided by that."""
    return DecisionRequest(
        agent=describe_agent(client),
        chain=acting_alone(),
        token={"scopes": sorted(consented), "grant": grant, "issued_at": env["now"], "age": 0},
        env=env,
        call={"method": ISSUE, "scope": scope},
    )


def decision_request(
    principal: Principal,
    call: dict[str, Any],
    arguments: dict[str, Any],
    *,
    session: dict[str, Any],
    env: dict[str, Any],
) -> DecisionRequest:
    """Everything this decision may depend on."""
    return DecisionRequest(
        agent=principal.agent,
        user=principal.user,
        chain=principal.chain,
        token=token(principal, env["now"]),
        call=call,
        args=arguments,
        session=session,
        env=env,
    )
