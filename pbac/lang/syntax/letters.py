"""Letters of other scripts that look like ours: `реrmit` in Cyrillic is no `permit`.

Names and keywords are ASCII, so such a letter never passes; but the message has to say what the eye
cannot see. The table has the letters of Cyrillic and Greek that common fonts draw alike (Unicode
Technical Standard 39); full-width and mathematical forms fold by NFKC.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

_ALIKE: Final[Mapping[str, str]] = {
    **dict(zip("аеорсухіјѕһԁԛԝь", "aeopcyxijshdqwb", strict=True)),
    **dict(zip("АВЕЅІЈКМНОРСТУХҮ", "ABESIJKMHOPCTYXY", strict=True)),
    **dict(zip("αινορυχ", "aivopux", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("ıɡɩ", "igi", strict=True)),
}


def looks_like(character: str) -> str | None:
    """The ASCII letter or digit that a character outside ASCII could be taken for, or None."""
    folded = _ALIKE.get(character) or unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and folded.isascii() and folded.isalnum() else None


def named(character: str) -> str:
    """`CYRILLIC SMALL LETTER IE (U+0435)`."""
    return f"{unicodedata.name(character, 'a character')} (U+{ord(character):04X})"
