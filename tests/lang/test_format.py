"""The layout: what it looks like, and that it never changes what a policy means or says."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.layout import format as layout
from pbac.lang.layout.format import LayoutError, format_source, same_meaning
from pbac.lang.layout.writer import WIDTH
from pbac.lang.syntax.parse import parse, parse_syntax

FULL = os.environ.get("PBAC_FULL") == "1"
ROOT = Path(__file__).parent.parent.parent
SHOWN = sorted((Path(__file__).parent / "layout").glob("*.txt"))
POLICIES = sorted((ROOT / "policies").rglob("*.pbac"))
PROGRAMS = [*POLICIES, *sorted((Path(__file__).parent / "front" / "examples").glob("*.pbac"))]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
FENCE = re.compile(r"^```pbac([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADER = "package example on server github\n\ntiers read_only < ci_agent < developer < trusted\n\n"


def source_texts():
    """The module `source_texts.py`: random programs."""
    spec = importlib.util.spec_from_file_location(
        "source_texts", Path(__file__).with_name("source_texts.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


texts = source_texts()


def laid_out(text):
    return format_source(Source("p.pbac", text))


def meaning(text):
    """The syntax tree without its places, by another way than the formatter's own check."""
    return re.sub(r"Span\([^)]*\)", "", repr(parse(Source("p.pbac", text))))


def comments(text):
    """In order, found by another way than the formatter's: what no token covers."""
    covered = list(text)
    for token in parse_syntax(Source("p.pbac", text)).tokens:
        covered[token.start : token.end] = " " * len(token)
    return [found.rstrip() for found in re.findall(r"#[^\n]*", "".join(covered))]


def literals(text):
    """Every token as written, but for what may come, go, or lose its quotes."""
    tokens = parse_syntax(Source("p.pbac", text)).tokens
    return [str(token).strip('"') for token in tokens if token not in ("(", ")", ",")]


# --- properties ----------------------------------------------------------------------------------


def holds_for(text):
    once = laid_out(text)
    assert meaning(once) == meaning(text)
    assert laid_out(once) == once
    assert comments(once) == comments(text)
    assert literals(once) == literals(text)
    assert not re.search(r"[ \t]$|\n\n\n|\A\n|\n\n\Z", outside_of_blocks(once), re.MULTILINE)


def outside_of_blocks(text):
    return re.sub(r'"""(?:[^"\\]|\\.|"(?!""))*"""', '""', text)


SEARCH = settings(max_examples=settings.default.max_examples if FULL else 100)


@SEARCH
@given(texts.texts())
def test_any_program_means_and_says_the_same_and_is_laid_out_once(text):
    holds_for(text)


@SEARCH
@given(st.data())
def test_blanks_and_line_breaks_do_not_matter(data):
    program = data.draw(texts.spread(data.draw(texts.programs())))
    one, other = (data.draw(texts.filled(*program)) for _ in range(2))
    assert laid_out(one) == laid_out(other)


@SEARCH
@given(texts.texts())
def test_a_file_of_crlf_stays_one(text):
    crlf = text.replace("\n", "\r\n")
    once = laid_out(crlf)
    assert once.count("\n") == once.count("\r\n") or "\n" not in text
    assert meaning(once) == meaning(crlf)
    assert laid_out(once) == once


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_a_real_program_means_and_says_the_same(path):
    holds_for(path.read_text("utf-8"))


def blocks():
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text("utf-8"))):
            wrong = match[1].split()[:1] == ["bad"]
            for name, text in files(match[2]):
                if name.endswith(".pbac"):
                    yield pytest.param(text, wrong, id=f"{page.stem}-{number}-{name}")


def files(block):
    """The files of an example, parted by `# file: NAME`; without one it is a single policy."""
    first, *parts = re.split(r"^# file: (\S+)\n", block, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2], strict=True)) if parts else [("it.pbac", first)]


def whole(block):
    """An example with the header that it stands below."""
    has_header = re.search(r"^(sealed )?package ", block, re.MULTILINE)
    return block if has_header else HEADER + block


@pytest.mark.parametrize(("text", "wrong"), list(blocks()))
def test_an_example_of_the_docs_is_laid_out(text, wrong):
    try:
        holds_for(whole(text))
    except PolicyError:
        assert wrong, "only an example of a mistake may be one that cannot be read"
        return
    assert laid_out(whole(text)) == whole(text), "run `python tests/lang/test_format.py --write`"


def write():
    """Lay out every example of the docs."""
    for page in PAGES:
        text = page.read_text("utf-8")
        fresh = FENCE.sub(lambda match: f"```pbac{match[1]}\n{_block(match[2])}```", text)
        if fresh != text:
            page.write_text(fresh, "utf-8")
            sys.stdout.write(f"rewritten: {page.relative_to(ROOT)}\n")


def _block(block):
    if not block.startswith("# file: "):
        return _laid(block)
    return "".join(
        f"# file: {name}\n{_laid(text) if name.endswith('.pbac') else text}"
        for name, text in files(block)
    )


def _laid(text):
    try:
        return laid_out(whole(text)).removeprefix("" if text == whole(text) else HEADER)
    except PolicyError:
        return text


@pytest.mark.parametrize("path", POLICIES, ids=[path.stem for path in POLICIES])
def test_the_policies_that_ship_are_laid_out(path):
    text = path.read_text("utf-8")
    assert laid_out(text) == text


# --- what it looks like --------------------------------------------------------------------------


def shown():
    """`=== what`, a text, `---`, its layout."""
    for path in SHOWN:
        for chunk in re.split(r"(?m)^=== ", path.read_text("utf-8"))[1:]:
            name, _, both = chunk.partition("\n")
            before, after = both.split("\n---\n")
            yield pytest.param(before, after.rstrip("\n") + "\n", id=name)


@pytest.mark.parametrize(("before", "after"), list(shown()))
def test_a_text_gets_its_layout(before, after):
    assert laid_out("package p\n\n" + before) == "package p\n\n" + after
    assert max(map(len, after.splitlines())) <= WIDTH


# --- mistakes ------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_tells_every_mistake():
    with pytest.raises(PolicyError) as refused:
        laid_out("package p\npermit x in tool\npermit y in any\nforbid z when args.a ==\n")
    assert len(refused.value.diagnostics) == 3


def test_a_mistake_that_no_grammar_can_say_is_told_as_well():
    with pytest.raises(PolicyError, match="no-such-date"):
        laid_out("package p permit x @expires 2027-02-30 on any")


def test_another_meaning_is_never_handed_out(monkeypatch):
    def swapped(writer, _group):
        writer.text("package p\n\nforbid x\n  on any")

    monkeypatch.setattr(layout, "file", swapped)
    with pytest.raises(LayoutError, match="would not mean the same"):
        laid_out("package p\npermit x on any\n")


def test_what_cannot_be_read_back_is_never_handed_out(monkeypatch):
    monkeypatch.setattr(layout, "file", lambda writer, _group: writer.text("package"))
    with pytest.raises(LayoutError, match="would not mean the same"):
        laid_out("package p\n permit x on any\n")


@pytest.mark.parametrize(
    "other",
    [
        "permit x on tool a when args.n == 1.0",
        "permit x on tool a when args.n == true",
        "permit x on tool b when args.n == 1",
        "permit x on tool a when args.n == 1 and true",
        "permit x on tool a unless args.n == 1",
        'permit x "Doc." on tool a when args.n == 1',
    ],
)
def test_meanings_that_differ_are_told_apart(other):
    one = parse(Source("p", "package p permit x on tool a when args.n == 1"))
    assert same_meaning(one, parse(Source("q", "package  p permit x on tool a when (args.n == 1)")))
    assert not same_meaning(one, parse(Source("p", "package p " + other)))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        sys.exit("usage: python tests/lang/test_format.py --write")


def test_a_file_of_mixed_line_ends_means_the_same_in_one_layout():
    mixed = 'package q\r\npermit r\n  """\n  a\n  b\r\n  """\n  on tool x\n'
    once = laid_out(mixed)
    assert once.count("\n") == once.count("\r\n")
    assert meaning(once) == meaning(mixed)
