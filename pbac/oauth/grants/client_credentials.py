"""The client credentials grant (RFC 6749 4.4): the agent acts for itself, there is no user."""

from __future__ import annotations

from typing import Final

from pbac.oauth.errors import OAuthError
from pbac.oauth.model import Client
from pbac.oauth.scopes import admits

GRANT_TYPE: Final = "client_credentials"


def consent(client: Client, requested: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """The requested scopes within the client's ceiling; without a request all known ones within it.

    RFC 6749 3.3 lets the server "fully or partially ignore the scope requested"; what is left
    out shows in the `scope` of the answer.

    Raises:
        OAuthError: `unauthorized_client` when the client is not registered for this grant,
            `invalid_scope` when nothing is left.
    """
    if GRANT_TYPE not in client.grant_types:
        raise OAuthError("unauthorized_client", "this client is not registered for this grant")
    consented = tuple(scope for scope in requested or known if admits(client.scopes, scope))
    if not consented:
        raise OAuthError("invalid_scope", "no requested scope is within the registered scopes")
    return consented
