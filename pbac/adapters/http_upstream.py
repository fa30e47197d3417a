"""An MCP server behind the gateway, reached over streamable HTTP, of either era.

A modern upstream is asked statelessly; a legacy one within a session of the caller's principal
(`http_sessions`). A call is sent once, except after an answer that proves that nothing ran: a
forgotten session, or parameter headers that a modern upstream finds out of date (-32020).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pbac.adapters import upstream_session as wire
from pbac.adapters.http_pool import HttpPool
from pbac.adapters.http_sessions import HttpSessions
from pbac.adapters.http_wire import HttpWire
from pbac.base.limits import (
    UPSTREAM_CALL_SECONDS_MAX,
    UPSTREAM_CALLS_IN_FLIGHT_MAX,
    UPSTREAM_SESSIONS_MAX,
)
from pbac.gateway.upstream import OnNotification, ServerFacts, UpstreamError, UpstreamFailure
from pbac.mcp import headers as mcp_headers
from pbac.mcp.jsonrpc import Request
from pbac.mcp.modern import ServerInfo
from pbac.mcp.parameter_headers import (
    AnnotationError,
    ParameterHeader,
    parameter_headers,
    render_headers,
)
from pbac.mcp.versions import NEWEST_MODERN, Era

GATEWAY_KEY: Final = ""
"""The principal key of the gateway's own session, in which tools are listed."""

_HEADER_MISMATCH: Final = -32020
_SECRET_CHARACTERS_MIN: Final = 8


class HttpUpstream:
    """One backend over HTTP. See `gateway.upstream.Upstream` for what is promised."""

    def __init__(
        self,
        pool: HttpPool,
        url: str,
        identity: ServerInfo,
        *,
        headers: Mapping[str, str] | None = None,
        call_seconds_max: float = UPSTREAM_CALL_SECONDS_MAX,
        sessions_max: int = UPSTREAM_SESSIONS_MAX,
    ) -> None:
        self._identity = identity
        self._ids = itertools.count(1)
        self._http = HttpWire(pool, url, headers, call_seconds_max=call_seconds_max)
        self._sessions = HttpSessions(
            self._http, identity, lambda: next(self._ids), sessions_max=sessions_max
        )
        self._facts: ServerFacts | None = None
        self._starting = asyncio.Lock()
        self._annotated: dict[str, tuple[ParameterHeader, ...]] = {}
        self._in_flight = 0
        self._secrets = _secrets((headers or {}).values())

    async def start(self) -> ServerFacts:
        """Find out the era: ask like a modern client, fall back to the handshake."""
        async with self._starting:
            if self._facts is None:
                self._facts = await self._discover()
            if self._facts is None:
                self._facts = (await self._sessions.session(GATEWAY_KEY)).facts
            return self._facts

    async def list_tools(self) -> list[dict[str, Any]]:
        """See `Upstream.list_tools`."""
        tools = await wire.list_all(
            lambda params: self._request("tools/list", params, GATEWAY_KEY, None)
        )
        self._annotated = dict(filter(None, map(_annotations, tools)))
        return tools

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        principal_key: str,
        meta: dict[str, Any],
        on_notification: OnNotification | None = None,
    ) -> dict[str, Any]:
        """See `Upstream.call_tool`."""
        if self._in_flight >= UPSTREAM_CALLS_IN_FLIGHT_MAX:
            raise wire.unreachable("the upstream has too many calls in flight")
        relay = wire.Relay(meta, next(self._ids), on_notification)
        params = wire.call_params(name, arguments, relay)
        self._in_flight += 1
        try:
            result = await self._request("tools/call", params, principal_key, relay)
        except UpstreamError as error:
            raise wire.redacted(error, self._secrets) from error
        finally:
            self._in_flight -= 1
        return wire.check_result(result)

    async def close(self) -> None:
        """End every session, in bounded time."""
        self._facts = None
        await self._sessions.close()

    async def _discover(self) -> ServerFacts | None:
        """Facts of a modern upstream, or None: whatever else it answers, it may be legacy."""
        try:
            return wire.read_discovery(await self._ask_modern("server/discover", {}, None))
        except UpstreamError as error:
            if error.failure in (UpstreamFailure.PROTOCOL, UpstreamFailure.RPC):
                return None
            raise

    async def _request(
        self, method: str, params: dict[str, Any], principal_key: str, relay: wire.Relay | None
    ) -> dict[str, Any]:
        facts = self._facts or await self.start()
        if facts.era is Era.LEGACY:
            return await self._sessions.ask(principal_key, method, params, relay)
        try:
            return await self._ask_modern(method, params, relay)
        except UpstreamError as error:
            if error.number != _HEADER_MISMATCH or method != "tools/call":
                raise
        # 2026-07-28 transports: on HeaderMismatch a client lists the tools anew and tries again.
        await self.list_tools()
        return await self._ask_modern(method, params, relay)

    async def _ask_modern(
        self, method: str, params: dict[str, Any], relay: wire.Relay | None
    ) -> dict[str, Any]:
        sent = {mcp_headers.PROTOCOL_VERSION: NEWEST_MODERN, mcp_headers.METHOD: method}
        if method == "tools/call":
            name = params["name"]
            sent[mcp_headers.NAME] = mcp_headers.encode_value(name)
            sent |= render_headers(self._annotated.get(name, ()), params["arguments"])
        request = Request(
            id=next(self._ids),
            method=method,
            params=wire.with_modern_meta(params, self._identity),
        )
        reply = await self._http.ask(sent, request, relay=relay, answer_peer=_refuse_peer)
        return reply.result


async def _refuse_peer(asked: Request) -> None:
    # 2026-07-28 transports: a response stream carries no requests of the server.
    raise wire.protocol_error(f"it sent a request (`{asked.method}`)", executed=None)


def _secrets(values: Iterable[str]) -> tuple[str, ...]:
    """The words of the operator's header values that are long enough to be credentials."""
    words = {word for value in values for word in value.split()}
    return tuple(sorted(word for word in words if len(word) >= _SECRET_CHARACTERS_MIN))


def _annotations(tool: Any) -> tuple[str, tuple[ParameterHeader, ...]] | None:
    """The parameter headers of one definition; a tool whose annotations are broken has none."""
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return None
    schema = tool.get("inputSchema")
    try:
        return tool["name"], parameter_headers(schema) if isinstance(schema, dict) else ()
    except AnnotationError:
        return None
