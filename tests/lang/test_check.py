"""What the checker says, in its own words; which programs earn it is in `front/*.pbac`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbac.base.diagnostics import Severity
from pbac.base.source import Source
from pbac.lang.check.check import check
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.kinds.kinds import ANY, Kind, accepts, alike, parse_kind
from pbac.lang.resolve.resolve import resolve
from pbac.lang.syntax.parse import parse
from pbac.model.request import ACTOR_FIELDS, FIELDS

HEADER = "package t\ntiers lo < hi\n"
SMALLER = (
    'look for the plain part with `contains "…"`, repeat less (`{4,}` for `{16}`), or split it into '
    "several patterns joined by `or`"
)
EXAMPLES = sorted((Path(__file__).parent / "front" / "examples").glob("*.pbac"))


def diagnostics(text):
    resolved = resolve([parse(Source("t.pbac", HEADER + text))])
    assert resolved.diagnostics == ()
    return check(resolved).diagnostics


def only(text):
    (found,) = diagnostics(text)
    return found


@pytest.mark.parametrize(
    ("condition", "underlined", "message", "help_"),
    [
        (
            '"500" > 100',
            '"500" > 100',
            "a string can never be compared with a number",
            "there is no coercion: write `500`, without quotes",
        ),
        (
            "agent.nmae == 1",
            ".nmae",
            "`agent` has no field `nmae`",
            "did you mean `name`?",
        ),
        (
            "token.age > args.limit",
            "token.age > args.limit",
            "`token.age` (a duration) can never be compared with `args.limit` (a value of any kind)",
            "arguments, facts and data hold numbers: compare with a number",
        ),
        (
            'agent.tier >= "hi"',
            "agent.tier",
            "`>=` cannot take `agent.tier` (a tier)",
            "tiers are compared in the target: `for tier >= hi`",
        ),
        (
            "agent.tags contains 3",
            "3",
            "a number can never be compared with an item of `agent.tags` (a string)",
            'there is no coercion: write `"3"`, in quotes',
        ),
        (
            'agent.id in ["a", 3]',
            "3",
            "`agent.id` (a string) can never be compared with a number",
            'there is no coercion: write `"3"`, in quotes',
        ),
        (
            'args.a in ("a")',
            '"a"',
            "`in` cannot take a string",
            'it takes a list: `["a"]`',
        ),
        (
            'env.ip in "10.0.0.0/8"',
            '"10.0.0.0/8"',
            "`in` cannot take a string",
            'write `in cidr "10.0.0.0/8"`',
        ),
        (
            'token.age > "15m"',
            'token.age > "15m"',
            "`token.age` (a duration) can never be compared with a string",
            "write `15m`, without quotes",
        ),
        (
            'args.k matches r".*AKIA[0-9A-Z]{16}.*"',
            ".*AKIA[0-9A-Z]{16}.*",
            "the pattern needs more than 500 states",
            SMALLER,
        ),
        (
            "agent.id",
            "agent.id",
            "`agent.id` (a string) is neither true nor false",
            "there is no truthiness: compare it, or ask `has`",
        ),
        (
            'args.x matches r"ab(c"',
            "(c",
            "this `(` is never closed",
            None,
        ),
        (
            'agent.tags.x == "a"',
            ".x",
            "`agent.tags` is a list of strings and has no fields",
            "write `any item in agent.tags: item.x …`, or take one: `agent.tags[0]`",
        ),
        (
            'agent.software_version >= "2.1"',
            '"2.1"',
            "`>=` cannot take a string",
            'a version is compared with a version: `v"2.1"`',
        ),
    ],
)
def test_a_mistake_is_told_with_its_remedy(condition, underlined, message, help_):
    text = "forbid x when " + condition
    found = only(text)
    assert (found.message, found.help) == (message, help_)
    assert (HEADER + text)[found.span.start : found.span.end] == underlined


def test_one_mistake_is_told_once():
    assert only("forbid x when agent.nmae.x > 3 and args.y").code == "unknown-field"


def test_all_mistakes_are_told_in_order():
    text = 'forbid a when agent.x == 1\npermit b\nforbid c for tier mid when 1 == "1"'
    assert [(d.span.line, d.code) for d in diagnostics(text)] == [
        (3, "unknown-field"),
        (4, "missing-on"),
        (5, "unknown-tier"),
        (5, "unlike-kinds"),
    ]


def test_a_mistake_in_a_definition_is_told_once_however_often_it_is_used():
    text = "define d = agent.x == 1\nforbid a when d\nforbid b when d"
    assert only(text).span.line == 3


def test_warnings_are_warnings():
    found = only('require x on any then notify "releases"')
    assert (found.code, found.severity) == ("unenforced-duty", Severity.WARNING)


@pytest.mark.parametrize("together", [EXAMPLES], ids=["all"])
def test_the_examples_are_right_but_for_what_is_not_built(together):
    packages = [parse(Source(path.name, path.read_text("utf-8"))) for path in together]
    resolved = resolve(packages)
    assert resolved.diagnostics == ()
    assert [d.code for d in check(resolved).diagnostics] == ["unenforced-duty"]


# --- kinds -------------------------------------------------------------------------------------


def test_every_kind_of_the_request_and_every_operand_of_the_table_is_known():
    written = {kind for fields in FIELDS.values() for kind in fields.values()}
    for text in written | set(ACTOR_FIELDS.values()):
        assert accepts("any", parse_kind(text))
    for function in FUNCTIONS.values():
        for word in (*function.operands, function.result):
            assert isinstance(accepts(word, ANY), bool)


def test_a_value_of_any_kind_is_never_a_moment_or_a_duration():
    alike_any = {
        word: alike(ANY, Kind(word=word))
        for word in ("string", "number", "date", "version", "tier", "list", "datetime", "duration")
    }
    assert alike_any.pop("datetime") is False
    assert alike_any.pop("duration") is False
    assert all(alike_any.values())


def test_kinds_read_like_words():
    texts = ["string", "list of string", "list of actor", "datetime", "list of datetime", "boolean"]
    assert [str(parse_kind(text)) for text in texts] == [
        "a string",
        "a list of strings",
        "a list of records",
        "a moment",
        "a list of moments",
        "true or false",
    ]
