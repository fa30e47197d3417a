"""Token introspection (RFC 7662), for resource servers the operator has configured.

RFC 7662 2.2: for anything but a live token of the caller's own resource the answer is
`{"active": false}` and nothing else, so that the endpoint cannot be used to learn about tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from pbac.base.limits import INTROSPECTION_MISSES_PER_MINUTE_MAX
from pbac.oauth.access_token import find_fault
from pbac.oauth.client_authentication import Credentials, secret_matches
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import PrincipalRecord, ResourceServer

INACTIVE: Final[dict[str, Any]] = {"active": False}
_MINUTE_MS: Final = 60_000


def require_resource_server(
    credentials: Credentials, servers: Sequence[ResourceServer]
) -> ResourceServer:
    """The configured resource server a credential proves. Raises `OAuthError`."""
    server = next((server for server in servers if server.id == credentials.client_id), None)
    stored = server.secret_hash if server is not None else None
    proven = credentials.method != "private_key_jwt" and secret_matches(credentials.proof, stored)
    if server is None or not proven:
        raise OAuthError("invalid_client", cause="no configured resource server or wrong secret")
    return server


def find_live(
    record: PrincipalRecord | None, server: ResourceServer, now_ms: int
) -> PrincipalRecord | None:
    """`record` when its token is live and meant for this resource server."""
    if record is None or find_fault(record, resource=server.resource, now_ms=now_ms) is not None:
        return None
    return record


def render_introspection(
    record: PrincipalRecord, *, effective: Sequence[str], issuer: str
) -> dict[str, Any]:
    """RFC 7662 2.2 for a live token; `scope` is what policy leaves of it now."""
    token = record.access_token
    return {
        "active": True,
        "scope": " ".join(effective),
        "client_id": token.client_id,
        "sub": token.client_id,
        "token_type": "Bearer",
        "iss": issuer,
        "aud": token.audience,
        "iat": token.issued_at_ms // 1000,
        "exp": token.expires_at_ms // 1000,
    }


class Misses:
    """Counts, per resource server and minute, tokens that were not live: a scanner has many.

    Lives on the event loop; bounded by the number of configured resource servers.
    """

    def __init__(self, per_minute_max: int = INTROSPECTION_MISSES_PER_MINUTE_MAX) -> None:
        self._per_minute_max = per_minute_max
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def require_few(self, server_id: str, now_ms: int) -> None:
        """Raises `OAuthError` (`slow_down`, RFC 7662 4) when this minute had too many."""
        minute, count = self._counts.get(server_id, (0, 0))
        if minute == now_ms // _MINUTE_MS and count >= self._per_minute_max:
            raise OAuthError("slow_down")

    def count(self, server_id: str, now_ms: int) -> None:
        """Count one token that was not live."""
        minute, count = self._counts.get(server_id, (0, 0))
        current = now_ms // _MINUTE_MS
        self._counts[server_id] = (current, count + 1 if minute == current else 1)
