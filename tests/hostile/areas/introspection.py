"""What `/introspect` tells, and whom: nothing of what is not the asker's."""

from __future__ import annotations

import json
import os
import secrets
import time

from hostile.areas.revocation import revoke
from hostile.doors import FORM, post_form, present_bearer
from hostile.trust import RESOURCE_SERVERS
from support.bad_input import Answer

from pbac.adapters.sqlite_state import open_state
from pbac.oauth.access_token import hash_access_token, new_access_token
from pbac.oauth.introspection import find_live
from pbac.oauth.model import AccessToken, PrincipalRecord, ResourceServer

INACTIVE = b'{"active":false}'


def ask(world, token, server="rs1", **more) -> Answer:
    """One question by a resource server."""
    known = {"client_id": server, "client_secret": RESOURCE_SERVERS[server]}
    return post_form(world, "/introspect", token=token, **known, **more)


def planted(world, client_id, **changes):
    """A token of this client as the store may hold one, whoever put it there."""
    text, now = new_access_token(os.urandom), time.time_ns() // 1_000_000
    token = {
        "token_hash": hash_access_token(text),
        "client_id": client_id,
        "grant_type": "client_credentials",
        "scopes": ("shop:echo",),
        "audience": f"{world.gateway.origin}/mcp",
        "issued_at_ms": now,
        "expires_at_ms": now + 60_000,
        **changes,
    }
    state = open_state(world.gateway.directory / "state", now)
    try:
        state.transact_now(lambda tx: tx.insert_access_token(AccessToken(**token)))
    finally:
        state.close()
    world.secrets.append(text)
    return text


def of_another_resource(stage):
    """A live token for elsewhere is nothing here, and nothing is said of it."""
    world = stage.plain
    client_id, client_secret, token = world.agent("of another resource")
    own = f"{world.gateway.origin}/mcp"
    sound = planted(world, client_id)
    assert ask(world, sound).json["active"] is True
    stage.honest("echo", token=sound)
    for audience in ("https://rs2.example/mcp", own + "/", own.upper(), own + "/other", "", "*"):
        foreign = planted(world, client_id, audience=audience)
        answer = ask(world, foreign)
        assert answer.body == INACTIVE
        yield answer
        assert present_bearer(world, foreign).status == 401
    assert ask(world, stage.strict.token).body == INACTIVE
    _each_server_sees_its_own(world, client_id)
    for known in (
        {"client_id": client_id, "client_secret": client_secret},
        {"client_id": "rs1", "client_secret": "wrong"},
        {"client_id": "rs1", "client_secret": RESOURCE_SERVERS["scanner"]},
        {"client_id": "RS1", "client_secret": RESOURCE_SERVERS["rs1"]},
        {"client_id": "rs1"},
        {},
    ):
        answer = post_form(world, "/introspect", token=token, **known)
        assert (answer.status, answer.error) == (401, "invalid_client"), answer.body
    bearer = FORM | {"Authorization": f"Bearer {token}"}
    answer = world.send(f"token={token}".encode(), line=LINE, replace=bearer)
    assert answer.status == 401


LINE = "POST /introspect HTTP/1.1"


def _each_server_sees_its_own(world, client_id):
    """The rule itself, for two resource servers of one gateway."""
    state = open_state(world.gateway.directory / "state", 0)
    try:
        client = state.read(lambda reader: reader.find_client(client_id))
    finally:
        state.close()
    resources = ("https://one.example/mcp", "https://two.example/mcp", "https://two.example/mcp/x")
    for own in resources:
        server = ResourceServer(id="x", secret_hash=b"", resource=own)
        for audience in resources:
            token = AccessToken(
                token_hash=bytes(32),
                client_id=client_id,
                grant_type="client_credentials",
                scopes=(),
                audience=audience,
                issued_at_ms=0,
                expires_at_ms=2,
            )
            record = PrincipalRecord(token, client)
            assert (find_live(record, server, 1) is record) == (audience == own)
            assert find_live(record, server, 2) is None


def no_oracle(stage):
    """Whatever is not live looks the same: bytes, headers, and how long it takes."""
    world = stage.plain
    client_id, secret, token = world.agent("no oracle")
    assert revoke(world, (client_id, secret), token).status == 200
    other = world.agent("suspended oracle")
    world.gateway.pbac("agent", "suspend", other[0], "--config", str(world.gateway.config))
    now = time.time_ns() // 1_000_000
    unknown = new_access_token(os.urandom)
    dead = {
        "unknown": unknown,
        "revoked": token,
        "expired": planted(world, client_id, issued_at_ms=now - 9_000, expires_at_ms=now - 1),
        "suspended": other[2],
        "foreign": planted(world, client_id, audience="https://rs2.example/mcp"),
        "malformed": unknown[:-1] + "~",
        "cut": unknown[:-1],
        "jwt": "eyJhbGciOiJub25lIn0.e30.",
        "large": "A" * 60_000,
        "odd": "\0\u2028\U0001f600",
        "a secret": secret,
    }
    fastest, told = {}, set()
    for name, text in dead.items():
        for _ in range(12):
            began = time.perf_counter()
            answer = ask(world, text)
            fastest[name] = min(fastest.get(name, 9.0), time.perf_counter() - began)
            assert answer.body == INACTIVE, (name, answer.body)
            told.add(json.dumps({k: v for k, v in answer.headers.items() if k != "date"}))
            yield answer
    assert len(told) == 1, told
    del fastest["large"]  # takes longer to send
    assert max(fastest.values()) - min(fastest.values()) < 0.005, fastest
    yield ask(world, "A" * 1_048_576)
    missing = post_form(
        world, "/introspect", client_id="rs1", client_secret=RESOURCE_SERVERS["rs1"]
    )
    assert (missing.status, missing.error) == (400, "invalid_request")


def nothing_outlives_its_issuer_or_scope(stage, version):
    """What one gateway, scope or moment has found good is not good for another."""
    plain, strict = stage.worlds
    client = plain.gateway.register("developer", f"narrow {version}")
    form = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    plain.secrets.append(client["client_secret"])
    answer = post_form(plain, "/token", grant_type="client_credentials", scope="shop:echo", **form)
    plain.bodies.remove(answer.body)
    token = answer.json["access_token"]
    plain.secrets.append(token)
    stage.honest("echo", token=token, version=version)
    yield present_bearer(strict, token)
    for tool in ("pay", "count", "load0"):
        refused = stage.call(tool, {"amount": 1, "count": 1}, token=token, version=version)
        assert refused.error == "insufficient_scope", refused.body
        yield refused
    assert ask(plain, token).json["scope"] == "shop:echo"
    assert ask(strict, token).body == INACTIVE
    stage.honest("echo", token=token, version=version)
    assert revoke(plain, list(form.values()), token).status == 200
    assert ask(plain, token).body == INACTIVE
    yield present_bearer(plain, token)


def lying_hints(stage):
    """RFC 7662 2.1: a hint is a hint."""
    world = stage.plain
    client_id, secret, token = world.agent("hinted")
    stable = ("active", "scope", "client_id", "sub", "token_type", "iss", "aud", "iat", "exp")
    sound = ask(world, token).json
    assert set(sound) == set(stable)
    assert sound["active"] is True
    for hint in ("refresh_token", "id_token", "access_token", "x", "\0", "a" * 1_000, "pbac_at_"):
        answer = ask(world, token, token_type_hint=hint)
        assert answer.json == sound, (hint, answer.body)
        yield answer
        assert ask(world, secret, token_type_hint=hint).body == INACTIVE
    known = {"client_id": client_id, "client_secret": secret}
    answer = post_form(world, "/revoke", token=token, token_type_hint="refresh_token", **known)
    assert answer.status == 200
    assert ask(world, token).body == INACTIVE


def scanning(stage):
    """A resource server that guesses is slowed down; the others, and its good questions, are not."""
    world, tried = stage.plain, 0
    before = _rows(world)
    while (answer := ask(world, secrets.token_urlsafe(40), "scanner")).status == 200:
        assert answer.body == INACTIVE
        tried += 1
        assert tried <= 1_300, "nobody stops it"  # twice the bound: the minute may have changed
    assert tried >= 600
    for _ in range(20):
        yield ask(world, new_access_token(os.urandom), "scanner")
    assert answer.headers["retry-after"]
    assert ask(world, world.token).json["active"] is True
    assert _rows(world) - before < 10, "every guess got a row of its own"


def _rows(world):
    logs = (world.gateway.directory / "state/audit").glob("log-*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in logs)


ATTACKS = {
    "INT-02": of_another_resource,
    "INT-03": no_oracle,
    "INT-06": nothing_outlives_its_issuer_or_scope,
    "INT-08": lying_hints,
    "INT-09": scanning,
}
