"""Many tiny programs, each line saying what it must earn, and where: no more, no less.

`# error: code "underlined"` stands behind the line that earns it; several stand behind each other,
parted by commas. What is underlined is told to the end of its line, `…` for what goes on below.
The marks are taken out before a program is read. Lint looks at every program too; notes that hardly
a tiny program is without (no reason, no test) are told only where a mark asks for them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.check.check import check
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.lint import linted
from pbac.lang.resolve.resolve import resolve
from pbac.lang.syntax.parse import parse

FOLDER = Path(__file__).parent / "front"
HEADER = "package t on server s tiers lo < hi "
DATA = {
    **{name: {} for name in ("orgs", "owners", "x", "y", "tier", "holidays", "tags")},
    "short": [1, 2],
    "long": [0] * 257,
    "longer": [0] * 10_001,
    "many": {"a": [0] * 10_001, "b": [0] * 10_000},
}
MARK = re.compile(r'[ ]*# (error|warning|note): ([a-z0-9-]+ ".*)$', re.MULTILINE)
PART = re.compile(r'([a-z0-9-]+) "(.*?)"(?:, (?=[a-z0-9-]+ ")|$)')
NOW_MS = 1_767_261_600_000  # 2026-01-01T10:00:00Z
USUAL = {"no-reason", "untested-rule"}
ELSEWHERE = {
    "bad-case-file", "several-sets",
    "bad-data", "budget-exceeded", "compiler-fault", "duplicate-data", "file-too-large",
    "foreign-data", "no-policies", "not-utf-8", "outside-folder", "sealed-apart",
    "sealed-missing", "test-failed", "tiers-not-sealed", "too-large", "too-many",
    "too-many-files", "unlike-confinement", "unlike-seal", "unreadable", "unusable-constant",
    "rule-too-large", "text-too-long", "word-too-long",
    "bad-vocabulary", "impossible-call", "needless-default", "not-every-tool", "optional-argument",
    "sometimes-unlike", "undeclared-fact", "undeclared-member", "unknown-exception",
    "unknown-tool", "unlisted-value", "unneeded-scope",
}  # fmt: skip
"""Codes that one text cannot earn: of several files, of sizes, of the file system, of running,
of vocabularies (`typed/programs.pbac`)."""


def programs():
    for path in sorted(FOLDER.glob("*.pbac")):
        for number, text in enumerate(re.split(r"(?m)^---\n", path.read_text("utf-8")), 1):
            yield pytest.param(text, id=f"{path.stem}-{number}")


PROGRAMS = list(programs())


def diagnostics(text):
    source = Source("t.pbac", text)
    try:
        package = parse(source)
    except PolicyError as error:
        return linted(None, [source], error.diagnostics, NOW_MS)
    resolved = resolve([package])
    told = (*resolved.diagnostics, *check(resolved).diagnostics)
    return linted(resolved, [source], told, NOW_MS, data=DATA)


def wanted(text):
    for number, line in enumerate(text.splitlines(), 1):
        if mark := MARK.search(line):
            parts = PART.findall(mark[2])
            assert parts, f"no mark: {line}"
            yield from ((number, mark[1], *part) for part in parts)


def underlined(text, span):
    first, *more = text[span.start : span.end].split("\n")
    return first.rstrip() + "…" if more else first


def complete(text):
    """The program without its marks, below a header where it has none."""
    bare = MARK.sub("", text)
    if re.search(r"(?m)^(sealed )?package\b|^permt|^permit x on any # x$|^;|^pаckage", bare):
        return bare
    return re.sub(r"(?m)\A((?:#[^\n]*\n)*)", lambda m: m[1] + HEADER, bare, count=1)


@pytest.mark.parametrize("text", PROGRAMS)
def test_each_line_earns_exactly_its_diagnostics_with_the_carets_below_its_mistake(text):
    expected, bare = sorted(wanted(text)), complete(text)
    silent = USUAL - {code for _, _, code, _ in expected}
    found = [
        (d.span.line, str(d.severity), d.code, underlined(bare, d.span))
        for d in diagnostics(bare)
        if d.code not in silent
    ]
    assert sorted(found) == expected


def test_there_are_many_and_every_code_that_one_text_can_earn_is_among_them():
    marked = [code for each in PROGRAMS for _, _, code, _ in wanted(each.values[0])]
    assert len(marked) >= 350
    assert set(CODES) - set(marked) == ELSEWHERE
