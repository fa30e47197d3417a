"""Our loop over Lark's tables against Lark itself: the same texts, the same trees, the same places."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Token as LarkToken
from lark import UnexpectedInput

from pbac.lang.syntax import mistake, tables, tree
from pbac.lang.syntax.grammar import make_tables, render_tables
from pbac.lang.syntax.tree import Branch, Token, read_tree

ROOT = Path(__file__).parent.parent.parent
TEXTS = [
    text
    for folder in ("policies", "tests/lang/front")
    for path in sorted((ROOT / folder).rglob("*.pbac"))
    for text in re.split(r"(?m)^---\n", path.read_text("utf-8"))
]
HEADER = "package t tiers lo < hi "
WORDS = sorted({word for text in TEXTS for word in re.findall(r"\w+|\S", text)})


def by_lark(text, start="file"):
    """What Lark makes of a text, in the form of `plain`; None when it refuses it."""
    try:
        return plain(mistake._lark().parse(text, start=start))
    except (UnexpectedInput, mistake._Refused):
        return None


def plain(part):
    """Either tree as tuples with places."""
    match part:
        case None:
            return None
        case Token():
            return part.type, str(part), part.start, part.end
        case LarkToken():
            return part.type, str(part), part.start_pos, part.end_pos
        case Branch():
            return part.data, [plain(child) for child in part.children], part.start, part.end
    place = (0, 0) if part.meta.empty else (part.meta.start_pos, part.meta.end_pos)
    return str(part.data), [plain(child) for child in part.children], *place


@pytest.mark.parametrize("text", TEXTS)
def test_programs_are_read_as_lark_reads_them(text):
    for whole in (text, HEADER + text):
        assert plain(read_tree(whole, "file")) == by_lark(whole)


def test_some_of_these_programs_are_right_and_some_wrong():
    read = [by_lark(HEADER + text) is not None for text in TEXTS]
    assert read.count(True) > 100
    assert read.count(False) > 50


def test_the_rest_of_a_file_is_read_as_lark_reads_it():
    for text in ("", "   # nothing", "permit p on any", "forbid f define x = 1", "tiers a < b"):
        assert plain(read_tree(text, "rest")) == by_lark(text, "rest")


@given(st.integers(0, 2**32))
def test_damaged_programs_are_read_or_refused_as_lark_does(seed):
    chance = random.Random(seed)
    text = damaged(HEADER + chance.choice(TEXTS), chance)
    assert plain(read_tree(text, "file")) == by_lark(text)


def damaged(text, chance):
    """A text with a few words or characters taken out, put in or moved."""
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        until = min(len(text), at + chance.choice((0, 1, 1, 2, 8)))
        put = chance.choice(("", "", " ", "\n", "#", '"', chance.choice(WORDS), text[at : at + 6]))
        text = text[:at] + put + text[until:]
    return text


# --- the kept tables ------------------------------------------------------------------------------


def test_the_kept_tables_are_what_lark_makes_of_the_grammar():
    kept = (ROOT / "grammar" / tables.TABLES_FILE).read_text("utf-8")
    assert kept == render_tables(make_tables(tables.grammar_text())), (
        "write them anew: python -m pbac.lang.syntax.grammar"
    )


def test_tables_of_another_grammar_are_not_used_but_made_anew(monkeypatch):
    changed = tables.grammar_text().replace('"package" NAME', '"bundle" NAME')
    for module in (tables, tree):
        monkeypatch.setattr(module, "grammar_text", lambda: changed)
    assert tables.kept_tables() is None
    assert tree._automaton.__wrapped__().read("bundle x", "file")
    assert tree._automaton.__wrapped__().read("package x", "file") is None
