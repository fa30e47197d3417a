"""SARIF 2.1.0 (OASIS), the form that code scanning services take in.

One run: the driver lists every rule it could report that it did report, with its help; each result
names its rule and its region. Regions count lines and columns from 1, the end column is the one
behind the last character (3.30.8), and columns count UTF-16 code units, said by `columnKind`
(3.14.17), for that is what editors and browsers count in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pbac.base.diagnostics import Code, Diagnostic
from pbac.base.render.characters import shown
from pbac.base.source import line_column

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_MARKDOWN: Final = "`{code}`: {meaning}\n\nWrong and right: `docs/reference/diagnostics.md#{code}`."


def render_sarif(
    diagnostics: Iterable[Diagnostic],
    sources: Mapping[str, str],
    codes: Mapping[str, Code],
    version: str,
) -> str:
    """One SARIF log file with one run; ASCII only, indented, ending in a line break.

    `codes` explains the code words; `version` is the program's.
    """
    told = list(diagnostics)
    words = sorted({each.code for each in told})
    run = {
        "tool": {
            "driver": {
                "name": "pbac",
                "version": version,
                "rules": [_rule(word, codes.get(word)) for word in words],
            }
        },
        "columnKind": "utf16CodeUnits",
        "results": [_result(each, words, sources.get(each.span.source)) for each in told],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(word: str, code: Code | None) -> dict[str, Any]:
    """A reporting descriptor (3.49)."""
    if code is None:
        return {"id": word}
    return {
        "id": word,
        "shortDescription": {"text": code.meaning},
        "help": {
            "text": code.meaning,
            "markdown": _MARKDOWN.format(code=word, meaning=code.meaning),
        },
        "defaultConfiguration": {"level": str(code.severity)},
    }


def _result(diagnostic: Diagnostic, words: Sequence[str], text: str | None) -> dict[str, Any]:
    message = shown(diagnostic.message)
    if diagnostic.help:
        message += f"\n\nhelp: {shown(diagnostic.help)}"
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(diagnostic.span.source)}}
    if text is not None:
        physical["region"] = _region(diagnostic, text)
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": words.index(diagnostic.code),
        # 3.27.10: the severities of `Severity` are the levels, word for word.
        "level": str(diagnostic.severity),
        "message": {"text": message},
        "locations": [{"physicalLocation": physical}],
    }


def _region(diagnostic: Diagnostic, text: str) -> dict[str, int]:
    span = diagnostic.span
    last_line, last_column = line_column(text, span.end)
    return {
        "startLine": span.line,
        "startColumn": _utf16_column(text, span.start, span.column),
        "endLine": last_line,
        "endColumn": _utf16_column(text, span.end, last_column),
    }


def _utf16_column(text: str, at: int, column: int) -> int:
    """A column of characters as one of UTF-16 code units: those beyond U+FFFF count two."""
    before = text[at - column + 1 : at]
    return column + sum(character > "\uffff" for character in before)


def _uri(name: str) -> str:
    """RFC 3986: a relative reference, or a `file` URI for an absolute path (3.4.3).

    Backslashes part folders on Windows only, where a path cannot hold one otherwise.
    """
    path = quote(name.replace("\\", "/"), safe="/-._~", errors="surrogatepass")
    if path.startswith("/"):
        return f"file://{path}"
    # 4.2: a first segment with a colon would read as a scheme; `quote` has escaped it.
    return path
