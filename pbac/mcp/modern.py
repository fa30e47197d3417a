"""2026-07-28: no handshake, no session; every request says what it is, twice.

Once in the body (`params._meta`), once in headers that a front proxy may act on. The ladder
below refuses a request whose two halves disagree. Every function is pure; the HTTP side of the
ladder (method, content type, Accept) belongs to the web layer.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pbac.mcp import headers
from pbac.mcp.headers import Headers
from pbac.mcp.jsonrpc import Request
from pbac.mcp.messages import read_client_info
from pbac.mcp.methods import METHODS
from pbac.mcp.versions import MODERN_VERSIONS, VERSION_KEY, unsupported
from pbac.mcp.wire_errors import JsonRpcError

CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"

LOG_LEVELS: Final = (
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
)  # fmt: skip
"""RFC 5424 severities, least first."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a modern request says of itself. Self-reported: never a reason to permit.

    `log_level` None means that no `notifications/message` may be sent for this request.
    """

    version: str
    capabilities: dict[str, Any]
    client_name: str
    client_version: str
    log_level: str | None


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway names itself to clients and upstreams: an MCP `Implementation`."""

    name: str
    version: str
    title: str | None = None

    def tree(self) -> dict[str, Any]:
        """Its JSON form."""
        title = {} if self.title is None else {"title": self.title}
        return {"name": self.name, "version": self.version, **title}


def read_envelope(request: Request, sent: Headers) -> Envelope:
    """The ladder, in its order; the first failure answers.

    Then follow, in the pipeline: `parameter_headers.check_headers` once the tool is known, and
    `methods.require_method`.

    Raises:
        JsonRpcError: `invalid_params`, `header_mismatch` or `unsupported_version`.
    """
    meta = _required_meta(request)
    _check_mirrors(request, sent, meta[VERSION_KEY])
    if meta[VERSION_KEY] not in MODERN_VERSIONS:
        raise unsupported(meta[VERSION_KEY], request.id)
    name, version = read_client_info(meta.get(CLIENT_INFO_KEY))
    return Envelope(
        version=meta[VERSION_KEY],
        capabilities=meta[CAPABILITIES_KEY],
        client_name=name,
        client_version=version,
        log_level=_log_level(meta),
    )


def _required_meta(request: Request) -> dict[str, Any]:
    """2026-07-28 basic/index: both keys are required on every request, else -32602 and 400."""
    meta = request.params.get("_meta")
    if not isinstance(meta, dict):
        raise _invalid(request, "`params._meta` has to be an object")
    for key, kind, name in ((VERSION_KEY, str, "string"), (CAPABILITIES_KEY, dict, "object")):
        if not isinstance(meta.get(key), kind):
            raise _invalid(request, f"`params._meta` needs `{key}`, one {name}")
    return meta


def _check_mirrors(request: Request, sent: Headers, version: str) -> None:
    """2026-07-28 transports: "Servers MUST reject requests where the values do not match"."""
    row = METHODS.get(request.method)
    mirrors = [(headers.PROTOCOL_VERSION, version), (headers.METHOD, request.method)]
    for name, expected in mirrors:
        if headers.single(sent, name, request.id) != expected:
            raise headers.mismatch(f"the header `{name}` and the body disagree", request.id)
    if row is None or not row.named_by_header:
        return
    value, header = request.params.get(row.resource), headers.single(sent, headers.NAME, request.id)
    # A body without a name is the reader's to refuse, unless a header claims one.
    if value is None and header is None:
        return
    if header is None or headers.decode_value(header) != value:
        raise headers.mismatch(
            f"the header `{headers.NAME}` and `params.{row.resource}` disagree", request.id
        )


def is_wanted(level: Any, wanted: str | None) -> bool:
    """Whether a log message of this level may be sent for a request that asked for `wanted`.

    2026-07-28 logging: without a level in the request the server "MUST NOT" send any. A level that
    is none of RFC 5424 is taken for the most severe.
    """
    if wanted is None:
        return False
    return level not in LOG_LEVELS or LOG_LEVELS.index(level) >= LOG_LEVELS.index(wanted)


def _log_level(meta: dict[str, Any]) -> str | None:
    level = meta.get(LOG_LEVEL_KEY)
    return level if level in LOG_LEVELS else None


def _invalid(request: Request, message: str) -> JsonRpcError:
    return JsonRpcError("invalid_params", message, request_id=request.id)


def complete(result: dict[str, Any], server: ServerInfo) -> dict[str, Any]:
    """A result as a modern client has to get it: `resultType` and our own name.

    An upstream's `serverInfo` is replaced: to the caller, the server is the gateway.
    """
    meta = result.get("_meta")
    kept = meta if isinstance(meta, dict) else {}
    return {
        **result,
        "resultType": "complete",
        "_meta": {**kept, SERVER_INFO_KEY: server.tree()},
    }


def cacheable(result: dict[str, Any], server: ServerInfo, *, ttl_ms: int = 0) -> dict[str, Any]:
    """A list or discovery result, for this authorization alone.

    2026-07-28 caching: `ttlMs` and `cacheScope` are mandatory on lists. What a principal may see
    is its own, so the scope is always `private`; the default life is 0 because a policy change
    shows on the next call.
    """
    return {**complete(result, server), "ttlMs": ttl_ms, "cacheScope": "private"}


def discovery(
    server: ServerInfo, capabilities: dict[str, Any], instructions: str | None = None
) -> dict[str, Any]:
    """The result of `server/discover`: the same versions as in `unsupported_version`."""
    result: dict[str, Any] = {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": capabilities,
    }
    if instructions:
        result["instructions"] = instructions
    return cacheable(result, server)
