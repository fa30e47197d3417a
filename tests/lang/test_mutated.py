"""Every program of this checkout, cut, doubled, glued and mixed: diagnostics, and nothing worse.

What each stage promises for any text is held at once: the compiler and lint tell mistakes where they
stand and never raise, every rendering of them can be written, and the layout keeps the meaning or
says why it does not touch the text.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pbac import __version__
from pbac.base.diagnostics import PolicyError
from pbac.base.render import (
    render,
    render_github,
    render_json,
    render_line,
    render_sarif,
)
from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.lang.layout.format import format_source
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.lint import lint

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("policies/**/*.pbac"), *ROOT.glob("tests/lang/**/*.pbac")])
TEXTS = [path.read_bytes().decode("utf-8", "replace") for path in FILES]
WORDS = Path(__file__).with_name("front").joinpath("words.txt").read_text("utf-8").split()
NOW_MS = 1_767_261_600_000

place = st.floats(0, 1)
piece = st.sampled_from(
    [*WORDS, *"\"'`{}()[]<>=,.:#@\\*\n\r\t", "\u202e", "\ufeff", "é", "0", "\x00"]
)


def cut(text, start, length, _piece):
    return text[:start] + text[start + length :]


def doubled(text, start, length, _piece):
    return text[: start + length] + text[start:]


def put_in(text, start, _length, piece):
    return text[:start] + piece + text[start:]


def glued(text, start, _length, _piece):
    """The next blanks go."""
    return text[:start] + text[start:].replace(" ", "", 1).replace("\n", "", 1)


def ended(text, start, _length, _piece):
    return text[:start]


def moved(text, start, length, _piece):
    """A stretch goes to the end."""
    return text[:start] + text[start + length :] + text[start : start + length]


mutation = st.tuples(
    st.sampled_from([cut, doubled, put_in, put_in, glued, moved, ended]),
    place,
    st.integers(1, 40),
    piece,
)


@st.composite
def mutated(draw):
    text = draw(st.sampled_from(TEXTS))
    for change, where, length, words in draw(st.lists(mutation, min_size=1, max_size=4)):
        text = change(text, int(where * len(text)), length, words)
    return text


def sound_places(found, text):
    for each in found:
        start, end = each.span.start, each.span.end
        assert 0 <= start <= end <= len(text), each
        assert each.span.line == text[:start].count("\n") + 1, each
        assert each.code in CODES
        assert each.message


def rendered(found, text):
    texts = {"p.pbac": text}
    forms = [
        render(found, texts),
        "".join(render_line(each) for each in found),
        render_json(found),
        render_sarif(found, texts, CODES, __version__),
        render_github(found, texts),
    ]
    for form in forms:
        form.encode("utf-8")


@settings(max_examples=20_000 if os.environ.get("PBAC_FULL") == "1" else 300, deadline=None)
@given(mutated())
def test_a_mutated_program_is_told_about_and_nothing_worse(text):
    source = Source("p.pbac", text)
    compilation = compile_program([source], {})
    found = lint(compilation, NOW_MS)
    assert compilation.program is not None or found
    sound_places(found, text)
    rendered(found, text)
    try:
        laid_out = format_source(source)
    except PolicyError as error:
        sound_places(error.diagnostics, text)
    else:
        assert format_source(Source("p.pbac", laid_out)) == laid_out
