"""Globs and automata: against slow definitions, and against what was made to break them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.limits import AUTOMATON_STATES_MAX, PATTERN_CHARACTERS_MAX
from pbac.lang.evaluate.patterns import PatternError, glob, regex


def slow_glob(pattern, separators):
    """The definition: a star is any number of (other) characters."""
    if pattern in ("*", "**"):
        return re.compile(r".*", re.DOTALL)
    inner = f"[^{re.escape(separators)}]*" if separators else "(?:.|\n)*"
    parts = re.split(r"(\*\*|\*)", pattern)
    stars = {"**": "(?:.|\n)*", "*": inner}
    return re.compile("".join(stars.get(part, re.escape(part)) for part in parts))


PIECES = st.lists(st.sampled_from(["a", "b", "/", ".", "*", "**"]), max_size=6).map("".join)


@given(PIECES, st.data(), st.sampled_from(["", "/", "./", ":"]))
def test_a_glob_is_what_its_definition_says(pattern, data, separators):
    expected = slow_glob(pattern, separators)
    matcher = glob(pattern, separators)
    filled = [
        data.draw(st.text("ab./", max_size=3)) if "*" in part else part
        for part in re.split(r"(\*+)", pattern)
    ]
    for text in ("".join(filled), data.draw(st.text("ab./", max_size=6))):
        assert matcher(text) is (expected.fullmatch(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "separators", "yes", "no"),
    [
        ("get_*", "./", ["get_x", "get_"], ["get_x.y", "xget_", "get"]),
        ("*_issue", "./", ["get_issue"], ["a.get_issue", "issue"]),
        ("github:**:read", ":", ["github:prs:read", "github:a:b:read"], ["github:read"]),
        ("github:*", ":", ["github:prs"], ["github:prs:read"]),
        ("a*b", "/", ["ab", "axb", "abb"], ["a/b", "ax"]),
        ("a/*/**c", "/", ["a/x/c", "a//b/c"], ["a/c", "a/x"]),
        ("*", ":", ["", "a:b:c"], []),
        ("[!a]?{b}", "/", ["[!a]?{b}"], ["bcb", "b"]),
        ("a", "", ["a"], ["A", "aa", "a\n"]),
    ],
)
def test_a_glob(pattern, separators, yes, no):
    matcher = glob(pattern, separators)
    assert [text for text in yes + no if matcher(text)] == yes


def test_a_hostile_glob_takes_one_step_a_character():
    """`*a*a*a…` makes backtracking matchers cubic and worse; this one sees each character once."""
    matcher = glob("*a" * 100 + "b", "/")
    seen = []

    class Text(str):
        __slots__ = ()

        def __iter__(self):
            for character in str.__iter__(self):
                seen.append(character)
                yield character

    assert matcher(Text("a" * 20_000)) is False
    assert len(seen) == 20_000


def test_a_glob_has_a_length():
    glob("*x" * (PATTERN_CHARACTERS_MAX // 2), "/")
    with pytest.raises(PatternError):
        glob("x" * (PATTERN_CHARACTERS_MAX + 1), "/")


# --- regular expressions -------------------------------------------------------------------

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\n", "é", r"\x41", r"\."])


def joined(inner):
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda xs: f"(?:{'|'.join(xs)})"),
        st.builds(
            lambda x, r: f"(?:{x}){r}",
            inner,
            st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}"]),
        ),
    )


PATTERNS = st.recursive(ATOMS, joined, max_leaves=5)
TEXTS = st.text("abAé.1\n", max_size=8)


@given(PATTERNS, st.lists(TEXTS, min_size=5, max_size=5), st.booleans())
def test_an_automaton_agrees_with_python_where_both_can_answer(pattern, texts, fold):
    automaton = regex(f"(?i){pattern}" if fold else pattern)
    flags = re.ASCII | (re.IGNORECASE if fold else 0)
    for text in texts:
        assert automaton(text) is (re.fullmatch(pattern, text, flags) is not None)


def slow_finditer(pattern, text):
    """The definition: at each place the longest match that is not empty, then on from its end."""
    start = 0
    while start < len(text):
        ends = [e for e in range(start + 1, len(text) + 1) if pattern.fullmatch(text, start, e)]
        if ends:
            yield start, ends[-1]
        start = ends[-1] if ends else start + 1


@given(PATTERNS, st.text("abb.1\n", max_size=14))
def test_finding_is_leftmost_and_longest(pattern, text):
    expected = list(slow_finditer(re.compile(pattern, re.ASCII), text))
    assert list(regex(pattern).finditer(text)) == expected


def test_finding_remembers_what_was_in_vain():
    """`a|a*b` over many `a` overruns to the end at each place, unless places are remembered."""
    automaton = regex("a|a*b")
    steps = 0

    class Codes(list):
        def __getitem__(self, index):
            nonlocal steps
            steps += 1
            return list.__getitem__(self, index)

    text, barren, start, found = "a" * 3_000, set(), 0, 0
    codes = Codes(automaton._class_of(ord(c)) for c in text)
    while start < len(codes):
        start = automaton._longest(codes, start, barren)
        found += 1
    assert found == 3_000
    assert steps < 40 * len(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?:a+)+b", "a" * 5_000),
        (r"(?:a|a)*b", "a" * 5_000),
        (r".*.*.*=x", "=" * 5_000),
        (r"\w*\w*\w*!", "w" * 5_000),
        (r"(?:(?:a*)*)*c", "a" * 5_000),
        (r"(?:a?){30}a{30}", "a" * 29 + "b"),
    ],
)
def test_a_hostile_pattern_runs_in_one_step_a_character(pattern, text):
    automaton = regex(pattern)
    assert automaton(text) is False
    assert len(automaton.rows) <= AUTOMATON_STATES_MAX


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:a|b)*a(?:a|b){12}",
        r".*(?:\w{1,40}\d){1,9}.*x.{9}",
        r"(?:a{1,999}){1,999}",
        r"(?:(?:(?:){999}){999}){999}",
        r"(?:(?:(?:a|){99}){99}){99}",
        r"a{1,9999}",
    ],
)
def test_a_pattern_made_to_be_large_is_refused_at_load(pattern):
    with pytest.raises(PatternError, match=r"states|too large"):
        regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "position", "message"),
    [
        ("^a", 0, "always whole"),
        ("a$", 1, "always whole"),
        ("(a", 0, "never closed"),
        ("a)", 1, "closes nothing"),
        ("[a", 0, "never closed"),
        ("[]", 0, "empty"),
        ("[b-a]", 4, "upwards"),
        (r"[a-\d]", 5, "one character to another"),
        ("[[:alpha:]]", 1, "for the character"),
        ("a{2,1}", 1, "upwards"),
        ("a{x}", 1, "for the character"),
        ("*a", 0, "nothing to repeat"),
        ("a**", 2, "one repetition"),
        ("a*?", 2, "one repetition"),
        ("a++", 2, "one repetition"),
        ("(?=a)", 0, "only"),
        ("(?<n>a)", 0, "only"),
        ("a(?i)", 1, "only"),
        (r"(a)\1", 3, "does not exist"),
        (r"\ba", 0, "does not exist"),
        (r"\pL", 0, "does not exist"),
        (r"\Z", 0, "does not exist"),
        ("a\\", 1, "does not exist"),
        ("(" * 40 + ")" * 40, 33, "deep"),
        ("a" * (PATTERN_CHARACTERS_MAX + 1), 0, "at most"),
    ],
)
def test_syntax_outside_the_subset_is_refused_with_its_place(pattern, position, message):
    with pytest.raises(PatternError, match=message) as caught:
        regex(pattern)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\d+", ["12"], ["١٢", ""]),
        (r"\w", ["_"], ["é"]),
        (r"\s", [" ", "\t"], ["\v", "\u00a0"]),
        (r".", ["é", "\r"], ["\n"]),
        (r"[^a]", ["\n", "\U0010ffff"], ["a"]),
        (r"(?i)[^a]", ["b", "B"], ["a", "A"]),
        (r"(?i)k", ["k", "K"], ["\u212a"]),
        (r"\x{1f600}", ["😀"], ["😁"]),
        (r"[-a\]]", ["-", "]"], ["b"]),
        (r"-----BEGIN [A-Z ]{0,40}-----", ["-----BEGIN RSA KEY-----"], ["-----BEGIN x-----"]),
        ("", [""], ["a"]),
        ("a|", ["", "a"], ["b"]),
    ],
)
def test_a_pattern(pattern, yes, no):
    automaton = regex(pattern)
    assert [text for text in yes + no if automaton(text)] == yes


REFERENCE = Path(__file__).parent.parent.parent / "docs/reference/language.md"


def shown(heading):
    """The patterns in the first column of a table of the reference."""
    table = REFERENCE.read_text("utf-8").split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    cells = [re.split(r"(?<!\\)\|", line)[1] for line in table.splitlines()[2:]]
    return [found.replace("\\|", "|") for cell in cells for found in re.findall("`([^`]+)`", cell)]


@pytest.mark.parametrize("pattern", shown("accepted"))
def test_what_the_reference_accepts_is_accepted(pattern):
    regex(pattern)


@pytest.mark.parametrize("pattern", shown("refused"))
def test_what_the_reference_refuses_is_refused(pattern):
    with pytest.raises(PatternError):
        regex(pattern)


@given(st.text("ab()[]|*+?{}1,.\\^$-:i", max_size=12))
def test_any_text_is_a_pattern_that_python_reads_alike_or_is_refused(text):
    try:
        automaton = regex(text)
    except PatternError as error:
        place = error.position
    else:
        place = 0
        for candidate in ("", "a", "ab", "1", "aab"):
            assert automaton(candidate) is (re.fullmatch(text, candidate, re.ASCII) is not None)
    assert 0 <= place <= len(text)
