"""Every error a caller can be answered with: symbolic word, JSON-RPC number, HTTP status.

JSON-RPC 2.0 5.1 owns -32768..-32000 and MCP 2026-07-28 owns -32020..-32099 within it, of which
only the three below are emitted. Our own numbers lie outside, as that revision asks.

Legacy requests are answered with HTTP 200 wherever the envelope was sound: the TypeScript v1
client throws the JSON-RPC error away on any 4xx. A modern client reads the body on every status.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pbac.base.errors import PbacError


class WireError(msgspec.Struct, frozen=True):
    """One row: the JSON-RPC `number`, and the HTTP status by the caller's era."""

    number: int
    http_legacy: int
    http_modern: int


WIRE_ERRORS: Final[dict[str, WireError]] = {
    # The envelope (JSON-RPC 2.0 5.1). A body nobody could read is a transport failure: 400.
    "parse_error": WireError(-32700, 400, 400),
    "number_out_of_range": WireError(-32602, 400, 400),
    "invalid_request": WireError(-32600, 400, 400),
    # MCP 2026-07-28 transports: an unknown method is 404 (MUST); parameters: 400.
    "method_not_found": WireError(-32601, 200, 404),
    "invalid_params": WireError(-32602, 200, 400),
    "unknown_tool": WireError(-32602, 200, 400),
    "internal_error": WireError(-32603, 200, 500),
    # MCP 2026-07-28 error codes: 400 (MUST) for all three.
    "header_mismatch": WireError(-32020, 400, 400),
    "missing_capability": WireError(-32021, 400, 400),
    "unsupported_version": WireError(-32022, 400, 400),
    # MCP 2025-11-25 transports, session management: none sent is 400, a dead one is 404.
    "session_required": WireError(-32600, 400, 400),
    "session_not_found": WireError(-32600, 404, 404),
    # Ours: the answers of the enforcement point.
    "policy_denied": WireError(-31001, 403, 403),
    "insufficient_scope": WireError(-31002, 403, 403),
    "quota_exceeded": WireError(-31003, 403, 403),
    "approval_unavailable": WireError(-31004, 403, 403),
    "approval_refused": WireError(-31005, 403, 403),
    "duty_failed": WireError(-31006, 403, 403),
    "audit_unavailable": WireError(-31010, 503, 503),
    "overloaded": WireError(-31011, 503, 503),
    "rate_limited": WireError(-31012, 429, 429),
    # Ours: what became of the upstream.
    "upstream_unavailable": WireError(-31020, 200, 503),
    "upstream_timeout": WireError(-31021, 200, 504),
    "upstream_error": WireError(-31022, 200, 502),
    "upstream_response_too_large": WireError(-31023, 200, 502),
    "upstream_auth_failed": WireError(-31024, 200, 502),
}
"""Symbolic word → row. The word is the same in answers, records and metrics."""

_OWN_NUMBERS_ABOVE: Final = -32000

RequestId = str | int


class JsonRpcError(PbacError):
    """A refusal that has a place in `WIRE_ERRORS`; `code` is its symbolic word.

    Attributes:
        request_id: the id to echo, or None when none could be read.
        data: the `data` member of the answer, or None.
    """

    code = "invalid_request"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        help: str | None = None,
        data: dict[str, Any] | None = None,
        request_id: RequestId | None = None,
    ) -> None:
        super().__init__(message, help=help, code=code)
        self.data = data
        self.request_id = request_id

    @property
    def number(self) -> int:
        """The JSON-RPC `error.code`."""
        return WIRE_ERRORS[self.code].number

    def answer(self) -> dict[str, Any]:
        """The JSON-RPC message that says so to the caller."""
        text = f"{self.message}; {self.help}" if self.help else self.message
        return error(self.request_id, self.code, text, self.data)


def http_status(code: str, *, modern: bool) -> int:
    """The HTTP status for a symbolic word."""
    row = WIRE_ERRORS[code]
    return row.http_modern if modern else row.http_legacy


def error(
    request_id: RequestId | None, code: str, message: str, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An error answer. Our own numbers carry their word as `data.code`, so nobody parses text."""
    number = WIRE_ERRORS[code].number
    if number > _OWN_NUMBERS_ABOVE:
        data = {"code": code, **(data or {})}
    return relayed_error(request_id, number, message, data)


def relayed_error(
    request_id: RequestId | None, number: int, message: str, data: Any = None
) -> dict[str, Any]:
    """An error answer with a number that is not ours, e.g. one an upstream gave."""
    body: dict[str, Any] = {"code": number, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def result(request_id: RequestId, value: dict[str, Any]) -> dict[str, Any]:
    """A success answer."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}
