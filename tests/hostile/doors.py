"""Every door of the gateway that reads a signed text from outside.

Access tokens are opaque here, so a JWT is wrong as Bearer whatever it says; what it says counts
where software statements and client assertions are verified. A forged token is tried at all three.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hostile import trust
from hostile.forge import Forgery, Sound, forge
from support.bad_input import Answer, World, call

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
VERIFYING = frozenset({"statement", "assertion"})
"""Doors where some JWT is good."""
BEARER = frozenset({"bearer"})
JSON = {"Content-Type": "application/json", "Authorization": None}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def post_form(world: World, path: str, **form: str) -> Answer:
    """One form to an OAuth endpoint."""
    return world.send(urlencode(form).encode(), line=f"POST {path} HTTP/1.1", replace=FORM)


def register(world: World, statement: str | bytes, **members) -> Answer:
    """One registration with this statement and these members."""
    text = statement.decode("latin-1") if isinstance(statement, bytes) else statement
    body = json.dumps({"software_statement": text, **members}).encode()
    return world.send(body, line="POST /register HTTP/1.1", replace=JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way in. `refusals`: how it may say no. `admits`: the status of what is sound."""

    name: str
    sound: Callable[[str], Sound]
    present: Callable[[str], Answer]
    refusals: frozenset[tuple[int, str]]
    admits: int

    def try_(self, forgery: Forgery) -> Answer:
        return self.present(forge(self.sound(forgery.algorithm), forgery))

    def admit(self, algorithm: str = "EdDSA") -> None:
        """What is sound passes: without that, a refusal would prove nothing."""
        answer = self.try_(Forgery(algorithm=algorithm))
        assert answer.status == self.admits, (self.name, answer.body)

    def refuse(self, answer: Answer, forgery: object = None) -> None:
        told = (answer.status, answer.error)
        assert told in self.refusals, (self.name, forgery, told, answer.body[:300])


def doors(world: World) -> dict[str, Door]:
    """All doors of this gateway, with an agent of its own behind the third."""
    client = register(world, _statement_of(world), jwks=trust.jwks("agent"), **BY_KEY)
    assert client.status == 201, client.body
    client_id = client.json["client_id"]
    return {
        "bearer": Door(
            name="bearer",
            sound=partial(_bearer, world, client_id),
            present=partial(present_bearer, world),
            refusals=frozenset({(401, "invalid_token")}),
            admits=401,
        ),
        "statement": Door(
            name="statement",
            sound=partial(_statement, world),
            present=partial(register, world),
            refusals=frozenset(
                {
                    (400, "invalid_software_statement"),
                    (400, "unapproved_software_statement"),
                    (413, "invalid_request"),
                }
            ),
            admits=201,
        ),
        "assertion": Door(
            name="assertion",
            sound=partial(_assertion, world, client_id),
            present=partial(present_assertion, world),
            refusals=frozenset({(401, "invalid_client"), (413, "invalid_request")}),
            admits=200,
        ),
    }


BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}


def present_bearer(world: World, text: str) -> Answer:
    """A call of `echo` with this token, as UTF-8."""
    raw = f"Bearer {text}".encode("utf-8", "surrogatepass").decode("latin-1")
    return world.send(call("echo"), replace={"Authorization": raw})


def present_assertion(world: World, text: str, **form: str) -> Answer:
    sent = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
    return post_form(world, "/token", grant_type="client_credentials", **sent, **form)


def statement_claims(world: World, **changes) -> dict:
    """What `acme` signs for one agent."""
    now = int(time.time())
    return {
        "iss": trust.ACME,
        "aud": world.gateway.origin,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": secrets.token_hex(8),
        "sub": "acme.forged",
        "software_id": "acme.forged",
        "client_name": "Forged Agent",
        "tier": "developer",
        "scope": "shop:echo shop:pay",
        **changes,
    }


def _statement_of(world: World) -> str:
    return forge(_statement(world, "EdDSA"), Forgery())


def _statement(world: World, algorithm: str) -> Sound:
    return _sound("acme", algorithm, "software-statement+jwt", statement_claims(world))


def _assertion(world: World, client_id: str, algorithm: str) -> Sound:
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": world.gateway.origin,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": secrets.token_hex(8),
    }
    return _sound("agent", algorithm, "JWT", claims)


def _bearer(world: World, client_id: str, algorithm: str) -> Sound:
    """RFC 9068, signed by a key that is the gateway's own where there is one."""
    now = int(time.time())
    claims = {
        "iss": world.gateway.origin,
        "sub": client_id,
        "client_id": client_id,
        "aud": f"{world.gateway.origin}/mcp",
        "scope": "shop:echo",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": secrets.token_hex(8),
    }
    sound = _sound("acme", algorithm, "at+jwt", claims)
    if algorithm != "EdDSA":
        return sound
    own = (world.gateway.directory / "state/keys/audit.key").read_bytes()
    return Sound(header=sound.header, claims=claims, key=load_pem_private_key(own, None))


def _sound(owner: str, algorithm: str, typ: str, claims: dict) -> Sound:
    header = {"alg": algorithm, "kid": trust.kid(owner, algorithm), "typ": typ}
    return Sound(header=header, claims=claims, key=trust.key(owner, algorithm))


def refused(*forgeries: Forgery):
    """An attack: none of these passes anywhere, and what is not forged does."""

    def attack(stage):
        found = doors(stage.plain)
        for algorithm in sorted({each.algorithm for each in forgeries}):
            for door in found.values():
                door.admit(algorithm)
        for forgery in forgeries:
            for name in sorted(forgery.doors):
                answer = found[name].try_(forgery)
                if name == "bearer":
                    yield answer
                else:
                    found[name].refuse(answer, forgery)

    return attack


def pipelined(world, tokens, at_once=50):
    """Answers to one call for each token, many requests on one connection."""
    for start in range(0, len(tokens), at_once):
        batch = tokens[start : start + at_once]
        sent = [
            world.request(b"", replace={"Authorization": f"Bearer {token}", "Content-Length": "0"})
            for token in batch
        ]
        with world.connect() as connection:
            connection.sendall(b"".join(sent))
            stream = connection.makefile("rb")
            for _ in batch:
                yield read_one(world, stream)


def read_one(world, stream):
    """One answer of several on the same connection."""
    status = int(stream.readline().split()[1])
    headers = http.client.parse_headers(stream)
    body = stream.read(int(headers["Content-Length"]))
    world.bodies.append(body)
    return Answer(status, dict(headers), body)
