"""Request headers with every copy that was sent: a plain mapping hides the second one.

Two readers of a doubled header see two values, so every header that decides anything is read
through `single`: once, printable ASCII, or refused (`header_mismatch`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, Protocol

from pbac.mcp.wire_errors import JsonRpcError, RequestId

PROTOCOL_VERSION: Final = "mcp-protocol-version"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
PARAMETER_PREFIX: Final = "mcp-param-"
SESSION_ID: Final = "mcp-session-id"

_PRINTABLE: Final = re.compile(r"[\x20-\x7e\t]*")
_PLAIN: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=")


class Headers(Protocol):
    """All headers of one request, as they were sent."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        """Every value of a header in order, whatever the case of its name, or the default."""
        ...


def single(headers: Headers, name: str, request_id: RequestId | None = None) -> str | None:
    """The one value of a header, or None when it was not sent.

    Raises:
        JsonRpcError: `header_mismatch` when it was sent twice or is not printable ASCII. Bytes
            beyond ASCII arrive as lone surrogates and would break the record later.
    """
    found = headers.getall(name, ())
    if not found:
        return None
    if len(found) > 1:
        raise mismatch(f"the header `{name}` was sent more than once", request_id)
    value = found[0].strip(" \t")  # RFC 9110 5.5: no part of the value
    if not (value.isascii() and value.isprintable()) and not _PRINTABLE.fullmatch(value):
        raise mismatch(f"the header `{name}` is not printable ASCII", request_id)
    return value


def decode_value(text: str) -> str | None:
    """The value a header stands for; None when its `=?base64?…?=` form is broken.

    MCP 2026-07-28 transports, value encoding: the markers are lower case and exact.
    """
    match = _SENTINEL.fullmatch(text)
    if match is None:
        return text
    try:
        return base64.b64decode(match[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def encode_value(text: str) -> str:
    """The header form of a value: as it is, or in base64 when a header could not carry it."""
    if _PLAIN.fullmatch(text) and not _SENTINEL.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode('ascii')}?="


def mismatch(message: str, request_id: RequestId | None) -> JsonRpcError:
    """`header_mismatch`, -32020."""
    return JsonRpcError("header_mismatch", message, request_id=request_id)
