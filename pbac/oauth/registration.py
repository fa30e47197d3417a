"""Dynamic client registration (RFC 7591), for agents that bring a signed software statement.

Where the tier comes from: the statement, lowered to its publisher's ceiling; later the operator
may override it. A request that tries to state one is refused. `prepare` reads and verifies
without touching state, `check` and `register` are rules over a transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pbac.base.limits import CLIENTS_MAX
from pbac.crypto import base64url
from pbac.crypto.jose import is_identifier
from pbac.oauth.client_metadata import (
    KEY_METHODS,
    ClientMetadata,
    check_request,
    parse_client_keys,
    parse_metadata,
    skeleton,
)
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import AuthMethod, Client, Publisher, SpentId
from pbac.oauth.scopes import admits, narrow, parse_patterns
from pbac.oauth.software_statement import Statement, verify_statement
from pbac.oauth.storage import Reader, Transaction

_CLIENT_ID_BYTES = 16
_SECRET_BYTES = 32
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that is valid by itself and not yet stored.

    `secret` is the only copy of the client secret there will ever be; "" with keys.
    """

    client: Client
    secret: str = ""
    statement: str = ""
    stated_tier: str = ""
    spent: SpentId | None = None


def prepare(
    request: Any,
    *,
    publishers: Sequence[Publisher],
    tier_order: Sequence[str],
    issuer: str,
    now_ms: int,
    entropy: Callable[[int], bytes],
) -> Draft:
    """A draft from the JSON value of a registration request.

    Raises:
        OAuthError: RFC 7591 3.2.2 codes.
    """
    if not isinstance(request, Mapping):
        raise OAuthError("invalid_client_metadata", "the body must be a JSON object")
    check_request(request)
    text = request.get("software_statement")
    if not isinstance(text, str):
        raise OAuthError(
            "invalid_software_statement",
            "a registration here needs a `software_statement` signed by a trusted publisher",
        )
    statement = verify_statement(
        text, publishers=publishers, tier_order=tier_order, audience=issuer, now_ms=now_ms
    )
    # RFC 7591 2.3: "metadata values conveyed in the software statement MUST take precedence".
    metadata = parse_metadata({**request, **statement.members, "scope": request.get("scope")})
    secret, secret_hash = _new_secret(metadata.token_endpoint_auth_method, entropy)
    client = _client(statement, metadata, now_ms, _new_client_id(entropy), secret_hash)
    return Draft(
        client=client,
        secret=secret,
        statement=text,
        stated_tier=statement.claims.tier,
        spent=statement.spent,
    )


def prepare_by_operator(
    *,
    name: str,
    tier: str,
    scopes: Sequence[str],
    now_ms: int,
    entropy: Callable[[int], bytes],
    client_id: str | None = None,
    jwks: Mapping[str, Any] | None = None,
    owner: str | None = None,
    kind: str | None = None,
) -> Draft:
    """A draft for an agent the operator vouches for. With `jwks` it gets no secret.

    Raises:
        OAuthError: `invalid_client_metadata`.
    """
    if client_id is not None and _CLIENT_ID.fullmatch(client_id) is None:
        raise OAuthError(
            "invalid_client_metadata", "a client id is 1 to 64 characters of A-Z a-z 0-9 . _ -"
        )
    for value in (name, tier, owner, kind):
        if value is not None and not is_identifier(value):
            raise OAuthError("invalid_client_metadata", f"`{value[:40]!s}` is not plain short text")
    method: AuthMethod = "private_key_jwt" if jwks is not None else "client_secret_basic"
    metadata = ClientMetadata(
        token_endpoint_auth_method=method, jwks=dict(jwks) if jwks is not None else None
    )
    secret, secret_hash = _new_secret(method, entropy)
    client = Client(
        client_id=client_id or _new_client_id(entropy),
        client_name=name,
        tier=tier,
        tier_source="operator",
        scopes=parse_patterns(" ".join(scopes)),
        grant_types=("client_credentials",),
        auth_method=method,
        secret_hash=secret_hash,
        jwks=parse_client_keys(metadata),
        owner=owner,
        kind=kind,
        registered_at_ms=now_ms,
    )
    return Draft(client=client, secret=secret, stated_tier=tier)


def check(reader: Reader, draft: Draft) -> None:
    """Refuse a draft that the state does not allow. Raises `OAuthError`."""
    if draft.spent is not None and reader.is_spent(draft.spent):
        raise OAuthError("invalid_software_statement", "this software statement was used before")
    if reader.find_client(draft.client.client_id) is not None:
        raise OAuthError("invalid_client_metadata", "this client id is taken")
    if reader.count_clients() >= CLIENTS_MAX:
        raise OAuthError("temporarily_unavailable", cause=f"{CLIENTS_MAX} clients are registered")
    if reader.is_name_suspended(skeleton(draft.client.client_name)):
        raise OAuthError(
            "invalid_software_statement", "an agent of this software is suspended by the operator"
        )
    # INVARIANT: all who share a skeleton are one software, so asking one of them is enough.
    namesake = reader.find_client_named_like(skeleton(draft.client.client_name))
    if namesake is not None and not _is_same_software(namesake, draft.client):
        raise OAuthError(
            "invalid_client_metadata", "`client_name` is taken by other software; choose another"
        )


def register(tx: Transaction, draft: Draft, now_ms: int) -> None:
    """Check again, spend the statement and remember the client. Raises `OAuthError`."""
    check(tx, draft)
    if draft.spent is not None and not tx.spend_id(draft.spent, now_ms):
        raise OAuthError("invalid_software_statement", "this software statement was used before")
    tx.insert_client(draft.client)


def render_registration(draft: Draft) -> dict[str, Any]:
    """RFC 7591 3.2.1: the answer, with the secret for the first and last time."""
    client = draft.client
    answer: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": client.registered_at_ms // 1000,
        "client_name": client.client_name,
        "grant_types": list(client.grant_types),
        "token_endpoint_auth_method": client.auth_method,
        "scope": " ".join(client.scopes),
        "tier": client.tier,
    }
    if draft.secret:
        answer |= {"client_secret": draft.secret, "client_secret_expires_at": 0}
    if client.jwks:
        answer["jwks"] = {"keys": list(client.jwks)}
    if draft.statement:
        answer |= {"software_id": client.software_id, "software_statement": draft.statement}
    return answer


def _client(
    statement: Statement,
    metadata: ClientMetadata,
    now_ms: int,
    client_id: str,
    secret_hash: bytes | None,
) -> Client:
    claims = statement.claims
    method: AuthMethod = metadata.token_endpoint_auth_method  # type: ignore[assignment]  # checked
    return Client(
        client_id=client_id,
        client_name=claims.client_name,
        tier=statement.tier,
        tier_source=statement.tier_source,
        scopes=_ceiling(statement.scopes, metadata.scope),
        grant_types=metadata.grant_types or (),
        auth_method=method,
        secret_hash=secret_hash,
        jwks=parse_client_keys(metadata),
        kind=claims.kind,
        provider=claims.provider,
        model=claims.model,
        software_id=claims.software_id,
        software_version=claims.software_version,
        publisher=statement.publisher,
        tags=claims.tags,
        registered_at_ms=now_ms,
    )


def _ceiling(stated: tuple[str, ...], wanted: str | None) -> tuple[str, ...]:
    """A request may ask for less than its statement allows; asking for more is refused."""
    if not wanted:
        return stated
    patterns = parse_patterns(wanted)
    for pattern in patterns:
        if not admits(stated, pattern):
            raise OAuthError(
                "invalid_client_metadata", f"the software statement does not allow `{pattern}`"
            )
    return narrow(patterns, stated)


def _is_same_software(one: Client, other: Client) -> bool:
    return one.publisher is not None and (one.publisher, one.software_id) == (
        other.publisher,
        other.software_id,
    )


def _new_client_id(entropy: Callable[[int], bytes]) -> str:
    return "agent_" + base64url.encode(entropy(_CLIENT_ID_BYTES))


def _new_secret(method: str, entropy: Callable[[int], bytes]) -> tuple[str, bytes | None]:
    if method in KEY_METHODS:
        return "", None
    secret = "pbac_cs_" + base64url.encode(entropy(_SECRET_BYTES))
    return secret, hashlib.sha256(secret.encode("ascii")).digest()
