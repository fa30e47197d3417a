"""Every way to make a reader believe a bundle that nobody signed so, named after the attack."""

from __future__ import annotations

import pytest
from support.bundles import (
    EC_KEY,
    KEY,
    MADE_MS,
    OTHER,
    parts,
    refused,
    rendered,
    sealed,
    signed,
    tree,
)

from pbac.base import json, limits
from pbac.crypto import base64url, jws
from pbac.crypto.keys import render_jwk, thumbprint
from pbac.oauth.software_statement import sign_statement
from pbac.pdp.bundle import TYPE, parse_bundle
from pbac.pdp.bundle_files import BundleError


def test_cut_short_anywhere_or_longer_by_anything():
    data = rendered()
    for size in range(len(data)):
        with pytest.raises(BundleError):
            parse_bundle(data[:size], [KEY.public])
        if size:
            with pytest.raises(BundleError):
                parse_bundle(data[size:], [KEY.public])
    for more in (b"\n", b" ", b"\x00", b"=", b".", b"A", data, b"." + parts(data)[2]):
        with pytest.raises(BundleError):
            parse_bundle(data + more, [KEY.public])
        with pytest.raises(BundleError):
            parse_bundle(more + data, [KEY.public])


def test_every_flipped_bit_is_seen():
    data = rendered()
    for place in range(len(data)):
        for bit in range(8):
            changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            with pytest.raises(BundleError):
                parse_bundle(changed, [KEY.public])


def test_parts_of_two_bundles_put_together():
    one, two = parts(rendered()), parts(rendered(number=8))
    for taken in ([one[0], two[1], one[2]], [one[0], one[1], two[2]]):
        refused(b".".join(taken), "bundle_signature")
    theirs = parts(rendered(key=OTHER))
    both = [KEY.public, OTHER.public]
    refused(b".".join([one[0], one[1], theirs[2]]), "bundle_signature", both)
    refused(b".".join([theirs[0], one[1], one[2]]), "bundle_signature", both)


def test_signed_by_another_key():
    refused(rendered(key=OTHER), "bundle_key")
    refused(signed(tree(), OTHER, kid=thumbprint(KEY.public)), "bundle_signature")
    refused(rendered(), "bundle_key", keys=[])
    refused(rendered(), "bundle_key", keys=[EC_KEY.public])


def test_a_key_of_ours_that_is_not_ed25519_signs_nothing_and_verifies_nothing():
    with pytest.raises(BundleError) as caught:
        rendered(key=EC_KEY)
    assert caught.value.code == "bundle_key"
    header = {"kid": thumbprint(EC_KEY.public)}
    refused(signed(tree(), KEY, **header), "bundle_key", keys=[EC_KEY.public])


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "ES256", "eddsa", None, 1, []])
def test_algorithm_none_and_others(algorithm):
    data = signed(tree(), alg=algorithm)
    refused(data, "bundle_malformed")
    refused(b".".join([*parts(data)[:2], b""]), "bundle_malformed")


def test_no_signature_at_all():
    refused(b".".join([*parts(rendered())[:2], b""]), "bundle_signature")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty", "x"])
@pytest.mark.parametrize("value", [None, [], ["exp"], False, "https://evil.example/keys"])
def test_headers_that_choose_the_key_or_change_what_is_signed(name, value):
    refused(signed(tree(), **{name: value}), "bundle_malformed")


def test_the_key_of_the_attacker_in_the_header():
    data = signed(tree(), OTHER, jwk=render_jwk(OTHER.public), kid=thumbprint(KEY.public))
    refused(data, "bundle_malformed")


@pytest.mark.parametrize("member", ["alg", "kid", "typ"])
def test_a_header_that_leaves_something_out(member):
    refused(signed(tree(), **{member: ...}), "bundle_malformed")


@pytest.mark.parametrize("kid", [None, 1, "", [], {}, "../keys/policy.pem", "a" * 200])
def test_a_kid_that_names_no_key_of_ours(kid):
    refused(signed(tree(), kid=kid), "bundle_key")


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "", None, 1, "pbac-bundle+JWS", f"application/{TYPE}"]
)
def test_a_file_of_another_type(typ):
    refused(signed(tree(), typ=typ), "bundle_type")


def test_a_software_statement_of_the_same_key():
    statement = sign_statement(
        KEY, issuer="https://x.example", name="A", tier="t", scope="**",
        now_ms=MADE_MS, lifetime_seconds=60,
    )  # fmt: skip
    refused(statement.encode(), "bundle_type")


@pytest.mark.parametrize(
    "respell",
    [
        lambda header: header.replace(b":", b": ", 1),
        lambda header: header.replace(b"}", b',"alg":"EdDSA"}'),
        lambda header: header.replace(b'"alg"', b'"\\u0061lg"'),
        lambda header: b" " + header,
        lambda header: b"[" + header + b"]",
        lambda _: b"null",
        lambda _: b"\xff",
        lambda _: b"",
        lambda _: b"{" * 200,
        lambda header: b'{"' + b"a" * 2_000 + b'":1,' + header[1:],
    ],
)
def test_a_header_in_another_spelling(respell):
    header = base64url.decode(parts(rendered())[0].decode())
    refused(sealed(respell(header), json.canonical(tree())), "bundle_malformed")


def test_a_long_header_is_not_read():
    header = b'{"' + b"a" * limits.JWS_HEADER_CHARACTERS_MAX + b'":'
    error = refused(sealed(header, json.canonical(tree())), "bundle_malformed")
    assert "the header is longer than 1024 characters" in error.message


def test_nothing_of_the_payload_is_read_before_the_signature_holds(monkeypatch):
    header, payload, signature = parts(rendered())
    broken = b".".join([header, b"!" + payload[1:], signature])
    seen = []
    decode = json.decode
    monkeypatch.setattr(jws.json, "decode", lambda data: seen.append(data) or decode(data))
    refused(broken, "bundle_signature")
    assert seen == [base64url.decode(header.decode())]
