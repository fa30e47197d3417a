"""Token revocation (RFC 7009). An answer of 200 means the token is dead, durably, everywhere."""

from __future__ import annotations

from enum import Enum

from pbac.oauth.model import Client
from pbac.oauth.storage import Transaction


class Revocation(Enum):
    """What became of a request; the client hears 200 in every case (RFC 7009 2.2)."""

    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NOT_YOURS = "not_yours"


def revoke(tx: Transaction, client: Client, token_hash: bytes | None, now_ms: int) -> Revocation:
    """Revoke a token of `client`.

    RFC 7009 2.1: "verifies whether the token was issued to the client making the revocation
    request"; another client's token stays alive.
    """
    token = tx.find_access_token(token_hash) if token_hash is not None else None
    if token is None:
        return Revocation.UNKNOWN
    if token.client_id != client.client_id:
        return Revocation.NOT_YOURS
    tx.revoke_access_token(token.token_hash, now_ms)
    return Revocation.REVOKED
