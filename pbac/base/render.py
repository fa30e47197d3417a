"""Diagnostics for eyes and for machines. Everything here is text in, text out.

    error[unknown-field]: `args` …
      --> github.pbac:12:8
       |
    12 |   when user.emial == "x"
       |        ^^^^^^^^^^ label
       = help: did you mean `email`?

Carets stand under what they mean in any terminal: tabs become blanks, wide characters count two
columns, combining ones none; and whatever could steer a terminal is shown as its code point.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.limits import RENDERED_LINE_COLUMNS_MAX

STYLES: Final[Mapping[str, str]] = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "strong": "\x1b[1m",
    "frame": "\x1b[34m",
    "help": "\x1b[36m",
}
"""Role → ANSI escape. `PLAIN` has none."""

PLAIN: Final[Mapping[str, str]] = {}
_RESET: Final = "\x1b[0m"
_TAB_COLUMNS: Final = 4


def render(
    diagnostics: Iterable[Diagnostic],
    sources: Mapping[str, str],
    styles: Mapping[str, str] = PLAIN,
) -> str:
    """The full form of each, a blank line between, ending in a line break; "" for none.

    `sources` holds texts by `Span.source`; a diagnostic whose text is not there has no excerpt.
    """
    blocks = [_block(diagnostic, sources, styles) for diagnostic in diagnostics]
    return "\n".join(blocks)


def render_line(diagnostic: Diagnostic) -> str:
    """`github.pbac:12:8: error: message [code]`, as compilers and editors expect it."""
    text = f"{diagnostic.span}: {diagnostic.severity}: {diagnostic.message} [{diagnostic.code}]"
    return shown(text)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON array with one object per diagnostic; ASCII only, one line, ending in a line break."""
    return json.dumps([as_json(diagnostic) for diagnostic in diagnostics]) + "\n"


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The fields of a diagnostic as plain JSON; places count from 1, offsets from 0."""
    span = diagnostic.span
    return {
        "severity": str(diagnostic.severity),
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "source": span.source,
        "line": span.line,
        "column": span.column,
        "start": span.start,
        "end": span.end,
    }


def render_summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or `no complaints`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(severity), str(severity)) for severity in Severity]
    parts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n]
    return ", ".join(parts) or "no complaints"


# --- one block -------------------------------------------------------------------------------


def _block(diagnostic: Diagnostic, sources: Mapping[str, str], styles: Mapping[str, str]) -> str:
    severity = str(diagnostic.severity)
    head = _styled(f"{severity}[{diagnostic.code}]", styles.get(severity))
    message = _styled(f": {shown(diagnostic.message)}", styles.get("strong"))
    text = sources.get(diagnostic.span.source)
    margin = " " * len(str(diagnostic.span.line))
    lines = [head + message]
    lines.append(_styled(f"{margin}--> ", styles.get("frame")) + shown(str(diagnostic.span)))
    if text is not None:
        lines += _excerpt(diagnostic, text, margin, styles)
    if diagnostic.help:
        lines.append(
            _styled(f"{margin} = ", styles.get("frame"))
            + _styled("help", styles.get("help"))
            + f": {shown(diagnostic.help)}"
        )
    return "\n".join(lines) + "\n"


def _excerpt(
    diagnostic: Diagnostic, text: str, margin: str, styles: Mapping[str, str]
) -> list[str]:
    """The line in question and its carets; a span of several lines is marked to its first end."""
    span = diagnostic.span
    begin = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.start)
    end = len(text) if end < 0 else end
    before, within = (
        text[begin : span.start],
        text[span.start : max(span.start, min(span.end, end))],
    )
    after = text[span.start + len(within) : end]
    line, indent, width = _cut(_drawn(before), _drawn(within), _drawn(after.rstrip("\r")))
    mark = " " * indent + _styled(
        "^" * max(width, 1) + (f" {shown(diagnostic.label)}" if diagnostic.label else ""),
        styles.get(str(diagnostic.severity)),
    )
    bar = _styled(f"{margin} |", styles.get("frame"))
    number = _styled(f"{span.line} |", styles.get("frame"))
    return [bar, f"{number} {line}".rstrip(), f"{bar} {mark}"]


def _cut(before: str, within: str, after: str) -> tuple[str, int, int]:
    """Line, columns before the carets and columns of carets, for a line of bounded width."""
    if _columns(before) > RENDERED_LINE_COLUMNS_MAX // 2:
        before = "…" + before[-RENDERED_LINE_COLUMNS_MAX // 2 :]
    line = before + within + after
    if len(line) > RENDERED_LINE_COLUMNS_MAX:
        line = line[:RENDERED_LINE_COLUMNS_MAX] + "…"
    room = max(RENDERED_LINE_COLUMNS_MAX - _columns(before), 1)
    return line, _columns(before), min(_columns(within), room)


def _drawn(text: str) -> str:
    return shown(text.replace("\t", " " * _TAB_COLUMNS))


def shown(text: str) -> str:
    """The text with everything that has no glyph of its own as `<U+202E>`."""
    return "".join(
        f"<U+{ord(character):04X}>" if _is_unseen(character) else character for character in text
    )


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")


def _columns(text: str) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _styled(text: str, style: str | None) -> str:
    return f"{style}{text}{_RESET}" if style else text
