"""What both transports say to an upstream, and what they accept from it.

The gateway is a client of no capabilities: it declares no sampling, elicitation or roots, so a
sound upstream never asks it anything in the middle of a call. Everything an upstream sends is
read by the same strict reader as a caller's body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from pbac.base import json
from pbac.base.limits import CURSOR_CHARACTERS_MAX, TOOL_PAGES_MAX, TOOLS_PER_BACKEND_MAX
from pbac.gateway.upstream import OnNotification, ServerFacts, UpstreamError, UpstreamFailure
from pbac.mcp import jsonrpc, wire_errors
from pbac.mcp.jsonrpc import Failure, Notification, Request
from pbac.mcp.messages import LOG_MESSAGE, PROGRESS, TRACE_KEYS, read_client_info
from pbac.mcp.modern import CAPABILITIES_KEY, CLIENT_INFO_KEY, SERVER_INFO_KEY, ServerInfo
from pbac.mcp.versions import (
    LEGACY_VERSIONS,
    NEWEST_LEGACY,
    NEWEST_MODERN,
    VERSION_KEY,
    Era,
)

UPSTREAM_LEGACY_VERSIONS: Final = ("2024-11-05", *LEGACY_VERSIONS)
"""Towards upstreams the first revision will do too: its tools are the same."""

_TEXT_CHARACTERS_MAX: Final = 200
_INSTRUCTIONS_CHARACTERS_MAX: Final = 16 * 1024

_NOT_RUN: Final = frozenset({-32700, -32600, -32601, -32602, -32020, -32021, -32022})
"""Errors that say that a request was not carried out."""


def modern_meta(identity: ServerInfo) -> dict[str, Any]:
    """The `_meta` members every modern request carries (2026-07-28 basic/index)."""
    return {
        VERSION_KEY: NEWEST_MODERN,
        CAPABILITIES_KEY: {},
        CLIENT_INFO_KEY: identity.tree(),
    }


def with_modern_meta(params: dict[str, Any], identity: ServerInfo) -> dict[str, Any]:
    """Params that describe their own request."""
    return {**params, "_meta": {**params.get("_meta", {}), **modern_meta(identity)}}


def initialize_params(identity: ServerInfo) -> dict[str, Any]:
    """The params of a legacy handshake."""
    return {
        "protocolVersion": NEWEST_LEGACY,
        "capabilities": {},
        "clientInfo": identity.tree(),
    }


def read_discovery(result: dict[str, Any]) -> ServerFacts | None:
    """What `server/discover` told, or None when it names no modern revision of ours."""
    versions = result.get("supportedVersions")
    if not isinstance(versions, list) or NEWEST_MODERN not in versions:
        return None
    meta = result.get("_meta")
    info = meta.get(SERVER_INFO_KEY) if isinstance(meta, dict) else None
    return _facts(Era.MODERN, NEWEST_MODERN, info, result)


def read_handshake(result: dict[str, Any]) -> ServerFacts:
    """What `initialize` told.

    Raises:
        UpstreamError: when it chose a revision we do not speak.
    """
    version = result.get("protocolVersion")
    if version not in UPSTREAM_LEGACY_VERSIONS:
        raise protocol_error(f"it chose the protocol version {_show(version)}", executed=False)
    return _facts(Era.LEGACY, version, result.get("serverInfo"), result)


def _facts(era: Era, version: str, info: Any, result: dict[str, Any]) -> ServerFacts:
    capabilities, instructions = result.get("capabilities"), result.get("instructions")
    name, server_version = read_client_info(info)
    return ServerFacts(
        era=era,
        version=version,
        name=name,
        server_version=server_version,
        capabilities=capabilities if isinstance(capabilities, dict) else {},
        instructions=(
            instructions[:_INSTRUCTIONS_CHARACTERS_MAX] if isinstance(instructions, str) else ""
        ),
    )


async def list_all(
    ask: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """Every page of `tools/list`; `ask` sends one request's params and returns its result.

    Raises:
        UpstreamError: when the pages are malformed, too many, or go round in a circle.
    """
    tools: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    cursors: set[str] = set()
    for _ in range(TOOL_PAGES_MAX):
        result = await ask(params)
        page, cursor = result.get("tools"), result.get("nextCursor")
        if not isinstance(page, list):
            raise protocol_error("it answered `tools/list` without a list of tools", executed=False)
        tools.extend(page)
        if len(tools) > TOOLS_PER_BACKEND_MAX:
            raise too_large(f"it lists more than {TOOLS_PER_BACKEND_MAX} tools", executed=False)
        if cursor is None:
            return tools
        if not isinstance(cursor, str) or len(cursor) > CURSOR_CHARACTERS_MAX or cursor in cursors:
            raise protocol_error("the cursors of its `tools/list` lead nowhere", executed=False)
        cursors.add(cursor)
        params = {"cursor": cursor}
    raise too_large(f"its `tools/list` has more than {TOOL_PAGES_MAX} pages", executed=False)


def check_result(result: dict[str, Any]) -> dict[str, Any]:
    """A result as it came, if it is one we can pass on.

    2026-07-28: a missing `resultType` means complete, an unknown one is invalid. We declare no
    capabilities, so `input_required` would be a question nobody can be asked.

    Raises:
        UpstreamError: otherwise.
    """
    kind = result.get("resultType", "complete")
    if kind != "complete":
        raise protocol_error(f"it answered with a result of type {_show(kind)}", executed=None)
    return result


def rpc_failure(failure: Failure) -> UpstreamError:
    """A JSON-RPC error of the upstream, to be relayed."""
    return UpstreamError(
        UpstreamFailure.RPC,
        failure.message,
        executed=False if failure.number in _NOT_RUN else None,
        number=failure.number,
        data=failure.data,
    )


def redacted(error: UpstreamError, secrets: Iterable[str]) -> UpstreamError:
    """The error without the gateway's own credentials, should the upstream have quoted them."""
    text, data = error.message, json.encode(error.data).decode()
    if not any(secret in text or secret in data for secret in secrets):
        return error
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return UpstreamError(
        error.failure, text, executed=error.executed, number=error.number, data=None
    )


def peer_answer(request: Request) -> dict[str, Any]:
    """Our answer to a request of the upstream: `ping`, and nothing else."""
    if request.method == "ping":
        return wire_errors.result(request.id, {})
    return wire_errors.error(
        request.id, "method_not_found", f"`{request.method}` is not served by this client"
    )


class Relay:
    """The notifications of one call, on their way back to its caller.

    Progress tokens are ours towards the upstream, so that two callers may use equal ones, and
    the caller's own towards the caller. What is neither progress of this call nor a log message
    is not about this call and stops here.
    """

    def __init__(
        self, meta: dict[str, Any], own_token: int, on_notification: OnNotification | None
    ) -> None:
        wanted = on_notification is not None
        self.own_token = own_token
        self._caller_token = meta.get("progressToken") if wanted else None
        self._trace: dict[str, Any] = {key: meta[key] for key in TRACE_KEYS if key in meta}
        self._on_notification = on_notification

    def outgoing_meta(self) -> dict[str, Any]:
        """The `_meta` members this call sends: our token, the caller's trace context."""
        token: dict[str, Any] = (
            {} if self._caller_token is None else {"progressToken": self.own_token}
        )
        return {**token, **self._trace}

    async def deliver(self, notification: Notification) -> None:
        """Hand one notification on, if it belongs to this call."""
        if self._on_notification is None:
            return
        params = notification.params
        if notification.method == PROGRESS:
            if self._caller_token is None or params.get("progressToken") != self.own_token:
                return
            params = {**params, "progressToken": self._caller_token}
        elif notification.method != LOG_MESSAGE:
            return
        await self._on_notification(
            {"jsonrpc": "2.0", "method": notification.method, "params": params}
        )


def call_params(name: str, arguments: dict[str, Any], relay: Relay) -> dict[str, Any]:
    """The params of a `tools/call`: the decided name and arguments, and nothing else of it."""
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    if meta := relay.outgoing_meta():
        params["_meta"] = meta
    return params


def read_message(body: bytes) -> jsonrpc.Message:
    """One message of an upstream.

    Raises:
        UpstreamError: when it is not one that a caller might be sent either.
    """
    try:
        message = jsonrpc.parse_answer(body)
    except wire_errors.JsonRpcError as error:
        raise protocol_error(f"it sent no sound message: {error.message}", executed=None) from None
    if isinstance(message, jsonrpc.Batch):
        raise protocol_error("it sent a batch", executed=None)
    return message


def protocol_error(message: str, *, executed: bool | None) -> UpstreamError:
    """It answered what no MCP server may answer."""
    return UpstreamError(
        UpstreamFailure.PROTOCOL, f"the upstream is faulty: {message}", executed=executed
    )


def too_large(message: str, *, executed: bool | None) -> UpstreamError:
    """It answered more than we keep."""
    return UpstreamError(
        UpstreamFailure.TOO_LARGE, f"the upstream is faulty: {message}", executed=executed
    )


def unreachable(
    message: str, *, executed: bool | None = False, help: str | None = None
) -> UpstreamError:
    """It is not there, or was not there to the end. `help` is for who configured it."""
    return UpstreamError(UpstreamFailure.UNREACHABLE, message, executed=executed, help=help)


def timed_out(seconds: float) -> UpstreamError:
    """It did not answer in time; whether it ran the call, nobody knows."""
    return UpstreamError(
        UpstreamFailure.TIMEOUT, f"the upstream did not answer within {seconds:g} s", executed=None
    )


def _show(value: Any) -> str:
    return f"`{ascii(value)[:_TEXT_CHARACTERS_MAX]}`"
