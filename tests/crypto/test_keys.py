"""Keys come in and go out unchanged; what is private, weak or ambiguous stays out."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from pbac.base import json
from pbac.crypto import base64url, keys

# RFC 7638 3.1 and RFC 8037 A.3 give these keys and their thumbprints.
RSA_JWK = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
    "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
    "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
}
ED25519_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


@pytest.mark.parametrize(
    ("jwk", "expected"),
    [
        (RSA_JWK, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ED25519_JWK, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ],
)
def test_thumbprints_are_those_of_the_rfcs(jwk, expected):
    key = keys.parse_jwk({**jwk, "comment": "not a required member"})
    assert keys.thumbprint(key) == expected
    assert key.kid == expected


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_a_key_survives_pem_and_jwk(algorithm):
    made = keys.generate_signing_key(algorithm)
    read = keys.parse_private_pem(keys.render_private_pem(made))
    assert keys.render_jwk(read.public) == keys.render_jwk(made.public)
    assert keys.render_jwk(keys.parse_jwk(keys.render_jwk(made.public))) == keys.render_jwk(
        made.public
    )
    (from_pem,) = keys.parse_public_keys(keys.render_public_pem(made.public))
    assert keys.thumbprint(from_pem) == made.public.kid
    as_set = json.encode({"keys": [keys.render_jwk(made.public)]})
    assert keys.parse_public_keys(as_set)[0].kid == made.public.kid


@pytest.mark.parametrize(
    "jwk",
    [
        {**ED25519_JWK, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "oct"},
        {**ED25519_JWK, "crv": "X25519"},
        {**ED25519_JWK, "crv": ["Ed25519"]},
        {**ED25519_JWK, "x": ED25519_JWK["x"] + "="},
        {**ED25519_JWK, "x": 7},
        {**ED25519_JWK, "kid": 7},
        {**ED25519_JWK, "kid": "k" * 1000},
        {**ED25519_JWK, "use": "enc"},
        {**ED25519_JWK, "alg": "ES256"},
        {**RSA_JWK, "e": "AQ"},
        {**RSA_JWK, "e": base64url.encode(b"\xff" * 200)},
        {**RSA_JWK, "n": base64url.encode(b"\xff" * 128)},
        {**RSA_JWK, "n": base64url.encode(b"\xff" * 4096)},
        {"kty": "EC", "crv": "P-256", "x": base64url.encode(bytes(32)), "y": "AQ"},
        {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url.encode(b"\x01" * 32),
            "y": base64url.encode(b"\x02" * 32),
        },
        {},
        [],
        "key",
        None,
    ],
)
def test_private_symmetric_weak_and_malformed_keys_are_refused(jwk):
    with pytest.raises(keys.KeyFormatError):
        keys.parse_jwk(jwk)


def test_a_set_with_two_keys_of_one_name_is_refused():
    twin = {**ED25519_JWK, "kid": "a"}
    with pytest.raises(keys.KeyFormatError, match="same `kid`"):
        keys.parse_jwks({"keys": [twin, twin]})


@pytest.mark.parametrize(
    "value", [{}, {"keys": []}, {"keys": {}}, [], {"keys": [ED25519_JWK] * 99}]
)
def test_an_empty_or_endless_set_is_refused(value):
    with pytest.raises(keys.KeyFormatError):
        keys.parse_jwks(value)


def test_small_rsa_and_other_curves_are_refused_as_pem_too():
    weak = [
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
        ec.generate_private_key(ec.SECP384R1()),
    ]
    for material in weak:
        pem = material.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(keys.KeyFormatError):
            keys.parse_private_pem(pem)


@pytest.mark.parametrize("data", [b"", b"-----BEGIN nothing", b"\xff", b"{", b"[1]"])
def test_a_file_that_is_no_key_is_a_clear_error(data):
    with pytest.raises(keys.KeyFormatError):
        keys.parse_public_keys(data)
    with pytest.raises(keys.KeyFormatError):
        keys.parse_private_pem(data)


@pytest.mark.parametrize("text", ["QQ==", "QQ=", " QQ", "QQ\n", "Q+", "Q/", "QR", "Q", "é"])
def test_base64url_has_one_spelling(text):
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)
