r"""Typed readers of `params`. What a reader does not return is not forwarded.

A member we do not know is dropped, since revisions add optional ones; but a member that a laxer
reader would take for one we do know (`Name` beside `name`, `name\u0000`) is refused, because
the upstream must not see another call than the one that was decided.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pbac.base.limits import (
    CURSOR_CHARACTERS_MAX,
    IDENTIFIER_CHARACTERS_MAX,
    REQUEST_ID_CHARACTERS_MAX,
    TOOL_NAME_CHARACTERS_MAX,
)
from pbac.base.lookalikes import lookalike
from pbac.mcp.jsonrpc import Request, is_request_id
from pbac.mcp.wire_errors import JsonRpcError, RequestId

LOG_MESSAGE: Final = "notifications/message"
PROGRESS: Final = "notifications/progress"

TRACE_KEYS: Final = ("traceparent", "tracestate", "baggage")
"""W3C trace context: the only members of a caller's `_meta` that travel on."""

TRACE_CHARACTERS_MAX: Final = 512
"""W3C Trace Context 3.3.1.5 asks receivers to propagate at least this much of a `tracestate`."""

_TOOL_CALL: Final = frozenset({"name", "arguments", "_meta"})
_LIST: Final = frozenset({"cursor", "_meta"})
_INITIALIZE: Final = frozenset({"protocolVersion", "capabilities", "clientInfo", "_meta"})
_TOOL_NAME: Final = re.compile(rf"[\x21-\x7e]{{1,{TOOL_NAME_CHARACTERS_MAX}}}")


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of `_meta`: the caller's progress token and its trace context."""

    progress_token: RequestId | None = None
    trace: dict[str, str] = {}


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """`tools/call`. `name` is the public name; `arguments` is `{}` when left out."""

    name: str
    arguments: dict[str, Any]
    meta: Meta


class ListCall(msgspec.Struct, frozen=True, kw_only=True):
    """Any `…/list`. `cursor` is opaque and was handed out by us; "" is a cursor, None is not."""

    cursor: str | None
    meta: Meta


class Initialize(msgspec.Struct, frozen=True, kw_only=True):
    """`initialize`. Everything the client says of itself is self-reported."""

    version: str
    client_name: str
    client_version: str
    capabilities: dict[str, Any]


def read_tool_call(request: Request) -> ToolCall:
    """The call in a `tools/call` request. Raises `JsonRpcError` (`invalid_params`, …)."""
    params = _known(request, _TOOL_CALL)
    name = params.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise _invalid(
            request,
            f"`name` has to be 1 to {TOOL_NAME_CHARACTERS_MAX} printable ASCII characters",
        )
    arguments = params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise _invalid(request, "`arguments` has to be an object")
    return ToolCall(name=name, arguments=arguments, meta=read_meta(request))


def read_list(request: Request) -> ListCall:
    """The page a `…/list` request asks for. Raises `JsonRpcError` (`invalid_params`, …)."""
    cursor = _known(request, _LIST).get("cursor")
    if cursor is not None and not (
        isinstance(cursor, str) and len(cursor) <= CURSOR_CHARACTERS_MAX
    ):
        raise _invalid(request, "`cursor` is not one of ours", "list again without it")
    return ListCall(cursor=cursor, meta=read_meta(request))


def read_initialize(request: Request) -> Initialize:
    """The handshake of a legacy client. Raises `JsonRpcError` (`invalid_params`, …)."""
    params = _known(request, _INITIALIZE)
    version, capabilities = params.get("protocolVersion"), params.get("capabilities", {})
    if not isinstance(version, str) or len(version) > IDENTIFIER_CHARACTERS_MAX:
        raise _invalid(request, "`protocolVersion` has to be a short string")
    if not isinstance(capabilities, dict):
        raise _invalid(request, "`capabilities` has to be an object")
    name, client_version = read_client_info(params.get("clientInfo"))
    return Initialize(
        version=version,
        client_name=name,
        client_version=client_version,
        capabilities=capabilities,
    )


def read_client_info(info: Any) -> tuple[str, str]:
    """Name and version of an `Implementation`, shortened; "" for what is missing or no text."""
    if not isinstance(info, dict):
        return "", ""
    return _short(info.get("name")), _short(info.get("version"))


def read_meta(request: Request) -> Meta:
    """What is kept of `params._meta`. Raises `JsonRpcError` (`invalid_params`)."""
    meta = request.params.get("_meta", {})
    if not isinstance(meta, dict):
        raise _invalid(request, "`_meta` has to be an object")
    token = meta.get("progressToken")
    if token is not None and not is_request_id(token):
        raise _invalid(
            request,
            "`progressToken` has to be an integer or a string of up to "
            f"{REQUEST_ID_CHARACTERS_MAX} characters",
        )
    return Meta(progress_token=token, trace=_trace(meta))


def _trace(meta: dict[str, Any]) -> dict[str, str]:
    if meta.keys().isdisjoint(TRACE_KEYS):
        return {}
    return {
        key: value
        for key in TRACE_KEYS
        if isinstance(value := meta.get(key), str) and len(value) <= TRACE_CHARACTERS_MAX
    }


def _short(value: Any) -> str:
    return value[:IDENTIFIER_CHARACTERS_MAX] if isinstance(value, str) else ""


def _known(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """The params, once no member of them could be taken for another."""
    for name in sorted(request.params.keys() - known):
        if near := lookalike(name, known):
            raise JsonRpcError(
                "invalid_request",
                f"the parameter `{ascii(name[:64])[1:-1]}` could be read as `{near}`",
                help=f"spell it `{near}`, or leave it out",
                request_id=request.id,
            )
    return request.params


def _invalid(request: Request, message: str, remedy: str | None = None) -> JsonRpcError:
    return JsonRpcError("invalid_params", message, help=remedy, request_id=request.id)
