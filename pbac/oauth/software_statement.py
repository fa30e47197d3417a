"""Software statements (RFC 7591 2.3): a trusted publisher signs what an agent is.

The publisher is trusted by configuration only, and only up to its ceilings: a tier stated above
the ceiling is lowered to it, scopes stated beyond the publisher's are dropped. A statement with
a `jti` registers one client; one without may register every instance of the software.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pbac.base.limits import CLOCK_SKEW_SECONDS_MAX, JWT_LIFETIME_SECONDS_MAX, TAGS_MAX
from pbac.crypto import jose
from pbac.crypto.keys import SigningKey
from pbac.oauth import scopes
from pbac.oauth.client_metadata import check_name
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import Publisher, SpentId, TierSource

TYPE: Final = "software-statement+jwt"
"""The `typ` header: no other token of ours or of a publisher can pass for a statement."""

PROFILE: Final = jose.Profile(
    types=frozenset({TYPE}),
    required=frozenset({"iat"}),
    lifetime_seconds_max=JWT_LIFETIME_SECONDS_MAX,
)
_PLAIN: Final = ("software_id", "software_version", "kind", "provider", "model", "tier")


class StatementClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a statement says. `scope` is the registered ceiling, as scope patterns."""

    iss: str
    iat: int
    exp: int
    software_id: str
    client_name: str
    tier: str
    scope: str
    jti: str | None = None
    software_version: str | None = None
    kind: str | None = None
    provider: str | None = None
    model: str | None = None
    tags: tuple[str, ...] = ()


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A verified statement, lowered to the publisher's ceilings.

    Attributes:
        members: every claim as it was signed, to be laid over the request's members.
        spent: set when the statement may be used once.
    """

    claims: StatementClaims
    members: dict[str, Any]
    publisher: str
    tier: str
    tier_source: TierSource
    scopes: tuple[str, ...]
    spent: SpentId | None


def verify_statement(
    text: str,
    *,
    publishers: Sequence[Publisher],
    tier_order: Sequence[str],
    audience: str,
    now_ms: int,
) -> Statement:
    """The statement, when a trusted publisher signed it and it is within its bounds.

    `tier_order` is the declared order, lowest first. `aud` may be absent (a publisher signs for
    every gateway); when present it must be `audience`, our issuer.

    Raises:
        OAuthError: `unapproved_software_statement` (RFC 7591 3.2.2) for a publisher that is not
            configured, `invalid_software_statement` for everything else.
    """
    try:
        issuer = jose.read_unverified_issuer(text)
        publisher = next((p for p in publishers if p.issuer == issuer), None)
        if publisher is None:
            raise OAuthError("unapproved_software_statement", cause=f"unknown publisher `{issuer}`")
        members = jose.verify(
            text,
            publisher.keys,
            PROFILE,
            issuer=issuer,
            audiences=frozenset({audience}),
            now_ms=now_ms,
        )
        claims = msgspec.convert(members, StatementClaims)
    except jose.JoseError as error:
        raise _invalid(error.message) from None
    except msgspec.ValidationError as error:
        raise _invalid(str(error).lower()) from None
    _check_claims(claims)
    tier = lower_tier(claims.tier, publisher.tier_ceiling, tier_order)
    return Statement(
        claims=claims,
        members=members,
        publisher=publisher.name,
        tier=tier,
        tier_source="statement" if tier == claims.tier else "ceiling",
        scopes=_lower_scopes(claims.scope, publisher),
        spent=_single_use(claims),
    )


def sign_statement(
    key: SigningKey,
    *,
    issuer: str,
    name: str,
    tier: str,
    now_ms: int,
    scope: str = "**",
    lifetime_seconds: int = 365 * 24 * 3_600,
    software_id: str | None = None,
    software_version: str | None = None,
    kind: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    tags: tuple[str, ...] = (),
    jti: str | None = None,
) -> str:
    """A statement as `pbac publisher sign` prints it; the gateway checks it, not this function.

    `scope` is a list of patterns; `**` leaves the bound to the publisher's configuration. With a
    `jti` the statement registers one client only.
    """
    issued = now_ms // 1000
    claims = StatementClaims(
        iss=issuer,
        iat=issued,
        exp=issued + lifetime_seconds,
        software_id=software_id or name,
        client_name=name,
        tier=tier,
        scope=scope,
        jti=jti,
        software_version=software_version,
        kind=kind,
        provider=provider,
        model=model,
        tags=tags,
    )
    return jose.sign(msgspec.to_builtins(claims), key, typ=TYPE)


def lower_tier(stated: str, ceiling: str, order: Sequence[str]) -> str:
    """The lower of both tiers. A tier the order does not declare cannot be compared: refused."""
    if stated not in order:
        raise _invalid(f"the tier `{stated}` is not declared here")
    if ceiling not in order:
        raise _invalid(f"the publisher's ceiling `{ceiling}` is not a declared tier")
    return min(stated, ceiling, key=list(order).index)


def _lower_scopes(stated: str, publisher: Publisher) -> tuple[str, ...]:
    patterns = scopes.parse_patterns(stated, code="invalid_software_statement")
    ceiling = scopes.narrow(patterns, publisher.scopes)
    if not ceiling:
        raise _invalid("the publisher may grant none of the stated scopes")
    return ceiling


def _check_claims(claims: StatementClaims) -> None:
    for name in _PLAIN:
        value = getattr(claims, name)
        if value is not None and not jose.is_identifier(value):
            raise _invalid(f"the claim `{name}` is not a plain bounded string")
    if len(claims.tags) > TAGS_MAX or not all(map(jose.is_identifier, claims.tags)):
        raise _invalid(f"`tags` are at most {TAGS_MAX} plain strings")
    check_name(claims.client_name)


def _single_use(claims: StatementClaims) -> SpentId | None:
    if claims.jti is None:
        return None
    until_ms = (claims.exp + CLOCK_SKEW_SECONDS_MAX) * 1000
    return SpentId(f"statement:{claims.iss}", claims.jti, until_ms)


def _invalid(cause: str) -> OAuthError:
    return OAuthError("invalid_software_statement", f"software statement: {cause}")
