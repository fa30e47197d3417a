"""What a person reads after a slip: the place, the words, the way out."""

from __future__ import annotations

import pytest

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.syntax.parse import parse


def complaints(text):
    with pytest.raises(PolicyError) as refused:
        parse(Source("p.pbac", text))
    return refused.value.diagnostics


def only(text):
    (found,) = complaints("package p\n" + text)
    return found


@pytest.mark.parametrize(
    ("text", "underlined", "message", "help_"),
    [
        (
            "allow x on any",
            "allow",
            "`allow` begins nothing here",
            "did you mean `permit`?",
        ),
        (
            "forbidd x",
            "forbidd",
            "`forbidd` is two words without a blank between them",
            "did you mean `forbid`?",
        ),
        (
            "permit x tool a",
            "tool",
            "`on` is missing before `tool`",
            "write `on tool …`",
        ),
        (
            "forbid x when args.a && args.b",
            "&&",
            "`&&` is not an operator here",
            "write `and`",
        ),
        (
            "forbid x when args.a = 1",
            "=",
            "`=` is not an operator here",
            "write `==` to compare",
        ),
        (
            "forbid x when and args.a",
            "and",
            "an expression is missing before `and`",
            "write a value or a condition there",
        ),
        (
            "permit x on tool 'a'",
            "'a'",
            "texts are written in double quotes",
            'write `"a"`',
        ),
        (
            "permit x on any when args.a args.b",
            "args",
            "an operator is missing before `args`",
            "join conditions with `and` or `or`; compare values with `==`, `in`, `like`, …",
        ),
        (
            'permit x on any then notify "a"',
            "then",
            "`then` stands in `require` rules only, after all other clauses",
            "write `require` instead, or remove the duty",
        ),
        (
            'require x on any then approval form group "g" within 15m',
            "form",
            "`form` does not fit here",
            "did you mean `from`?",
        ),
        (
            "permit x on any because",
            "",
            "the file ends in the middle of something",
            'what fits here: a text in `"…"`',
        ),
    ],
)
def test_a_slip_is_named_with_its_way_out(text, underlined, message, help_):
    found = only(text)
    assert (found.message, found.help) == (message, help_)
    whole = "package p\n" + text
    assert whole[found.span.start : found.span.end] == underlined


def test_a_clause_out_of_order_names_the_order():
    found = only('permit x on any because "a" when args.b')
    assert found.message == "`when` stands too late in its rule"
    assert "`for`, `on`, `when`/`unless`, `because`" in found.help


def test_reading_goes_on_at_the_next_item_and_places_stay_right():
    text = "package p\nforbid a when é\n\npermit b on any\n  forbid c when args.x = 1\n\ntest 'x'\n"
    found = complaints(text)
    assert [(d.code, d.span.line, d.span.column) for d in found] == [
        ("syntax", 2, 15),
        ("foreign-operator", 5, 24),
        ("wrong-quotes", 7, 6),
        ("syntax", 7, 9),
    ]
    assert [text[d.span.start] for d in found[:3]] == ["é", "=", "'"]


def test_mistakes_that_only_nodes_show_are_told_together_with_syntax_errors():
    found = complaints("package p\npermit a &\npermit on on any\npermit b on tool a, all\n")
    assert [(d.code, d.span.line) for d in found] == [
        ("syntax", 2),
        ("reserved-word", 3),
        ("reserved-word", 4),
    ]


def test_there_is_an_end_to_syntax_errors():
    assert len(complaints("package p\n" + "permit &\n" * 1000)) == 20


def test_a_file_without_package_says_what_comes_first():
    for text in ("", "# nothing\n", "permit x on any", "sealed permit x"):
        (found,) = complaints(text)
        assert found.code == "missing-package"
        assert found.help.startswith("write `package name` first")
