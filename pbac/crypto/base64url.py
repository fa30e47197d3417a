"""Base64url without padding (RFC 7515 2), one spelling for each value.

A value with two spellings defeats every cache and deny list that is keyed by text, so decoding
refuses padding, white space, the `+/` alphabet and spare bits that are not zero.
"""

from __future__ import annotations

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    """Bytes → text without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Text → bytes.

    Raises:
        ValueError: when `text` is not exactly what `encode` writes.
    """
    if _ALPHABET.fullmatch(text) is None or len(text) % 4 == 1:
        raise ValueError("not base64url without padding")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
