"""`# pbac: allow CODE reason`: one code of lint, silenced in one place, with a reason.

    # pbac: allow unconfined-glob every backend of ours is read-only
    permit read on tool get_*

    permit read on tool get_*  # pbac: allow unconfined-glob every backend of ours is read-only

On a line of its own the comment is about what follows: the whole rule, definition or test that
begins on the next line of code, otherwise that line. Behind code it is about its own line. Several
may stand above each other. One that silences nothing is told, for it would silence tomorrow's
mistake; a code that does not exist, or that is an error, and a missing reason are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pbac.base.diagnostics import Code, Diagnostic, Severity
from pbac.base.source import Source, Span, line_column
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes

_TEXT_OR_COMMENT: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""|(?:(?<![A-Za-z0-9_])[rv])"[^"\n]*"'
    r'|"(?:[^"\\\n]|\\.)*+"|(?P<comment>#[^\n]*)',
    re.DOTALL,
)
"""As the grammar has them: a `#` within a text begins no comment."""

_OURS: Final = re.compile(
    r"#\s*pbac:\s*(?P<word>\S*)\s*(?P<code>\S*)\s*(?P<reason>.*)", re.IGNORECASE
)
_HOW: Final = "write `# pbac: allow code reason`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """One comment; `line` is the line of code it is about, `above` it stands above that line."""

    span: Span
    code: str
    line: int
    above: bool


def read_allows(
    sources: Iterable[Source], codes: Mapping[str, Code]
) -> tuple[list[Allow], list[Diagnostic]]:
    """The comments of all files, and what is wrong with some."""
    allows: list[Allow] = []
    mistakes: list[Diagnostic] = []
    for source in sources:
        if "pbac:" not in source.text.lower():
            continue
        for match in _TEXT_OR_COMMENT.finditer(source.text):
            ours = _OURS.match(match["comment"] or "")
            if ours is None or ("pbac:" not in ours[0] and ours["word"].lower() != "allow"):
                continue  # a comment in words, `# PBAC: what agents may do`
            mistake = _mistake(ours, codes)
            if mistake is None:
                allows.append(_allow(source, match.start(), ours))
            else:
                message, help_, group = mistake
                start, end = (match.start() + at for at in ours.span(group))
                span = _span(source, start, max(end, start))
                mistakes.append(
                    Diagnostic(code="bad-allow", message=message, span=span, help=help_)
                )
    return allows, mistakes


def _mistake(ours: re.Match[str], codes: Mapping[str, Code]) -> tuple[str, str, str] | None:
    """Message, help and the group to underline, or None for a comment that is sound."""
    word, code = ours["word"], ours["code"]
    if not ours[0].lstrip("# \t").startswith("pbac:") or (
        word != "allow" and word.lower() == "allow"
    ):
        return "this is written in small letters", _HOW, "word"
    if word != "allow":
        return f"`{word}` is not known after `pbac:`", _HOW, "word"
    if not code:
        return "this `allow` does not say what", _HOW, "word"
    if "," in code:
        return "an `allow` is of one code", "write one comment for each code", "code"
    if code not in codes:
        help_ = did_you_mean(code, codes) or "codes stand in brackets behind each finding"
        return f"there is no code `{code}`", help_, "code"
    if codes[code].severity is Severity.ERROR:
        return f"`{code}` is an error and cannot be allowed", "mend what it complains about", "code"
    if not ours["reason"].strip():
        return f"this does not say why `{code}` is allowed here", _HOW, "code"
    return None


def _span(source: Source, start: int, end: int) -> Span:
    line, column = line_column(source.text, start)
    return Span(source.name, start, end, line, column)


def _allow(source: Source, start: int, ours: re.Match[str]) -> Allow:
    text = source.text
    span = _span(source, start, start + len(ours[0].rstrip()))
    alone = not text[text.rfind("\n", 0, start) + 1 : start].strip()
    line = span.line
    if alone:
        # The next line that holds something other than a comment.
        following = re.compile(r"(?:[^\n]*)\n(?:[ \t\r]*(?:#[^\n]*)?\n)*").match(text, start)
        line = line_column(text, following.end())[0] if following else line
    return Allow(span=span, code=ours["code"], line=line, above=alone)


# --- putting them to use -----------------------------------------------------------------------


def apply_allows(
    found: Sequence[Diagnostic], allows: Sequence[Allow], items: Iterable[nodes.Node]
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """What is left of the findings, and a complaint for each comment that silenced nothing."""
    if not allows:
        return list(found), []
    last_lines = {(node.span.source, node.span.line): node.span.end for node in items}
    by_place: dict[tuple[str, str], list[Allow]] = {}
    for allow in allows:
        by_place.setdefault((allow.span.source, allow.code), []).append(allow)
    used: set[Allow] = set()
    kept = []
    for each in found:
        mine = [
            allow
            for allow in by_place.get((each.span.source, each.code), ())
            if each.severity is not Severity.ERROR and _is_about(allow, each.span, last_lines)
        ]
        used.update(mine)
        if not mine:
            kept.append(each)
    unused = [_unused(allow) for allow in allows if allow not in used]
    return kept, unused


def _is_about(allow: Allow, span: Span, ends: Mapping[tuple[str, int], int]) -> bool:
    if span.line == allow.line:
        return True
    end = ends.get((span.source, allow.line))
    return allow.above and end is not None and allow.line <= span.line and span.start < end


def _unused(allow: Allow) -> Diagnostic:
    return Diagnostic(
        code="unused-allow",
        message=f"nothing here earns `{allow.code}`",
        span=allow.span,
        help="remove the comment",
        severity=Severity.WARNING,
    )
