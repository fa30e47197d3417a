"""Is this access token good, on every request: nothing about a caller outlives the call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pbac.base.errors import PbacError
from pbac.oauth.access_token import find_fault, hash_access_token
from pbac.oauth.model import PrincipalRecord

# RFC 6750 2.1 with RFC 7235 2.1: the scheme ignores case, one space, then the b64token.
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/-]+=*)")


class AuthenticationError(PbacError):
    """No usable access token. `fault` is for records and metrics; the caller learns less.

    `presented` is False when there was no Authorization header at all: RFC 6750 3.1 asks not to
    send an error code then.
    """

    code = "invalid_token"

    def __init__(self, fault: str, *, presented: bool = True) -> None:
        super().__init__("the access token is missing, expired, revoked or not for this gateway")
        self.fault = fault
        self.presented = presented


def authenticate(
    authorization: str | None,
    find: Callable[[bytes], PrincipalRecord | None],
    *,
    resource: str,
    now_ms: int,
) -> PrincipalRecord:
    """The live token, with its client, that a request's `Authorization` header proves.

    Raises:
        AuthenticationError: with the fault in one word (`missing`, `malformed`, `unknown`,
            `expired`, `revoked`, `suspended`, `other_audience`).
    """
    if authorization is None:
        raise AuthenticationError("missing", presented=False)
    form = _BEARER.fullmatch(authorization)
    token_hash = hash_access_token(form[1]) if form else None
    if token_hash is None:
        raise AuthenticationError("malformed")
    record = find(token_hash)
    if record is None:
        raise AuthenticationError("unknown")
    if fault := find_fault(record, resource=resource, now_ms=now_ms):
        raise AuthenticationError(fault)
    return record


def challenge(resource_metadata: str, *, presented: bool) -> tuple[str, str]:
    """The `WWW-Authenticate` header of a 401 (RFC 6750 3, RFC 9728 5.1)."""
    error = 'error="invalid_token", ' if presented else ""
    return ("WWW-Authenticate", f'Bearer {error}resource_metadata="{resource_metadata}"')
