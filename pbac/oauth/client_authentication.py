"""Client authentication: RFC 6749 2.3 (basic, post) and RFC 7523 2.2 (private_key_jwt).

Every failure looks the same from outside, whether the client is unknown, its secret wrong or
its method another; only `OAuthError.cause` tells them apart, for the operator.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from pbac.base.limits import CLIENT_ASSERTION_LIFETIME_SECONDS_MAX, CLOCK_SKEW_SECONDS_MAX
from pbac.crypto import jose, keys
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import AuthMethod, Client, SpentId

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

PROFILE: Final = jose.Profile(
    # RFC 7523 names no `typ`; rfc7523bis asks for `client-authentication+jwt`.
    types=frozenset({"", "jwt", "client-authentication+jwt"}),
    required=frozenset({"sub", "aud", "jti"}),
    lifetime_seconds_max=CLIENT_ASSERTION_LIFETIME_SECONDS_MAX,
)
# Compared with when there is no client: nobody knows a text with this SHA-256.
_NOBODY: Final = bytes(32)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request presents; nothing of it is proven. `proof` is a secret or an assertion."""

    method: AuthMethod
    client_id: str
    proof: str


def read_credentials(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """The one credential of a request.

    RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request."

    Raises:
        OAuthError: `invalid_client` for none, several, or ones that contradict each other.
    """
    presented: list[Credentials] = []
    if authorization is not None:
        presented.append(_read_basic(authorization))
    if "client_secret" in form:
        presented.append(_read_post(form))
    if "client_assertion" in form or "client_assertion_type" in form:
        presented.append(_read_assertion(form))
    if len(presented) != 1:
        raise _refused(f"{len(presented)} authentication methods in one request")
    credentials = presented[0]
    if form.get("client_id", credentials.client_id) != credentials.client_id:
        raise _refused("`client_id` names another client than the credential")
    return credentials


def authenticate(
    credentials: Credentials, client: Client | None, *, audiences: frozenset[str], now_ms: int
) -> SpentId | None:
    """Prove that the request comes from `client`, the one registered under the presented id.

    Returns what the caller must spend durably before it goes on (an assertion is good for one
    request), or None. A suspended client is still authenticated: say so only to itself.

    Raises:
        OAuthError: `invalid_client`.
    """
    if credentials.method == "private_key_jwt":
        return _check_assertion(credentials, client, audiences, now_ms)
    # Whoever has a secret may send it either way; `secret_hash` is None for clients with keys.
    stored = client.secret_hash if client is not None else None
    if not secret_matches(credentials.proof, stored):
        raise _refused("unknown client, other method or wrong secret")
    return None


def secret_matches(secret: str, stored_hash: bytes | None) -> bool:
    """Compare in constant time; without a stored hash the same work ends in False."""
    presented = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    equal = hmac.compare_digest(presented, stored_hash or _NOBODY)
    return equal and stored_hash is not None


def _check_assertion(
    credentials: Credentials, client: Client | None, audiences: frozenset[str], now_ms: int
) -> SpentId:
    if client is None or client.auth_method != "private_key_jwt":
        raise _refused("unknown client or other method")
    try:
        claims = jose.verify(
            credentials.proof,
            keys.parse_jwks({"keys": list(client.jwks)}),
            PROFILE,
            issuer=client.client_id,
            audiences=audiences,
            now_ms=now_ms,
        )
    except jose.JoseError as error:
        raise _refused(f"assertion: {error.message}") from None
    if claims["sub"] != client.client_id:  # RFC 7523 3 point 2.B
        raise _refused("assertion: `sub` is not the client")
    # Keyed by `jti`, not by the text: an ECDSA signature has a twin that verifies as well.
    until_ms = (claims["exp"] + CLOCK_SKEW_SECONDS_MAX) * 1000
    return SpentId(f"client:{client.client_id}", claims["jti"], until_ms)


def _read_basic(authorization: str) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(" "), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise _refused("the Basic credential is not base64 of form-encoded text") from None
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or not client_id or not secret:
        raise _refused("the Authorization header is no Basic credential with id and secret")
    # RFC 6749 2.3.1: both are application/x-www-form-urlencoded before they are joined.
    return Credentials(
        method="client_secret_basic",
        client_id=unquote_plus(client_id),
        proof=unquote_plus(secret),
    )


def _read_post(form: Mapping[str, str]) -> Credentials:
    if "client_id" not in form:
        raise _refused("`client_secret` without `client_id`")
    return Credentials(
        method="client_secret_post", client_id=form["client_id"], proof=form["client_secret"]
    )


def _read_assertion(form: Mapping[str, str]) -> Credentials:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise _refused("`client_assertion` and its type belong together")
    assertion = form["client_assertion"]
    try:
        client_id = jose.read_unverified_issuer(assertion)
    except jose.JoseError as error:
        raise _refused(f"assertion: {error.message}") from None
    return Credentials(method="private_key_jwt", client_id=client_id, proof=assertion)


def _refused(cause: str) -> OAuthError:
    return OAuthError("invalid_client", cause=cause)
