"""The revisions served, and which of the two eras a request belongs to.

*Legacy* revisions shake hands with `initialize`; *modern* ones describe every request in
`params._meta`. The choice is made once per HTTP request, from the version header, the body and
the session, before anything else looks at the body. What is decided about a call never depends
on it: an old version is no way around a rule.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from pbac.mcp import headers
from pbac.mcp.headers import Headers
from pbac.mcp.jsonrpc import Batch, Message, Notification, Request
from pbac.mcp.wire_errors import JsonRpcError, RequestId

LEGACY_VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS: Final = ("2026-07-28",)
NEWEST_LEGACY: Final = LEGACY_VERSIONS[-1]
NEWEST_MODERN: Final = MODERN_VERSIONS[-1]
BATCH_VERSION: Final = "2025-03-26"
"""The only revision with batches; also what a request without any version speaks."""

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
"""The `_meta` key by which a modern request names its revision."""


class Era(StrEnum):
    """`legacy`: handshake and sessions. `modern`: each request stands alone."""

    LEGACY = "legacy"
    MODERN = "modern"


class Wire(msgspec.Struct, frozen=True):
    """How to read and answer one HTTP request."""

    era: Era
    version: str

    @property
    def modern(self) -> bool:
        """True from 2026-07-28 on."""
        return self.era is Era.MODERN


def era_of(version: str) -> Era | None:
    """The era of a revision we serve, or None."""
    if version in MODERN_VERSIONS:
        return Era.MODERN
    return Era.LEGACY if version in LEGACY_VERSIONS else None


def negotiate(requested: str) -> str:
    """The answer to a legacy `initialize`.

    2025-11-25 lifecycle: "If the server supports the requested protocol version, it MUST respond
    with the same version. Otherwise [...] another protocol version it supports", the latest.
    """
    return requested if requested in LEGACY_VERSIONS else NEWEST_LEGACY


def choose_era(
    sent: Headers, message: Message | Batch | None, session_version: str | None = None
) -> Wire:
    """Which era speaks.

    `message` is None for GET and DELETE; `session_version` is what the session named by this
    request negotiated, when there is one.

    Raises:
        JsonRpcError: `header_mismatch`, `unsupported_version` or `invalid_request`.
    """
    request_id = message.id if isinstance(message, Request) else None
    header = headers.single(sent, headers.PROTOCOL_VERSION, request_id)
    if header is None:
        return _without_header(message, session_version, request_id)
    match era_of(header):
        case Era.MODERN:
            wire = Wire(Era.MODERN, header)
        case Era.LEGACY:
            # Modern readers go by the body as much as by the header: what speaks with two tongues
            # is refused here too.
            if _claims_another(message, header):
                raise headers.mismatch("the version header and the body disagree", request_id)
            if session_version not in (None, header):
                raise JsonRpcError(
                    "invalid_request",
                    f"the version header says `{header}`, the session `{session_version}`",
                    request_id=request_id,
                )
            wire = Wire(Era.LEGACY, header)
        case None:
            raise unsupported(header, request_id)
    _check_batch(wire, message)
    return wire


def unsupported(requested: str, request_id: RequestId | None) -> JsonRpcError:
    """`unsupported_version`, -32022.

    `data.supported` lists modern revisions only: a client of both eras reads it as "retry with
    one of these" and must not take a legacy one from it. The message names the others.
    """
    return JsonRpcError(
        "unsupported_version",
        f"the protocol version `{requested[:64]}` is not supported",
        help="send one of " + ", ".join((*MODERN_VERSIONS, *LEGACY_VERSIONS)),
        data={"supported": list(MODERN_VERSIONS), "requested": requested[:64]},
        request_id=request_id,
    )


def _without_header(
    message: Message | Batch | None, session_version: str | None, request_id: RequestId | None
) -> Wire:
    # 2026-07-28 transports: the header "MUST be included on every POST", so a body that claims
    # to be modern without it is refused rather than read by legacy rules.
    if _claims_another(message, None):
        raise headers.mismatch("the header `mcp-protocol-version` is missing", request_id)
    wire = Wire(Era.LEGACY, session_version or BATCH_VERSION)
    if isinstance(message, Request) and message.method == "initialize":
        wire = Wire(Era.LEGACY, NEWEST_LEGACY)
    _check_batch(wire, message)
    return wire


def _claims_another(message: Message | Batch | None, header: str | None) -> bool:
    """Whether the body names a revision, as modern ones do, and the header does not name it."""
    meta = message.params.get("_meta") if isinstance(message, Request | Notification) else None
    if not isinstance(meta, dict) or VERSION_KEY not in meta:
        return False
    return header is None or meta[VERSION_KEY] != header


def _check_batch(wire: Wire, message: Message | Batch | None) -> None:
    if isinstance(message, Batch) and wire.version != BATCH_VERSION:
        raise JsonRpcError(
            "invalid_request", f"{wire.version} has no batches", help="send one message a request"
        )
