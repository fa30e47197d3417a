"""Case files: what they are read as, what is refused and where, and that they mean what tests do."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import JSON_DEPTH_MAX
from pbac.base.source import Source
from pbac.pdp.case_files import read_case_file
from pbac.pdp.case_tree import read_tree
from pbac.pdp.cases import run_tests

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((ROOT / "docs/reference/cases.schema.json").read_text("utf-8"))
RULES = """
permit refunds
  for tier >= developer
  on tool refund, list_*
forbid big_refunds
  on tool refund
  when args.amount default 0 > 100
require care
  on tool list_customers
  then limit 3 per 1m by agent
forbid late
  when token.age default 1s > 15m or env.now >= 2026-06-01T00:00:00Z
forbid known
  when has user and user.login == "maria" and args.note default "" != "!x"
"""


def plain(placed):
    if type(placed.value) is dict:
        return {name: plain(value) for name, value in placed.value.items()}
    if type(placed.value) is list:
        return [plain(value) for value in placed.value]
    return placed.value


def read(text, name="a.cases.yaml"):
    return plain(read_tree(Source(name, text)))


def refused(text, name="a.cases.yaml"):
    with pytest.raises(PolicyError) as refusal:
        read(text, name)
    (found,) = refusal.value.diagnostics
    return found


def case_file(oracle, text, name="a.cases.yaml", rules=RULES):
    policy_set = oracle.policies(rules)
    return policy_set, read_case_file(Source(name, text), policy_set.program)


def results(oracle, text, **options):
    policy_set, found = case_file(oracle, text, **options)
    assert found.diagnostics == (), [f"{d.span} {d.message}" for d in found.diagnostics]
    return list(run_tests(policy_set, {found.package: found.tests}))


def told(oracle, text, **options):
    _, found = case_file(oracle, text, **options)
    return [(d.code, d.span.line, d.message, d.help) for d in found.diagnostics]


# --- YAML that means one thing -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ("text", "text"),
        ("/apps/shop", "/apps/shop"),
        ("'no'", "no"),
        ('"1_000"', "1_000"),
        ("[a, 1]", ["a", 1]),
        ("{a.b: 1}", {"a.b": 1}),
        ("!missing", "!missing"),
        ("!duration 15m", "!duration 15m"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_value_is_what_json_says_it_is(written, value):
    found = read(f"x: {written}")["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "word",
    ["no", "No", "yes", "on", "off", "True", "FALSE", "Null", "~", "2026-07-01", "1_000", "0x1F",
     "0o17", "017", "1:30", "+1", ".5", ".inf", ".nan", "2026-07-01T09:00:00Z", "=", ""],
)  # fmt: skip
def test_what_readers_of_yaml_disagree_about_is_refused(word):
    found = refused(f"a: 1\nb: {word}\n")
    assert found.code == "bad-case-file"
    assert found.span.line == 2
    assert "quotes" in found.help


@given(st.text("noyesf0123456789_:.-+xoTZ~ntrueal=", max_size=6))
def test_a_plain_word_is_json_or_a_text_to_every_reader(word):
    """The usual loader and ours agree on every word that ours accepts."""
    try:
        found = read(f"x: [{word}]")["x"]
    except PolicyError:
        return
    usual = yaml.safe_load(f"x: [{word}]")["x"]
    if any(type(item) is str and item[:1].isdigit() for item in usual):
        return  # `1e3`: JSON's spelling of a number, which YAML 1.1 does not know
    assert found == usual
    assert list(map(type, found)) == list(map(type, usual))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\n", "anchors and aliases"),
        ("a: *x\n", "anchors and aliases"),
        ("<<: {a: 1}\n", "not the same to every reader"),
        ("a: 1\na: 2\n", "`a` is given twice"),
        ("a: !!python/object/apply:os.system [x]\n", "is not read"),
        ("a: !!timestamp 2026-01-01\n", "is not read"),
        ("a: {b: !missing, c: 1}\n", "is not read"),
        ("1: a\n", "a name has to be a text"),
        ("? [a]\n: b\n", "a name has to be a text"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("a: [1\n", "expected"),
        ("a: 9007199254740993\n", "9007199254740993"),
        ("", "empty"),
        ("\x07", "U+0007"),
        ("x: " + "[" * (JSON_DEPTH_MAX + 1), "nested deeper"),
    ],
)
def test_what_is_no_json_in_yaml_is_refused(text, message):
    assert message in refused(text).message


def test_deep_nesting_is_refused_before_it_hurts():
    assert "nested deeper" in refused("[" * 50_000).message
    assert "nested deeper" in refused("[" * 50_000, "a.cases.json").message


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": 1', "{'a': 1}", '{"a": NaN}', "[1,]"])
def test_json_is_read_strictly(text):
    assert refused(text, "a.cases.json").code == "bad-case-file"


def test_places_are_those_of_the_file():
    text = '{\n  "a": 1,\n  "b": [\n    "\\u00e9:x", {}]}'
    tree = read_tree(Source("a.cases.json", text))
    item = tree.value["b"].value[0]
    assert (item.value, item.span.line, item.span.column) == ("é:x", 4, 5)
    assert text[item.span.start : item.span.end] == '"\\u00e9:x"'
    assert (tree.names["b"].line, tree.names["b"].column) == (3, 3)
    found = refused('{\n  "a": 1,\n  "b" 2}', "a.cases.json")
    assert (found.span.line, found.span.column) == (3, 7)


@given(st.text(max_size=60), st.sampled_from(["a.cases.yaml", "a.cases.json"]))
def test_garbage_is_told_and_never_raised(text, name):
    with suppress(PolicyError):
        read_tree(Source(name, text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
def test_json_is_the_same_in_both_readers(value):
    """What JSON's own writer writes, escaped to ASCII, is YAML too."""
    if "__proto__" in json.dumps(value):
        return
    text = json.dumps({"x": value})
    assert read(text, "a.cases.json") == {"x": value}
    assert read(text) == {"x": value}


# --- rows --------------------------------------------------------------------------------------


def test_rows_are_judged_as_test_blocks_are(oracle):
    found = results(
        oracle,
        """
given: { agent: { tier: developer } }
tests:
  - name: amounts
    call: refund
    rows:
      - { args.amount: 100, expect: permit by refunds }
      - { args.amount: 101, expect: deny by big_refunds }
      - { args.amount: "500", expect: deny by big_refunds unknown args.amount }
      - { args.amount: null, expect: deny unknown args.amount }
      - { expect: permit }
      - { args: { amount: 5000 }, expect: permit }
  - name: single
    call: list_customers
    expect: permit by refunds with limit
  - list: refund
    rows:
      - { expect: shown }
      - { agent.tier: read_only, expect: hidden }
      - { issue: gh:read, expect: deny by refunds }
""",
    )
    assert [result.passed for result in found] == [True] * 5 + [False, True, True, True, False]
    assert found[5].got == "deny by big_refunds"
    assert found[0].test == "amounts: row 1"
    assert found[6].test == "single"
    assert found[5].span.line == 12


def test_missing_null_and_markers_are_told_apart(oracle):
    found = results(
        oracle,
        """
tests:
  - name: markers
    given: { agent: { tier: developer }, args: { amount: 500 }, token: { age: !duration 20m } }
    call: refund
    rows:
      - { expect: "deny by big_refunds, late" }
      - { args.amount: "!missing", expect: deny by late }
      - { args.amount: "!missing", token.age: "!duration 15m", expect: permit }
      - { args.amount: 1, token.age: "!missing", now: "2026-06-01T00:00:00Z", expect: deny by late }
      - { args.amount: 1, token.age: "!wrong 15m", now: "2026-06-01T00:00:00Z", expect: deny by late }
      - { args.amount: 1, token: {}, env.now: "!time 2026-06-01T00:00:00Z", expect: deny by late }
      - { args.amount: 1, token: {}, user: { login: maria }, expect: deny by known }
      - { args: { note: "!!x" }, token: {}, user: { login: maria }, expect: permit }
      - { args: { amount: 1 }, token: {}, user: null, expect: permit }
      - { args: { amount: 1 }, token: {}, agent.tier: "!undeclared root", expect: deny }
""",
    )
    assert [(result.expected, result.got) for result in found if not result.passed] == []
    assert found[1].request.args == {}
    assert found[7].request.args == {"note": "!x"}
    assert found[9].request.agent["tier"] == "root"


def test_layers_replace_roots_and_paths_change_one_field(oracle):
    found = results(
        oracle,
        """
given: { agent: { tier: developer, kind: ci }, facts: { pull: { author: a, base: main } } }
tests:
  - given: { agent: { tier: developer } }
    call: refund
    rows:
      - { facts.pull.author: b, facts.pull.new.deep: 1, expect: permit }
      - { expect: permit }
""",
    )
    first, second = found
    assert first.request.agent == {"id": "agent", "name": "agent", "tier": "developer"}
    assert first.request.facts == {"pull": {"author": "b", "base": "main", "new": {"deep": 1}}}
    assert second.request.facts == {"pull": {"author": "a", "base": "main"}}


def test_a_row_and_a_block_of_the_same_words_agree(oracle, make, prove):
    """One judge: whatever the values and the expectation, both forms pass or fail alike."""
    values = st.sampled_from([None, True, 1, 500, "500", "a", [1], {"a": 1}])
    expected = st.sampled_from(
        ["permit", "deny", "permit by refunds", "deny by big_refunds", "deny by late",
         "deny by big_refunds unknown args.amount", "permit by refunds with limit"],
    )  # fmt: skip
    tools = st.sampled_from(["refund", "list_customers", "put"])

    @given(st.none() | values, tools, expected, st.sampled_from(oracle.TIERS))
    def check(amount, tool, expect, tier):
        block = f"agent {{ tier: {tier} }}\n  args {{ amount: {json.dumps(amount)} }}\n"
        written = f'{RULES}\ntest "t"\n  {block}  call {tool} => {expect}\n'
        (from_block,) = run_tests(oracle.policies(written))
        row = {"agent.tier": tier, "args.amount": amount, "expect": expect}
        file = {"tests": [{"call": tool, "rows": [row]}]}
        (from_row,) = results(oracle, json.dumps(file), name="a.cases.json")
        assert from_row.request == from_block.request
        assert (from_row.passed, from_row.expected, from_row.got, from_row.why) == (
            from_block.passed, from_block.expected, from_block.got, from_block.why,
        )  # fmt: skip

    prove(check)


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told_"),
    [
        ("tests: []\npackag: x\n", ("bad-case-file", 2, "has no `packag`", "`package`")),
        ("package: shop\ntests: []\n", ("bad-case-file", 1, "no package `shop`", "`p`")),
        ("given: {}\n", ("bad-case-file", 1, "no `tests`", "tests:")),
        ("tests: {}\n", ("bad-case-file", 1, "has to be a list", None)),
        ("tests: [1]\n", ("bad-case-file", 1, "has to be a record", None)),
        ("tests:\n  - { rows: [x] }\n", ("bad-case-file", 2, "a row is a record", "expect")),
        ("tests:\n  - { call: t }\n", ("bad-case-file", 2, "says what it expects", "expect")),
        ("tests:\n  - { call: t, list: t, expect: deny }\n", ("bad-case-file", 2, "one thing", None)),
        ("tests:\n  - { call: 1, expect: deny }\n", ("bad-case-file", 2, "has to be a text", None)),
        ("tests:\n  - { call: t, expect: allow }\n", ("bad-case-file", 2, "`allow`", None)),
        ("tests:\n  - { call: t, expect: dney }\n", ("bad-case-file", 2, "`dney`", "`deny`")),
        ("tests:\n  - { list: t, expect: deny }\n", ("bad-case-file", 2, "`shown` or", None)),
        ("tests:\n  - { call: t, expect: deny with limit }\n", ("bad-case-file", 2, "`with` may not", "deny [by")),
        ("tests:\n  - { call: t, expect: deny by }\n", ("bad-case-file", 2, "a name is missing", None)),
        ("tests:\n  - { call: t, expect: deny by big_refund }\n", ("unknown-rule", 2, "`big_refund`", "big_refunds")),
        ("tests:\n  - { call: t, expect: permit with limits }\n", ("bad-case-file", 2, "no duty", "`limit`")),
        ("tests:\n  - { call: t, expect: deny unknown arg.x }\n", ("bad-case-file", 2, "no path", "`args`")),
        ("given: { agent: { teir: x } }\ntests: []\n", ("unknown-field", 1, "`teir`", "`tier`")),
        ("given: { agent: { tier: trustd } }\ntests: []\n", ("unknown-tier", 1, "`trustd`", "`trusted`")),
        ("given: { agent: { tier: root } }\ntests: []\n", ("unknown-tier", 1, "`root`", "!undeclared root")),
        ("given: { token: { age: 15m } }\ntests: []\n", ("bad-case-file", 1, "a duration", "!duration 15m")),
        ("given: { agent: { tags: [x, 3] } }\ntests: []\n", ("bad-case-file", 1, "a string, and `3`", "!wrong 3")),
        ("given: { env: { ip: home } }\ntests: []\n", ("bad-case-file", 1, "an address", "10.0.0.1")),
        ("tests:\n  - call: t\n    rows:\n      - { token.age: 15m, expect: deny }\n", ("bad-case-file", 4, "a duration", "!duration 15m")),
        ("given: { tools: { t: { scpe: x } } }\ntests: []\n", ("unknown-field", 1, "`scpe`", "`scope`")),
        ("given: { now: noon }\ntests: []\n", ("no-such-date", 1, "no moment", "Z")),
        ("given: { args: { a: '!mising' } }\ntests: []\n", ("bad-case-file", 1, "no marker", "`missing`")),
        ("given: { args: { a: '!duration soon' } }\ntests: []\n", ("bad-case-file", 1, "says nothing", "15m")),
        ("given: { args: { a: ['!missing'] } }\ntests: []\n", ("bad-case-file", 1, "an item", None)),
        ("given: { agent: { id: '!missing' } }\ntests: []\n", ("bad-case-file", 1, "never missing", None)),
        ("given: { data: { orgs: '!missing' } }\ntests: []\n", ("bad-case-file", 1, "never missing", None)),
        ("given: { call: {} }\ntests: []\n", ("bad-case-file", 1, "has no `call`", None)),
        ("tests:\n  - call: t\n    rows:\n      - { arg.x: 1, expect: deny }\n", ("bad-case-file", 4, "no column", "`args`")),
        ("tests:\n  - call: t\n    rows:\n      - { agent.kin: 1, expect: deny }\n", ("unknown-field", 4, "`kin`", "`kind`")),
        ("tests:\n  - call: t\n    rows:\n      - { args: {a: 1}, args.a.b: 1, expect: deny }\n", ("bad-case-file", 4, "no record", None)),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(oracle, text, told_):
    code, line, message, help_ = told_
    (found,) = told(oracle, text)
    assert found[:2] == (code, line)
    assert message in found[2]
    assert help_ is None or help_ in found[3]


def test_all_mistakes_are_told_at_once(oracle):
    text = "given: { agent: { teir: x } }\ntests:\n  - { call: t, expect: dney }\n  - { list: t, expect: y }\n"
    assert [line for _, line, _, _ in told(oracle, text)] == [1, 3, 4]


def test_a_set_of_several_packages_asks_which(oracle):
    policy_set = oracle.policies("permit x\n  on any\n", "package q\npermit x\n  on any\n")
    found = read_case_file(Source("a.cases.yaml", "tests: []"), policy_set.program)
    assert "which package" in found.diagnostics[0].message
    found = read_case_file(Source("a.cases.yaml", "package: q\ntests: []"), policy_set.program)
    assert found.package == "q"


# --- the schema for editors --------------------------------------------------------------------


def test_the_schema_accepts_what_ships_and_what_the_page_shows():
    validator = jsonschema_rs.validator_for(SCHEMA)
    shipped = [path.read_text("utf-8") for path in (ROOT / "policies").rglob("*.cases.yaml")]
    page = (ROOT / "docs/reference/case_files.md").read_text("utf-8")
    shown = page.split("```yaml\n")[1].split("```")[0]
    assert shipped
    for text in [*shipped, shown]:
        validator.validate(read(text))


@pytest.mark.parametrize(
    "text",
    ["{}", "tests: [{}]", "tests: [{expect: allow}]", "tests: [{rows: [{}]}]", "test: []",
     "tests: [{rows: [{agnet: 1, expect: deny}]}]", "tests: []\ngiven: {call: {}}"],
)  # fmt: skip
def test_the_schema_refuses_what_the_reader_refuses(oracle, text):
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid(read(text))
    assert told(oracle, text)


def test_the_page_s_example_passes(oracle):
    page = (ROOT / "docs/reference/case_files.md").read_text("utf-8")
    text = page.split("```yaml\n")[1].split("```")[0].replace("package: shop\n", "")
    assert all(result.passed for result in results(oracle, text))
