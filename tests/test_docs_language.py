"""The tables of `docs/reference/language.md` that are written by hand: each row is tried."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.language_page import expression, shape, truth, valued

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.kinds import kinds
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide

PAGE = (Path(__file__).parent.parent / "docs/reference/language.md").read_text("utf-8")
CODE = re.compile(r"`([^`]+)`")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table with this heading row."""
    lines = PAGE[PAGE.index(f"| {heading} |") :].splitlines()[2:]
    end = next(n for n, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.split(" | ")] for line in (x[1:-1] for x in lines[:end])]


def code(cell: str) -> str:
    return cell.strip("`")


EXAMPLES = [tuple(map(code, row)) for row in rows("expression | given | is")]


@pytest.mark.parametrize(("text", "given", "outcome"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_an_expression_is_what_the_page_says(text, given, outcome):
    asked = json.loads(given)
    assert truth(text, asked) == outcome
    assert {True: "true", False: "false"}.get(valued(text, asked), "unknown") == outcome


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith("version ")])
def test_every_function_has_an_example_that_is_known_and_one_that_is_not(name):
    def uses(node) -> bool:
        kind, *rest = shape(node) if not isinstance(node, str) else (node,)
        return f"('name', '{name}')" in repr((kind, rest))

    outcomes = {outcome for text, _, outcome in EXAMPLES if uses(expression(text))}
    assert outcomes & {"true", "false"}
    assert "unknown" in outcomes


@pytest.mark.parametrize("row", rows("kind | written | is"), ids=lambda row: row[1])
def test_a_literal_is_what_the_page_says(row):
    kind, written, is_ = row[0], code(row[1]), json.loads(code(row[2]))
    found = valued(written, {})
    assert found == is_
    assert type(found) is type(is_)
    assert getattr(expression(written), "kind", kind) == kind


@pytest.mark.parametrize(
    "text", ["01", "1e5", ".5", "1.", "9007199254740992", "0.12345678901234567891"]
)
def test_a_number_is_exact_or_refused(text):
    with pytest.raises(PolicyError):
        expression(f"args.n == {text}")


def test_words_of_clauses_are_free_as_names_and_every_word_is_as_a_field():
    expression("any tier in args.limit: tier == args.in and args.when == args.permit")
    with pytest.raises(PolicyError):
        expression("any when in args.l: when == 1")


def test_every_kind_is_described():
    known = (kinds._JSON | {"datetime", "duration"}) - {"any"}
    assert {code(row[0]) for row in rows("kind | its values | compared with")} == known


@pytest.mark.parametrize("row", rows("level | written | read as"), ids=lambda row: row[1])
def test_precedence_is_what_the_page_says(row):
    assert shape(expression(code(row[1]))) == shape(expression(code(row[2])))


@pytest.mark.parametrize("text", ["1 < args.a < 3", "args.a == args.b == args.c"])
def test_comparisons_do_not_chain(text):
    with pytest.raises(PolicyError):
        expression(text)


@pytest.mark.parametrize("row", rows("target | fits | does not fit"), ids=lambda row: row[0])
def test_a_target_fits_what_the_page_says(row):
    rule = f"package p\npermit r {code(row[0])}\n"
    policy_set = prepare([Source("page", rule)]).require()
    what = code(row[0]).split()[1]
    for cell, fits in ((row[1], True), (row[2], False)):
        for name in CODE.findall(cell):
            request = _call(**{what: name})
            assert decide(policy_set, request).permitted is fits, name


def _call(**call):
    from support.language_page import request

    return request({f"call.{name}": value for name, value in call.items()})
