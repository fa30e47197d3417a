"""One line each, and the line that counts."""

from __future__ import annotations

from collections.abc import Iterable

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.render.characters import shown


def render_line(diagnostic: Diagnostic) -> str:
    """`github.pbac:12:8: error: message [code]`, as compilers and editors expect it."""
    text = f"{diagnostic.span}: {diagnostic.severity}: {diagnostic.message} [{diagnostic.code}]"
    return shown(text)


def render_summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or `no complaints`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(severity), str(severity)) for severity in Severity]
    parts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n]
    return ", ".join(parts) or "no complaints"


def render_left_out(count: int) -> str:
    """The last line below a list that was cut."""
    return f"and {count} more, not shown: mend these first"
