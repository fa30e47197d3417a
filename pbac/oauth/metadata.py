"""Discovery documents: RFC 8414 for the authorization server, RFC 9728 for the resource.

The issuer is the bare public origin: clients compare it as a string, and those of 2025-03-26 drop
the path of the MCP address and expect `/token` and `/register` at the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pbac.crypto.jose import ALGORITHMS
from pbac.oauth.client_metadata import AUTH_METHODS, GRANT_TYPES

_SECRET_METHODS = [method for method in AUTH_METHODS if method != "private_key_jwt"]


def authorization_server(issuer: str, scopes: Sequence[str]) -> dict[str, Any]:
    """RFC 8414 2. Only what exists is advertised, with two concessions to installed MCP clients.

    They refuse to read a document without `authorization_endpoint` or without
    `code_challenge_methods_supported`, whatever grant they want. No response type is supported
    yet, and the endpoint says so.
    """
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "registration_endpoint": f"{issuer}/register",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "scopes_supported": list(scopes),
        "response_types_supported": [],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": _SECRET_METHODS,
    }


def protected_resource(resource: str, issuer: str, scopes: Sequence[str]) -> dict[str, Any]:
    """RFC 9728 2. `scopes` are the least for basic use: clients may ask for all of them."""
    return {
        "resource": resource,
        "authorization_servers": [issuer],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
    }
