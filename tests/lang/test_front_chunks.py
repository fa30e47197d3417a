"""Many tiny programs, each line saying which diagnostic it must earn: no more, no fewer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.check import check
from pbac.lang.parse import parse
from pbac.lang.resolve import resolve

FOLDER = Path(__file__).parent / "front"
HEADER = "package t tiers lo < hi "
MARK = re.compile(r"# (error|warning): ([a-z-]+(?:, [a-z-]+)*)$")


def programs():
    for path in sorted(FOLDER.glob("*.pbac")):
        for number, text in enumerate(re.split(r"(?m)^---\n", path.read_text("utf-8")), 1):
            yield pytest.param(text, id=f"{path.stem}-{number}")


def diagnostics(text):
    try:
        package = parse(Source("t.pbac", text))
    except PolicyError as error:
        return error.diagnostics
    resolved = resolve([package])
    return (*resolved.diagnostics, *check(resolved))


def wanted(text):
    for number, line in enumerate(text.splitlines(), 1):
        if mark := MARK.search(line):
            yield from ((number, mark[1], code) for code in mark[2].split(", "))


@pytest.mark.parametrize("text", list(programs()))
def test_each_line_earns_exactly_its_diagnostics(text):
    if not re.search(r"(?m)^(sealed )?(package|permt|permit x on any # x)\b", text):
        text = re.sub(r"(?m)\A((?:#[^\n]*\n)*)", lambda m: m[1] + HEADER, text, count=1)
    found = [(d.span.line, str(d.severity), d.code) for d in diagnostics(text)]
    assert sorted(found) == sorted(wanted(text))
