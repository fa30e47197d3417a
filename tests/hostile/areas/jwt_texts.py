"""Tokens whose times, texts or keys are not what they should be, at every door."""

from __future__ import annotations

import json
import secrets
import string
import tempfile
import time
from functools import partial
from pathlib import Path

from hostile import trust
from hostile.doors import (
    BEARER,
    VERIFYING,
    doors,
    pipelined,
    post_form,
    present_bearer,
    refused,
)
from hostile.forge import (
    ABSENT,
    Forgery,
    Sound,
    b64,
    claim,
    der,
    forge,
    twin,
    unreduced,
)
from hostile.policies import POLICIES
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bad_input import World, both

from pbac.oauth.access_token import hash_access_token, new_access_token

# --- times ---------------------------------------------------------------------------------------

FAR = (
    10**30,
    9_999_999_999_999,
    253_402_300_800,
    253_402_300_799,
    2**53,
    2**63,
    10**15,
    4_102_444_800,
)
far_expiry = refused(
    *claim(*({"exp": far} for far in FAR)),
    *claim(*({"exp": far, "iat": far - 60, "nbf": ABSENT} for far in FAR)),
    *claim(lambda sound: {"exp": sound["iat"] + 401 * 24 * 3_600}),
    *claim(lambda sound: {"exp": sound["iat"] + 3_600}, doors=BEARER | {"assertion"}),
    *claim(lambda sound: {"iat": sound["iat"] - 401 * 24 * 3_600}),
)

NO_TIMES = (
    *("Infinity", "-Infinity", "NaN", "1e400", "1e10", "1.0", "2000000000.5", "true", "null", "[]"),
    *(
        "{}",
        '"2000000000"',
        '"0x77359400"',
        "-1",
        "-0",
        "0",
        "02000000000",
        "+2000000000",
        "[2000000000]",
    ),
    *("0x77359400", "2_000_000_000", "2000000000L", "", "9" * 400, "1E+10", "\u0662000000000"),
)


def raw_claim(name, text):
    """A claim as this very text, JSON or not."""

    def spliced(raw):
        members = {key: value for key, value in json.loads(raw).items() if key != name}
        return json.dumps(members).encode()[:-1] + f',"{name}":{text}}}'.encode()

    return Forgery(payload=spliced)


odd_expiry = refused(
    *(raw_claim("exp", text) for text in NO_TIMES),
    *(
        raw_claim(name, text)
        for name in ("iat", "nbf")
        for text in NO_TIMES
        if text not in ("0", "-0")
    ),
    *claim({"exp": ABSENT}, {"Exp": 2_000_000_000, "exp": ABSENT}),
)

early_and_late = refused(
    *claim(*(lambda sound, by=by: {"exp": sound["iat"] + by} for by in (0, -1, -29, -31, -3_600))),
    *claim(*(lambda sound, by=by: {"iat": sound["iat"] + by} for by in (35, 3_600))),
    *claim(*(lambda sound, by=by: {"nbf": sound["iat"] + by} for by in (35, 3_600))),
    *claim(lambda sound: {"iat": sound["exp"], "nbf": sound["exp"]}),
)


# --- texts: twice, malleable, in another spelling, too large -------------------------------------


def twice(name, value, *, first):
    """One claim two times; the key of the second may be spelled with an escape."""
    written = [json.dumps(value), None]

    def doubled(raw):
        members = json.loads(raw)
        written[1] = json.dumps(members.pop(name, "x"))
        head, tail = written if first else reversed(written)
        rest = json.dumps(members)[1:-1]
        escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
        return f'{{"{name}":{head},{rest},"{escaped}":{tail}}}'.encode()

    return Forgery(payload=doubled)


duplicates = refused(
    *(
        twice(name, value, first=first)
        for name, value in (
            *(("aud", "https://evil.example"), ("iss", "https://evil.example"), ("exp", 1)),
            *(("jti", "other"), ("sub", "other"), ("tier", "trusted"), ("nbf", 0), ("extra", 1)),
        )
        for first in (True, False)
    ),
    *(
        Forgery(head=lambda raw, more=more: raw[:-1] + more)
        for more in (
            b',"alg":"none"}',
            b',"typ":"x"}',
            b',"kid":"x"}',
            b',"x":1,"x":1}',
            b',"\\u0061lg":"EdDSA"}',
        )
    ),
    Forgery(payload=lambda raw: raw[:-1] + b',"more":{"a":1,"a":2}}'),
)


def malleable(stage):
    """A used or revoked token stays so in every other spelling that verifies."""
    world = stage.plain
    found = doors(world)
    for algorithm, other in (("ES256", twin), ("EdDSA", unreduced)):
        for name in VERIFYING:
            token = forge(found[name].sound(algorithm), Forgery())
            answer = found[name].present(token)
            assert answer.status == found[name].admits, answer.body
            for again in (other(token), token):
                found[name].refuse(found[name].present(again), (algorithm, again == token))
    yield from refused(Forgery(algorithm="ES256", signed=der))(stage)
    client_id, secret, token = world.agent("malleable")
    stage.honest("echo", token=token)
    revoked = post_form(world, "/revoke", token=token, client_id=client_id, client_secret=secret)
    assert revoked.status == 200
    for text in (token, token.swapcase(), token + "=", token.upper(), f"{token}.", f"{token}~"):
        yield present_bearer(world, text)


LAST = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def spare_bits(segment):
    """The same bytes, with the bits set that nobody reads."""
    return segment[:-1] + LAST[LAST.index(segment[-1]) ^ 1] if len(segment) % 4 else segment + "="


def respelled(each):
    """One segment after the other written otherwise."""

    def change(text, at):
        segments = text.split(".")
        segments[at] = each(segments[at])
        return ".".join(segments)

    return [Forgery(text=partial(change, at=at)) for at in range(3)]


SPELLINGS = (
    *(lambda s: s + "=", lambda s: s + "==", lambda s: s + " ", lambda s: " " + s, spare_bits),
    *(lambda s: s[:5] + "\n" + s[5:], lambda s: s[:5] + "\r\n " + s[5:], lambda s: s + "\t"),
    *(lambda s: s[:-1] + "+", lambda s: s[:-1] + "/", lambda s: s[:-1], lambda s: s + "A"),
    *(lambda s: s[:5] + "%3D" + s[5:], lambda s: s + "\u00e9", lambda s: s[:5] + "\uff21" + s[6:]),
    *(lambda s: s[:5] + "\0" + s[5:], lambda s: "", lambda s: s + "~", lambda s: b64(s.encode())),
)
_non_canonical = refused(
    *(forgery for each in SPELLINGS for forgery in respelled(each)),
    *(
        Forgery(text=change)
        for change in (
            *(
                lambda t: t + ".",
                lambda t: "." + t,
                lambda t: t + "\n",
                lambda t: t.replace(".", ".."),
            ),
            *(
                lambda t: t.rpartition(".")[0],
                lambda t: t + "." + t,
                lambda t: f'"{t}"',
                lambda _: "..",
            ),
            *(
                lambda t: t.replace(".", "\uff0e"),
                lambda _: ".",
                lambda t: t.swapcase(),
                lambda t: t[::-1],
            ),
        )
    ),
)


def non_canonical(stage):
    """And a real token in another spelling is refused without being said back."""
    yield from _non_canonical(stage)
    _, _, token = stage.plain.agent("respelled")
    for each in SPELLINGS:
        text = each(token)
        if text.strip() != token:  # HTTP itself takes blanks off the ends
            yield present_bearer(stage.plain, text)


def oversize(stage):
    """Refused by its length before anything is read of it, at once."""
    mega, door = 8 * 1024 * 1024, 7_000
    texts = ["A" * mega + ".e30.e30", "e30." + "A" * mega + ".e30", "." * 100_000, "A" * 17_000]
    texts += ["." * door, "A" * door, "A." * (door // 2), "eyJ" + "A" * door + ".e30.e30"]
    found = doors(stage.plain)
    began = time.monotonic()
    for text in texts:
        yield found["bearer"].present(text)
        for name in VERIFYING:
            found[name].refuse(found[name].present(text), len(text))
    padded = Forgery(claims={"pad": "A" * 40_000})
    nested = Forgery(payload=lambda raw: raw[:-1] + b',"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}")
    for name in VERIFYING:
        found[name].refuse(found[name].try_(padded), "padded")
        found[name].refuse(found[name].try_(nested), "nested")
    assert time.monotonic() - began < 10


SUBJECTS = (
    *(
        5,
        "",
        None,
        [],
        {},
        True,
        1.5,
        "a" * 1_000,
        "a\0b",
        "x\ny",
        "x\r\ny",
        "\x1b[2J",
        "\u202eevil",
    ),
    *("a\u200bb", "\ufeffa", "a\x7f", "\u2028", "\u2029", "\ue000", "\ud800"),
)
odd_subject = refused(
    *(raw_claim("sub", json.dumps(subject)) for subject in SUBJECTS),
    *(
        raw_claim(name, json.dumps(odd))
        for name in ("jti", "client_id")
        for odd in (5, "", "a\0b", [])
    ),
    *claim({"sub": "a" * 1_048_576}, doors=VERIFYING),
    *claim({"sub": "a" * 4_000}),
)


# --- keys that go, tokens that are cut -------------------------------------------------------------


def retired_key(stage):
    """A publisher's key leaves its set: what it signed registers nobody, and its agents stay."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = stage.serve(
            backends=both(stage.upstream, stage.plain.frail),
            policy=POLICIES,
            edit=lambda text: trust.trusting(text, Path(folder)),
            **trust.SECRETS,
        )
        world = World(gateway, stage.upstream, stage.plain.frail, token="")
        found = doors(world)
        found["statement"].admit()
        kept = [found["statement"].sound(algorithm) for algorithm in trust.ALGORITHMS]
        gateway.stop()
        (Path(folder) / "acme.json").write_text(json.dumps(trust.jwks("heir")))
        gateway.start(**trust.SECRETS)
        for sound in kept:
            heirs = {"kid": trust.kid("heir", sound.header["alg"])}
            for header in ({}, {"kid": ABSENT}, heirs):
                token = forge(sound, Forgery(header=header))
                found["statement"].refuse(found["statement"].present(token), header)
                yield present_bearer(stage.plain, token)
            heir = Sound(header=sound.header | heirs, claims=sound.claims, key=heir_of(sound))
            assert found["statement"].present(forge(heir, Forgery())).status == 201
        found["assertion"].admit()
        gateway.stop()


def heir_of(sound):
    return trust.key("heir", sound.header["alg"])


def cut_token(stage):
    """An opaque token that is not all there, or a little more than that."""
    world = stage.plain
    client_id, secret, token = world.agent("cut short")
    other = new_access_token(secrets.token_bytes)
    changed = {token[:length] for length in range(len(token))}
    changed |= {token + tail for tail in (*string.ascii_letters, *"0123456789-_~+/=.", "A" * 40)}
    for at in range(len(token)):
        changed.add(token[:at] + token[at + 1 :])
        changed.add(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :])
        changed.add(token[:at] + token[at + 1 : at + 2] + token[at : at + 1] + token[at + 2 :])
        changed.add(token[:at] + other[at:])
    changed = sorted(changed - {token, "", token + "."})
    yield from pipelined(world, changed)
    form = {"client_id": "rs1", "client_secret": trust.RESOURCE_SERVERS["rs1"]}
    for text in changed[::29]:
        assert post_form(world, "/introspect", token=text or "x", **form).json == {"active": False}
        own = {"client_id": client_id, "client_secret": secret}
        assert post_form(world, "/revoke", token=text or "x", **own).status == 200
    stage.honest("echo", token=token)
    no_other_text_is_the_token(token)


def no_other_text_is_the_token(token):
    known = hash_access_token(token)

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.text() | st.from_regex(r"pbac_at_[\w-]{49}") | st.just(token).map(str.title))
    def holds(text):
        assert hash_access_token(text) != known or text == token

    holds()


ATTACKS = {
    "JWT-20": far_expiry,
    "JWT-21": odd_expiry,
    "JWT-22": early_and_late,
    "JWT-23": duplicates,
    "JWT-24": malleable,
    "JWT-25": non_canonical,
    "JWT-26": oversize,
    "JWT-29": odd_subject,
    "JWT-31": retired_key,
    "JWT-32": cut_token,
}
