"""The token service over real sockets: the official clients' dance, and the attacks on each step."""

import asyncio
import base64
import hashlib
import os
import socket
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from aiohttp import web

from pbac.adapters.sqlite_state import open_state
from pbac.audit.storage import AuditUnavailable
from pbac.base import json
from pbac.base.clock import SystemClock
from pbac.base.limits import OAUTH_BODY_BYTES_MAX
from pbac.crypto import jose, keys
from pbac.gateway.authenticate import AuthenticationError, authenticate, challenge
from pbac.gateway.issuance import Issuance, _is_granted
from pbac.model.decision import Cause, Decision, Duty, Effect
from pbac.model.request import DecisionRequest
from pbac.oauth.administration import set_client_status, set_client_tier
from pbac.oauth.client_authentication import ASSERTION_TYPE
from pbac.oauth.introspection import Misses
from pbac.oauth.model import Publisher, ResourceServer
from pbac.oauth.registration import prepare_by_operator, register
from pbac.oauth.software_statement import sign_statement
from pbac.oauth.storage import StorageError
from pbac.web.connections import Connections
from pbac.web.middleware import faults
from pbac.web.oauth_routes import ENDPOINTS, PATHS, routes

KEY = keys.generate_signing_key()
CLIENT_KEY = keys.generate_signing_key("ES256")
TIERS = ("read_only", "developer", "trusted")
NEEDS = {"github:prs:read": "read_only", "github:prs:merge": "trusted", "github:secret": "never"}
FORM = "application/x-www-form-urlencoded"
RS = ("rs1", "rs-secret")
BY = {"actor": "root", "now_ms": 1}


class Record:
    """An audit log and counters in memory, which can be told to fail."""

    def __init__(self):
        self.records, self.refusals, self.fails = [], [], False

    async def append(self, record):
        if self.fails:
            raise AuditUnavailable("the disk is full")
        self.records.append(record)
        return len(self.records)

    def refused(self, code):
        self.refusals.append(code)


def decide(request):
    """Tiers as in the GitHub example; a token for merging lives five minutes."""
    assert request.call["method"] == "token/issue"
    scope = request.call["scope"]
    needed = NEEDS.get(scope, "never")
    permitted = needed in TIERS and TIERS.index(request.agent["tier"]) >= TIERS.index(needed)
    merge = Duty(kind="expire", rule="short", parameters={"in_ms": 300_000})
    return Decision(
        effect=Effect.PERMIT if permitted else Effect.DENY,
        cause=Cause.PERMITTED if permitted else Cause.NOT_PERMITTED,
        policy_version="sha256:test",
        duties=(merge,) if scope == "github:prs:merge" else (),
        reason="" if permitted else f"`{scope}` needs the tier `{needed}`",
    )


class Gateway:
    """The service on a real port, with what a test wants to look at."""

    def __init__(self, directory):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.state = open_state(directory, 0)
        self.log = Record()
        self.service = Issuance(
            issuer=self.origin,
            resource=f"{self.origin}/mcp",
            environment="test",
            publishers=(
                Publisher(
                    name="acme",
                    issuer="https://acme.example",
                    keys=(KEY.public,),
                    tier_ceiling="developer",
                    scopes=("github:**",),
                ),
            ),
            resource_servers=(
                ResourceServer(
                    id=RS[0],
                    secret_hash=hashlib.sha256(RS[1].encode()).digest(),
                    resource=f"{self.origin}/mcp",
                ),
                ResourceServer(
                    id="rs2",
                    secret_hash=hashlib.sha256(b"other").digest(),
                    resource="https://other.example/mcp",
                ),
            ),
            storage=self.state,
            decide_scope=decide,
            known_scopes=lambda: ("github:prs:read", "github:prs:merge"),
            tier_order=lambda: TIERS,
            audit=self.log,
            counters=self.log,
            clock=SystemClock(),
            entropy=os.urandom,
            misses=Misses(per_minute_max=5),
        )

    async def mcp(self, request):
        """Enough of the endpoint to be asked for a token."""
        try:
            authenticate(
                request.headers.get("Authorization"),
                self.state.find_principal_record,
                resource=self.service.resource,
                now_ms=self.service.clock.now_ms(),
            )
        except AuthenticationError as refusal:
            url = f"{self.origin}/.well-known/oauth-protected-resource/mcp"
            headers = dict([challenge(url, presented=refusal.presented)])
            return web.json_response({"fault": refusal.fault}, status=401, headers=headers)
        return web.json_response({"ok": True})

    async def start(self):
        app = web.Application(middlewares=[faults(self.log.refused, Connections(self.log.refused))])
        app.add_routes(routes(self.service, ()))
        app.router.add_post("/mcp", self.mcp)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.SockSite(self.runner, self.socket).start()
        self.http = aiohttp.ClientSession(self.origin)

    async def stop(self):
        await self.http.close()
        await self.runner.cleanup()
        self.state.close()

    async def post(self, path, form=None, **how):
        headers = how.pop("headers", {})
        if form is not None:
            how["data"] = urlencode(form)
            headers = {"Content-Type": FORM, **headers}
        async with self.http.post(path, headers=headers, **how) as answer:
            body = await answer.read()
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, json.decode(body) if body else None

    async def register(self, tier="read_only", **members):
        statement = sign_statement(
            KEY,
            issuer="https://acme.example",
            name=members.pop("name", "Agent"),
            tier=tier,
            now_ms=SystemClock().now_ms(),
            jti=members.pop("jti", None),
        )
        return await self.post("/register", json={"software_statement": statement, **members})

    async def call(self, token):
        async with self.http.post("/mcp", headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status, (await answer.json()).get("fault")


@pytest.fixture
async def gateway(tmp_path):
    started = Gateway(tmp_path / "state")
    await started.start()
    yield started
    await started.stop()


def basic(client_id, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def credentials(agent):
    return basic(agent["client_id"], agent["client_secret"])


GRANT = {"grant_type": "client_credentials"}


async def agent_and_token(gateway, tier="read_only"):
    _, agent = await gateway.register(tier)
    status, answer = await gateway.post("/token", GRANT, headers=credentials(agent))
    assert status == 200, answer
    return agent, answer


# --- the journey ------------------------------------------------------------------------------


async def test_an_agent_registers_signs_in_calls_and_is_recorded(gateway):
    agent, answer = await agent_and_token(gateway)
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "github:prs:read"
    assert await gateway.call(answer["access_token"]) == (200, None)
    assert [record.event for record in gateway.log.records] == ["registered", "issued"]
    issued = gateway.log.records[1]
    assert issued.agent == {"id": agent["client_id"], "name": "Agent", "tier": "read_only"}
    assert issued.policy_version == "sha256:test"
    everything = repr(gateway.log.records)
    assert answer["access_token"] not in everything
    assert agent["client_secret"] not in everything


async def test_a_tier_above_the_ceiling_is_lowered_and_the_record_says_so(gateway):
    status, agent = await gateway.register("trusted")
    assert (status, agent["tier"]) == (201, "developer")
    assert "stated tier trusted" in gateway.log.records[0].detail


def test_a_scope_with_a_duty_that_nobody_carries_out_is_not_granted():
    """Law 1: a duty that cannot be met is a denial, when tokens are issued too."""
    once = Duty(kind="single", rule="once", parameters={})
    request = DecisionRequest(
        agent={"tier": "read_only"}, call={"method": "token/issue", "scope": "github:prs:read"}
    )
    decision = decide(request)
    assert _is_granted(decision)
    assert not _is_granted(msgspec.structs.replace(decision, duties=(once,)))


async def test_a_scope_policy_withholds_sleeps_in_the_token_and_wakes_with_the_tier(gateway):
    agent, answer = await agent_and_token(gateway)
    assert answer["expires_in"] == 300  # the shortest any rule asks for, also of sleeping scopes
    form = {"token": answer["access_token"]}
    _, before = await gateway.post("/introspect", form, headers=basic(*RS))
    assert before["scope"] == "github:prs:read"
    await gateway.state.transact(
        lambda tx: set_client_tier(tx, agent["client_id"], "trusted", **BY)
    )
    _, after = await gateway.post("/introspect", form, headers=basic(*RS))
    assert after["scope"] == "github:prs:read github:prs:merge"
    assert (after["active"], after["client_id"]) == (True, agent["client_id"])
    assert (after["aud"], after["iss"]) == (gateway.service.resource, gateway.origin)


async def test_no_token_when_policy_lets_nothing_through(gateway):
    _, agent = await gateway.register()
    form = {**GRANT, "scope": "github:secret"}
    status, answer = await gateway.post("/token", form, headers=credentials(agent))
    assert (status, answer["error"]) == (400, "invalid_scope")
    assert "needs the tier" in answer["error_description"]
    assert gateway.log.records[-1].event == "refused"


async def test_a_duty_no_token_can_carry_withholds_its_scope(tmp_path):
    gateway = Gateway(tmp_path)
    duty = Duty(kind="approval", rule="r", parameters={})
    strict = lambda request: msgspec.structs.replace(decide(request), duties=(duty,))  # noqa: E731
    gateway.service = msgspec_replace(gateway.service, decide_scope=strict)
    await gateway.start()
    _, agent = await gateway.register()
    status, answer = await gateway.post("/token", GRANT, headers=credentials(agent))
    await gateway.stop()
    assert (status, answer["error"]) == (400, "invalid_scope")


def msgspec_replace(service, **changes):
    import dataclasses

    return dataclasses.replace(service, **changes)


# --- the official client ------------------------------------------------------------------------


class Tokens:
    """The official client's token storage."""

    tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return None

    async def set_client_info(self, client_info):
        raise AssertionError("a client with credentials does not register")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_official_client_signs_in_with_a_secret(gateway, method):
    import httpx2
    from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

    _, agent = await gateway.register(token_endpoint_auth_method=method)
    tokens = Tokens()
    provider = ClientCredentialsOAuthProvider(
        f"{gateway.origin}/mcp",
        tokens,
        agent["client_id"],
        agent["client_secret"],
        token_endpoint_auth_method=method,
        issuer=gateway.origin,
    )
    async with httpx2.AsyncClient(auth=provider) as http:
        answer = await http.post(f"{gateway.origin}/mcp", json={})
    assert answer.status_code == 200
    assert tokens.tokens.scope == "github:prs:read"


async def test_the_official_client_signs_in_with_a_key(gateway):
    import httpx2
    from mcp.client.auth.extensions.client_credentials import (
        PrivateKeyJWTOAuthProvider,
        SignedJWTParameters,
    )

    jwks = {"keys": [keys.render_jwk(CLIENT_KEY.public)]}
    status, agent = await gateway.register(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    assert status == 201
    signer = SignedJWTParameters(
        issuer=agent["client_id"],
        subject=agent["client_id"],
        signing_key=keys.render_private_pem(CLIENT_KEY).decode(),
        signing_algorithm="ES256",
    )
    tokens = Tokens()
    provider = PrivateKeyJWTOAuthProvider(
        f"{gateway.origin}/mcp",
        tokens,
        agent["client_id"],
        signer.create_assertion_provider(),
        issuer=gateway.origin,
    )
    async with httpx2.AsyncClient(auth=provider) as http:
        answer = await http.post(f"{gateway.origin}/mcp", json={})
    assert answer.status_code == 200
    assert tokens.tokens.access_token.startswith("pbac_at_")


async def test_discovery_names_only_what_exists(gateway):
    async with gateway.http.get("/.well-known/oauth-authorization-server") as answer:
        document = await answer.json()
    assert document["issuer"] == gateway.origin
    assert document["grant_types_supported"] == ["client_credentials"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == []
    async with gateway.http.get("/authorize?response_type=code&redirect_uri=http://x") as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "unsupported_response_type"
    for endpoint in ENDPOINTS:
        assert f"{gateway.origin}{endpoint.path}" in document.values()
    for path in ("", "/mcp"):
        async with gateway.http.get(f"/.well-known/oauth-protected-resource{path}") as answer:
            document = await answer.json()
        assert document["resource"] == f"{gateway.origin}/mcp"
        assert document["authorization_servers"] == [gateway.origin]
    assert len(PATHS) == len(set(PATHS)) == 8


# --- attacks on the token endpoint ----------------------------------------------------------------


def assertion(gateway, client_id, key=CLIENT_KEY, **changes):
    now = SystemClock().now_ms() // 1000
    claims = {"iss": client_id, "sub": client_id, "aud": gateway.origin, "jti": "one"}
    signed = jose.sign({**claims, "exp": now + 60, **changes}, key, typ="JWT")
    return {**GRANT, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


async def test_a_replayed_assertion_even_when_its_first_use_failed(gateway):
    jwks = {"keys": [keys.render_jwk(CLIENT_KEY.public)]}
    _, agent = await gateway.register(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    form = assertion(gateway, agent["client_id"])
    assert (await gateway.post("/token", form))[0] == 200
    status, answer = await gateway.post("/token", form)
    assert (status, answer["error"]) == (401, "invalid_client")
    failing = assertion(gateway, agent["client_id"], jti="two")
    assert (await gateway.post("/token", {**failing, "scope": "other:x"}))[0] == 400
    assert (await gateway.post("/token", failing))[0] == 401


async def test_a_race_with_one_assertion_has_one_winner(gateway):
    jwks = {"keys": [keys.render_jwk(CLIENT_KEY.public)]}
    _, agent = await gateway.register(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    form = assertion(gateway, agent["client_id"])
    answers = await asyncio.gather(*(gateway.post("/token", form) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 19


async def test_client_authentication_confusion(gateway):
    _, one = await gateway.register(name="One")
    _, two = await gateway.register(name="Two")
    post = {"client_id": one["client_id"], "client_secret": one["client_secret"]}
    attacks = [
        ({**GRANT, **post}, credentials(one)),
        ({**GRANT, "client_id": two["client_id"]}, credentials(one)),
        (GRANT, basic(one["client_id"], "")),
        (GRANT, basic(one["client_id"], two["client_secret"])),
        (GRANT, basic("agent_unknown", one["client_secret"])),
        ({**GRANT, "client_id": one["client_id"]}, {}),
        (GRANT, {}),
        (GRANT, {"Authorization": "Basic \udcff"}),
    ]
    bodies = []
    for form, headers in attacks[:-1]:
        status, answer = await gateway.post("/token", form, headers=headers)
        assert (status, answer["error"]) == (401, "invalid_client")
        bodies.append(json.encode(answer))
    assert len(set(bodies)) == 1
    assert gateway.log.refusals == ["invalid_client"] * 7
    assert len(gateway.log.records) == 2  # nobody unauthenticated gets a row


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"grant_type=password", 400, "unsupported_grant_type"),
        (b"grant_type=urn%3Ax", 400, "unsupported_grant_type"),
        (b"grant_type=refresh_token&refresh_token=x", 400, "unsupported_grant_type"),
        (b"", 400, "invalid_request"),
        (b"grant_type=", 400, "invalid_request"),
        (b"grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
        (b"grant_type=client_credentials&scope=a&scope=b", 400, "invalid_request"),
        (b"grant_type=client_credentials&resource=https://evil.example", 400, "invalid_target"),
        (b"grant_type=client_credentials&scope=%22", 400, "invalid_scope"),
        (b"grant_type=%ff", 400, "invalid_request"),
        (b"x=" + b"a" * (OAUTH_BODY_BYTES_MAX + 1), 413, "invalid_request"),
    ],
)
async def test_malformed_token_requests(gateway, body, status, error):
    _, agent = await gateway.register()
    headers = {"Content-Type": FORM, **credentials(agent)}
    got, answer = await gateway.post("/token", data=body, headers=headers)
    assert (got, answer["error"]) == (status, error)


async def test_credentials_in_the_query_string(gateway):
    _, agent = await gateway.register()
    query = urlencode({"client_secret": agent["client_secret"]})
    for endpoint in ENDPOINTS:
        status, answer = await gateway.post(f"{endpoint.path}?{query}", GRANT)
        assert (status, answer["error"]) == (400, "invalid_request")
        async with gateway.http.get(f"{endpoint.path}?{query}") as got:
            assert got.status == 405


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/json; charset=utf-7",
        "multipart/form-data",
        "",
        FORM + "x",
        FORM + "; charset=utf-16",
        FORM + "; charset=utf-8; x=1",
    ],
)
async def test_bodies_of_another_media_type(gateway, media_type):
    for endpoint in ENDPOINTS:
        status, _ = await gateway.post(
            endpoint.path, data=b"a=1", headers={"Content-Type": media_type}
        )
        assert status == 415


async def test_two_authorization_headers(gateway):
    _, agent = await gateway.register()
    value = credentials(agent)["Authorization"]
    headers = [("Authorization", value), ("Authorization", value), ("Content-Type", FORM)]
    async with gateway.http.post("/token", data=urlencode(GRANT), headers=headers) as answer:
        assert answer.status == 400


async def test_a_suspended_agent_gets_no_token_and_its_old_ones_die_at_once(gateway):
    agent, answer = await agent_and_token(gateway)
    client_id, token = agent["client_id"], answer["access_token"]
    assert await gateway.call(token) == (200, None)
    await gateway.state.transact(lambda tx: set_client_status(tx, client_id, "suspended", **BY))
    assert await gateway.call(token) == (401, "suspended")
    status, answer = await gateway.post("/token", GRANT, headers=credentials(agent))
    assert (status, answer["error"]) == (400, "unauthorized_client")
    form = {"token": token}
    assert (await gateway.post("/introspect", form, headers=basic(*RS)))[1] == {"active": False}
    await gateway.state.transact(lambda tx: set_client_status(tx, client_id, "active", **BY))
    assert await gateway.call(token) == (200, None)


@pytest.mark.parametrize("attack", ["software statement", "assertion", "truncated", "random"])
async def test_what_is_no_access_token_opens_nothing(gateway, attack):
    _, answer = await agent_and_token(gateway)
    now_ms = SystemClock().now_ms()
    text = {
        "software statement": sign_statement(
            KEY, issuer="https://acme.example", name="A", tier="trusted", now_ms=now_ms
        ),
        "assertion": assertion(gateway, "x")["client_assertion"],
        "truncated": answer["access_token"][:-1],
        "random": "pbac_at_" + "A" * 49,
    }[attack]
    assert (await gateway.call(text))[0] == 401


# --- registration over the wire -------------------------------------------------------------------


async def test_a_single_use_statement_registers_one_agent(gateway):
    now_ms = SystemClock().now_ms()
    statement = sign_statement(
        KEY, issuer="https://acme.example", name="A", tier="read_only", now_ms=now_ms, jti="once"
    )
    body = {"software_statement": statement}
    first = await asyncio.gather(*(gateway.post("/register", json=body) for _ in range(5)))
    assert sorted(status for status, _ in first) == [201, 400, 400, 400, 400]
    status, answer = await gateway.post("/register", json=body)
    assert (status, answer["error"]) == (400, "invalid_software_statement")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"software_statement":"a","software_statement":"b"}',
        b"\xff",
        b"NaN",
        b'{"a":' * 100 + b"1" + b"}" * 100,
    ],
)
async def test_registrations_that_are_not_one_json_object(gateway, body):
    status, answer = await gateway.post(
        "/register", data=body, headers={"Content-Type": "application/json"}
    )
    assert (status, answer["error"]) == (400, "invalid_client_metadata")


async def test_an_anonymous_registration_as_interactive_clients_send_it(gateway):
    body = {
        "client_name": "Some Client",
        "redirect_uris": ["http://127.0.0.1:4711/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }
    status, answer = await gateway.post("/register", json=body)
    assert (status, answer["error"]) == (400, "invalid_software_statement")
    assert gateway.state.read(lambda reader: reader.count_clients()) == 0


# --- introspection and revocation -----------------------------------------------------------------


async def test_introspection_says_nothing_about_any_token_but_a_live_one_of_the_caller(gateway):
    agent, answer = await agent_and_token(gateway)
    token = answer["access_token"]
    await gateway.post("/revoke", {"token": token}, headers=credentials(agent))
    _, other = await gateway.post("/token", GRANT, headers=credentials(agent))
    probes = [
        (token, RS),
        (other["access_token"], ("rs2", "other")),
        ("pbac_at_" + "A" * 49, RS),
        ("x" * 60_000, RS),
    ]
    for text, server in probes:
        got = await gateway.post("/introspect", {"token": text}, headers=basic(*server))
        assert got == (200, {"active": False})
    form = {"token": other["access_token"], "token_type_hint": "refresh_token"}
    assert (await gateway.post("/introspect", form, headers=basic(*RS)))[1]["active"] is True


async def test_introspection_by_nobody_by_an_agent_and_by_a_scanner(gateway):
    agent, answer = await agent_and_token(gateway)
    form = {"token": answer["access_token"]}
    for headers in ({}, credentials(agent), basic("rs1", "wrong"), basic("rs9", "rs-secret")):
        assert (await gateway.post("/introspect", form, headers=headers))[0] == 401
    statuses = [
        (await gateway.post("/introspect", {"token": f"guess{n}"}, headers=basic(*RS)))[0]
        for n in range(7)
    ]
    assert statuses == [200] * 5 + [429] * 2


async def test_a_revoked_token_is_refused_by_the_next_call(gateway):
    agent, answer = await agent_and_token(gateway)
    form = {"token": answer["access_token"], "token_type_hint": "refresh_token"}
    assert await gateway.post("/revoke", form, headers=credentials(agent)) == (200, None)
    assert await gateway.call(answer["access_token"]) == (401, "revoked")
    assert await gateway.post("/revoke", form, headers=credentials(agent)) == (200, None)
    assert gateway.log.records[-1].event == "revoked"


async def test_another_agent_revokes_a_token_in_vain(gateway):
    _, answer = await agent_and_token(gateway)
    _, thief = await gateway.register(name="Thief")
    form = {"token": answer["access_token"]}
    assert await gateway.post("/revoke", form, headers=credentials(thief)) == (200, None)
    assert await gateway.call(answer["access_token"]) == (200, None)
    assert gateway.log.records[-1].code == "token_of_another_client"
    unknown = {"token": "pbac_at_nonsense"}
    assert await gateway.post("/revoke", unknown, headers=credentials(thief)) == (200, None)
    assert (await gateway.post("/revoke", {}, headers=credentials(thief)))[0] == 400


# --- when something fails -------------------------------------------------------------------------


async def test_without_a_record_nothing_is_issued(gateway):
    _, agent = await gateway.register()
    gateway.log.fails = True
    status, answer = await gateway.post("/token", GRANT, headers=credentials(agent))
    assert (status, answer["error"]) == (503, "temporarily_unavailable")
    assert (await gateway.register(name="Other"))[0] == 503
    rows = gateway.state._writer.execute("SELECT count(*) FROM access_tokens").fetchone()
    assert rows == (0,)
    assert gateway.state.read(lambda reader: reader.count_clients()) == 1


async def test_a_revocation_that_cannot_be_written_is_not_confirmed(gateway, monkeypatch):
    agent, answer = await agent_and_token(gateway)

    async def fails(_rule):
        raise StorageError("the disk is full")

    monkeypatch.setattr(gateway.state, "transact", fails)
    form = {"token": answer["access_token"]}
    status, answer = await gateway.post("/revoke", form, headers=credentials(agent))
    assert (status, answer["error"]) == (503, "temporarily_unavailable")


async def test_an_agent_suspended_while_its_token_was_decided_gets_none(gateway, monkeypatch):
    _, agent = await gateway.register()
    append = gateway.log.append

    async def suspend_meanwhile(record):
        await gateway.state.transact(
            lambda tx: set_client_status(tx, agent["client_id"], "suspended", **BY)
        )
        return await append(record)

    monkeypatch.setattr(gateway.log, "append", suspend_meanwhile)
    status, answer = await gateway.post("/token", GRANT, headers=credentials(agent))
    assert (status, answer["error"]) == (400, "unauthorized_client")
    rows = gateway.state._writer.execute("SELECT count(*) FROM access_tokens").fetchone()
    assert rows == (0,)


async def test_an_agent_the_operator_registered_signs_in_too(gateway):
    draft = prepare_by_operator(
        name="Nightly", tier="trusted", scopes=["**"], now_ms=0, entropy=os.urandom
    )
    await gateway.state.transact(lambda tx: register(tx, draft, 0))
    headers = basic(draft.client.client_id, draft.secret)
    _, answer = await gateway.post("/token", GRANT, headers=headers)
    assert answer["scope"] == "github:prs:read github:prs:merge"
