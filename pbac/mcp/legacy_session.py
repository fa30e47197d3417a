"""Legacy sessions (2025-03-26 … 2025-11-25), kept in memory and worth nothing to a thief.

Theory. A session id is a *handle to what `initialize` said*: the negotiated version, the
client's name and capabilities. It is never a credential. Each request is authenticated by its
own access token, and every use of a handle names the principal it is used by:

    initialize ──open──▶ live ──find (same principal)──▶ live, now most recently used
                          │ ├─ find (other principal) ─▶ refused, the session stays as it was
                          │ └─ idle too long, crowded out, DELETE ─▶ gone
                         gone ──find──▶ refused for ever: ids are random and never come back

Whatever the reason, the caller gets one answer, 404 (2025-11-25 transports, session management:
"the server [...] MUST respond to requests containing that session ID with HTTP 404", upon which
a client initializes anew). A different answer to a foreign id would tell its thief that the id
is live; the true reason is on the error, for the record alone.

INVARIANT: `_sessions` is in order of last use, so the idle ones are at its front.
INVARIANT: `_by_principal[p]` holds exactly the ids in `_sessions` whose principal is `p`.

Nothing here awaits and no clock is read: `now` is monotonic seconds, the id's bytes are given.
"""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from enum import StrEnum
from typing import Any, Final

import msgspec

from pbac.base.limits import (
    LEGACY_SESSION_IDLE_SECONDS_MAX,
    LEGACY_SESSIONS_MAX,
    LEGACY_SESSIONS_PER_PRINCIPAL_MAX,
)
from pbac.mcp import headers
from pbac.mcp.headers import Headers
from pbac.mcp.messages import Initialize
from pbac.mcp.modern import SERVER_INFO_KEY, ServerInfo
from pbac.mcp.versions import negotiate
from pbac.mcp.wire_errors import JsonRpcError, RequestId

SESSION_ID_BYTES: Final = 24
"""Of randomness. 2025-11-25: ids "SHOULD be globally unique and cryptographically secure"."""

_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")


class Gone(StrEnum):
    """Why a session was not found: for the record, never for the caller."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    FOREIGN = "foreign"


class LegacySession(msgspec.Struct, frozen=True, kw_only=True):
    """What one `initialize` agreed on, and whose it is."""

    id: str
    principal: str
    version: str
    client_name: str
    client_version: str
    capabilities: dict[str, Any]
    last_used: float


class SessionError(JsonRpcError):
    """`session_required` (400) or `session_not_found` (404); `gone` tells the record why."""

    def __init__(
        self, code: str, message: str, *, gone: Gone | None, request_id: RequestId | None = None
    ) -> None:
        super().__init__(
            code, message, help="send `initialize` to open a session", request_id=request_id
        )
        self.gone = gone


class LegacySessions:
    """All live sessions. Crowded out are the least recently used: first a principal's own."""

    def __init__(
        self,
        *,
        sessions_max: int = LEGACY_SESSIONS_MAX,
        per_principal_max: int = LEGACY_SESSIONS_PER_PRINCIPAL_MAX,
        idle_seconds_max: float = LEGACY_SESSION_IDLE_SECONDS_MAX,
    ) -> None:
        self._sessions: OrderedDict[str, LegacySession] = OrderedDict()
        self._by_principal: dict[str, OrderedDict[str, None]] = {}
        self._sessions_max = sessions_max
        self._per_principal_max = per_principal_max
        self._idle_seconds_max = idle_seconds_max

    def __len__(self) -> int:
        return len(self._sessions)

    def open(
        self, principal: str, handshake: Initialize, *, random: bytes, now: float
    ) -> LegacySession:
        """A new session of `principal`. `random` is `SESSION_ID_BYTES` from a secure source."""
        if len(random) < SESSION_ID_BYTES:
            raise ValueError(f"a session id takes {SESSION_ID_BYTES} random bytes")
        session = LegacySession(
            id=base64.urlsafe_b64encode(random).decode("ascii"),
            principal=principal,
            version=negotiate(handshake.version),
            client_name=handshake.client_name,
            client_version=handshake.client_version,
            capabilities=handshake.capabilities,
            last_used=now,
        )
        self._drop_idle(now)
        self._make_room(principal)
        self._sessions[session.id] = session
        self._by_principal.setdefault(principal, OrderedDict())[session.id] = None
        return session

    def find(
        self, session_id: str, principal: str, *, now: float, request_id: RequestId | None = None
    ) -> LegacySession:
        """The live session of this principal, marked as used.

        Raises:
            SessionError: `session_not_found`, the same to the caller for every reason.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise _not_found(Gone.UNKNOWN, request_id)
        if now - session.last_used > self._idle_seconds_max:
            self._remove(session)
            raise _not_found(Gone.IDLE, request_id)
        if session.principal != principal:
            raise _not_found(Gone.FOREIGN, request_id)
        session = msgspec.structs.replace(session, last_used=now)
        self._sessions[session_id] = session
        self._sessions.move_to_end(session_id)
        self._by_principal[principal].move_to_end(session_id)
        return session

    def end(self, session_id: str, principal: str, *, now: float) -> None:
        """DELETE by its owner. Raises `SessionError` as `find` does."""
        self._remove(self.find(session_id, principal, now=now))

    def end_all(self, principal: str) -> None:
        """End every session of a principal whose token was revoked."""
        for session_id in tuple(self._by_principal.get(principal, ())):
            self._remove(self._sessions[session_id])

    def _drop_idle(self, now: float) -> None:
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if now - oldest.last_used <= self._idle_seconds_max:
                return
            self._remove(oldest)

    def _make_room(self, principal: str) -> None:
        own = self._by_principal.get(principal, ())
        if len(own) >= self._per_principal_max:
            self._remove(self._sessions[next(iter(own))])
        elif len(self._sessions) >= self._sessions_max:
            self._remove(next(iter(self._sessions.values())))

    def _remove(self, session: LegacySession) -> None:
        del self._sessions[session.id]
        own = self._by_principal[session.principal]
        del own[session.id]
        if not own:
            del self._by_principal[session.principal]


def require_session_id(sent: Headers, request_id: RequestId | None = None) -> str:
    """The one `Mcp-Session-Id` header of a request.

    Raises:
        SessionError: `session_required` when it is missing, `session_not_found` when it cannot
            be one of ours. `JsonRpcError` (`header_mismatch`) when it was sent twice.
    """
    session_id = headers.single(sent, headers.SESSION_ID, request_id)
    if session_id is None:
        raise SessionError(
            "session_required",
            "the header `mcp-session-id` is missing",
            gone=None,
            request_id=request_id,
        )
    if not _ID.fullmatch(session_id):
        raise _not_found(Gone.UNKNOWN, request_id)
    return session_id


def initialize_result(
    session: LegacySession,
    server: ServerInfo,
    capabilities: dict[str, Any],
    instructions: str | None = None,
) -> dict[str, Any]:
    """The result of `initialize`."""
    result: dict[str, Any] = {
        "protocolVersion": session.version,
        "capabilities": capabilities,
        "serverInfo": server.tree(),
    }
    if instructions:
        result["instructions"] = instructions
    return result


def plain(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the members only modern clients know."""
    stripped = {name: value for name, value in result.items() if name not in _MODERN_MEMBERS}
    meta = stripped.get("_meta")
    if isinstance(meta, dict) and SERVER_INFO_KEY in meta:
        stripped["_meta"] = {k: v for k, v in meta.items() if k != SERVER_INFO_KEY}
        if not stripped["_meta"]:
            del stripped["_meta"]
    return stripped


def _not_found(gone: Gone, request_id: RequestId | None) -> SessionError:
    return SessionError(
        "session_not_found", "there is no such session", gone=gone, request_id=request_id
    )
