"""Keys: generate, import and export (RFC 7517, RFC 8037, PEM), thumbprints (RFC 7638).

A key knows the one algorithm it is used with. Verifiers take the algorithm from the key and
compare the token's header with it; a header never chooses (RFC 8725 3.1). Symmetric keys do
not exist here, so a public key cannot be mistaken for a shared secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import (
    IDENTIFIER_CHARACTERS_MAX,
    KEYS_PER_SET_MAX,
    RSA_KEY_BITS_MAX,
    RSA_KEY_BITS_MIN,
    RSA_PUBLIC_EXPONENT_BITS_MAX,
)
from pbac.crypto import base64url

PublicMaterial: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
SigningMaterial: TypeAlias = (
    ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
)

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_P256_COORDINATE_BYTES: Final = 32
_PUBLIC_HELP: Final = "a public key is a PEM file (`BEGIN PUBLIC KEY`), a JWK or a JWK set"


class KeyFormatError(PbacError):
    """Text that is not a key this system uses."""

    code = "bad_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that verifies.

    Attributes:
        kid: the name its owner gave it, or its RFC 7638 thumbprint.
        algorithm: `EdDSA`, `ES256` or `RS256`: the only one it is used with.
    """

    kid: str
    algorithm: str
    material: PublicMaterial


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs, with the public half others verify by."""

    public: PublicKey
    material: SigningMaterial


_GENERATORS: Final[dict[str, Callable[[], SigningMaterial]]] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
}


def generate_signing_key(algorithm: str = "EdDSA") -> SigningKey:
    """A new key for `EdDSA` (Ed25519) or `ES256` (P-256), named by its thumbprint."""
    return _signing_key(_GENERATORS[algorithm]())


def parse_private_pem(data: bytes) -> SigningKey:
    """An unencrypted PKCS #8 private key.

    Raises:
        KeyFormatError: for anything but Ed25519, P-256 or RSA of a usable size.
    """
    try:
        material = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if b"PUBLIC KEY-----" in data:
            raise KeyFormatError(
                "a public key stands where a private key belongs",
                help="give the key it is the public half of; `pbac publisher new` wrote both",
            ) from None
        raise KeyFormatError(
            "not an unencrypted private key in PEM form", help="make one: `pbac publisher new NAME`"
        ) from None
    if not isinstance(material, SigningMaterial):
        raise KeyFormatError("only Ed25519, P-256 and RSA keys are used here")
    return _signing_key(material)


def render_private_pem(key: SigningKey) -> bytes:
    """PKCS #8, unencrypted: write it where only its owner may read."""
    return key.material.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def parse_public_pem(data: bytes) -> PublicKey:
    """A SubjectPublicKeyInfo public key. Raises `KeyFormatError`."""
    try:
        material = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        if b"PRIVATE KEY-----" in data:
            raise KeyFormatError(
                "a private key stands where a public key belongs",
                help="give its public half: `openssl pkey -in FILE -pubout` prints it",
            ) from None
        raise KeyFormatError("not a public key in PEM form", help=_PUBLIC_HELP) from None
    if not isinstance(material, PublicMaterial):
        raise KeyFormatError("only Ed25519, P-256 and RSA keys are used here")
    return _public_key(material)


def render_public_pem(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.material.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def parse_public_keys(data: bytes) -> tuple[PublicKey, ...]:
    """The keys of a file: one PEM public key, one JWK, or one JWK set. Raises `KeyFormatError`."""
    if data.lstrip().startswith(b"-----BEGIN"):
        return (parse_public_pem(data),)
    try:
        value = json.decode(data)
    except json.JsonError as error:
        message = f"neither PEM nor JSON: {error.message}"
        raise KeyFormatError(message, help=_PUBLIC_HELP) from None
    return parse_jwks(value) if isinstance(value, dict) and "keys" in value else (parse_jwk(value),)


def parse_jwks(value: Any) -> tuple[PublicKey, ...]:
    """A JWK set (RFC 7517 5) of at least one and at most `KEYS_PER_SET_MAX` public keys.

    Stricter than the RFC, which would have unknown keys skipped: a set we half understand is a
    set whose owner believes in a key we will refuse.
    """
    keys = value.get("keys") if isinstance(value, Mapping) else None
    if not isinstance(keys, list) or not keys:
        raise KeyFormatError("a JWK set is an object with a non-empty list `keys`")
    if len(keys) > KEYS_PER_SET_MAX:
        raise KeyFormatError(f"a JWK set holds at most {KEYS_PER_SET_MAX} keys")
    parsed = tuple(parse_jwk(key) for key in keys)
    if len({key.kid for key in parsed}) != len(parsed):
        raise KeyFormatError("two keys of one set have the same `kid`")
    return parsed


def parse_jwk(value: Any) -> PublicKey:
    """One public JWK. Private members are refused: whoever sends one has just leaked it.

    Raises:
        KeyFormatError: for private, symmetric, weak or malformed keys, and keys not for signing.
    """
    if not isinstance(value, Mapping):
        raise KeyFormatError("a JWK is a JSON object")
    if _PRIVATE_MEMBERS & value.keys():
        raise KeyFormatError(
            "a private or symmetric key was sent where a public key belongs",
            help="replace that key, it is known to others now; send only its public members",
        )
    try:
        material = _READERS[(value.get("kty"), value.get("crv"))](value)
    except (KeyError, TypeError):
        raise KeyFormatError(
            "unusable `kty` or `crv`", help="use Ed25519 (OKP), P-256 (EC) or RSA"
        ) from None
    except ValueError:
        raise KeyFormatError("the members of the JWK are not a valid key") from None
    key = _public_key(material, value.get("kid"))
    if value.get("alg", key.algorithm) != key.algorithm or value.get("use", "sig") != "sig":
        raise KeyFormatError(f"`alg` and `use` of this key must be `{key.algorithm}` and `sig`")
    return key


def render_jwk(key: PublicKey) -> dict[str, Any]:
    """The public JWK with `kid`, `alg` and `use`."""
    return {**_required_members(key.material), "kid": key.kid, "alg": key.algorithm, "use": "sig"}


def thumbprint(key: PublicKey) -> str:
    """RFC 7638 3: SHA-256 of the required members only, in lexical order, base64url."""
    return _thumbprint(key.material)


def _thumbprint(material: PublicMaterial) -> str:
    members = json.canonical(_required_members(material))
    return base64url.encode(hashlib.sha256(members).digest())


def _signing_key(material: SigningMaterial) -> SigningKey:
    return SigningKey(public=_public_key(material.public_key()), material=material)


def _public_key(material: PublicMaterial, kid: Any = None) -> PublicKey:
    algorithm = _algorithm_of(material)
    if kid is None:
        kid = _thumbprint(material)
    if not isinstance(kid, str) or not 0 < len(kid) <= IDENTIFIER_CHARACTERS_MAX:
        raise KeyFormatError(f"`kid` is a string of 1 to {IDENTIFIER_CHARACTERS_MAX} characters")
    return PublicKey(kid=kid, algorithm=algorithm, material=material)


def _algorithm_of(material: PublicMaterial) -> str:
    match material:
        case ed25519.Ed25519PublicKey():
            return "EdDSA"
        case ec.EllipticCurvePublicKey() if isinstance(material.curve, ec.SECP256R1):
            return "ES256"
        case rsa.RSAPublicKey() if _is_sane(material):
            return "RS256"
        case _:
            raise KeyFormatError(
                "this curve or key size is not used here",
                help=f"use Ed25519, P-256, or RSA of {RSA_KEY_BITS_MIN} bits and more",
            )


def _is_sane(key: rsa.RSAPublicKey) -> bool:
    exponent = key.public_numbers().e
    # A modulus or exponent of the sender's choosing is time of ours on every verification.
    return (
        RSA_KEY_BITS_MIN <= key.key_size <= RSA_KEY_BITS_MAX
        and exponent.bit_length() <= RSA_PUBLIC_EXPONENT_BITS_MAX
        and exponent >= 65_537
    )


def _required_members(material: PublicMaterial) -> dict[str, str]:
    match material:
        case ed25519.Ed25519PublicKey():
            return {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": base64url.encode(material.public_bytes_raw()),
            }
        case ec.EllipticCurvePublicKey():
            point = material.public_numbers()
            return {
                "kty": "EC",
                "crv": "P-256",
                "x": _coordinate(point.x),
                "y": _coordinate(point.y),
            }
        case _:
            numbers = material.public_numbers()
            return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}


def _coordinate(number: int) -> str:
    return base64url.encode(number.to_bytes(_P256_COORDINATE_BYTES, "big"))


def _integer(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _read_ed25519(jwk: Mapping[str, Any]) -> PublicMaterial:
    return ed25519.Ed25519PublicKey.from_public_bytes(base64url.decode(jwk["x"]))


def _read_p256(jwk: Mapping[str, Any]) -> PublicMaterial:
    x, y = base64url.decode(jwk["x"]), base64url.decode(jwk["y"])
    if len(x) != _P256_COORDINATE_BYTES or len(y) != _P256_COORDINATE_BYTES:
        raise ValueError("RFC 7518 6.2.1.2: the full size of a coordinate, zeros included")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)


def _read_rsa(jwk: Mapping[str, Any]) -> PublicMaterial:
    modulus, exponent = base64url.decode(jwk["n"]), base64url.decode(jwk["e"])
    if len(modulus) * 8 > RSA_KEY_BITS_MAX:
        raise ValueError("modulus too long")
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    return numbers.public_key()


_READERS: Final[dict[tuple[Any, Any], Callable[[Mapping[str, Any]], PublicMaterial]]] = {
    ("OKP", "Ed25519"): _read_ed25519,
    ("EC", "P-256"): _read_p256,
    ("RSA", None): _read_rsa,
}
