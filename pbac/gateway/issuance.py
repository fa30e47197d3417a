"""Registration and access tokens: where OAuth's rules, policy, record and storage meet.

One order for everything that gives power: authenticate the client → the rules of `oauth` → ask
policy for each scope (Law 9) → record durably → write, in one transaction that checks again what
may have changed → answer. If the record cannot be written nothing is issued. An assertion is
spent as soon as it is proven, whatever comes of the request.

Requests nobody authenticated are counted, never given a row of their own: otherwise anyone could
fill the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pbac.audit.record import TokenRecord
from pbac.base import json
from pbac.base.clock import Clock
from pbac.base.limits import ACCESS_TOKEN_SECONDS
from pbac.gateway.decision_request import environment, issue_request
from pbac.gateway.ports import AuditLog, Counters
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest
from pbac.oauth import introspection, registration, revocation, token
from pbac.oauth.access_token import hash_access_token, new_access_token
from pbac.oauth.client_authentication import authenticate, read_credentials
from pbac.oauth.errors import OAuthError
from pbac.oauth.form import parse_form
from pbac.oauth.introspection import INACTIVE, Misses
from pbac.oauth.model import (
    Client,
    GrantedScopes,
    Publisher,
    ResourceServer,
)
from pbac.oauth.storage import Storage
from pbac.oauth.token import TokenRequest

TOKEN_DUTIES = frozenset({"expire"})
"""Duties a token can carry. A scope with any other is withheld: a duty nobody meets denies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """The parts of the token service; everything that does I/O arrives as a promise.

    Attributes:
        issuer: the bare public origin, without a trailing slash. `resource` is what tokens are for.
        decide_scope: the decision on `call.method` `token/issue` with `call.scope` (Law 9).
        known_scopes: every scope some tool needs, now. `tier_order`: declared tiers, lowest first.
        entropy: `entropy(n)` gives n unpredictable bytes.
    """

    issuer: str
    resource: str
    environment: str
    publishers: tuple[Publisher, ...]
    resource_servers: tuple[ResourceServer, ...]
    storage: Storage
    decide_scope: Callable[[DecisionRequest], Decision]
    known_scopes: Callable[[], Sequence[str]]
    tier_order: Callable[[], Sequence[str]]
    audit: AuditLog
    counters: Counters
    clock: Clock
    entropy: Callable[[int], bytes]
    misses: Misses = field(default_factory=Misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthRequest:
    """What the shell hands over: bytes and two facts about the connection."""

    body: bytes
    authorization: str | None
    ip: str


async def register_client(service: Issuance, request: OAuthRequest) -> dict[str, Any]:
    """`POST /register` (RFC 7591 3). Raises `OAuthError`, `StorageError`, `AuditUnavailable`."""
    now_ms = service.clock.now_ms()
    with _counting(service):
        draft = registration.prepare(
            _json_body(request.body),
            publishers=service.publishers,
            tier_order=service.tier_order(),
            issuer=service.issuer,
            now_ms=now_ms,
            entropy=service.entropy,
        )
        service.storage.read(lambda reader: registration.check(reader, draft))
        detail = f"publisher {draft.client.publisher}, stated tier {draft.stated_tier}"
        await service.audit.append(
            TokenRecord(event="registered", agent=_named(draft.client), detail=detail)
        )
        await service.storage.transact(lambda tx: registration.register(tx, draft, now_ms))
    return registration.render_registration(draft)


async def issue_token(service: Issuance, request: OAuthRequest) -> dict[str, Any]:
    """`POST /token` (RFC 6749 3.2). Raises `OAuthError`, `StorageError`, `AuditUnavailable`."""
    now_ms = service.clock.now_ms()
    with _counting(service):
        form = parse_form(request.body)
        asked = token.parse_token_request(form, resource=service.resource)
    client = await _authenticate(service, request, form, now_ms)
    try:
        token.require_active(client)
        consented = token.GRANTS[asked.grant_type](
            client, asked.scopes, tuple(service.known_scopes())
        )
        granted = grant_scopes(
            service, client, asked.grant_type, consented, now_ms=now_ms, ip=request.ip
        )
        return await _store(service, client, asked, granted, now_ms)
    except OAuthError as error:
        await service.audit.append(
            TokenRecord(
                event="refused",
                agent=_named(client),
                grant=asked.grant_type,
                requested=asked.scopes,
                code=error.code,
                detail=error.cause,
            )
        )
        raise


async def introspect_token(service: Issuance, request: OAuthRequest) -> dict[str, Any]:
    """`POST /introspect` (RFC 7662 2). Raises `OAuthError`, `StorageError`, `AuditUnavailable`."""
    now_ms = service.clock.now_ms()
    with _counting(service):
        form = parse_form(request.body)
        server = introspection.require_resource_server(
            read_credentials(request.authorization, form), service.resource_servers
        )
        service.misses.require_few(server.id, now_ms)
    token_hash = hash_access_token(_required(form, "token"))
    found = service.storage.find_principal_record(token_hash) if token_hash else None
    record = introspection.find_live(found, server, now_ms)
    if record is None:
        service.misses.count(server.id, now_ms)
        service.counters.refused("introspected_inactive")
        return INACTIVE
    live = record.access_token
    granted = grant_scopes(
        service, record.client, live.grant_type, live.scopes, now_ms=now_ms, ip=request.ip
    )
    await service.audit.append(
        TokenRecord(
            event="introspected",
            agent=_named(record.client),
            token_id=live.token_id,
            granted=granted.effective,
            detail=f"for {server.id}",
            policy_version=granted.policy_version,
        )
    )
    return introspection.render_introspection(
        record, effective=granted.effective, issuer=service.issuer
    )


async def revoke_token(service: Issuance, request: OAuthRequest) -> None:
    """`POST /revoke` (RFC 7009 2). Returns when the token is durably dead, or was never alive.

    Raises:
        OAuthError, StorageError, AuditUnavailable: the token may still be alive.
    """
    now_ms = service.clock.now_ms()
    with _counting(service):
        form = parse_form(request.body)
    client = await _authenticate(service, request, form, now_ms)
    token_hash = hash_access_token(_required(form, "token"))
    named = await service.storage.transact(
        lambda tx: revocation.revoke(tx, client, token_hash, now_ms)
    )
    if named is None:
        return
    # Dead first, told second: a record that cannot be written must not keep a token alive.
    own = named.client_id == client.client_id
    await service.audit.append(
        TokenRecord(
            event="revoked" if own else "refused",
            agent=_named(client),
            token_id=named.token_id,
            code="" if own else "token_of_another_client",
        )
    )


def grant_scopes(
    service: Issuance,
    client: Client,
    grant_type: str,
    consented: tuple[str, ...],
    *,
    now_ms: int,
    ip: str,
) -> GrantedScopes:
    """Ask policy about each consented scope (Law 9): which are effective, and for how long."""
    env = environment(now_ms, ip=ip, client="", name=service.environment)
    decisions = {
        scope: service.decide_scope(
            issue_request(client, scope, consented=consented, grant=grant_type, env=env)
        )
        for scope in consented
    }
    effective = tuple(scope for scope, decision in decisions.items() if _is_granted(decision))
    return GrantedScopes(
        consented=consented,
        effective=effective,
        withheld={
            scope: decision.reason
            for scope, decision in decisions.items()
            if scope not in effective
        },
        lifetime_ms=_lifetime_ms(decisions.values()),
        policy_version=next(iter(decisions.values())).policy_version if decisions else "",
    )


def _is_granted(decision: Decision) -> bool:
    return decision.permitted and all(duty.kind in TOKEN_DUTIES for duty in decision.duties)


def _lifetime_ms(decisions: Iterable[Decision]) -> int:
    """The minimum (the join of `expire`), over sleeping scopes too: they may wake in this token."""
    stated = (
        int(duty.parameters["in_ms"])
        for decision in decisions
        for duty in decision.duties
        if duty.kind == "expire"
    )
    return min([ACCESS_TOKEN_SECONDS * 1000, *stated])


async def _store(
    service: Issuance, client: Client, asked: TokenRequest, granted: GrantedScopes, now_ms: int
) -> dict[str, Any]:
    text = new_access_token(service.entropy)
    token_hash = hash_access_token(text)
    assert token_hash is not None
    drafted = token.draft_token(client, asked, granted, token_hash=token_hash, now_ms=now_ms)
    await service.audit.append(
        TokenRecord(
            event="issued",
            agent=_named(client),
            token_id=drafted.token_id,
            grant=asked.grant_type,
            requested=asked.scopes,
            granted=granted.effective,
            policy_version=granted.policy_version,
        )
    )
    await service.storage.transact(lambda tx: token.store_token(tx, client, drafted))
    return token.render_token(text, drafted, granted)


async def _authenticate(
    service: Issuance, request: OAuthRequest, form: Mapping[str, str], now_ms: int
) -> Client:
    """The client, proven; its assertion, if it used one, durably spent."""
    with _counting(service):
        credentials = read_credentials(request.authorization, form)
        client = service.storage.read(lambda reader: reader.find_client(credentials.client_id))
        audiences = frozenset({service.issuer, f"{service.issuer}/token"})
        spent = authenticate(credentials, client, audiences=audiences, now_ms=now_ms)
        if spent is not None and not await service.storage.transact(
            lambda tx: tx.spend_id(spent, now_ms)
        ):
            raise OAuthError("invalid_client", cause=f"assertion `{spent.id}` was used before")
    assert client is not None
    return client


@contextmanager
def _counting(service: Issuance) -> Iterator[None]:
    """Refusals of requests that nobody has authenticated yet: a number, not a row."""
    try:
        yield
    except OAuthError as error:
        service.counters.refused(error.code)
        raise


def _json_body(body: bytes) -> Any:
    try:
        return json.decode(body)
    except json.JsonError as error:
        raise OAuthError("invalid_client_metadata", f"the body: {error.message}") from None


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise OAuthError("invalid_request", f"`{name}` is missing")
    return form[name]


def _named(client: Client) -> dict[str, Any]:
    agent = {"id": client.client_id, "name": client.client_name, "tier": client.tier}
    return agent | ({"kind": client.kind} if client.kind is not None else {})
