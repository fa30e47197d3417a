"""Opaque access tokens: a handle of 256 random bits that means nothing without our store.

`pbac_at_` + 43 characters + a checksum of 6. The prefix lets secret scanners find a leaked one,
the checksum lets us refuse mistyped and truncated ones without asking the store. Only SHA-256
of the text is kept: 256 random bits cannot be guessed back from it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Final

from pbac.crypto import base64url
from pbac.oauth.model import PrincipalRecord

PREFIX: Final = "pbac_at_"
_RANDOM_BYTES: Final = 32
_FORM: Final = re.compile(r"(pbac_at_[A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})")


def new_access_token(entropy: Callable[[int], bytes]) -> str:
    """A new token's text, to be shown once. `entropy(n)` gives n unpredictable bytes."""
    body = PREFIX + base64url.encode(entropy(_RANDOM_BYTES))
    return body + _checksum(body)


def hash_access_token(text: str) -> bytes | None:
    """What the store knows the token by, or None for text that never was a token of ours."""
    form = _FORM.fullmatch(text)
    if form is None or _checksum(form[1]) != form[2]:
        return None
    return hashlib.sha256(text.encode("ascii")).digest()


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


def _checksum(body: str) -> str:
    return base64url.encode(zlib.crc32(body.encode("ascii")).to_bytes(4, "big"))
