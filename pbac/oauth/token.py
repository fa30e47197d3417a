"""The token endpoint (RFC 6749 3.2): which grant, which scopes, which resource; then a token.

How a scope is decided is not known here; see `gateway.issuance` for the order of the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pbac.base.limits import ACCESS_TOKENS_PER_CLIENT_MAX
from pbac.oauth.errors import OAuthError
from pbac.oauth.grants import client_credentials
from pbac.oauth.model import AccessToken, Client, GrantedScopes
from pbac.oauth.scopes import parse_scopes
from pbac.oauth.storage import Transaction

Consent = Callable[[Client, tuple[str, ...], tuple[str, ...]], tuple[str, ...]]

GRANTS: Final[Mapping[str, Consent]] = {client_credentials.GRANT_TYPE: client_credentials.consent}
"""Grant type → (client, requested scopes, known scopes) → consented scopes."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed token request; `scopes` is empty when it names none."""

    grant_type: str
    scopes: tuple[str, ...]
    resource: str


def parse_token_request(form: Mapping[str, str], *, resource: str) -> TokenRequest:
    """Check what does not depend on the client. `resource` is the one served here.

    Raises:
        OAuthError: `invalid_request`, `unsupported_grant_type`, `invalid_scope`,
            `invalid_target` (RFC 8707 2).
    """
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise OAuthError("invalid_request", "`grant_type` is missing")
    if grant_type not in GRANTS:
        raise OAuthError("unsupported_grant_type")
    if form.get("resource", resource) != resource:
        raise OAuthError("invalid_target", f"`resource` must be `{resource}`")
    requested = parse_scopes(form["scope"]) if "scope" in form else ()
    return TokenRequest(grant_type=grant_type, scopes=requested, resource=resource)


def require_active(client: Client) -> None:
    """Tell an authenticated client that it is suspended. Raises `OAuthError`."""
    if client.status != "active":
        raise OAuthError("unauthorized_client", "the operator has suspended this agent")


def draft_token(
    client: Client,
    request: TokenRequest,
    granted: GrantedScopes,
    *,
    token_hash: bytes,
    now_ms: int,
) -> AccessToken:
    """The access token to be stored. Raises `OAuthError` when policy lets nothing through now."""
    if not granted.effective:
        reason = next((reason for reason in granted.withheld.values() if reason), "")
        raise OAuthError("invalid_scope", f"policy grants no requested scope now. {reason}".strip())
    return AccessToken(
        token_hash=token_hash,
        client_id=client.client_id,
        grant_type=request.grant_type,
        scopes=granted.consented,
        audience=request.resource,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + granted.lifetime_ms,
    )


def store_token(tx: Transaction, client: Client, token: AccessToken) -> None:
    """Remember the token, unless the client was changed since it was authenticated and decided.

    Raises:
        OAuthError: `unauthorized_client` after a suspension, `temporarily_unavailable` after any
            other change (a retry decides anew), `slow_down` with too many live tokens.
    """
    current = tx.find_client(client.client_id)
    if current is None:
        raise OAuthError("invalid_client", cause="the client was deleted meanwhile")
    require_active(current)
    if current != client:
        raise OAuthError("temporarily_unavailable", "the agent was just changed; try again")
    live = tx.count_access_tokens(client.client_id, token.issued_at_ms)
    if live >= ACCESS_TOKENS_PER_CLIENT_MAX:
        raise OAuthError("slow_down", f"{live} access tokens of this agent are live; reuse one")
    tx.insert_access_token(token)


def render_token(text: str, token: AccessToken, granted: GrantedScopes) -> dict[str, Any]:
    """RFC 6749 5.1. `scope` names what is effective now; consent beyond it sleeps."""
    return {
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": (token.expires_at_ms - token.issued_at_ms) // 1000,
        "scope": " ".join(granted.effective),
    }
