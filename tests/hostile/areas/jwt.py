"""Forged, confused and second-hand tokens: whose key, which type, for whom, by whom.

What is wrong with the text of a token, its times and its life is in `jwt_texts`.
"""

from __future__ import annotations

import json
import secrets
import time

from hostile import trust
from hostile.areas import jwt_texts
from hostile.doors import BEARER, VERIFYING, doors, pipelined, present_bearer, refused
from hostile.forge import (
    ABSENT,
    Forgery,
    b64,
    claim,
    forge,
    jwk,
    mac,
    published_forms,
    sign,
    unb64,
)
from support.hosts import hosting

# --- whose key, and which algorithm ------------------------------------------------------------


def confused(alg, form, algorithm):
    """Signed with a published key as if it were a secret."""
    return Forgery(
        header={"alg": alg},
        algorithm=algorithm,
        signed=lambda sound, data: mac(published_forms(sound.key)[form], alg)(sound, data),
    )


CONFUSED = [
    confused(alg, form, algorithm)
    for algorithm in trust.ALGORITHMS
    for alg in ("HS256", "HS384", "HS512")
    for form in range(6)
]
UNSIGNED = [
    Forgery(header={"alg": alg}, signed=lambda *_, made=made: made)
    for alg in ("none", "None", "NONE", "nOnE", "none ", "", None, [], {}, 0, ABSENT, "HS256")
    for made in (b"", b"\0" * 64)
]
MISNAMED = [
    Forgery(header={"alg": alg}, algorithm=algorithm)
    for algorithm in trust.ALGORITHMS
    for alg in ("ES256", "RS256", "EdDSA", "PS256", "ES256K", "ES384", "Ed25519", "eddsa", "rs256")
    if alg != algorithm
]
BLANK = [
    Forgery(algorithm=algorithm, signed=lambda *_, made=made: made)
    for algorithm in trust.ALGORITHMS
    for made in (b"", b"\0" * 64, b"\0" * 63, b"\xff" * 64, b"\0" * 256, b"\1" * 1_000)
]

hmac_by_public_key = refused(*CONFUSED, *UNSIGNED, *MISNAMED, *BLANK)


def by_attacker(algorithm="ES256", **header):
    """Signed with a key of the attacker's, which the header recommends."""
    key = trust.key("attacker", algorithm)
    return Forgery(header=header, algorithm=algorithm, signed=lambda _sound, data: sign(key, data))


def embedded_keys(stage):
    """A key, or an address where one could be had, in the header: nobody looks, nobody asks."""
    with hosting({"/jwks": json.dumps(trust.jwks("attacker")).encode()}) as host:
        offered = []
        for algorithm in trust.ALGORITHMS:
            public = jwk(trust.key("attacker", algorithm), alg=algorithm)
            headers = [
                {"jwk": public},
                {"jwk": public, "kid": ABSENT},
                {"jku": host.url("/jwks"), "kid": trust.kid("attacker", algorithm)},
                {"x5u": host.url("/chain.pem")},
                {"x5c": [b64(b"certificate")]},
                {"kid": host.url("/jwks")},
                {"kid": ABSENT},
                {"kid": "../../../../../../dev/null"},
                {"kid": "x' UNION SELECT 'key"},
                {"kid": trust.kid("sibling", algorithm)},
                *({"kid": odd} for odd in (None, [], {}, 0, True, "", "\0", "k" * 2_000)),
                {},
            ]
            offered += [by_attacker(algorithm, **header) for header in headers]
        yield from refused(*offered)(stage)
        # The sender's own sound key is refused there as well: it is not the header's to choose.
        own = Forgery(header={"jwk": jwk(trust.key("acme", "EdDSA"))}, doors=VERIFYING)
        yield from refused(own)(stage)
        assert not host.connected, "somebody followed an address in a header"


def flood_of_unknown_keys(stage):
    """Thousands of unknown `kid`: nothing is fetched, nothing is recorded one by one."""
    world, count = stage.plain, 1_000
    with hosting() as host:
        found = doors(world)
        before, began = rows(world), time.monotonic()

        def forged(door):
            kid = secrets.token_hex(8)
            change = Forgery(header={"kid": kid, "jku": host.url(f"/{kid}")})
            return forge(found[door].sound("EdDSA"), change)

        yield from pipelined(world, [forged("bearer") for _ in range(count)])
        for door in VERIFYING:
            for _ in range(100):
                found[door].refuse(found[door].present(forged(door)))
        assert time.monotonic() - began < 10
        assert not host.connected
    # A row a window of ten seconds, and whatever the gateway tells of itself.
    assert rows(world) - before < 10, "refusals are recorded one by one"
    stage.honest("echo")


def rows(world):
    logs = (world.gateway.directory / "state/audit").glob("log-*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in logs)


# --- headers: critical members, types ----------------------------------------------------------

CRITICAL = [
    *([], ["exp"], ["exp", "exp"], ["alg"], ["b64"], ["x"], "exp", None, {}, 1, True, [1], [[]]),
]
critical = refused(
    *(Forgery(header={"crit": value}) for value in CRITICAL),
    Forgery(header={"crit": ["exp"], "exp": 2_000_000_000}),
    Forgery(head=lambda raw: raw[:-1] + b',"crit":["exp"],"crit":["exp"]}'),
)


def detached(text):
    """RFC 7515 appendix F: the payload is sent elsewhere."""
    head, _, signature = text.split(".")
    return f"{head}..{signature}"


def unencoded(sound, data):
    """RFC 7797: signed over the payload itself."""
    head, payload = data.split(b".")
    return sign(sound.key, head + b"." + unb64(payload.decode()))


UNENCODED = [{"b64": False, "crit": ["b64"]}, {"b64": False}, {"b64": True}, {"b64": "false"}]
unencoded_payload = refused(
    *(Forgery(header=header) for header in UNENCODED),
    *(Forgery(header=header, signed=unencoded) for header in UNENCODED),
    *(Forgery(header=header, signed=unencoded, text=detached) for header in UNENCODED),
    Forgery(text=detached),
    Forgery(header={"zip": "DEF"}),
    Forgery(header={"enc": "A128GCM"}),
)

TYPES = [
    *("dpop+jwt", "DPoP+JWT", "application/dpop+jwt", "logout+jwt", "kb+jwt", "secevent+jwt"),
    *(
        "oauth-authz-req+jwt",
        "application/application/jwt",
        "JWT ",
        " jwt",
        "jwt\0",
        "jw",
        "j\u0175t",
    ),
    *(
        "token-introspection+jwt",
        "entity-statement+jwt",
        "text/jwt",
        5,
        None,
        [],
        {},
        ["JWT"],
        False,
    ),
]
HERE = {
    "bearer": ["at+jwt", "application/at+jwt", "JWT", "", ABSENT],
    "statement": ["JWT", "jwt", "at+jwt", "client-authentication+jwt", "", ABSENT],
    "assertion": ["at+jwt", "software-statement+jwt", "application/software-statement+jwt"],
}
other_types = refused(
    *(Forgery(header={"typ": typ}) for typ in TYPES),
    *(
        Forgery(header={"typ": typ}, doors=frozenset({door}))
        for door, types in HERE.items()
        for typ in types
    ),
)


def at_another_door(stage):
    """What one door takes is worth nothing at another, be it as it is or dressed up for both."""
    found = doors(stage.plain)
    claims = {}
    for door in found.values():
        door.admit()
        claims |= door.sound("EdDSA").claims
    for name, door in found.items():
        sound = door.sound("EdDSA")
        yield found["bearer"].present(forge(sound, Forgery()))
        for other in VERIFYING - {name}:
            dressed = Forgery(claims=claims | {"iss": sound.claims["iss"]})
            for change in (Forgery(), dressed):
                found[other].refuse(found[other].present(forge(sound, change)), (name, change))
    for other in VERIFYING:
        found[other].refuse(found[other].present(stage.plain.token), "an access token")
    statement = found["statement"].sound("EdDSA")
    for scheme in ("Bearer", "bearer", "DPoP", "JWT", "Basic"):
        text = f"{scheme} {forge(statement, Forgery())}"
        yield stage.plain.send(replace={"Authorization": text})


# --- for whom, and by whom ----------------------------------------------------------------------

missing_audience = refused(
    *claim({"aud": ABSENT}, doors=BEARER | {"assertion"}),
    *claim({"aud": ABSENT, "azp": "x"}, doors=BEARER | {"assertion"}),
    *claim(*({"aud": odd} for odd in (None, "", [], {}, 0, True, " ", "*", "null"))),
    *claim(lambda sound: {"aud": ABSENT, "Aud": sound["aud"]}, doors=BEARER | {"assertion"}),
)


def audience(change):
    return Forgery(claims=lambda sound: {"aud": change(sound["aud"])})


longer_audience = refused(
    *(
        audience(lambda own, tail=tail: own + tail)
        for tail in (
            *(".evil.example", "/other", "/", "//", "?", "#", "/token/", "/mcp/other", "/mcp.evil"),
            *("0", ":80", "@evil.example", "%2f", " ", "\n", "\0", "\u200b", "/..", "/token?x=1"),
        )
    ),
    audience(str.upper),
    audience(lambda own: own.replace("127.0.0.1", "127.1")),
    audience(lambda own: own.replace("127.0.0.1", "localhost")),
    audience(lambda own: own.replace("127.0.0.1", "\uff11\uff12\uff17.0.0.1")),
    audience(lambda own: own.replace("http://", "https://")),
    audience(lambda own: own.replace("http://", "http://user@")),
    audience(lambda own: own.replace("http://", "")),
    audience(lambda own: own[:-1]),
    audience(lambda own: " " + own),
    audience(lambda own: "https://evil.example/?" + own),
)
mixed_audience = refused(
    audience(lambda own: [own, "https://other.example"]),
    audience(lambda own: ["https://other.example", own]),
    audience(lambda own: [own]),
    audience(lambda own: [own, own]),
    audience(lambda own: [[own]]),
    audience(lambda own: {own: True}),
    audience(lambda own: f"{own} https://other.example"),
    audience(lambda own: f"{own},https://other.example"),
)


def of_a_sibling(stage):
    """What another gateway, publisher or client is trusted for is nothing here."""
    plain, strict = stage.worlds
    yield present_bearer(plain, strict.token)
    yield present_bearer(strict, plain.token)
    found, other = doors(plain), doors(strict)
    assertion = found["assertion"].sound("EdDSA")
    stranger = other["assertion"].sound("EdDSA").claims["iss"]
    key = trust.key("sibling", "EdDSA")
    by_sibling = {"kid": trust.kid("sibling", "EdDSA")}
    cases = [
        Forgery(header=by_sibling, signed=lambda _, data: sign(key, data)),
        Forgery(claims={"iss": trust.SIBLING}),
        Forgery(header=by_sibling, claims={"iss": trust.SIBLING}),
        Forgery(header={"kid": ABSENT}, claims={"iss": trust.SIBLING}),
        *claim(
            {"iss": trust.ACME + "/"}, {"iss": trust.ACME.upper()}, {"iss": "https://evil.example"}
        ),
        *claim(
            *({"iss": odd} for odd in (ABSENT, None, "", [trust.ACME], {}, 1, trust.ACME + "\n"))
        ),
        *claim({"iss": stranger}, {"iss": stranger, "sub": stranger}),
        *claim(
            {"sub": stranger},
            {"sub": assertion.claims["iss"].upper()},
            doors=BEARER | {"assertion"},
        ),
    ]
    yield from refused(*cases)(stage)
    for name in VERIFYING:  # sound, and for the sibling's address
        door, elsewhere = found[name], other[name]
        elsewhere.refuse(elsewhere.present(forge(door.sound("EdDSA"), Forgery())))
    unknown = found["statement"].try_(Forgery(claims={"iss": "https://evil.example"}))
    assert unknown.error == "unapproved_software_statement"


ATTACKS = {
    **jwt_texts.ATTACKS,
    "JWT-02": hmac_by_public_key,
    "JWT-04": embedded_keys,
    "JWT-07": critical,
    "JWT-09": flood_of_unknown_keys,
    "JWT-10": other_types,
    "JWT-11": at_another_door,
    "JWT-13": missing_audience,
    "JWT-14": longer_audience,
    "JWT-16": mixed_audience,
    "JWT-18": of_a_sibling,
    "JWT-28": unencoded_payload,
}
