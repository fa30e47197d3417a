"""Token revocation (RFC 7009). An answer of 200 means the token is dead, durably, everywhere."""

from __future__ import annotations

from pbac.oauth.model import AccessToken, Client
from pbac.oauth.storage import Transaction


def revoke(
    tx: Transaction, client: Client, token_hash: bytes | None, now_ms: int
) -> AccessToken | None:
    """The token that was named, dead from now on if it belongs to `client`; None when unknown.

    RFC 7009 2.1: "verifies whether the token was issued to the client making the revocation
    request": another client's token stays alive. RFC 7009 2.2: the client hears 200 either way.
    """
    token = tx.find_access_token(token_hash) if token_hash is not None else None
    if token is not None and token.client_id == client.client_id:
        tx.revoke_access_token(token.token_hash, now_ms)
    return token
