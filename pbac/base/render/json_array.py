"""Diagnostics as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pbac.base.diagnostics import Diagnostic


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
