"""Every known way to make a verifier believe a token, named after the attack."""

import contextlib
import hashlib
import hmac
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.base import json
from pbac.base.limits import JWT_CHARACTERS_MAX
from pbac.crypto import base64url, jose, keys

NOW = 1_800_000_000
ISSUER = "https://publisher.example"
AUDIENCE = "https://gw.example"
PROFILE = jose.Profile(
    types=frozenset({"statement+jwt"}),
    required=frozenset({"sub", "aud", "iat"}),
    lifetime_seconds_max=3_600,
)
KEY = keys.generate_signing_key("EdDSA")
EC_KEY = keys.generate_signing_key("ES256")
RSA_KEY = keys._signing_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
OUR_KEYS = (KEY.public, EC_KEY.public, RSA_KEY.public)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def claims(**changes):
    base = {"iss": ISSUER, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 600}
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def token(key=KEY, typ="statement+jwt", **changes):
    return jose.sign(claims(**changes), key, typ=typ)


def raw(payload: bytes, key=KEY, **header):
    """A token with any bytes as payload and any header, correctly signed."""
    head = {"alg": key.public.algorithm, "typ": "statement+jwt", "kid": key.public.kid, **header}
    head = {name: value for name, value in head.items() if value is not ...}
    signed = f"{base64url.encode(json.encode(head))}.{base64url.encode(payload)}"
    signature = jose._PRIMITIVES[key.public.algorithm].sign(signed.encode(), key.material)
    return f"{signed}.{base64url.encode(signature)}"


def verify(text, now=NOW, profile=PROFILE, trusted=OUR_KEYS):
    return jose.verify(
        text,
        trusted,
        profile,
        issuer=ISSUER,
        audiences=frozenset({AUDIENCE}),
        now_ms=now * 1000,
    )


def refused(text, code, **how):
    with pytest.raises(jose.JoseError) as caught:
        verify(text, **how)
    assert caught.value.code == code, caught.value.message


@pytest.mark.parametrize("key", [KEY, EC_KEY, RSA_KEY], ids=["EdDSA", "ES256", "RS256"])
def test_an_honest_token_verifies(key):
    assert verify(token(key))["sub"] == "agent"
    assert verify(token(key, typ="Application/Statement+JWT"))["sub"] == "agent"
    assert verify(raw(json.encode(claims()), key, kid=...))["sub"] == "agent"


@pytest.mark.parametrize("form", ["pem", "jwk", "raw"])
def test_public_key_used_as_hmac_secret(form):
    secret = {
        "pem": keys.render_public_pem(KEY.public),
        "jwk": json.encode(keys.render_jwk(KEY.public)),
        "raw": KEY.public.material.public_bytes_raw(),
    }[form]
    header = json.encode({"alg": "HS256", "typ": "statement+jwt", "kid": KEY.public.kid})
    signed = f"{base64url.encode(header)}.{base64url.encode(json.encode(claims()))}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    refused(f"{signed}.{base64url.encode(mac)}", "jwt_key")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 1, ["EdDSA"], {}])
def test_algorithm_none_and_its_spellings(algorithm):
    header = json.encode({"alg": algorithm, "typ": "statement+jwt"})
    text = f"{base64url.encode(header)}.{base64url.encode(json.encode(claims()))}."
    refused(text, "jwt_key")


def test_algorithm_of_another_key_of_ours():
    refused(raw(json.encode(claims()), KEY, kid=EC_KEY.public.kid), "jwt_key")
    refused(raw(json.encode(claims()), KEY, alg="ES256"), "jwt_key")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"])
@pytest.mark.parametrize("value", ["https://evil.example/keys", [], ["exp"], False, None])
def test_headers_that_choose_the_key_or_change_what_is_signed(name, value):
    refused(raw(json.encode(claims()), **{name: value}), "jwt_header")


def test_attacker_key_embedded_in_the_jwk_header():
    attacker = keys.generate_signing_key("ES256")
    jwk = keys.render_jwk(attacker.public)
    refused(raw(json.encode(claims()), attacker, jwk=jwk), "jwt_header")
    refused(raw(json.encode(claims()), attacker), "jwt_key")
    refused(raw(json.encode(claims()), attacker, kid=...), "jwt_signature")


@pytest.mark.parametrize("typ", [..., "JWT", "dpop+jwt", "at+jwt", "", 5, None, "xstatement+jwt"])
def test_a_token_of_another_type(typ):
    refused(raw(json.encode(claims()), typ=typ), "jwt_type")


@pytest.mark.parametrize(
    ("audience", "code"),
    [
        (..., "jwt_claims"),
        ([AUDIENCE, "https://other.example"], "jwt_claims"),
        ([AUDIENCE], "jwt_claims"),
        (None, "jwt_claims"),
        (AUDIENCE + ".evil.example", "jwt_audience"),
        (AUDIENCE + "/other", "jwt_audience"),
        (AUDIENCE.upper(), "jwt_audience"),
    ],
)
def test_a_missing_longer_or_mixed_audience(audience, code):
    refused(token(aud=audience), code)


def test_the_issuer_of_a_sibling_tenant():
    refused(token(iss="https://publisher.example/b"), "jwt_issuer")
    refused(token(iss=...), "jwt_claims")


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e400", f"{10**30}"])
def test_expiry_that_is_not_json_or_not_finite(number):
    payload = json.encode(claims(exp="X")).replace(b'"X"', number.encode())
    refused(raw(payload), "jwt_malformed")


@pytest.mark.parametrize("value", [True, None, [], {}, 1.5e9, str(NOW + 9), -1, 9_999_999_999_999])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_not_an_integer_of_sane_size(claim, value):
    refused(token(**{claim: value}), "jwt_claims")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW}, "jwt_expired"),
        ({"exp": NOW - 1}, "jwt_expired"),
        ({"exp": ...}, "jwt_claims"),
        ({"iat": NOW + 3600, "exp": NOW + 3700}, "jwt_not_yet_valid"),
        ({"nbf": NOW + 3600}, "jwt_not_yet_valid"),
        ({"exp": NOW + 3_631}, "jwt_lifetime"),
        ({"iat": NOW - 9_000, "exp": NOW + 1}, "jwt_lifetime"),
        ({"exp": 253_402_300_799}, "jwt_lifetime"),
    ],
)
def test_expired_early_and_endless_tokens(changes, code):
    refused(token(**changes), code)


def test_a_little_clock_skew_is_forgiven_only_at_the_start():
    assert verify(token(iat=NOW + 30, nbf=NOW + 30))
    refused(token(), "jwt_expired", now=NOW + 600)


@pytest.mark.parametrize("order", [1, -1])
def test_duplicate_claim_names(order):
    twice = [b'"aud":"https://evil.example"', b'"aud":"%s"' % AUDIENCE.encode()][::order]
    payload = json.encode(claims(aud=...))[:-1] + b"," + b",".join(twice) + b"}"
    refused(raw(payload), "jwt_malformed")


def test_duplicate_header_names():
    head, body, signature = token().split(".")
    doubled = base64url.decode(head)[:-1] + b',"alg":"none"}'
    refused(f"{base64url.encode(doubled)}.{body}.{signature}", "jwt_malformed")


@pytest.mark.parametrize(
    "sub",
    [5, "", "a" * 1_000, "a\0b", "x\ny", "\u202eevil", "a\u200bb", "a\u2028b", "\u2029", None, []],
)
def test_a_subject_that_would_lie_in_a_record(sub):
    refused(token(sub=sub), "jwt_claims")


def non_canonical(text: str) -> list[str]:
    head, body, signature = text.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = signature[:-1] + last[last.index(signature[-1]) + 1]
    return [
        text + "=",
        text + "==",
        text + "\n",
        " " + text,
        f"{head}.{body}\n.{signature}",
        f"{head}.{body}.{spare}",
        f"{head}=.{body}.{signature}",
        text.replace("_", "/").replace("-", "+") + "+",
        text + ".",
        "." + text,
        f"{head}.{body}",
        f"{head}..{body}.{signature}",
        text + "é",
        "",
        "..",
    ]


def test_a_second_spelling_of_the_same_token():
    for text in non_canonical(token()):
        refused(text, "jwt_malformed")


@pytest.mark.parametrize(
    "text",
    [
        "A" * 8_000_000 + ".e30.e30",
        "e30." + "A" * 8_000_000 + ".e30",
        "." * 100_000,
        "A" * (JWT_CHARACTERS_MAX + 1),
    ],
    ids=["header", "payload", "dots", "no-dots"],
)
def test_oversize_tokens_are_refused_before_they_are_read(text):
    refused(text, "jwt_too_large")


def test_deep_nesting_in_claims_is_refused():
    refused(raw(b'{"a":' * 1_000 + b"1" + b"}" * 1_000), "jwt_malformed")


def test_the_twin_of_an_ecdsa_signature_still_names_the_same_jti():
    """(r, n-s) verifies too: so nothing of ours is keyed by the text of a token, but by `jti`."""
    text = token(EC_KEY, jti="once")
    head, body, signature = text.split(".")
    both = base64url.decode(signature)
    r, s = int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big")
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    twin = r.to_bytes(32, "big") + (P256_ORDER - s).to_bytes(32, "big")
    assert verify(f"{head}.{body}.{base64url.encode(twin)}")["jti"] == verify(text)["jti"]


def test_a_key_that_left_the_set_verifies_nothing_more():
    refused(token(KEY), "jwt_key", trusted=(EC_KEY.public,))


def test_one_changed_bit_anywhere_is_seen():
    text = token()
    for place in range(len(text)):
        if text[place] != ".":
            other = "A" if text[place] != "A" else "B"
            with pytest.raises(jose.JoseError):
                verify(text[:place] + other + text[place + 1 :])


def test_the_unverified_issuer_is_read_by_the_same_strict_reader():
    assert jose.read_unverified_issuer(token()) == ISSUER
    with pytest.raises(jose.JoseError):
        jose.read_unverified_issuer(token(iss=["a"]))
    with pytest.raises(jose.JoseError):
        jose.read_unverified_issuer("..")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["alg", "typ", "kid", "crit", "iss", "sub", "aud", "exp", "iat", "nbf", "x"]
)


def json_text(value) -> bytes:
    import json as lenient

    return re.sub(rb"\s", b"", lenient.dumps(value).encode())


@settings(max_examples=150, deadline=None)
@given(
    header=st.dictionaries(NAMES, JSON_VALUES, max_size=4),
    changes=st.dictionaries(NAMES, JSON_VALUES, max_size=4),
)
def test_no_header_or_claim_crashes_the_verifier(header, changes):
    head = {"alg": "EdDSA", "typ": "statement+jwt", **header}
    body = {**claims(), **changes}
    signed = f"{base64url.encode(json_text(head))}.{base64url.encode(json_text(body))}"
    signature = jose._PRIMITIVES["EdDSA"].sign(signed.encode(), KEY.material)
    with contextlib.suppress(jose.JoseError):
        assert isinstance(verify(f"{signed}.{base64url.encode(signature)}"), dict)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[\w-]{0,9}\.[\w-]{0,9}\.[\w-]{0,9}", fullmatch=True))
def test_no_text_crashes_the_verifier(text):
    with pytest.raises(jose.JoseError):
        verify(text)
