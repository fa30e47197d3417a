"""Any bytes, signed: a compact JWS (RFC 7515 7.1), Ed25519 alone (RFC 8037 3.1), one spelling.

For files of our own making. `jose` reads tokens of others and bounds what they claim; here the
payload is anything and may be large, so nothing is taken that `sign` does not write:

1. size, exactly two dots, a header that is short;
2. the header: strict JSON with `alg`, `kid` and `typ` alone, so none that names a key or changes
   what is signed (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `zip`);
3. `typ` is the one this place expects, so a file of one kind is never taken for another;
4. the key: found by `kid` among *our* keys, by thumbprint, whatever else they are called;
5. the signature, of the bytes as they came;
6. the payload, only now, and only in the one spelling of its base64url.

INVARIANT: whatever bytes come in, the only exception that comes out is `JwsError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import JWS_HEADER_CHARACTERS_MAX
from pbac.crypto import base64url
from pbac.crypto.keys import PublicKey, SigningKey, thumbprint

ALGORITHM: Final = "EdDSA"
_MEMBERS: Final = ("alg", "kid", "typ")


class JwsError(PbacError):
    """Bytes that are refused; `code` says at which step.

    One of `jws_too_large`, `jws_malformed`, `jws_header`, `jws_type`, `jws_key`, `jws_signature`.
    """

    code = "jws_malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was signed, and by which of our keys: its RFC 7638 thumbprint."""

    payload: bytes
    key_id: str


def sign(payload: bytes, key: SigningKey, *, typ: str) -> bytes:
    """A compact JWS; equal payloads give equal bytes (RFC 8032 5.1.6 has no randomness).

    Raises:
        JwsError: `jws_key` for a key that is not Ed25519.
    """
    if not isinstance(key.material, Ed25519PrivateKey):
        raise JwsError(
            f"the key is for `{key.public.algorithm}`, and Ed25519 is needed", code="jws_key"
        )
    header = {"alg": ALGORITHM, "kid": thumbprint(key.public), "typ": typ}
    signed = f"{base64url.encode(json.canonical(header))}.{base64url.encode(payload)}".encode()
    return signed + b"." + base64url.encode(key.material.sign(signed)).encode()


def verify(data: bytes, keys: Iterable[PublicKey], *, typ: str, bytes_max: int) -> Verified:
    """The payload of `data`, when every step holds.

    Raises:
        JwsError: anything else.
    """
    if len(data) > bytes_max:
        raise JwsError(f"larger than {bytes_max} bytes", code="jws_too_large")
    if data.count(b".") != 2:
        raise JwsError("three parts are joined by two dots")
    signed, _, signature = data.rpartition(b".")
    header, _, payload = signed.partition(b".")
    key = _require_key(_header(header, typ), keys)
    try:
        _material(key).verify(_decode(signature, "signature"), signed)
    except InvalidSignature:
        raise JwsError("the signature does not verify", code="jws_signature") from None
    return Verified(payload=_decode(payload, "payload"), key_id=thumbprint(key))


def _header(text: bytes, typ: str) -> dict[str, Any]:
    if len(text) > JWS_HEADER_CHARACTERS_MAX:
        told = f"the header is longer than {JWS_HEADER_CHARACTERS_MAX} characters"
        raise JwsError(told, code="jws_header")
    data = _decode(text, "header")
    try:
        header = json.decode(data)
    except json.JsonError as error:
        raise JwsError(f"the header: {error.message}") from None
    if not isinstance(header, dict):
        raise JwsError("the header must be a JSON object")
    for name in sorted(header.keys() ^ set(_MEMBERS)):
        told = "is missing" if name in _MEMBERS else "is refused"
        raise JwsError(f"the header member `{ascii(name)[1:-1]}` {told}", code="jws_header")
    if header["typ"] != typ:
        raise JwsError(f"the `typ` of the header is not `{typ}`", code="jws_type")
    if header["alg"] != ALGORITHM:
        raise JwsError(f"the `alg` of the header is not `{ALGORITHM}`", code="jws_header")
    if json.canonical(header) != data:  # one spelling, so that equal files have equal bytes
        raise JwsError("the header is not in canonical form", code="jws_header")
    return header


def _require_key(header: dict[str, Any], keys: Iterable[PublicKey]) -> PublicKey:
    for key in keys:
        if key.algorithm == ALGORITHM and thumbprint(key) == header["kid"]:
            return key
    raise JwsError("no key of ours has this `kid`", code="jws_key")


def _material(key: PublicKey) -> Ed25519PublicKey:
    assert isinstance(key.material, Ed25519PublicKey), "what `EdDSA` means in `keys`"
    return key.material


def _decode(text: bytes, what: str) -> bytes:
    try:
        return base64url.decode(text.decode("ascii"))
    except UnicodeDecodeError:
        raise JwsError(f"the {what} is not ASCII") from None
    except ValueError as error:
        raise JwsError(f"the {what} is {error}") from None
