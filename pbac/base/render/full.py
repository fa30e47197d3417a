"""The form drawn for people: what is wrong, where, and what to write instead.

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

from collections.abc import Iterable, Mapping
from typing import Final

from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import RENDERED_LINE_COLUMNS_MAX
from pbac.base.render.characters import PLAIN, columns, shown, styled

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


# --- one block -------------------------------------------------------------------------------


def _block(diagnostic: Diagnostic, sources: Mapping[str, str], styles: Mapping[str, str]) -> str:
    severity = str(diagnostic.severity)
    head = styled(f"{severity}[{diagnostic.code}]", styles.get(severity))
    message = styled(f": {shown(diagnostic.message)}", styles.get("strong"))
    text = sources.get(diagnostic.span.source)
    margin = " " * len(str(diagnostic.span.line))
    lines = [head + message]
    lines.append(styled(f"{margin}--> ", styles.get("frame")) + shown(str(diagnostic.span)))
    if text is not None:
        lines += _excerpt(diagnostic, text, margin, styles)
    if diagnostic.help:
        lines.append(
            styled(f"{margin} = ", styles.get("frame"))
            + styled("help", styles.get("help"))
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
    mark = " " * indent + styled(
        "^" * max(width, 1) + (f" {shown(diagnostic.label)}" if diagnostic.label else ""),
        styles.get(str(diagnostic.severity)),
    )
    bar = styled(f"{margin} |", styles.get("frame"))
    number = styled(f"{span.line} |", styles.get("frame"))
    return [bar, f"{number} {line}".rstrip(), f"{bar} {mark}"]


def _cut(before: str, within: str, after: str) -> tuple[str, int, int]:
    """Line, columns before the carets and columns of carets, for a line of bounded width."""
    if columns(before) > RENDERED_LINE_COLUMNS_MAX // 2:
        before = "…" + before[-RENDERED_LINE_COLUMNS_MAX // 2 :]
    line = before + within + after
    if len(line) > RENDERED_LINE_COLUMNS_MAX:
        line = line[:RENDERED_LINE_COLUMNS_MAX] + "…"
    room = max(RENDERED_LINE_COLUMNS_MAX - columns(before), 1)
    return line, columns(before), min(columns(within), room)


def _drawn(text: str) -> str:
    return shown(text.replace("\t", " " * _TAB_COLUMNS))
