"""Characters on a terminal: how wide they are, which must not reach it, and how to colour them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

STYLES: Final[Mapping[str, str]] = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "note": "\x1b[1;36m",
    "strong": "\x1b[1m",
    "frame": "\x1b[34m",
    "help": "\x1b[36m",
}
"""Role → ANSI escape. `PLAIN` has none."""

PLAIN: Final[Mapping[str, str]] = {}
_RESET: Final = "\x1b[0m"


def shown(text: str) -> str:
    """The text with everything that has no glyph of its own as `<U+202E>`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<U+{ord(character):04X}>" if _is_unseen(character) else character for character in text
    )


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")


def columns(text: str) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def styled(text: str, style: str | None) -> str:
    """The text in a style of `STYLES`; as it is in none."""
    return f"{style}{text}{_RESET}" if style else text
