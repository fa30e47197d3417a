"""Tokens to values: the runtime forms of `model/values`, exact or refused.

Every function takes the reading to complain to, and returns some value of the right type even
after a complaint, so that reading goes on and tells everything it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias
from typing import Literal as Word

from pbac.base.limits import (
    JSON_INTEGER_MAX,
    JSON_NUMBER_CHARACTERS_MAX,
    STRING_LITERAL_CHARACTERS_MAX,
)
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tree import Token

Scalar: TypeAlias = bool | int | float | str | None
Kind: TypeAlias = Word[
    "null", "boolean", "number", "string", "duration", "date", "datetime", "version"
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIT_BYTES: Final = {"KiB": 1024, "MiB": 1024 * 1024}
_VERSION: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,15}")
_ESCAPES: Final = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_PIECE: Final = re.compile(r"\\u\{([0-9A-Fa-f]{1,6})\}|\\([\s\S])|[^\\]+")
_EXACT_HELP: Final = "compare texts, or keep the number shorter"


def number(reading: Reading, token: Token) -> int | float:
    """`1_000`, `-3`, `0.25`: an int, or a float that is exactly the decimal text."""
    text = token.replace("_", "")
    if len(text) > JSON_NUMBER_CHARACTERS_MAX:
        return _inexact(reading, token, f"`{text[:24]}…` is too long for a number")
    if "." not in text:
        if abs(int(text)) > JSON_INTEGER_MAX:
            return _inexact(reading, token, f"the integer `{text}` is beyond ±{JSON_INTEGER_MAX}")
        return int(text)
    value = float(text)
    if Decimal(repr(value)) != Decimal(text):
        return _inexact(reading, token, f"the decimal `{text}` cannot be kept exactly")
    return value


def _inexact(reading: Reading, token: Token, message: str) -> int:
    reading.complain("number-out-of-range", message, reading.span(token), help=_EXACT_HELP)
    return 0


def duration(reading: Reading, token: Token) -> int:
    """`15m` in milliseconds."""
    return _whole(reading, token, int(token[:-1]) * _UNIT_MS[token[-1]], 1)


def size(reading: Reading, token: Token) -> int:
    """`64KiB` in bytes."""
    return _whole(reading, token, int(token[:-3]) * _UNIT_BYTES[token[-3:]], 1)


def count(reading: Reading, token: Token, *, least: int = 1) -> int:
    """A whole number of things, at least `least`."""
    value = number(reading, token)
    if type(value) is not int or value < least:
        reading.complain(
            "bad-count",
            f"`{token}` is not a whole number of {least} or more",
            reading.span(token),
        )
        return least
    return value


def _whole(reading: Reading, token: Token, value: int, otherwise: int) -> int:
    if value <= JSON_INTEGER_MAX:
        return value
    _inexact(reading, token, f"`{token}` is too large")
    return otherwise


def day(reading: Reading, token: Token) -> str:
    """`2026-07-06`, checked against the calendar."""
    try:
        date.fromisoformat(token)
    except ValueError:
        reading.complain(
            "no-such-date", f"there is no day `{token}` in the calendar", reading.span(token)
        )
    return str(token)


def moment(reading: Reading, token: Token) -> int:
    """`2026-07-06T07:00:00Z` in milliseconds since the epoch."""
    try:
        instant = datetime.fromisoformat(token)
        return (instant - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        reading.complain("no-such-date", f"there is no moment `{token}`", reading.span(token))
        return 0


def version(reading: Reading, token: Token) -> str:
    """`v"2.1"` as `2.1`."""
    text = token[2:-1]
    if not _VERSION.fullmatch(text):
        reading.complain(
            "bad-version",
            f"`{text}` is not a version",
            reading.span(token),
            help='versions are dotted numbers, such as `v"2.10.1"`',
        )
    return text


# --- texts -----------------------------------------------------------------------------------


def string(reading: Reading, token: Token) -> str:
    """The text between quotes: escapes decoded, blocks of several lines dedented."""
    pieces = [text for segment in segments(token) for text, _ in unescaped(reading, *segment)]
    return _bounded(reading, token, "".join(pieces))


def raw(reading: Reading, token: Token) -> str:
    """The text of `r"…"`, as it stands."""
    return _bounded(reading, token, token[2:-1])


def _bounded(reading: Reading, token: Token, text: str) -> str:
    check_length(reading, token, len(text))
    return text[:STRING_LITERAL_CHARACTERS_MAX]


def check_length(reading: Reading, token: Token, characters: int) -> None:
    """Complain about a text of so many characters where it is too long."""
    if characters > STRING_LITERAL_CHARACTERS_MAX:
        reading.complain(
            "text-too-long",
            f"this text has more than {STRING_LITERAL_CHARACTERS_MAX} characters",
            reading.span(token),
            help="say it shorter, or refer to a page",
        )


def segments(token: Token) -> list[tuple[str, int]]:
    """The raw text between the quotes with its offset in the file; a block line by line.

    A block loses the line break after its opening quotes, the last line if it is blank, and
    the indentation that all its lines share. Its lines end in LF, whatever the file's end in.
    """
    start = token.start
    if not token.startswith('"""'):
        return [(token[1:-1], start + 1)]
    lines, at = [], start + 3
    for line in token[3:-3].splitlines(keepends=True):
        lines.append((line.replace("\r\n", "\n"), at))
        at += len(line)
    return _dedented(lines)


def _dedented(lines: list[tuple[str, int]]) -> list[tuple[str, int]]:
    first, rest = lines[:1], lines[1:]
    if rest and not rest[-1][0].strip():
        (text, at), rest = rest[-2] if len(rest) > 1 else ("", 0), rest[:-1]
        rest[-1:] = [(text.rstrip("\r\n"), at)] if rest else []
    indents = [len(text) - len(text.lstrip(" \t")) for text, _ in rest if text.strip()]
    cut = min(indents, default=0)
    kept = [(text[cut:] if text.strip() else "\n", at + cut) for text, at in rest]
    return [line for line in first if line[0].strip()] + kept


def unescaped(reading: Reading, text: str, start: int) -> Iterator[tuple[str, int]]:
    """Pieces of decoded text with their offsets in the file."""
    for match in _PIECE.finditer(text):
        point, escape = match.groups()
        at = start + match.start()
        if point is not None:
            yield _character(reading, point, at), at
        elif escape is not None:
            yield _escaped(reading, escape, at), at
        else:
            yield match.group(), at


def _escaped(reading: Reading, escape: str, at: int) -> str:
    if escape not in _ESCAPES:
        reading.complain(
            "unknown-escape",
            f"`\\{escape}` is not an escape",
            reading.span_at(at, at + 2),
            help='write `\\\\` for a backslash, or a raw text `r"…"`; the escapes are '
            '`\\"` `\\\\` `\\n` `\\r` `\\t` `\\u{…}`',
        )
    return _ESCAPES.get(escape, escape)


def _character(reading: Reading, point: str, at: int) -> str:
    value = int(point, 16)
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF or value == 0:
        reading.complain(
            "unknown-escape",
            f"`\\u{{{point}}}` is not a character",
            reading.span_at(at, at + len(point) + 4),
        )
        return ""
    return chr(value)


# --- any scalar --------------------------------------------------------------------------------

_Convert: TypeAlias = Callable[[Reading, Token], Scalar]

SCALARS: Final[dict[str, tuple[Kind, _Convert]]] = {
    "STRING": ("string", string),
    "RAW": ("string", raw),
    "NUMBER": ("number", number),
    "DURATION": ("duration", duration),
    "DATE": ("date", day),
    "DATETIME": ("datetime", moment),
    "VERSION": ("version", version),
    "TRUE": ("boolean", lambda _reading, _token: True),
    "FALSE": ("boolean", lambda _reading, _token: False),
    "NULL": ("null", lambda _reading, _token: None),
}
"""Token name → kind and conversion."""


def scalar(reading: Reading, token: Token) -> tuple[Scalar, Kind]:
    """The value and kind of any literal token."""
    kind, convert = SCALARS[token.type]
    return convert(reading, token), kind
