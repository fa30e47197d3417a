"""Diagnostics as people and machines see them."""

from __future__ import annotations

import json

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.limits import RENDERED_LINE_COLUMNS_MAX
from pbac.base.render import (
    STYLES,
    render,
    render_json,
    render_line,
    render_summary,
    shown,
)
from pbac.base.source import Span


def complaint(text, part, **more):
    start = text.index(part)
    line = text.count("\n", 0, start) + 1
    span = Span("p.pbac", start, start + len(part), line, start - text.rfind("\n", 0, start))
    return Diagnostic(**{"code": "a-code", "message": "`x` is wrong", "span": span} | more)


def full(text, part, **more):
    return render([complaint(text, part, **more)], {"p.pbac": text})


def carets(text, part):
    """The excerpt and its carets, margins taken off."""
    lines = full(text, part).splitlines()
    return lines[3].split(" | ", 1)[1], lines[4].split(" | ", 1)[1]


def test_the_full_form():
    text = "package p\nforbid x when args.x = 1\n"
    assert full(text, "args.x", help="write it so", label="here") == (
        "error[a-code]: `x` is wrong\n"
        " --> p.pbac:2:15\n"
        "  |\n"
        "2 | forbid x when args.x = 1\n"
        "  |               ^^^^^^ here\n"
        "  = help: write it so\n"
    )


def test_margins_grow_with_the_line_number():
    lines = full("\n" * 99 + "a b", "b").splitlines()
    assert lines[1:] == ["   --> p.pbac:100:3", "    |", "100 | a b", "    |   ^"]


def test_a_warning_without_help_or_text():
    found = complaint("a", "a", severity=Severity.WARNING)
    assert render([found], {}) == "warning[a-code]: `x` is wrong\n --> p.pbac:1:1\n"


def test_blocks_are_apart():
    found = complaint("a", "a")
    assert render([found, found], {}).count("\n\n") == 1
    assert render([], {}) == ""


def test_carets_stand_right_behind_tabs():
    assert carets("\ta\tb = c", "b") == ("    a    b = c", "         ^")


def test_carets_stand_right_behind_and_below_wide_and_combining_characters():
    assert carets('"日本" = c', "=") == ('"日本" = c', "       ^")
    assert carets("e\u0301 = c", "=") == ("e\u0301 = c", "  ^")
    assert carets('x "日本" y', '"日本"') == ('x "日本" y', "  ^^^^^^")
    assert carets("x é y", "é") == ("x é y", "  ^")


def test_what_could_steer_a_terminal_is_shown_as_its_code_point():
    assert carets("a\x1b[2Jb\u202ec = d", "=") == ("a<U+001B>[2Jb<U+202E>c = d", " " * 23 + "^")
    assert shown("ok\r\n") == "ok<U+000D><U+000A>"
    hostile = complaint("a", "a", message="`\x1b]0;x`", help="\u2066")
    assert "\x1b" not in render([hostile], {}) + render_line(hostile)


def test_a_span_of_several_lines_is_marked_to_the_end_of_its_first():
    assert carets("a (b\nc) d", "(b\nc)") == ("a (b", "  ^^")


def test_an_empty_span_has_one_caret_also_at_the_end():
    text = "abc"
    found = Diagnostic(code="c", message="m", span=Span("p.pbac", 3, 3, 1, 4))
    assert render([found], {"p.pbac": text}).splitlines()[4] == "  |    ^"


def test_windows_line_ends_leave_no_trace():
    assert carets("a b\r\nc", "b") == ("a b", "  ^")


def test_a_long_line_is_cut_and_its_carets_are_still_below_it():
    for text in ("x" * 1000 + "!", "!" + "x" * 1000, "!" * 1000):
        line, mark = carets(text, "!")
        assert len(line) <= RENDERED_LINE_COLUMNS_MAX + 2
        assert line[mark.index("^")] == "!"
    _, mark = carets("!" * 1000, "!" * 1000)
    assert len(mark) <= RENDERED_LINE_COLUMNS_MAX


def test_colour_changes_nothing_but_colour():
    text = "package p\nforbid x when args.x = 1\n"
    found = [complaint(text, "args.x", help="h", label="l")]
    coloured = render(found, {"p.pbac": text}, STYLES)
    for style in (*STYLES.values(), "\x1b[0m"):
        coloured = coloured.replace(style, "")
    assert coloured == render(found, {"p.pbac": text})


def test_the_one_line_form():
    found = complaint("a\nb", "b")
    assert render_line(found) == "p.pbac:2:1: error: `x` is wrong [a-code]"


def test_the_json_form_is_one_line_of_ascii():
    text = render_json([complaint("a é", "é", help="h")])
    assert text.isascii()
    assert text.count("\n") == 1
    assert json.loads(text) == [
        {
            "severity": "error",
            "code": "a-code",
            "message": "`x` is wrong",
            "help": "h",
            "source": "p.pbac",
            "line": 1,
            "column": 3,
            "start": 2,
            "end": 3,
        }
    ]


def test_the_summary_counts():
    error, warning = complaint("a", "a"), complaint("a", "a", severity=Severity.WARNING)
    assert render_summary([error, warning, error]) == "2 errors, 1 warning"
    assert render_summary([]) == "no complaints"
