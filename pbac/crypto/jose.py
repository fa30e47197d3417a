"""JWS compact tokens (RFC 7515, 7519, 8725): read strictly, verified by one fixed ladder.

Libraries are lenient where two readers may disagree (duplicate claims, padded base64, numbers
as text, ignored `typ`), so everything but the signature primitive is checked here, in this order:

1. size, exactly two dots, canonical base64url;
2. the header: strict JSON, no member that names a key or changes what is signed;
3. `typ` is the one this place expects, so a token of one kind is never taken for another;
4. the key: found by `kid` among *our* keys; `alg` must be that key's own algorithm;
5. the signature;
6. the claims, only now: strict JSON, integers that are integers, one audience, bounded life.

INVARIANT: whatever bytes come in, the only exception that comes out is `JoseError`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt.algorithms import get_default_algorithms

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import CLOCK_SKEW_SECONDS_MAX, IDENTIFIER_CHARACTERS_MAX, JWT_CHARACTERS_MAX
from pbac.crypto import base64url
from pbac.crypto.keys import PublicKey, SigningKey

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
"""Every algorithm a key of ours may have; `none` and the HMACs are not in the building."""

_PRIMITIVES: Final = {
    name: primitive for name, primitive in get_default_algorithms().items() if name in ALGORITHMS
}
# jwk, jku, x5u, x5c would let the sender choose the key; crit, b64, zip change what is signed.
_REFUSED_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_TEXT_CLAIMS: Final = ("iss", "sub", "aud", "jti", "client_id")
_TIME_CLAIMS: Final = ("exp", "iat", "nbf")
_SECONDS_MAX: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, what a datetime can still show


class JoseError(PbacError):
    """A token that is refused; `code` says at which step of the ladder.

    One of `jwt_malformed`, `jwt_too_large`, `jwt_header`, `jwt_type`, `jwt_key`, `jwt_signature`,
    `jwt_claims`, `jwt_issuer`, `jwt_audience`, `jwt_expired`, `jwt_not_yet_valid`, `jwt_lifetime`.
    """

    code = "jwt_malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one kind of token must look like; `types` keep kinds apart (RFC 8725 3.11).

    Attributes:
        types: accepted `typ` values, lower case, without `application/`; "" when it may be absent.
        required: claims that must be present, beside `iss` and `exp`, which always must.
        lifetime_seconds_max: how far `exp` may lie from `iat` and from now.
    """

    types: frozenset[str]
    required: frozenset[str]
    lifetime_seconds_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    header: dict[str, Any]
    claims: bytes
    signed: bytes
    signature: bytes


def verify(
    token: str,
    keys: Sequence[PublicKey],
    profile: Profile,
    *,
    issuer: str,
    audiences: frozenset[str],
    now_ms: int,
) -> dict[str, Any]:
    """The claims of `token`, when every step of the ladder holds.

    `audiences` are the values we answer to: `aud` must be exactly one of them, as one string. It
    may be absent only when `profile.required` leaves it out.

    Raises:
        JoseError: anything else.
    """
    parts = _split(token)
    _check_type(parts.header, profile)
    _check_signature(parts, keys)
    claims = _object(parts.claims, "claims")
    _check_shapes(claims, profile)
    if claims.get("iss") != issuer:
        raise JoseError("the token names another issuer", code="jwt_issuer")
    if "aud" in claims and claims["aud"] not in audiences:
        raise JoseError("the token is meant for another audience", code="jwt_audience")
    _check_times(claims, profile, now_ms // 1000)
    return claims


def read_unverified_issuer(token: str) -> str:
    """The `iss` claim, to choose whose keys to verify with; it proves nothing yet.

    Raises:
        JoseError: when there is none to read.
    """
    issuer = _object(_split(token).claims, "claims").get("iss")
    if not is_identifier(issuer):
        raise JoseError("the token names no issuer", code="jwt_issuer")
    return str(issuer)


def sign(claims: Mapping[str, Any], key: SigningKey, *, typ: str) -> str:
    """A compact token with `alg`, `kid` and `typ`; equal claims sign equal bytes."""
    header = {"alg": key.public.algorithm, "kid": key.public.kid, "typ": typ}
    signed = ".".join(base64url.encode(json.canonical(part)) for part in (header, dict(claims)))
    primitive = _PRIMITIVES[key.public.algorithm]
    return f"{signed}.{base64url.encode(primitive.sign(signed.encode(), key.material))}"


def is_identifier(value: Any) -> bool:
    """A non-empty, bounded string without control, format, unassigned or lone characters.

    Nor U+2028 and U+2029, which break lines. Identifiers end up in records and terminals, where
    such characters would lie to a reader.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= IDENTIFIER_CHARACTERS_MAX
        and not any(_would_lie(unicodedata.category(character)) for character in value)
    )


def _would_lie(category: str) -> bool:
    return category[0] == "C" or category in ("Zl", "Zp")


def _split(token: str) -> _Parts:
    if len(token) > JWT_CHARACTERS_MAX:
        raise JoseError(f"longer than {JWT_CHARACTERS_MAX} characters", code="jwt_too_large")
    if token.count(".") != 2:
        raise JoseError("a compact token has exactly two dots")
    segments = token.split(".")
    try:
        header, claims, signature = (base64url.decode(segment) for segment in segments)
    except ValueError as error:
        raise JoseError(f"a segment is {error}") from None
    parsed = _object(header, "header")
    refused = sorted(_REFUSED_HEADERS & parsed.keys())
    if refused:
        raise JoseError(f"the header member `{refused[0]}` is refused", code="jwt_header")
    signed = token[: token.rindex(".")].encode("ascii")
    return _Parts(header=parsed, claims=claims, signed=signed, signature=signature)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.decode(data)
    except json.JsonError as error:
        raise JoseError(f"the {what}: {error.message}") from None
    if not isinstance(value, dict):
        raise JoseError(f"the {what} must be a JSON object")
    return value


def _check_type(header: Mapping[str, Any], profile: Profile) -> None:
    typ = header.get("typ", "")
    # RFC 7515 4.1.9: a media type, compared without case, `application/` may be left out.
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in profile.types:
        raise JoseError("the token is of another type", code="jwt_type")


def _check_signature(parts: _Parts, keys: Sequence[PublicKey]) -> None:
    kid, algorithm = parts.header.get("kid"), parts.header.get("alg")
    fitting = [key for key in keys if kid in (None, key.kid) and key.algorithm == algorithm]
    if not fitting:
        raise JoseError("no key of ours has this `kid` and `alg`", code="jwt_key")
    for key in fitting:
        # The primitive is chosen by our key, never by the header that merely agreed with it.
        if _PRIMITIVES[key.algorithm].verify(parts.signed, key.material, parts.signature):
            return
    raise JoseError("the signature does not verify", code="jwt_signature")


def _check_shapes(claims: Mapping[str, Any], profile: Profile) -> None:
    missing = sorted((profile.required | {"iss", "exp"}) - claims.keys())
    if missing:
        raise JoseError(f"the claim `{missing[0]}` is missing", code="jwt_claims")
    for name in _TEXT_CLAIMS:
        if name in claims and not is_identifier(claims[name]):
            raise JoseError(f"the claim `{name}` is not one plain string", code="jwt_claims")
    for name in _TIME_CLAIMS:
        if name in claims and not _is_time(claims[name]):
            raise JoseError(f"the claim `{name}` is not a time in seconds", code="jwt_claims")


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _SECONDS_MAX  # a bool is an int to `isinstance`


def _check_times(claims: Mapping[str, Any], profile: Profile, now: int) -> None:
    expires, issued = claims["exp"], claims.get("iat", now)
    latest = min(issued, now) + profile.lifetime_seconds_max + CLOCK_SKEW_SECONDS_MAX
    if expires <= now:  # RFC 7519 4.1.4: "on or after"; no leeway on the dangerous side
        raise JoseError("the token has expired", code="jwt_expired")
    if max(issued, claims.get("nbf", now)) > now + CLOCK_SKEW_SECONDS_MAX:
        raise JoseError("the token is not valid yet", code="jwt_not_yet_valid")
    if expires > latest:
        raise JoseError(
            f"the token lives longer than {profile.lifetime_seconds_max} s", code="jwt_lifetime"
        )
