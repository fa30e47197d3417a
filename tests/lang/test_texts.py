"""Texts with values: readable, bounded, and harmless wherever they are printed."""

from __future__ import annotations

import pytest

from pbac.base.limits import TEXT_CHARACTERS_MAX, TEXT_VALUE_CHARACTERS_MAX
from pbac.lang import nodes
from pbac.lang.evaluate.texts import render_text


def rendered(make, *parts, data=None, **roots):
    text = nodes.Text(
        span=make.NOWHERE,
        parts=tuple(make.path(p[1:]) if p.startswith("$") else p for p in parts),
    )
    return render_text(text, make.request(**roots), data or {})


def test_a_text_shows_values(make):
    shown = rendered(
        make, "$agent.id", " merges ", "$args.repo", "#", "$args.n", args={"repo": "a/b", "n": 7}
    )
    assert shown == "a1 merges a/b#7"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        ([1, "a"], '[1,"a"]'),
        ({"a": "b"}, '{"a":"b"}'),
        ("two\nlines", "two\\u{a}lines"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("\u202eevil", "\\u{202e}evil"),
        ("é", "é"),
    ],
)
def test_a_value_stays_on_its_line(make, value, shown):
    assert rendered(make, "$args.x", args={"x": value}) == shown


def test_what_is_not_there_is_said(make):
    assert rendered(make, "$args.x", "/", "$user.id") == "<missing args.x>/<missing user.id>"
    assert rendered(make, "$args.x.y", args={"x": 1}) == "<unknown args.x.y>"
    assert rendered(make, "$data.team", data={"team": "core"}) == "core"


def test_values_and_texts_are_bounded(make):
    long = "x" * 10_000
    assert len(rendered(make, "$args.x", args={"x": long})) == TEXT_VALUE_CHARACTERS_MAX
    assert len(rendered(make, *["$args.x"] * 50, args={"x": long})) == TEXT_CHARACTERS_MAX
