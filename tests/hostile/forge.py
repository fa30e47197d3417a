"""Compact tokens made by hand: own base64url, own JSON, signed with bare primitives.

No library is asked, since every one of them would refuse to write most of what is written here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

ABSENT = ...
"""As the value of a member: leave it out."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(key: Any, data: bytes) -> bytes:
    """A JWS signature by the algorithm of this key."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(data)
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        case _:
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def jwk(key: Any, **members: str) -> dict:
    """The public half as a JWK."""
    public = key.public_key()
    match public:
        case ed25519.Ed25519PublicKey():
            own = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
        case ec.EllipticCurvePublicKey():
            n = public.public_numbers()
            x, y = (b64(each.to_bytes(32, "big")) for each in (n.x, n.y))
            own = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case _:
            n = public.public_numbers()
            own = {"kty": "RSA", "n": b64(n.n.to_bytes(256, "big")), "e": b64(b"\x01\x00\x01")}
    return own | members


def published_forms(key: Any) -> list[bytes]:
    """Every form in which a public key lies about, to be misused as a secret."""
    public, pem = key.public_key(), serialization.Encoding.PEM
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    text = public.public_bytes(pem, spki)
    forms = [
        text,
        text.rstrip(b"\n"),
        text.replace(b"\n", b"\r\n"),
        public.public_bytes(serialization.Encoding.DER, spki),
        json.dumps(jwk(key)).encode(),
        b"",
    ]
    if isinstance(public, ed25519.Ed25519PublicKey):
        forms.append(public.public_bytes_raw())
    return forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a door would let in."""

    header: dict
    claims: dict
    key: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """What is wrong with a token; all else about it is as sound as it can be.

    `header` and `claims` replace members (or drop them: `ABSENT`), `claims` may be a function of
    the sound ones. `head` and `payload` change their bytes before these are signed, `signed` makes
    the signature, `text` changes the finished token. `doors` names where the token is wrong.
    """

    header: dict = field(default_factory=dict)
    claims: dict | Callable[[dict], dict] = field(default_factory=dict)
    head: Callable[[bytes], bytes] = bytes
    payload: Callable[[bytes], bytes] = bytes
    signed: Callable[[Sound, bytes], bytes] = lambda sound, data: sign(sound.key, data)
    text: Callable[[str], str] = str
    algorithm: str = "EdDSA"
    doors: frozenset[str] = frozenset({"bearer", "statement", "assertion"})


def claim(*changes: Any, **how: Any) -> list[Forgery]:
    """A forgery for each change of the claims."""
    return [Forgery(claims=change, **how) for change in changes]


def forge(sound: Sound, forgery: Forgery) -> str:
    """The finished token."""
    changes = forgery.claims(sound.claims) if callable(forgery.claims) else forgery.claims
    header = forgery.head(_json(sound.header | forgery.header))
    payload = forgery.payload(_json(sound.claims | changes))
    data = f"{b64(header)}.{b64(payload)}"
    return forgery.text(f"{data}.{b64(forgery.signed(sound, data.encode()))}")


def _json(members: dict) -> bytes:
    kept = {name: value for name, value in members.items() if value is not ABSENT}
    return json.dumps(kept, separators=(",", ":")).encode()


def mac(secret: bytes, algorithm: str) -> Callable[[Sound, bytes], bytes]:
    """A `Forgery.signed` with a symmetric algorithm."""
    named = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
    return lambda _sound, data: hmac.digest(secret, data, named[algorithm])


def twin(token: str) -> str:
    """The other signature that verifies for the same ES256 token: (r, n - s)."""
    data, _, signature = token.rpartition(".")
    r, s = unb64(signature)[:32], int.from_bytes(unb64(signature)[32:], "big")
    return f"{data}.{b64(r + (P256_ORDER - s).to_bytes(32, 'big'))}"


def unreduced(token: str) -> str:
    """An EdDSA token with s + L for s, which lax verifiers take as well (RFC 8032 5.1.7)."""
    data, _, signature = token.rpartition(".")
    r, s = unb64(signature)[:32], int.from_bytes(unb64(signature)[32:], "little")
    return f"{data}.{b64(r + (s + ED25519_ORDER).to_bytes(32, 'little'))}"


def der(sound: Sound, data: bytes) -> bytes:
    """An ES256 signature in ASN.1, as everybody but JOSE writes it."""
    signature = sign(sound.key, data)
    halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    return encode_dss_signature(*halves)
