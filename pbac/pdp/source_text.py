"""A piece of a policy file on one line: without its comments, its texts as they are."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r'r"[^"\n]*"'
    r'|"""(?:[^"\\]|\\[^\n]|"(?!""))*"""'
    r'|"(?:[^"\\\n]|\\[^\n])*"'
    r"|(?P<gap>(?:\s|\#[^\n]*)+)"
)
"""`STRING`, `RAW` and `COMMENT` of the grammar; a text over several lines stays as it is."""


def one_line(text: str) -> str:
    """Blanks, line breaks and comments between words become one blank."""
    return _TOKEN.sub(lambda found: " " if found["gap"] else found[0], text).strip()
