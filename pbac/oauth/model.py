"""What is remembered about agents and their access tokens, and who vouches for them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from pbac.crypto.keys import PublicKey

ClientStatus: TypeAlias = Literal["active", "suspended"]
ChangeEvent: TypeAlias = Literal["registered", "suspended", "resumed", "promoted"]
TierSource: TypeAlias = Literal["statement", "ceiling", "operator"]
AuthMethod: TypeAlias = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered agent. None means that nobody we trust has said it.

    Attributes:
        tier_source: `statement` (as the publisher stated), `ceiling` (stated higher, lowered to
            the publisher's ceiling) or `operator`. Never the agent itself.
        scopes: the registered ceiling, as scope patterns (see `oauth.scopes`).
        secret_hash: SHA-256 of the secret, None with `private_key_jwt`. A plain hash is right
            here: the secret is 256 random bits, so there is nothing to guess that stretching
            would slow down, and a slow hash would be a lever for anyone who posts wrong secrets.
        jwks: public keys as JWKs, for `private_key_jwt`.
    """

    client_id: str
    client_name: str
    tier: str
    tier_source: TierSource
    status: ClientStatus = "active"
    scopes: tuple[str, ...]
    grant_types: tuple[str, ...]
    auth_method: AuthMethod
    secret_hash: bytes | None = None
    jwks: tuple[dict[str, Any], ...] = ()
    kind: str | None = None
    provider: str | None = None
    model: str | None = None
    software_id: str | None = None
    software_version: str | None = None
    publisher: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    registered_at_ms: int


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """What an opaque access token stands for; its text is never kept.

    Attributes:
        token_hash: SHA-256 of the text, 32 bytes.
        scopes: what was consented to, asleep or not; what is effective is decided on each call.
        audience: the one resource it is for (RFC 8707).
    """

    token_hash: bytes
    client_id: str
    grant_type: str
    scopes: tuple[str, ...]
    audience: str
    issued_at_ms: int
    expires_at_ms: int
    revoked_at_ms: int | None = None

    @property
    def token_id(self) -> str:
        """Names the token in records and listings; of no use as a credential."""
        return f"at_{self.token_hash[:12].hex()}"


class ClientChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator did to an agent, kept beside the state until it stands in the record.

    Attributes:
        number: given by the store, rising and never reused; 0 before. The record carries it, so
            that a change recorded twice (a crash between record and removal) is recognisable.
        tier, kind: of the agent after the change.
        actor: the operating system's name for whoever did it. `detail` is for people.
        changed_at_ms: when; the record's own time is when it was told.
    """

    number: int = 0
    event: ChangeEvent
    client_id: str
    client_name: str
    tier: str
    kind: str | None = None
    actor: str
    detail: str = ""
    changed_at_ms: int


class PrincipalRecord(msgspec.Struct, frozen=True):
    """An access token and the client it was issued to, read together."""

    access_token: AccessToken
    client: Client


class SpentId(msgspec.Struct, frozen=True):
    """An identifier that may be presented once, remembered until nothing can present it again."""

    issuer: str
    id: str
    expires_at_ms: int


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """Who may sign software statements, by configuration, and how far that reaches.

    Attributes:
        scopes: scope patterns that bound every statement's `scope`.
    """

    name: str
    issuer: str
    keys: tuple[PublicKey, ...]
    tier_ceiling: str
    scopes: tuple[str, ...] = ("**",)


class ResourceServer(msgspec.Struct, frozen=True, kw_only=True):
    """Who may introspect, tokens for which resource, and ask for decisions.

    `secret_hash` is SHA-256.
    """

    id: str
    secret_hash: bytes
    resource: str


class GrantedScopes(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking policy for each scope (Law 9).

    Attributes:
        consented: requested within the registered ceiling; stored with the access token.
        effective: those of them policy would let a call use now; the rest sleep.
        withheld: scope → why it sleeps, in the words the agent may see.
        lifetime_ms: of the access token, the smallest any rule asks for.
    """

    consented: tuple[str, ...]
    effective: tuple[str, ...]
    withheld: dict[str, str]
    lifetime_ms: int
    policy_version: str


def describe_agent(client: Client) -> dict[str, Any]:
    """The `agent` root of a decision request: what is not vouched for is left out, never null."""
    stated = {
        "kind": client.kind,
        "provider": client.provider,
        "model": client.model,
        "software_id": client.software_id,
        "software_version": client.software_version,
        "publisher": client.publisher,
        "owner": client.owner,
    }
    return {
        "id": client.client_id,
        "name": client.client_name,
        "tier": client.tier,
        "verified": client.publisher is not None,
        "registered_at": client.registered_at_ms,
        "tags": list(client.tags),
        **{name: value for name, value in stated.items() if value is not None},
    }
