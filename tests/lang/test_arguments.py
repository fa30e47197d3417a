"""Which arguments a rule reads: what a call must not hold a double of."""

from __future__ import annotations

import pytest

from pbac.base.lookalikes import EACH
from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.lang.evaluate.arguments import arguments_of

READ = [
    ("args.a.b == 1", {("a", "b")}),
    ('args["a"].b == 1', {("a", "b")}),
    ("args.a[0].b == 1", {("a", EACH, "b")}),
    ("args.a[user.id].b == 1", {("a",)}),
    ("data.x[args.a.b] == 1", {("a", "b")}),
    ("any x in args.a: x.b == 1", {("a",), ("a", EACH, "b")}),
    ("all x in args.a: x == args.b", {("a",), ("a", EACH), ("b",)}),
    ("any x in args.a: (any y in x.b: y.c == 1)", {("a",), ("a", EACH, "b"), ("a", EACH, "b", EACH, "c")}),
    ("any x in data.a: x.b == args.c", {("c",)}),
    ("any x in (args.a default []): x.b == 1", {("a",), ("a", EACH, "b")}),
    ("has args.a and args.b default 0 > 1", {("a",), ("b",)}),
    ('call.tool == "x"', set()),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "paths"), READ, ids=[text for text, _ in READ])
def test_the_arguments_that_a_rule_reads(condition, paths):
    source = Source("t.pbac", f"package t permit p on tool x when {condition}")
    program = compile_program([source], {}).program
    assert set(arguments_of(program.packages[0].rules[0])) == paths
