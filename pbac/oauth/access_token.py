"""Opaque access tokens: a handle of 256 random bits that means nothing without our store.

`pbac_at_` + 43 characters + a checksum of 6. The prefix lets secret scanners find a leaked one,
the checksum lets us refuse mistyped and truncated ones without asking the store. Only SHA-256
of the text is kept: 256 random bits cannot be guessed back from it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from binascii import b2a_base64
from collections.abc import Callable
from typing import Final

from pbac.crypto import base64url
from pbac.oauth.model import PrincipalRecord

PREFIX: Final = "pbac_at_"
_RANDOM_BYTES: Final = 32
_CHECKSUM_CHARACTERS: Final = 6
_FORM: Final = re.compile(r"pbac_at_[A-Za-z0-9_-]{49}")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def new_access_token(entropy: Callable[[int], bytes]) -> str:
    """A new token's text, to be shown once. `entropy(n)` gives n unpredictable bytes."""
    body = PREFIX + base64url.encode(entropy(_RANDOM_BYTES))
    return body + _checksum(body.encode("ascii")).decode("ascii")


def hash_access_token(text: str) -> bytes | None:
    """What the store knows the token by, or None for text that never was a token of ours."""
    if not _FORM.fullmatch(text):
        return None
    data = text.encode("ascii")
    if _checksum(data[:-_CHECKSUM_CHARACTERS]) != data[-_CHECKSUM_CHARACTERS:]:
        return None
    return hashlib.sha256(data).digest()


def find_fault(record: PrincipalRecord, *, resource: str, now_ms: int) -> str | None:
    """Why a known token is refused (a word for the record), or None when it may be used.

    The one definition of a live token: calls, introspection and revocation share it.
    """
    token = record.access_token
    if token.revoked_at_ms is not None:
        return "revoked"
    if now_ms >= token.expires_at_ms:
        return "expired"
    if token.audience != resource:
        return "other_audience"
    if record.client.status != "active":
        return "suspended"
    return None


def _checksum(body: bytes) -> bytes:
    """CRC-32 in base64url; written out, since every call asks for it."""
    text = b2a_base64(zlib.crc32(body).to_bytes(4, "big"), newline=False)
    return text[:_CHECKSUM_CHARACTERS].translate(_URL_SAFE)
