"""The grammar itself: no conflict that Lark would settle in silence, no word that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from lark import Lark
from lark.exceptions import GrammarError, LexError

import pbac
from pbac.base.source import Source
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.syntax.parse import parse
from pbac.lang.syntax.tables import grammar_text
from pbac.lang.syntax.words import FUNCTION_NAMES, RESERVED


def test_the_grammar_has_no_conflict_and_no_colliding_terminals():
    Lark(grammar_text(), parser="lalr", start=["file", "rest"], strict=True)


@pytest.mark.parametrize(
    ("grammar", "error"),
    [
        ('start: e\n?e: e "+" e | A\nA: "a"', GrammarError),
        ("start: A | B\nA: /ab*/\nB: /a+/", LexError),
    ],
    ids=["conflict", "collision"],
)
def test_the_strict_build_sees_what_it_is_asked_to_see(grammar, error):
    """Without `strict`, or without `interegular`, Lark settles both in silence."""
    Lark(grammar, parser="lalr")
    with pytest.raises(error):
        Lark(grammar, parser="lalr", strict=True)


def test_every_function_of_the_parser_is_in_the_table():
    assert FUNCTIONS.keys() >= FUNCTION_NAMES


def test_words_that_only_some_clause_knows_are_plain_fields():
    words = ["limit", "in", "group", "tool", "record", "within", "by", "cidr", "mon", "not"]
    text = "package p forbid x when " + " and ".join(f"args.{word} == 1" for word in words)
    (rule,) = parse(Source("p.pbac", text)).rules
    assert [item.operands[0].text() for item in rule.conditions[0].expression.items] == [
        f"args.{word}" for word in words
    ]


def test_words_of_duties_and_targets_are_free_names():
    words = ["limit", "approval", "redact", "tool", "tier", "group", "expire", "list", "call"]
    assert not RESERVED & set(words)
    text = "package p " + " ".join(f"permit {word} on tool {word}" for word in words)
    rules = parse(Source("p.pbac", text)).rules
    assert [(rule.name, rule.what[0].names[0].text) for rule in rules] == [(w, w) for w in words]


def test_a_reserved_word_can_be_quoted_in_a_target():
    (rule,) = parse(Source("p.pbac", 'package p permit x on tool "any", "on*"')).rules
    assert [pattern.text for pattern in rule.what[0].names] == ["any", "on*"]


def test_the_grammar_is_found_beside_a_checkout():
    beside = Path(pbac.__file__).parent.parent / "grammar" / "pbac.lark"
    if not beside.exists():
        pytest.skip("installed from a wheel: the grammar is within the package")
    assert grammar_text() == beside.read_text("utf-8")
