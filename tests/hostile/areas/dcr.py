"""Registration: what a statement, its publisher and the sender may not say, and what is not done."""

from __future__ import annotations

import json
import secrets
import threading
import urllib.error
import urllib.request

import pytest
from hostile import trust
from hostile.doors import BY_KEY, JSON, doors, post_form, register, statement_claims
from hostile.forge import ABSENT, Forgery, b64, forge, sign, unb64
from support.hosts import hosting


def stated(stage, **claims):
    """A sound statement by `acme` but for these claims."""
    door = doors_of(stage)["statement"]
    return forge(door.sound("EdDSA"), Forgery(claims=claims))


def doors_of(stage):
    return doors(stage.plain)


# --- whose statement ------------------------------------------------------------------------------


def bad_statements(stage):
    """Unapproved publisher, another audience, expired, unsigned, replayed: and none at all."""
    world, found = stage.plain, doors_of(stage)
    statement = found["statement"]
    attacker = trust.key("attacker", "EdDSA")
    wrong = [
        Forgery(claims={"iss": "https://evil.example"}, signed=lambda _, d: sign(attacker, d)),
        Forgery(claims={"iss": "https://evil.example"}),
        Forgery(signed=lambda _, data: sign(attacker, data)),
        Forgery(claims={"aud": "https://other.example"}),
        Forgery(claims={"aud": f"{world.gateway.origin}/mcp"}),
        Forgery(claims=lambda sound: {"exp": sound["iat"] - 1, "iat": sound["iat"] - 600}),
        Forgery(header={"alg": "none"}, signed=lambda *_: b""),
        *(Forgery(claims={name: ABSENT}) for name in REQUIRED),
        *(Forgery(claims={name: odd}) for name in REQUIRED for odd in (None, 5, [], {})),
        *(Forgery(claims={"tier": tier}) for tier in ("root", "Trusted", "trusted ", "tru\0sted")),
        *(Forgery(claims={"tags": tags}) for tags in ("x", [1], ["x"] * 51, ["a\nb"], {"a": 1})),
        *(Forgery(claims={"scope": scope}) for scope in ("mail:send", "frail:fetch", "*x", " ")),
        *(Forgery(claims={"jti": odd}) for odd in (5, "", None, [], "a\0b")),
    ]
    for forgery in wrong:
        yield statement.try_(forgery)
    for odd in (None, 5, [], {}, "", "x", "..", [stated(stage)], {"jwt": stated(stage)}, True):
        yield world.send(
            json.dumps({"software_statement": odd}).encode(),
            line="POST /register HTTP/1.1",
            replace=JSON,
        )
    yield from replayed(stage, statement)


REQUIRED = ("iss", "iat", "exp", "software_id", "client_name", "tier", "scope")


def replayed(stage, statement):
    """One statement with a `jti`, eight senders at once: it registers one agent, ever."""
    text = forge(statement.sound("EdDSA"), Forgery())
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(register(stage.plain, text)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers].count(201) == 1, answers
    yield from (answer for answer in answers if answer.status != 201)
    yield register(stage.plain, text)
    head, payload, signature = text.split(".")
    same = json.loads(unb64(payload))
    other_id = forge(statement.sound("EdDSA"), Forgery(claims={"jti": same["jti"]}))
    yield register(stage.plain, other_id)
    yield register(stage.plain, f"{head}.{b64(json.dumps(same).encode())}.{signature}")


# --- addresses --------------------------------------------------------------------------------------

FETCHED = ("jwks_uri", "sector_identifier_uri", "initiate_login_uri")
SHOWN = ("logo_uri", "policy_uri", "tos_uri", "client_uri")


def private_addresses(host):
    """Every way to spell a host that is nobody's business."""
    port = host.port
    return [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        host.url("/keys"),
        host.url("/keys", "localhost"),
        *(
            f"https://{name}:{port}/keys"
            for name in (
                *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "127.0.0.1."),
                *("[::ffff:127.0.0.1]", "localhost.", "x.localhost", "localhost.localdomain"),
                *("metadata.google.internal", "printer.local", "intranet", "router.lan", "a.onion"),
                *("user@logo.example", "user:pw@logo.example", "127\u30020\u30020\u30021"),
                *("\u2460\u2461\u2466.0.0.1", "logo.example\\@127.0.0.1", "logo..example", "[::1"),
            )
        ),
        "http://logo.example/logo.png",
        "HTTPS://127.0.0.1/",
        "//127.0.0.1/",
        "https:127.0.0.1",
        "https:///etc/passwd",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        " https://logo.example/",
        "https://logo.example/\n",
        "https://logo.example:99999/",
        "https://logo.example:port/",
        "",
    ]


def addresses(stage):
    """No URL of a registration is fetched, and none is taken that could reach inwards."""
    world = stage.plain
    with hosting({"/keys": json.dumps(trust.jwks("attacker")).encode()}) as host:
        _is_watching(host)
        for address in private_addresses(host):
            for member in (*FETCHED, *SHOWN):
                yield register(world, stated_once(world), **{member: address})
                yield register(world, stated_once(world, **{member: address}))
            yield register(world, stated_once(world), request_uris=[address])
        for odd in (5, [], {}, ["https://logo.example/"], True):
            for member in SHOWN:
                yield register(world, stated_once(world), **{member: odd})
        for member in SHOWN:  # what a statement would overrule is refused as well
            stated = stated_once(world, **{member: "https://logo.example/"})
            yield register(world, stated, **{member: host.url("/keys")})
        for member in FETCHED:  # not supported, wherever it leads
            yield register(world, stated_once(world), **{member: "https://keys.example/"})
        public = dict.fromkeys(SHOWN, f"https://logo.example:{host.port}/keys")
        assert register(world, stated_once(world), **public).status == 201
        agent = world.agent("addressed")
        stage.honest("echo", token=agent[2])
        assert not host.connected, "somebody followed an address of a registration"


def stated_once(world, **changes):
    """A statement by hand without asking a door: many are needed."""
    header = {"alg": "EdDSA", "kid": trust.kid("acme", "EdDSA"), "typ": "software-statement+jwt"}
    claims = statement_claims(world, **changes)
    parts = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{parts}.{b64(sign(trust.key('acme', 'EdDSA'), parts.encode()))}"


def _is_watching(host):
    """The host notices who connects, and serves whoever trusts it: else it would prove nothing."""
    with urllib.request.urlopen(host.url("/keys"), context=host.trusting(), timeout=5) as answer:
        assert json.load(answer) == trust.jwks("attacker")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(host.url("/keys"), timeout=5)
    assert len(host.connected) == 2
    assert len(host.requests) == 1
    host.connected.clear()


# --- power --------------------------------------------------------------------------------------------

POWERS = (
    *({"scope": scope} for scope in ("admin", "**", "*", "shop:**", "shop:*", "shop:close", "shop:echo admin")),
    *({"scope": odd} for odd in (5, [], ["shop:echo"], {}, True, " ", "shop:echo  shop:pay", "a\tb")),
    *({"grant_types": grants} for grants in (
        [], ["implicit"], ["password"], ["authorization_code"], ["refresh_token"], ["*"], [5],
        ["client_credentials", "password"], "client_credentials", {"client_credentials": 1},
        ["urn:ietf:params:oauth:grant-type:token-exchange"], ["Client_Credentials"],
    )),
    *({"token_endpoint_auth_method": method} for method in (
        "none", "None", "", "client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth",
        5, None, ["none"], "client_secret_basic ", "private_key_jwt",
    )),
    *({name: value} for name in (
        "client_id", "client_secret", "tier", "tier_source", "trusted", "verified", "publisher",
        "status", "kind", "provider", "model", "tags", "owner", "registration_access_token",
    ) for value in ("trusted", True, None)),
    *({"jwks": keys} for keys in (
        {"keys": []}, {"keys": [{"kty": "oct", "k": "AAAA"}]}, {}, [], "x", {"keys": "x"},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"}]},
    )),
)  # fmt: skip
UNHEARD = (
    {"Tier": "trusted"},
    {"TIER": "trusted"},
    {"tier\0": "trusted"},
    {"tier ": "trusted"},
    {"t\u0131er": "trusted"},
    {"__class__": "Client", "constructor": {"tier": "trusted"}},
    {"auth_method": "none", "secret_hash": "00", "scopes": ["**"], "registered_at_ms": 0},
    {"client_secret_expires_at": 1, "client_id_issued_at": 1},
    {"iss": "https://evil.example", "exp": 1, "jti": "other", "software_id": "other"},
)


def power(stage):
    """Nothing a request says of itself makes it more than its statement; most of it is refused."""
    world = stage.plain
    for members in POWERS:
        yield register(world, stated_once(world), **members)
    for method in (*BY_KEY.values(), "client_secret_basic"):
        yield register(world, stated_once(world), token_endpoint_auth_method=method, jwks={})
    for members in UNHEARD:
        answer = register(world, stated_once(world), **members)
        _has_no_more_than_stated(answer, members)
    for claims in ({"tier": "trusted"}, {"tier": "trusted", "scope": "**"}, *STATED_BEYOND):
        answer = register(world, stated_once(world, **claims))
        _has_no_more_than_stated(answer, claims)
        assert answer.json["client_id"].startswith("agent_")


STATED_BEYOND = (
    {"client_id": "chosen", "client_secret": "chosen", "status": "active", "owner": "root"},
    {"tier_source": "operator", "verified": True, "publisher": "local", "trusted": True},
    {"auth_method": "none", "secret_hash": "00", "scopes": ["**"]},
)


def _has_no_more_than_stated(answer, why):
    assert answer.status == 201, (why, answer.body)
    told = answer.json
    assert told["tier"] == "developer", (why, told)
    assert set(told["scope"].split()) <= {"shop:echo", "shop:pay", "shop:**"}, (why, told)
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["client_secret"].startswith("pbac_cs_")
    assert "registration_access_token" not in told


# --- management ----------------------------------------------------------------------------------------


def management(stage):
    """RFC 7592: nothing of a client can be read or changed over the wire, by nobody's token."""
    world = stage.plain
    a_id, a_secret, a_token = world.agent("manager a")
    b_id, b_secret, b_token = world.agent("managed b")
    body = json.dumps({"client_id": b_id, "client_name": "mine", "scope": "**"}).encode()
    places = (b_id, a_id, f"{b_id}/", f"{b_id}/secret", "..", f"%2e%2e/{b_id}", f"{b_id}?x=1")
    for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
        for credential in (f"Bearer {a_token}", f"Bearer {b_token}", f"Bearer {a_secret}", None):
            for place in places:
                yield world.send(
                    body,
                    line=f"{method} /register/{place} HTTP/1.1",
                    replace=JSON | {"Authorization": credential},
                )
        if method != "POST":
            for query in ("", f"?client_id={b_id}", f"?access_token={a_token}"):
                line = f"{method} /register{query} HTTP/1.1"
                yield world.send(body, line=line, replace={"Authorization": f"Bearer {a_token}"})
    line = f"POST /register?registration_access_token={a_token} HTTP/1.1"
    assert world.send(body, line=line, replace=JSON).status == 400
    for client_id, secret, token in ((a_id, a_secret, a_token), (b_id, b_secret, b_token)):
        again = post_form(
            world,
            "/token",
            grant_type="client_credentials",
            client_id=client_id,
            client_secret=secret,
        )
        assert again.status == 200, again.body
        world.bodies.remove(again.body)
        stage.honest("echo", token=token)


# --- names and applications ----------------------------------------------------------------------------

LOOKALIKES = (
    *("Cl\u0430ude", "\u0421laude", "\u0391gent", "Cl\uff41ude", "C\u01c0aude", "Cl\u0251ude", "A\u0261ent"),
    *("Cla\u200bude", "Cla\u200cude", "Cla\u200dude", "\ufeffClaude", "Cla\u00adude", "Cla\u2060ude"),
    *("\u202eedualC", "Claude\u202c", "Claude\u0301", "Cla\u034fude", "\ufb01le", "Agent \u2160", "Cla\u0131de"),
    *("\u0180ot", "\u1d00gent", "B\u14aat", "\U0001d402laude", "Claude \U0001f916", "\U000e0041gent"),
    *("Claude  Code", "Claude\u00a0Code", "Claude\u2003Code", " Claude", "Claude ", "Claude\t", "\nClaude"),
    *("Claude\0", "Cla\x1b[31mude", "<b>Claude</b>", "Claude\u2028", "", " ", ".", "-", "\u0661gent", "a" * 201),
    *("Claude/../x|y", "Claude\\", 'Claude"', "Claude`", "Claude;", "{Claude}"),
)  # fmt: skip
SAME_TO_THE_EYE = (
    *(
        "Forged Agent",
        "forged agent",
        "FORGED AGENT",
        "F0rged Agent",
        "Forged-Agent",
        "Forged.Agent",
    ),
    *(
        "Forg\u00e9d Agent",
        "ForgedAgent",
        "Forged_Agent",
        "Forge\u0111 Agent",
    ),
    *("F\u00f8rged Agent", "Forged Agen\u0163"),
)


def names(stage):
    """No name that reads like another one's, in whatever script, by whichever publisher."""
    world = stage.plain
    doors_of(stage)  # registers `Forged Agent`
    for name in LOOKALIKES:
        yield register(world, stated_once(world, client_name=name))
        yield register(world, stated_once(world), client_name=name)
    for odd in (5, [], {}, True, ["Claude"], "\ud800"):
        yield register(world, stated_once(world), client_name=odd)
    for name in SAME_TO_THE_EYE:
        yield register(world, of_sibling(world, client_name=name))
        yield register(world, stated_once(world, client_name=name, software_id="acme.other"))
    fresh = f"Plain {secrets.token_hex(3)}"
    for name in (fresh, f"Z\u00fcrich {fresh}", f"S\u00f8ren's {fresh} (v1.2)"):
        assert register(world, of_sibling(world, client_name=name)).status == 201


def of_sibling(world, **changes):
    claims = statement_claims(world, iss=trust.SIBLING, software_id="sibling.agent") | changes
    header = {"alg": "EdDSA", "typ": "software-statement+jwt"}
    parts = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{parts}.{b64(sign(trust.key('sibling', 'EdDSA'), parts.encode()))}"


WEB = (
    *("http://localhost/cb", "https://localhost/cb", "https://127.0.0.1/cb", "https://[::1]/cb", "http://app.example/cb"),
    *("https://localhost./cb", "https://x.localhost/cb", "https://127.1/cb", "https://2130706433/cb", "https://0x7f.1/cb"),
    *("https://0.0.0.0/cb", "https://[::ffff:127.0.0.1]/cb", "https://[::]/cb", "app.example:/cb", "com.example.app:/cb"),
    *("https://app.example/cb#x", "https://user@app.example/cb", "https:///cb", "https:app.example", "//app.example/cb"),
    *("/cb", "cb", "", "https://app.example:99999/cb", " https://app.example/cb", "https://app.example/\ncb", "*"),
    *("javascript:alert(1)", "data:text/html,x", "file:///cb", "https://\u0430pp.example/cb", "https://app.example/ cb"),
)  # fmt: skip
NATIVE = (
    *("https://app.example/cb", "https://localhost/cb", "http://app.example/cb", "http://localhost.evil.example/cb"),
    *("http://127.0.0.1.evil.example/cb", "http://127.0.0.1@evil.example/cb", "http://user@127.0.0.1/cb"),
    *("http://127.0.0.2/cb", "http://0.0.0.0/cb", "http://127.1/cb", "http://localhost./cb", "http://localhost/cb#x"),
    *("javascript:alert(1)", "myapp:/cb", "myapp://cb", "file:///cb", "//localhost/cb", "", "http:localhost/cb"),
)  # fmt: skip


def application_types(stage):
    """SEP-837: a web application is on https elsewhere, a native one on this machine."""
    world = stage.plain
    for kind, uris in (("web", WEB), ("native", NATIVE)):
        good = {"web": "https://app.example/cb", "native": "http://127.0.0.1:8/cb"}[kind]
        said = {"application_type": kind, "grant_types": ["client_credentials"]}
        for uri in uris:
            yield register(world, stated_once(world), redirect_uris=[uri], **said)
            yield register(world, stated_once(world), redirect_uris=[good, uri], **said)
            yield register(world, stated_once(world, redirect_uris=[uri]), **said)
        assert register(world, stated_once(world), redirect_uris=[good], **said).status == 201
    for uri in WEB:  # left out is `web`
        yield register(world, stated_once(world), redirect_uris=[uri])


ATTACKS = {
    "DCR-02": bad_statements,
    "DCR-05": addresses,
    "DCR-07": power,
    "DCR-10": management,
    "DCR-12": names,
    "DCR-13": application_types,
}
