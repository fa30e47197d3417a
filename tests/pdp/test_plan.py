"""Plans: the two ways to ask one are the same, and what plans share is what they have in common."""

from __future__ import annotations

import linecache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.limits import PLAN_SHAPES_MAX
from pbac.model.decision import Cause
from pbac.pdp.engine import decide
from pbac.pdp.index import key_of


def test_one_function_answers_as_the_rules_do_one_by_one(make, oracle, prove):
    @given(oracle.policy_sets(make), st.lists(oracle.requests(make), min_size=1, max_size=3))
    def check(policy_set, requests):
        for asked in requests:
            plan = policy_set.index.find(key_of(asked))
            together = plan.ask(asked, policy_set.data)
            assert plan.ask_singly(asked, policy_set.data) == together

    prove(check)


def test_a_plan_gets_its_function_when_it_is_first_asked(oracle):
    policy_set = oracle.policies("permit p on any when args.a == 1")
    asked = oracle.request(args={"a": 1})
    plan = policy_set.index.find(key_of(asked))
    assert plan.rules == plan._rules_at_first
    assert decide(policy_set, asked).permitted
    assert plan.rules != plan._rules_at_first


LETTERS = (("a", ""), ("b", "b"), ("c", "cd"), ("d", "efg"), ("e", "e"))


@pytest.fixture
def lettered(oracle):
    """Tools with one, two and three permits of a shape, and one with another."""
    return oracle.policies(
        """
        permit a on tool get_a when args.n < 1
        permit b on tool get_b when args.n < 2
        permit c on tool get_c when args.n < 3
        permit d on tool get_c when args.n < 4
        permit e on tool get_d, get_e when args.n < 5
        permit f on tool get_d when args.n < 6
        permit g on tool get_d when args.n < 7
        permit h on tool get_e when args.m < 8
        """
    )


def functions_of(oracle, policy_set):
    """What each tool is asked by, its decision checked."""
    found = {}
    for letter, applied in LETTERS:
        asked = oracle.request(f"get_{letter}", args={"n": 1, "m": 9})
        assert decide(policy_set, asked).rules == tuple(f"p.{name}" for name in applied)
        found[letter] = policy_set.index.find(key_of(asked)).rules
    return found


def test_plans_share_functions_that_grow_by_what_new_plans_need(oracle, lettered):
    found = functions_of(oracle, lettered)
    assert found["a"] is found["b"]
    assert found["c"] is found["d"]  # a loop, however many
    assert len(set(found.values())) == 3
    later = oracle.request("get_a", args={"n": 0}, call={"scope": "other"})
    assert decide(lettered, later).permitted


def test_functions_do_not_grow_without_bound(oracle, lettered, monkeypatch):
    monkeypatch.setattr("pbac.pdp.plan.SLOTS_MAX", 1)
    found = functions_of(oracle, lettered)
    assert found["a"] is found["b"]
    assert found["c"] is found["d"]
    assert len(set(found.values())) == 3


def test_calls_of_unknown_tools_share_a_plan_though_their_keys_are_not_kept(oracle):
    policy_set = oracle.policies("permit p on any when args.a == 1")
    found = set()
    for number in range(3):
        asked = oracle.request(f"made_up_{number}", args={"a": 1}, call={"server": None})
        assert decide(policy_set, asked).permitted
        found.add(policy_set.index.find(key_of(asked)))
    assert policy_set.index.plans == {}
    assert len(found) == 1


def test_what_plans_share_has_a_bound(oracle, monkeypatch):
    monkeypatch.setattr("pbac.pdp.index.INDEX_KEYS_MAX", 10)
    permits = (f"permit p{n} on tool get_{n} when args.a == 1" for n in range(30))
    policy_set = oracle.policies("\n".join(permits))
    index = policy_set.index
    for server in ("github", None):
        for number in range(30):
            asked = oracle.request(f"get_{number}", args={"a": 1}, call={"server": server})
            assert decide(policy_set, asked).permitted
            (filed,) = index.filed.values()
            kept = index.plans, index._same, filed.candidates, index._functions
            assert max(map(len, kept)) <= 10


def test_a_plan_with_very_many_shapes_asks_its_rules_one_by_one(oracle):
    for count, singly in ((PLAN_SHAPES_MAX, False), (PLAN_SHAPES_MAX + 1, True)):
        permits = (f"permit p{n:03} on any when args.a{n} == {n % 2}" for n in range(count))
        policy_set = oracle.policies("\n".join(permits))
        asked = oracle.request(args={f"a{n}": 1 for n in range(count)})
        for _ in range(2):
            decision = decide(policy_set, asked)
            assert decision.rules == tuple(f"p.p{n:03}" for n in range(count) if n % 2)
        plan = policy_set.index.find(key_of(asked))
        assert (plan.rules == plan._rules_singly) is singly


def test_very_many_rules_of_one_shape_are_one_function(oracle):
    rules = 300
    permits = (f"permit p{n:03} on any when args.a == {n % 3}" for n in range(rules))
    policy_set = oracle.policies("\n".join(permits))
    asked = oracle.request(args={"a": 1})
    decision = decide(policy_set, asked)
    assert decision.rules == tuple(f"p.p{n:03}" for n in range(rules) if n % 3 == 1)
    assert len(policy_set.index.find(key_of(asked)).rules.__code__.co_code) < 500


def test_keys_that_leave_the_same_of_the_same_rules_share_a_plan(oracle):
    policy_set = oracle.policies(
        """
        permit p for tier >= ci_agent on tool get_*, merge when args.a == 1 and call.scope == "s"
        forbid f when args.b == 1
        """
    )
    found = [
        policy_set.index.find(("tools/call", "github", tool, scope, tier))
        for tool, scope, tier in (
            ("get_x", "s", "developer"),
            ("merge", "s", "trusted"),
            ("get_x", "s", "read_only"),
            ("get_x", "t", "developer"),
        )
    ]
    assert found[0] is found[1]
    assert len(set(found)) == 3


def test_what_one_key_settles_is_asked_for_another(oracle):
    """The same rule, once without the clause that is true by the key, once with it."""
    policy_set = oracle.policies(
        'permit p on any forbid f on any when call.scope == "s" and args.a == 1'
    )
    for _ in range(2):
        settled = decide(policy_set, oracle.request(call={"scope": "s"}, args={"a": 1}))
        assert (settled.rules, settled.unknown) == (("p.f",), ())
        asked = decide(policy_set, oracle.request(args={"a": 1}))
        assert (asked.rules, asked.unknown) == (("p.f",), ("call.scope",))


def test_what_is_kept_for_the_same_rules_without_doubt_is_not_given_in_doubt(oracle):
    policy_set = oracle.policies("permit p on any forbid f on any when args.a == 1")
    for _ in range(2):
        assert decide(policy_set, oracle.request(args={"a": 1})).unknown == ()
        assert decide(policy_set, oracle.request()).unknown == ("args.a",)


def test_each_require_is_doubted_for_itself_behind_loops(oracle):
    """Where several permits have one shape, the bits behind them are counted, and counted again."""
    policy_set = oracle.policies(
        """
        permit p1 on any when args.n > 1
        permit p2 on any when args.n > 2
        require a when args.a == 1 then limit 1 per 1m by agent
        require b when args.b == 1 then limit 1 per 1m by agent
        require c when args.c == 1 then limit 1 per 1m by agent
        require d when args.c == 2 then limit 1 per 1m by agent
        """
    )
    for sent in ({"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 1, "c": 2}, {"a": 1}, {"b": 1}, {"c": 1}):
        asked = oracle.request(args={"n": 3, **sent})
        assert oracle.told(decide(policy_set, asked)) == oracle.scan(policy_set, asked)
        missing = {f"args.{name}" for name in "abc" if name not in sent}
        assert set(decide(policy_set, asked).unknown) == missing


def test_what_the_key_settles_is_not_asked_again(oracle):
    policy_set = oracle.policies(
        """
        permit p for tier >= ci_agent on scope s when call.scope == "s" and args.a == 1
        permit q for tier >= ci_agent on scope s
        """
    )
    asked = oracle.request(call={"scope": "s"})
    p, q = policy_set.index.find(key_of(asked)).permits
    assert (p.left.who, p.left.what, len(p.left.conditions)) == ((), (), 1)
    assert (p.settled, q.settled) == (False, True)


def test_a_fault_in_a_plan_is_told_with_the_place_in_the_rules_own_file(oracle):
    """Plans share code, so that has no places: the rules are asked again, one by one."""
    texts = [
        'package a tiers lo < hi permit p on any when args.a == "x"',
        'package b\n\npermit q\n  on any\n  when facts.b.c == "y"',
    ]
    policy_set = oracle.policies(*texts)
    asked = oracle.request(args={"a": "x"})
    assert decide(policy_set, asked).rules == ("a.p",)
    linecache.cache["1.pbac"] = (0, None, texts[1].splitlines(keepends=True), "1.pbac")
    try:
        decision = decide(policy_set, oracle.request(facts=None))  # a defect of ours
    finally:
        linecache.cache.pop("1.pbac")
    assert decision.cause is Cause.ENGINE_FAULT
    assert 'File "1.pbac", line 5, in rules' in decision.internal
    assert 'when facts.b.c == "y"' in decision.internal


def test_a_fault_that_single_rules_do_not_show_is_told_all_the_same(oracle):
    policy_set = oracle.policies("permit p on any when args.a == 1")
    asked = oracle.request(args={"a": 1})
    decide(policy_set, asked)

    def broken(*_):
        raise ZeroDivisionError("a defect")

    policy_set.index.plans[key_of(asked)].rules = broken
    decision = decide(policy_set, asked)
    assert decision.cause is Cause.ENGINE_FAULT
    assert "ZeroDivisionError: a defect" in decision.internal


def test_a_rule_about_issuance_and_calls_is_in_no_plan(make, oracle):
    """The checker refuses one; the decision point would not be misled by it."""
    policy_set = oracle.assembled([make.rule("forbid", make.on_any(), make.on_token())])
    for method in ("tools/call", "token/issue"):
        plan = policy_set.index.find((method, "github", "get_x", "s", "developer"))
        assert plan.forbids == ()


SHAPES = [
    "args.n == {n}", "args.n != {n}", "not args.n == {n}", "args.n < {n}", "args.n >= {n}",
    "not args.n > {n}", 'args.s == "t{n}"', 'args.s != "t{n}"', 'args.s starts with "t{n}"',
    'not args.s ends with "{n}"', 'args.s in ["t{n}", "t{m}"]', 'args.s not in ["t{n}", "t{m}"]',
    'args.s like "t{n}*"', 'args.n > {n} and args.s == "t{m}"', 'args.n > {n} or args.s == "t{m}"',
    'args.s == "t{m}" and not args.n <= {n}', 'args.o.s == "t{n}"', "args.n default 3 > {n}",
    'args.s starts with "t{w}"', 'not args.s ends with "{w}"', 'args.s in ["t{w}", "t1"]',
    'any x in args.l: x == "t{n}"', "args.n in [{n}, {m}]", "args.n < 2.5 and args.n != {n}",
    "args.n not in [{n}, {m}]", "args.n >= {m} and args.n <= {n}", 'args.s ends with "{n}"',
    'args.s starts with "t" and args.s ends with "{n}"', 'not args.s starts with "t{n}"',
    'args.s starts with "t{n}" or args.n > {m}', 'args.s == "t{n}" or args.s in ["t{m}", "x"]',
    'not (args.s == "t{n}" or args.n > {m})', 'args.f == true or args.s == "t{n}"',
    'args.f == true and args.s starts with "t{n}"', 'args.o.s starts with "t{n}"',
    'args.o.s in ["t{n}", "t{m}"] and args.s like "t{m}*"', "args.f == true", 'args.s < "t{n}"',
    'args.s like "t{n}*" and args.n > {m}', 'args.s matches "t[{m}{n}]+" or args.n == {m}',
    'args.s in ["a", "b", "c", "d", "e", "f", "g", "h", "t{n}"]', "(args.n > {n}) == true",
    "args.n in [10, 11, 12, 13, 14, 15, 16, 17, {n}]", "args.s starts with args.o.s",
]  # fmt: skip
SENT = [
    {}, {"n": 2}, {"n": 2.0}, {"n": True}, {"n": None}, {"n": "2"}, {"n": [2]}, {"n": {"a": 2}},
    {"s": "t2"}, {"s": "t21"}, {"s": 2}, {"s": ["t2"]}, {"s": {}}, {"n": 4, "s": "t3"},
    {"o": {"s": "t1"}}, {"o": "t1"}, {"l": ["t1", "t4"]}, {"l": [1, "t1"]}, {"n": -1, "s": "x"},
    {"f": True}, {"f": False, "s": "t2"}, {"f": 1, "s": "t3"}, {"f": None}, {"s": "", "n": 2.5},
    {"s": "t22", "n": 9, "o": {"s": "t2"}}, {"s": "t5", "o": {"s": []}}, {"n": float("nan")},
    {"n": 10**30, "s": "t4"}, {"n": -0.0, "s": "t"}, {"o": {"s": {}}, "n": 3}, {"o": {"s": 4}},
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("effect", ["permit", "forbid", "require"])
def test_many_rules_of_a_shape_are_asked_as_each_by_itself(oracle, effect, shape):
    duty = " then limit 1 per 1m by agent" if effect == "require" else ""
    conditions = (shape.format(n=n % 7, m=n % 5, w="2" * (n % 4)) for n in range(12))
    rules = [f"{effect} r{n} on any when {each}{duty}" for n, each in enumerate(conditions)]
    policy_set = oracle.policies("permit other on tool get_x\n" + "\n".join(rules))
    for sent in SENT:
        asked = oracle.request(args=sent)
        assert oracle.told(decide(policy_set, asked)) == oracle.scan(policy_set, asked), sent
