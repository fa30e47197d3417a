"""Where lint speaks of empty lists and of documents, the interpreter finds the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.limits import LIST_OPERAND_ITEMS_MAX, QUANTIFIER_ITEMS_MAX
from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.lang.evaluate.interpret import condition
from pbac.lang.evaluate.truth import Truth
from pbac.lang.lint.lint import lint
from pbac.lang.syntax.parse import parse
from pbac.model.request import DecisionRequest

NOW_MS = 1_767_261_600_000


def told(text, data=None):
    found = compile_program([Source("t.pbac", f"package t on server s {text}")], data or {})
    return {each.code for each in lint(found, NOW_MS)}


def truth(text, arguments, data=None):
    rule = parse(Source("t.pbac", f"package t on server s {text}")).rules[0]
    call = {"method": "tools/call", "tool": "a", "server": "s"}
    request = DecisionRequest(agent={"id": "a"}, chain={}, call=call, args=arguments)
    return condition(rule, request, data or {}, (), ("s",))


# --- empty lists ----------------------------------------------------------------------------------

VACUOUS = [
    "when all x in args.l: x == 1",
    "unless any x in args.l: x == 1",
    "when not any x in args.l: x == 2",
    "when args.l subset of [1, 2]",
    "unless not args.l subset of [1]",
    "unless args.f or any x in args.l: x == 3",
]
BESIDE = [
    "when count(args.l) > 0",
    "when count(args.l) < 3",
    "when count(args.l) == 0",
    "when 1 <= count(args.l)",
    "unless count(args.l) == 0",
    "when count(args.l) in [0, 1]",
    "when count(args.l) in [1, 2]",
    "when 1 in args.l",
    "when 1 not in args.l",
    "when any x in args.l: x == 1",
    "when args.l intersects [1, 2]",
    "when args.l is list",
    "when has args.l",
    "when args.n == 1",
    "unless args.f",
    "when args.n == 1 and not (count(args.l) == 0)",
    "when args.n == 1 or count(args.l) > 0",
]


@given(
    st.sampled_from(VACUOUS),
    st.lists(st.sampled_from(BESIDE), max_size=3, unique=True),
    st.randoms(use_true_random=False),
)
def test_an_empty_list_passes_just_where_lint_says_so(vacuous, beside, shuffled):
    clauses = [vacuous, *beside]
    shuffled.shuffle(clauses)
    rule = f"permit a on any {' '.join(clauses)}"
    passes = truth(rule, {"l": [], "n": 1, "f": False}) is Truth.TRUE
    assert ("vacuous-all" in told(rule)) is passes


# --- documents ------------------------------------------------------------------------------------

LOOKING = {
    "args.x in data.l": LIST_OPERAND_ITEMS_MAX,
    "args.x not in data.l": LIST_OPERAND_ITEMS_MAX,
    "data.l contains args.x": LIST_OPERAND_ITEMS_MAX,
    "[1] intersects data.l": LIST_OPERAND_ITEMS_MAX,
    "data.l subset of [1]": LIST_OPERAND_ITEMS_MAX,
    "any y in data.l: y == args.x": QUANTIFIER_ITEMS_MAX,
    "all y in data.l: y == args.x": QUANTIFIER_ITEMS_MAX,
}


@pytest.mark.parametrize("text", LOOKING)
@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_list_is_unknown_just_where_lint_says_so(text, effect):
    rule = f"{effect} a on tool a when {text}"
    for items in (1, LOOKING[text], LOOKING[text] + 1):
        data = {"l": [2] * items}
        unknown = truth(rule, {"x": 1}, data) is Truth.UNKNOWN
        assert unknown is (items > LOOKING[text])
        assert ("list-beyond-bound" in told(rule, data)) is unknown


def test_a_document_that_is_there_is_not_missed():
    rule = "permit a on any when args.x in data.l"
    assert "unknown-document" in told(rule)
    assert "unknown-document" not in told(rule, {"l": []})


def test_the_file_to_write_stands_beside_the_policy():
    source = Source("team/a/t.pbac", 'package t on server s forbid a because "{data.tags}"')
    (found,) = (
        each
        for each in lint(compile_program([source], {}), NOW_MS)
        if each.code == "unknown-document"
    )
    assert found.help == "write `team/a/data/tags.json`"
