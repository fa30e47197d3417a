"""The `/mcp` endpoint behind its HTTP dress: bytes and headers in, one answer out.

The rungs, in the order of the transport's own ladder; the first failure answers. Host, Origin,
method, token, media types and size were settled by the web layer before this begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from pbac.gateway.answer import ACCEPTED, ENDED, RETRY_SOON, Answer, json_answer
from pbac.gateway.decision_request import environment
from pbac.gateway.filters import shown_tools
from pbac.gateway.gateway import Gateway
from pbac.gateway.pipeline import Caller, call_tool
from pbac.gateway.ports import Notify
from pbac.gateway.principal import Principal
from pbac.mcp import headers, modern
from pbac.mcp.headers import Headers
from pbac.mcp.jsonrpc import Batch, Message, Notification, Request, parse
from pbac.mcp.legacy_session import (
    SESSION_ID_BYTES,
    LegacySession,
    initialize_result,
    require_session_id,
)
from pbac.mcp.messages import LOG_MESSAGE, read_initialize, read_list, read_tool_call
from pbac.mcp.methods import require_method, require_notification
from pbac.mcp.parameter_headers import check_headers
from pbac.mcp.versions import MODERN_VERSIONS, Wire, choose_era
from pbac.mcp.wire_errors import JsonRpcError, http_status, result

_PASSING: Final = frozenset({"overloaded", "rate_limited"})
"""Refusals that say nothing about the call: the same one may pass in a moment."""

CAPABILITIES: Final[dict[str, Any]] = {"tools": {}}
"""What the gateway serves; methods beyond it answer `method_not_found`."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One POST: its headers, the whole body, the client's address."""

    headers: Headers
    body: bytes
    ip: str


class _Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One message with everything that came along with it."""

    principal: Principal
    http: HttpRequest
    message: Message | Batch
    session: LegacySession | None
    notify: Notify


async def serve(
    gateway: Gateway, principal: Principal, http: HttpRequest, notify: Notify
) -> Answer:
    """Answer one POST of an authenticated caller.

    Raises:
        AuditUnavailable: nothing was forwarded.
    """
    is_modern = False
    try:
        message = parse(http.body)
        session = _session(gateway, principal, http, message)
        wire = choose_era(http.headers, message, session.version if session else None)
        is_modern = wire.modern
        incoming = _Incoming(
            principal=principal, http=http, message=message, session=session, notify=notify
        )
        return await _dispatch(gateway, incoming, wire)
    except JsonRpcError as refusal:
        gateway.counters.refused(refusal.code)
        headers = (RETRY_SOON,) if refusal.code in _PASSING else ()
        status = http_status(refusal.code, modern=is_modern)
        return json_answer(refusal.answer(), status, *headers)


def end_session(gateway: Gateway, principal: Principal, sent: Headers) -> Answer:
    """DELETE of a legacy session by its owner: 204, or the error of an unknown session."""
    try:
        session_id = require_session_id(sent)
        gateway.legacy_sessions.end(session_id, principal.key, now=gateway.clock.monotonic())
    except JsonRpcError as refusal:
        gateway.counters.refused(refusal.code)
        return json_answer(refusal.answer(), http_status(refusal.code, modern=False))
    return ENDED


def _session(
    gateway: Gateway, principal: Principal, http: HttpRequest, message: Message | Batch
) -> LegacySession | None:
    """The legacy session a request names. Modern requests have none, whatever they send."""
    version = headers.single(http.headers, headers.PROTOCOL_VERSION)
    if version in MODERN_VERSIONS:
        return None
    if headers.single(http.headers, headers.SESSION_ID) is None:
        return None
    request_id = message.id if isinstance(message, Request) else None
    return gateway.legacy_sessions.find(
        require_session_id(http.headers, request_id),
        principal.key,
        now=gateway.clock.monotonic(),
        request_id=request_id,
    )


async def _dispatch(gateway: Gateway, incoming: _Incoming, wire: Wire) -> Answer:
    match incoming.message:
        case Request() as request:
            client, notify = _introduction(incoming, request, wire)
            require_method(request.method, wire, request.id)
            caller = Caller(
                principal=incoming.principal,
                wire=wire,
                request_id=request.id,
                ip=incoming.http.ip,
                client=client,
                notify=notify,
            )
            return await _SERVED[request.method](gateway, caller, request, incoming.http)
        case Notification() as notification:
            require_notification(notification.method)
            return ACCEPTED
        case _:
            # Batches exist in 2025-03-26 alone and the official SDKs refuse them too; we never
            # ask a client anything, so no response can be meant for us.
            raise JsonRpcError("invalid_request", "send one request or notification")


def _introduction(incoming: _Incoming, request: Request, wire: Wire) -> tuple[str, Notify]:
    """What the client calls itself and how it may be notified, by its era's own ladder."""
    sent, session = incoming.http.headers, incoming.session
    if wire.modern:
        envelope = modern.read_envelope(request, sent)
        return envelope.client_name, _only_wanted(incoming.notify, envelope.log_level)
    if session is None and request.method != "initialize":
        require_session_id(sent, request.id)
    return session.client_name if session else "", incoming.notify


def _only_wanted(notify: Notify, log_level: str | None) -> Notify:
    """Notifications without the log messages that the request did not ask for."""

    async def send(message: dict[str, Any]) -> None:
        is_log = message["method"] == LOG_MESSAGE
        if not is_log or modern.is_wanted(message["params"].get("level"), log_level):
            await notify(message)

    return send


# --- one served method, one function ----------------------------------------------------------


async def _initialize(
    gateway: Gateway, caller: Caller, request: Request, _http: HttpRequest
) -> Answer:
    session = gateway.legacy_sessions.open(
        caller.principal.key,
        read_initialize(request),
        random=gateway.entropy(SESSION_ID_BYTES),
        now=gateway.clock.monotonic(),
    )
    told = initialize_result(session, gateway.settings.server, CAPABILITIES)
    return json_answer(result(request.id, told), 200, ("Mcp-Session-Id", session.id))


async def _ping(_gateway: Gateway, _caller: Caller, request: Request, _http: HttpRequest) -> Answer:
    return json_answer(result(request.id, {}))


async def _discover(
    gateway: Gateway, _caller: Caller, request: Request, _http: HttpRequest
) -> Answer:
    return json_answer(result(request.id, modern.discovery(gateway.settings.server, CAPABILITIES)))


async def _list_tools(
    gateway: Gateway, caller: Caller, request: Request, http: HttpRequest
) -> Answer:
    if read_list(request).cursor is not None:
        # Everything a caller may see is on the one page we hand out.
        raise JsonRpcError("invalid_params", "`cursor` is not one of ours", request_id=request.id)
    env = environment(
        gateway.clock.now_ms(),
        ip=http.ip,
        client=caller.client,
        name=gateway.settings.environment,
    )
    offer = gateway.offer.current
    shown = shown_tools(gateway.policies.current, caller.principal, offer.tools, env)
    listed: dict[str, Any] = {"tools": [offer.registry.listed(tool) for tool in shown]}
    if caller.wire.modern:
        listed = modern.cacheable(listed, gateway.settings.server)
    return json_answer(result(request.id, listed))


async def _call_tool(
    gateway: Gateway, caller: Caller, request: Request, http: HttpRequest
) -> Answer:
    call = read_tool_call(request)
    offer = gateway.offer.current
    if caller.wire.modern and (tool := offer.find(call.name)):
        mirrored = offer.parameter_headers(tool)
        check_headers(mirrored, call.arguments, http.headers, request.id)
    with gateway.in_flight.call(caller.principal.key, request.id):
        return await call_tool(gateway, caller, call)


_Served: TypeAlias = Callable[[Gateway, Caller, Request, HttpRequest], Awaitable[Answer]]

_SERVED: Final[Mapping[str, _Served]] = {
    "initialize": _initialize,
    "ping": _ping,
    "server/discover": _discover,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}
