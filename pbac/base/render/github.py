"""Annotations of a GitHub workflow run: `::error file=…,line=…::message`, one a line.

Workflow commands, "Setting an error message": a command is one line, so what would end it is
escaped: `%`, carriage return and line feed everywhere, and in properties `:` and `,` too, for these
part them. A policy text that could write a command of its own would run with the job's rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.render.characters import shown
from pbac.base.source import line_column

_COMMANDS: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}
_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def render_github(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """One workflow command per diagnostic, each ending in a line break; "" for none."""
    return "".join(_command(each, sources.get(each.span.source)) + "\n" for each in diagnostics)


def _command(diagnostic: Diagnostic, text: str | None) -> str:
    span = diagnostic.span
    properties = {"file": span.source, "line": str(span.line)}
    last_line, end_column = (
        (span.line, span.column) if text is None else line_column(text, span.end)
    )
    # Check runs: columns are for annotations that begin and end on one line.
    if last_line == span.line:
        properties |= {"col": str(span.column), "endColumn": str(end_column)}
    else:
        properties["endLine"] = str(last_line)
    properties["title"] = f"pbac {diagnostic.code}"
    told = ",".join(f"{name}={value.translate(_PROPERTY)}" for name, value in properties.items())
    message = shown(diagnostic.message)
    if diagnostic.help:
        message += f"\nhelp: {shown(diagnostic.help)}"
    return f"::{_COMMANDS[diagnostic.severity]} {told}::{message.translate(_DATA)}"
