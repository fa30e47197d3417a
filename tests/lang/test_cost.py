"""Law 4: what rules can cost is known at load, never less than what they do cost, and bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdp.oracle import SERVERS, TOOLS, policy_sets, request

from pbac.base.limits import (
    EVALUATION_STEPS_MAX,
    LIST_OPERAND_ITEMS_MAX,
    QUANTIFIER_ITEMS_MAX,
    REQUEST_BODY_BYTES_MAX,
    TEXT_OPERAND_CHARACTERS_MAX,
)
from pbac.base.source import Source
from pbac.lang.check import cost
from pbac.lang.check.cost import cost_of, rule_steps, steps_of
from pbac.lang.compile import compile_program
from pbac.lang.evaluate import interpret
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.pdp.filed import Filed

TEXT, LIST = TEXT_OPERAND_CHARACTERS_MAX, LIST_OPERAND_ITEMS_MAX
ITEMS = QUANTIFIER_ITEMS_MAX


TRUTHS = ("Not", "And", "Or", "Has", "IsKind", "Quantified")
"""Nodes that are visited for their truth; all others for their value, and paths for theirs."""


class Meter:
    """Counts what the interpreter does, in steps, by standing in for its own functions."""

    def __init__(self, patch):
        self.steps = 0
        for name, counts in (
            ("_truth", lambda node: type(node).__name__ in TRUTHS),
            ("_value", lambda node: type(node).__name__ not in (*TRUTHS, "Path")),
            ("_path_value", lambda _path: True),
            ("step", lambda _container: True),
        ):
            patch.setattr(interpret, name, self._counting(getattr(interpret, name), counts))
        patch.setattr(interpret, "function_of", self._function)

    def _counting(self, function, counts):
        def counted(first, other):
            self.steps += counts(first)
            return function(first, other)

        return counted

    def _function(self, operation):
        row = cost.function_of(operation)

        def evaluate(*operands):
            each = 1 if row.grows == "text" else row.cost
            self.steps += row.cost + each * grown(row.grows, operands)
            return row.evaluate(*operands)

        return replace(row, evaluate=evaluate)


def grown(grows, operands):
    """What the sizes of these operands come to; what is too long is not looked at."""
    if grows == "text":
        return sum(len(o) for o in operands if isinstance(o, str) and len(o) <= TEXT)
    if grows == "list":
        return sum(len(o) for o in operands if isinstance(o, list | tuple) and len(o) <= LIST)
    return min(LIST, parts(operands)) if grows == "tree" else 0


def parts(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(parts, value)) if isinstance(value, list | tuple) else 1


def truth_steps(expression, request, data):
    with pytest.MonkeyPatch.context() as patch:
        meter = Meter(patch)
        interpret.truth(expression, request, data)
    return meter.steps


def test_no_evaluation_takes_more_steps_than_were_counted_at_load(make):
    @given(make.expressions(), st.lists(make.requests(), min_size=3, max_size=3), make.DATA)
    def check(expression, requests, data):
        most = steps_of(expression)
        for asked in requests:
            assert 0 < truth_steps(expression, asked, data) <= most

    check()


def test_the_largest_lists_and_texts_take_what_was_counted(make):
    """Where the bound is meant to be reached it is nearly reached: it is not merely large."""
    body = make.or_(make.op("==", "$v", -1), make.op("matches", "$v", make.lit("[a-z]{3}x")))
    each = make.quantified("any", "v", "$args.list", body)
    items = ["a" * (REQUEST_BODY_BYTES_MAX // ITEMS)] * ITEMS
    spent = truth_steps(each, make.request(args={"list": items}), {})
    assert 0.9 * steps_of(each) < spent <= steps_of(each)
    pairs = make.quantified("all", "v", "$args.a", make.quantified("all", "w", "$args.b", "$w"))
    spent = truth_steps(pairs, make.request(args={"a": [1] * ITEMS, "b": [True] * ITEMS}), {})
    assert 0.9 * steps_of(pairs) < spent <= steps_of(pairs)


def test_a_text_that_is_read_again_for_each_item_counts_again(make):
    """The text of the outer item once for each inner one, and whatever is no item every time."""
    inner = make.quantified("any", "w", "$v.tags", make.op("matches", "$v.name", make.lit("a*")))
    outer = make.quantified("any", "v", "$args.list", inner)
    assert steps_of(outer) >= ITEMS * REQUEST_BODY_BYTES_MAX
    fixed = make.op("matches", "$args.text", make.lit("a*"))
    assert steps_of(make.quantified("any", "v", "$args.list", fixed)) >= ITEMS * TEXT
    item = make.quantified("any", "w", "$v.tags", make.op("matches", "$w", make.lit("a*")))
    nested = make.quantified("any", "v", "$args.list", item)
    assert steps_of(nested) < 2 * REQUEST_BODY_BYTES_MAX


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.grows == "text"])
def test_a_text_beyond_the_cap_is_unknown(name):
    row = FUNCTIONS[name]
    rest = {"like": ["**"], "matches": ["[^z]*"], "within": ["/a"]}.get(name, [])
    start = {"within": "/a/", "host": "http://a/", "scheme": "http://a/"}.get(name, "")
    fits = start + "a" * (TEXT - len(start))
    assert row.evaluate(fits, *rest) is not UNKNOWN
    assert row.evaluate(fits + "a", *rest) is UNKNOWN


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.grows == "list"])
def test_a_list_beyond_the_cap_is_unknown(name):
    evaluate = FUNCTIONS[name].evaluate
    fits, long = ["1"] * LIST, ["1"] * (LIST + 1)
    for items in (fits, long):
        known = items is fits
        if name in ("intersects", "subset of"):
            found = [evaluate(items, ["1"]), evaluate(["1"], items)]
        else:
            found = [evaluate(items, "1") if name == "contains" else evaluate("1", items)]
        assert [one is not UNKNOWN for one in found] == [known] * len(found)


def test_a_tree_beyond_the_cap_is_unknown():
    evaluate = FUNCTIONS["strings"].evaluate
    assert evaluate([0] * (LIST - 1)) == []
    assert evaluate([0] * LIST) is UNKNOWN
    assert evaluate([[[0] * 10] * 100] * 10) is UNKNOWN


# --- a whole version ---------------------------------------------------------------------------

TIERS = "tiers lo < hi\n"


def compiled(*texts):
    return compile_program([Source(f"{n}.pbac", text) for n, text in enumerate(texts)], {})


def rules(text):
    return {rule.name: rule for rule in compiled(text).program.packages[0].rules}


PAIRS = "any a in args.x: any b in args.y: (a == 1 or b == 2 or a == b)"


def test_a_call_costs_what_the_rules_about_its_tool_cost():
    text = "package p on server s\n" + "\n".join(
        [
            f"permit a on tool t when {PAIRS}",
            "permit b on tool t, u",
            "forbid c on tool * when args.n == 1",
            f"forbid d on tool u except v when {PAIRS}",
            'forbid e on token when agent.kind == "x"',
        ]
    )
    found = rules(text)
    dearest = compiled(text).cost
    steps = {name: rule.steps for name, rule in found.items()}
    assert dearest.tool == "u"
    assert [rule.name for rule in dearest.rules] == ["p.d", "p.c", "p.b"]
    assert dearest.steps == steps["p.d"] + steps["p.c"] + steps["p.b"]
    assert steps["p.a"] == rule_steps(found["p.a"].node) == steps["p.d"] - 1, "`except` counts"


def test_rules_of_other_servers_are_not_asked():
    here = f"package p on server s\n{TIERS}permit a on tool t when {PAIRS}"
    there = f"package q on server r\npermit a on any when {PAIRS}"
    any_ = "package z\nforbid a when args.n == 1"
    together = compiled(here, there, any_).cost
    assert together.steps == max(compiled(one, any_).cost.steps for one in (here, there))
    globbed = compiled(here, there.replace("server r", "server *"), any_).cost
    assert globbed.steps > together.steps


def test_the_bound_is_never_below_what_a_call_asks(make):
    """Random targets: what the index finds for any tool and server is never dearer."""

    @settings(max_examples=60)
    @given(policy_sets(make))
    def check(policy_set):
        rules = [replace(rule, steps=7 + n) for n, rule in enumerate(policy_set.rules)]
        (package,) = policy_set.program.packages
        filed = Filed(replace(package, rules=tuple(rules)))
        most = cost_of(rules).steps
        for server in (*SERVERS, "other"):
            for tool in (*TOOLS, "other"):
                asked = request(tool, call={"server": server})
                assert sum(rule.steps for rule, _ in filed.considered(asked)) <= most

    check()


def test_a_version_above_the_budget_is_refused_and_the_spender_is_named():
    many = [f"forbid r{n} on tool t when {PAIRS}" for n in range(100)]
    texts = 'any f in args.files: any g in f.parts: f.name matches r"[a-z]*"'
    text = "package p\n" + "\n".join([*many, "permit x on tool t", f"forbid big when {texts}"])
    found = compiled(text)
    assert found.program is None
    (told,) = [d for d in found.diagnostics if d.severity == "error"]
    assert told.code == "budget-exceeded"
    assert told.message.startswith("a call of `t` may cost 1,")
    assert f"steps of {EVALUATION_STEPS_MAX:,}: `p.big` 1,0" in told.message
    assert text[told.span.start : told.span.end] == texts
    assert compiled("package p\npermit x on tool t\n" + "\n".join(many[:10])).program is not None


def test_a_kept_package_is_counted_again():
    text = f"package p\n{TIERS}permit x on tool t when {PAIRS}"
    first = compiled(text)
    again = compile_program(first.sources, {}, previous=first)
    assert again.cost == first.cost
    assert again.cost.steps > ITEMS * ITEMS
