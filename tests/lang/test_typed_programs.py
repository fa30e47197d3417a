"""Programs held against the vocabulary of a shop: each line says what it must earn, no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pbac.base.source import Source
from pbac.lang.compile import compile_program

FOLDER = Path(__file__).parent / "typed"
TOOLS = {"tools/shop.json": json.loads((FOLDER / "shop.json").read_text("utf-8"))}
HEADER = "package t on server shop tiers lo < hi "
MARK = re.compile(r"# (error|warning): ([a-z-]+)$")
PROGRAMS = re.split(r"(?m)^---\n", (FOLDER / "programs.pbac").read_text("utf-8"))


def checked(text, tools=TOOLS):
    if not re.search(r"(?m)^package ", text):
        text = re.sub(r"(?m)\A((?:#[^\n]*\n)*)", lambda m: m[1] + HEADER, text, count=1)
    return compile_program([Source("t.pbac", text)], {}, tools=tools)


def only(text):
    (found,) = checked(text).diagnostics
    return found


@pytest.mark.parametrize("text", PROGRAMS, ids=[str(n) for n in range(1, len(PROGRAMS) + 1)])
def test_each_line_earns_exactly_its_diagnostics(text):
    found = [(d.span.line, str(d.severity), d.code) for d in checked(text).diagnostics]
    lines = enumerate(text.splitlines(), 1)
    wanted = [(number, mark[1], mark[2]) for number, line in lines if (mark := MARK.search(line))]
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize("text", PROGRAMS, ids=[str(n) for n in range(1, len(PROGRAMS) + 1)])
def test_without_a_vocabulary_all_of_it_is_accepted(text):
    """Law 2 needs no schema. What is wrong whatever the arguments are stays wrong."""
    codes = {each.code for each in checked(text, {}).diagnostics}
    assert codes == ({"unlike-kinds"} if "env.now" in text or "== []" in text else set())


@pytest.mark.parametrize(
    ("text", "underlined", "message", "help_"),
    [
        (
            "permit x on tool refnd",
            "refnd",
            "no tool of `shop` is called `refnd`",
            "did you mean `refund`?",
        ),
        (
            "permit x on tool zzz",
            "zzz",
            "no tool of `shop` is called `zzz`",
            "there is `find_orders`, `ping`, `refund`",
        ),
        (
            "forbid x on tool refund when args.amuont > 3",
            ".amuont",
            "`refund` has no argument `amuont`",
            "did you mean `amount`?",
        ),
        (
            "forbid x on tool * when args.amuont > 3",
            ".amuont",
            "none of the 3 tools meant here has an argument `amuont`",
            "did you mean `amount`?",
        ),
        (
            'forbid x on tool refund when args.amount > "3"',
            'args.amount > "3"',
            "`args.amount` (a number) can never be compared with a string",
            "there is no coercion: write `3`, without quotes",
        ),
        (
            'permit x on tool find_orders when args.status == "payed"',
            '"payed"',
            '`args.status` is never `"payed"`',
            "did you mean `paid`?",
        ),
        (
            'permit x on tool find_orders when args.status == "zzz"',
            '"zzz"',
            '`args.status` is never `"zzz"`',
            'it is one of `"open"`, `"paid"`, `"sent"`',
        ),
        (
            "forbid x on tool find_orders when args.limit > 3",
            "args.limit",
            "`args.limit` is optional, and without it `x` applies",
            (
                "write `args.limit default 0` for what a missing one means, or `has args.limit and …`;"
                " `not has args.limit or …` says that this is meant"
            ),
        ),
        (
            'forbid x on tool find_orders when args.status == "paid"',
            "args.status",
            "`args.status` is optional, and without it `x` applies",
            "write `has args.status and …`; `not has args.status or …` says that this is meant",
        ),
        (
            'forbid x on tool refund when args.reason == "x"',
            "args.reason",
            "`args.reason` may be null: then this is unknown, and `x` applies",
            (
                "write `args.reason is not null and …`; `args.reason is null or …` says that this is"
                " meant"
            ),
        ),
        (
            'forbid x on tool refund when args.reference == "x"',
            "args.reference",
            "`args.reference` may be a number: then this is unknown, and `x` applies",
            (
                "write `args.reference is string and …`; `args.reference is not string or …` says that"
                " this is meant"
            ),
        ),
        (
            "forbid x on any when args.amount > 3",
            "args.amount",
            "`find_orders`, `ping` have no `args.amount`: `x` applies to every call of them",
            "write `has args.amount and …`, or name only the tools that are meant in `on tool`",
        ),
        (
            "permit x on tool ping, refund when args.amount > 3",
            "args.amount",
            "`ping` has no `args.amount`: `x` never permits it",
            "name only the tools that are meant in `on tool`",
        ),
        (
            "forbid x on tool refund when facts.odrer.total > 3",
            ".odrer",
            "`refund` declares no fact `odrer`",
            "did you mean `order`?",
        ),
        (
            "permit x on scope orders:raed",
            "orders:raed",
            "no tool needs the scope `orders:raed`",
            "did you mean `orders:read` or `orders:refund`?",
        ),
        (
            'define d = args.amount == "3"\nforbid x on tool refund when d',
            'args.amount == "3"',
            "`args.amount` (a number) can never be compared with a string (where `x` uses it)",
            "there is no coercion: write `3`, without quotes",
        ),
    ],
)
def test_what_is_said(text, underlined, message, help_):
    found = only(text)
    whole = HEADER + text
    assert whole[found.span.start : found.span.end] == underlined
    assert (found.message, found.help) == (message, help_)
