"""The help that a slip earns: what to write instead; and that reading goes on behind it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import SYNTAX_ERRORS_MAX
from pbac.base.source import Source
from pbac.lang.resolve.resolve import resolve
from pbac.lang.syntax.parse import parse

HEADER = "package p tiers lo < hi\n"


def complaints(text):
    """Of reading, or of resolving what is read."""
    try:
        return resolve([parse(Source("p.pbac", text))]).diagnostics
    except PolicyError as refused:
        return refused.diagnostics


def helps(text):
    return [each.help for each in complaints(HEADER + text)]


@pytest.mark.parametrize(
    ("condition", "way_out"),
    [
        ("args.a == True", "write `true`"),
        ("args.a == FALSE", "write `false`"),
        ("args.a == None", "write `null`"),
        ("args.a != undefined", "write `null`"),
        ("args.a == weekly", 'a text is written in quotes: `"weekly"`'),
        ("agent.tier >= high", "tiers are compared in the target: `for tier >= high`"),
        ("high > agent.tier", "tiers are compared in the target: `for tier < high`"),
        ("agent.tier == high", 'a text is written in quotes: `"high"`'),
        ("len(args.a) > 3", "write `count(args.a)`"),
        ('starts_with(args.a, "x")', "write `args.a starts with …`"),
        ("exists args.a", "write `has` in front of the path: `has args.a`"),
        ("has(args.a)", "write `has args.a`"),
        ('args.a.startsWith("x")', 'write `args.a starts with "x"`'),
        ("args.a.toLowerCase() == args.b", "write `lower(args.a)`"),
        ("args.a.frobnicate() == 1", "functions stand in front: `lower(args.a)`"),
        ("args.a =~ /x+/", 'write `matches r"x+"`'),
        ('args.a =~ "x"', 'write `matches r"…"`'),
        ("args.a matches /x+/", 'write `r"x+"`'),
        ('args.a not starts with "x"', "write `not args.a starts with …`"),
        ('args.a is "x"', 'to compare with a value, write `== "x"`'),
        ("args.a is not 3", "to compare with a value, write `!= 3`"),
        ("args.a is int", "write `is number`"),
        ("args.a is missing", "write `not has args.a`"),
        ("args.a is not in [1]", "write `not in`"),
        ('args.a in ("x", "y")', 'write `in ["x", "y"]`'),
        ("1 < args.a < 3", "write `1 < args.a and args.a < 3`"),
        ("any a in args.l { a == 1 }", "write `any a in args.l: (…)`"),
        ("for all a in args.l: a == 1", "write `all x in …: …`"),
        ("some a in args.l: a == 1", "write `any`"),
        ("args.a in [1 2]", "part the items of a list with commas"),
        ('args.a == ["x")', "close it with `]`"),
        ("args.a == 1)", "leave it out"),
        ("token.age > 15min", "write `15m`: a whole number and `s`, `m`, `h`, `d` or `w`"),
        ("token.age > 1h30m", "write `90m`"),
        ("token.age > 1.5h", "write `90m`"),
        ("token.age > 0.3s", "write a whole number and `s`, `m`, `h`, `d` or `w`"),
        ("token.age > 0s", "the shortest duration is `1s`"),
        ("args.a > 1e6", "write `1000000`"),
        ("args.a > 1.5e-3", "write `0.0015`"),
        ("args.a > 1e999", "write `1000000`"),
        ("args.a > -007", "write `-7`"),
        ("args.a > 00", "write `0`"),
        ("args.a > .5", "write `0.5`"),
        ("args.a > 1,000", "write `1_000`"),
        ("args.a > 0x1F", "write `31`"),
        ("args.a > 5%", "write `5`"),
        (
            "env.now > 2026-01-01T10:00:00",
            "write `2026-01-01T10:00:00Z`, or an offset such as `2026-01-01T10:00:00+02:00`",
        ),
        ("env.now > 2026-01-01T10:00:00+0200", "write `2026-01-01T10:00:00+02:00`"),
        ("env.now > 2026-01-01 10:00z", "write `2026-01-01T10:00:00Z`"),
        ("env.today > 2026-1-1", "write `2026-01-01`"),
        ("env.today > 2026/01/01", "write `2026-01-01`"),
        ('env.now in mon-fri 09:00-17:00 "UTC"', "write `weekdays`"),
        ('env.now in tue-thu 09:00-17:00 "UTC"', "write `tue, wed, thu`"),
        ('env.now in weekdays 9:00-17:00 "UTC"', "write `09:00-17:00`"),
        ('env.now in weekdays 9am to 5pm "UTC"', "write `09:00-17:00`"),
        ("env.now in weekdays 09:00-17:00", 'name its time zone: `09:00-17:00 "Europe/Berlin"`'),
        (
            'env.now in 09:00-17:00 "UTC"',
            "write `daily 09:00-17:00`, or `weekdays`, `weekends`, `mon, tue`",
        ),
        ("env.ip in cidr 10.0.0.0/8", 'write `"10.0.0.0/8"`'),
        ("env.ip in 10.0.0.0/8", 'write `in cidr "10.0.0.0/8"`'),
        ("env.ip == 10.0.0.1", 'write `in cidr "10.0.0.1/32"`'),
        ("env.ip in cidr fe80::/10", 'write `"fe80::/10"`'),
        ("agent.software_version >= 2.1.3", 'write `v"2.1.3"`'),
        ("args.a > $5", "what fits here: a value or a condition"),
        ("args.a == 'b'", 'write `"b"`'),
        (
            "args.a == 'it\"s'",
            'write `"…"`, or `r"…"` for a pattern with backslashes',
        ),
    ],
)
def test_a_condition_is_told_how_it_is_written_here(condition, way_out):
    assert helps(f"forbid x when {condition}") == [way_out]


@pytest.mark.parametrize(
    ("text", "ways_out"),
    [
        ("permit x on tools a, b", ["write `tool`"]),
        ("permit x on tools: a", ["write `tool`"]),
        ("permitted x on any", ["did you mean `permit`?"]),
        ("PERMIT x ON any", ["did you mean `permit`?", "did you mean `on`?"]),
        (
            "permit\n  on tool x",
            ["write `permit name`: decisions and records call it so"],
        ),
        (
            "permit @owner a on any",
            ["write `permit name`: decisions and records call it so"],
        ),
        ("permit read-all on any", ["write `permit read_all`"]),
        ("permit 'read all' on any", ["write `permit read_all`"]),
        ("permit r: on any", ["write `permit r`"]),
        ('@owner "a"\npermit r on any', ["move it below `permit name`"]),
        ("permit x on tool a or b", ["write `,`: a comma means or"]),
        ("permit x on tool [a, b]", ["write `tool a, b`"]),
        ("permit x on tool a but not b", ["write `except`"]),
        ("permit x on all", ["write `on any`"]),
        (
            "permit x for all on any",
            ["leave `for all` out: a rule without `for` is about everybody"],
        ),
        ('permit x for tier >= "hi" on any', ["write `hi`"]),
        ("permit x for tier hi and above on any", ["write `for tier >= hi`"]),
        (
            "permit x @expires 01/02/2027 on any",
            ["dates are written year, month, day: `2026-01-31`"],
        ),
        ("permit x @expires 2027-01-01T00:00:00Z on any", ["write `2027-01-01`"]),
        ("require x on any limit 3 per 1m by agent", ["write `then limit …`"]),
        (
            "require x on any then limit 3 per 1m by agent, limit 9 per 1h by agent",
            ["each duty has a `then` of its own; write `then limit …`"],
        ),
        ("require x on any then limit 3 per minute by agent", ["write `1m`"]),
        (
            "require x on any then limit 3 per 60 by agent",
            ["write `60s`, `60m`, `60h`, `60d` or `60w`"],
        ),
        ("require x on any then truncate to 64KB", ["write `64KiB`: `KiB` or `MiB`"]),
        (
            "require x on any then approval from group owners within 15 minutes",
            [
                'a text is written in quotes: `"owners"`',
                "write `15m`: a whole number and `s`, `m`, `h`, `d` or `w`",
            ],
        ),
        ("require x on any then", ["what fits here: the kind of a duty"]),
        (
            'test "a" call b => permit by :',
            ["what fits here: a name"],
        ),
        ("// why\npermit x on any", ["a comment begins with `#` and ends with its line"]),
    ],
)
def test_a_rule_is_told_how_it_is_written_here(text, ways_out):
    assert helps(text) == ways_out


def test_a_text_glued_to_a_word_is_shown_short():
    (found,) = complaints(HEADER + 'permit x"' + "a" * 5_000 + '" on any')
    assert found.help == 'write `x "…"`'


# --- reading goes on ------------------------------------------------------------------------------


def test_places_behind_repairs_that_grew_are_those_of_the_file():
    text = HEADER + "allow x tool a, b when !args.a && args.b.startsWith('c') || args.d = 007\n"
    assert [text[each.span.start : each.span.end] for each in complaints(text)] == [
        "allow", "tool", "!", "&&", "startsWith", "||", "=", "007",
    ]  # fmt: skip


def test_what_only_nodes_show_is_told_of_items_before_and_behind_a_mistake():
    text = HEADER + "permit on on any\npermit b on any when args.a = 1\npermit all on any\n"
    assert [(each.code, each.span.line) for each in complaints(text)] == [
        ("reserved-word", 2),
        ("foreign-operator", 3),
        ("reserved-word", 4),
    ]


def test_there_is_an_end_to_repairs():
    assert len(complaints(HEADER + "forbid x when args.a" + " && args.a" * 1_000)) == 20
    assert len(complaints(HEADER + "forbid x when " + "(" * 30 + "args.a")) == 1


def test_a_long_item_is_read_once_and_not_again_for_every_slip():
    text = HEADER + "forbid x when a" + " and args.a" * 10_000 + " && args.b" * 30
    assert len(complaints(text)) == 1


def test_one_slip_in_a_right_program_is_one_complaint():
    rule = 'permit {} for tier >= lo on tool a, b when args.a == 1 and not args.b because "c"\n'
    for right, slip in (
        ("on tool", "tool"), ("==", "="), ("and", "&&"), ("not ", "!"), (", b", ", b,"),
        ('"c"', "'c'"), ("permit", "allow"), ("tool", "tools"), ("tier >=", "tier =>"),
    ):  # fmt: skip
        text = (
            HEADER + rule.format("x") + rule.format("y").replace(right, slip, 1) + rule.format("z")
        )
        assert len(complaints(text)) == 1, slip


SLIPS = ("&&", "||", "!", "=", "'", '"', "(", ")", "[", "{", "}", ",", ";", "//", "--", "/*", "007",
         "1h30m", "a.b", "has(", ".startsWith(", "on", "for", "when", "then", "permit", "tiers",
         "test", "is", "not", "or", "tools", "2026-1-1", "9-17", "\n", "=~ /x/", "é", "а")  # fmt: skip


@given(st.integers(0, 2**32))
def test_whatever_the_mistakes_are_they_are_told_within_the_file_and_end(seed):
    chance = random.Random(seed)
    words = [
        "permit",
        "x",
        "for",
        "tier",
        ">=",
        "lo",
        "on",
        "tool",
        "a",
        ",",
        "b",
        "when",
        "args.a",
        "==",
        "1",
        "and",
        "(",
        "not",
        "args.b",
        ")",
    ]
    words = [
        word for each in words for word in (each, chance.choice(SLIPS)) if chance.random() < 0.8
    ]
    text = HEADER + chance.choice((" ", "")).join(words) + "\nforbid y"
    found = complaints(text)
    assert len(found) <= 2 * SYNTAX_ERRORS_MAX
    assert all(0 <= each.span.start <= each.span.end <= len(text) for each in found)


# --- files that are written otherwise -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ((HEADER * 3).encode("utf-16-le").decode(), "save the file as UTF-8"),
        ((HEADER * 3).encode("utf-16-be").decode(), "save the file as UTF-8"),
        (HEADER.replace("\n", "\r") * 3, "save the file with line feeds as line ends"),
    ],
)
def test_a_file_in_another_form_is_told_once(text, way_out):
    (found,) = complaints(text)
    assert (found.code, found.help) == ("unseen-character", way_out)
