"""Plans: the two ways to ask one are the same, and a plan gets its own function when it is hot."""

from __future__ import annotations

import linecache

from hypothesis import given
from hypothesis import strategies as st

from pbac.base.limits import PLAN_ASKS_BEFORE_COMPILED, PLAN_RULES_COMPILED_MAX
from pbac.lang.generate import generate_plan
from pbac.model.decision import Cause
from pbac.pdp.engine import decide


def key_of(asked):
    names = (asked.call.get(name) for name in ("method", "server", "tool", "scope"))
    return (*names, asked.agent.get("tier"))


def is_compiled(plan):
    return plan.ask != plan.ask_at_first


def test_one_function_answers_as_the_rules_do_one_by_one(make, oracle, prove):
    @given(oracle.policy_sets(make), st.lists(oracle.requests(make), min_size=1, max_size=3))
    def check(policy_set, requests):
        for asked in requests:
            plan = policy_set.index.find(key_of(asked))
            if plan.candidates:
                together = generate_plan([each.question() for each in plan.candidates])
                singly = plan.ask_singly(asked, policy_set.data)
                assert together(asked, policy_set.data) == singly

    prove(check)


def test_a_plan_gets_a_function_when_it_has_been_asked_often_enough(oracle):
    policy_set = oracle.policies("permit p on any when args.a == 1")
    asked = oracle.request(args={"a": 1})
    for _ in range(PLAN_ASKS_BEFORE_COMPILED):
        assert decide(policy_set, asked).permitted
        assert not is_compiled(policy_set.index.plans[key_of(asked)])
    assert decide(policy_set, asked).permitted
    assert is_compiled(policy_set.index.plans[key_of(asked)])


def test_calls_of_unknown_tools_share_a_plan_though_their_keys_are_not_kept(oracle):
    policy_set = oracle.policies("permit p on any when args.a == 1")
    for number in range(PLAN_ASKS_BEFORE_COMPILED + 1):
        asked = oracle.request(f"made_up_{number}", args={"a": 1}, call={"server": None})
        assert decide(policy_set, asked).permitted
    assert policy_set.index.plans == {}
    assert is_compiled(policy_set.index.find(key_of(asked)))


def test_what_plans_share_has_a_bound(oracle, monkeypatch):
    monkeypatch.setattr("pbac.pdp.index.INDEX_KEYS_MAX", 10)
    permits = (f"permit p{n} on tool get_{n} when args.a == 1" for n in range(30))
    policy_set = oracle.policies("\n".join(permits))
    index = policy_set.index
    for server in ("github", None):
        for number in range(30):
            asked = oracle.request(f"get_{number}", args={"a": 1}, call={"server": server})
            assert decide(policy_set, asked).permitted
            assert max(map(len, (index.plans, index._same, index._candidates))) <= 10


def test_a_plan_with_very_many_rules_never_gets_one(oracle):
    def policy_set(count):
        return oracle.policies(
            "\n".join(f"permit p{n:03} on any when args.a == {n % 2}" for n in range(count))
        )

    asked = oracle.request(args={"a": 1})
    for count, compiled in ((PLAN_RULES_COMPILED_MAX, True), (PLAN_RULES_COMPILED_MAX + 1, False)):
        found = policy_set(count)
        first = decide(found, asked)
        for _ in range(2 * PLAN_ASKS_BEFORE_COMPILED):
            assert decide(found, asked) == first
        assert is_compiled(found.index.plans[key_of(asked)]) is compiled


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


def test_a_fault_in_a_function_over_several_files_is_told_with_the_rules_own_file(oracle):
    """Python knows one file for a function: the rules are asked again, one by one."""
    texts = [
        'package a tiers lo < hi permit p on any when args.a == "x"',
        'package b\n\npermit q\n  on any\n  when facts.b.c == "y"',
    ]
    policy_set = oracle.policies(*texts)
    asked = oracle.request(args={"a": "x"})
    for _ in range(PLAN_ASKS_BEFORE_COMPILED + 1):
        assert decide(policy_set, asked).rules == ("a.p",)
    assert is_compiled(policy_set.index.plans[key_of(asked)])
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

    def broken(_request, _data):
        raise ZeroDivisionError("a defect")

    policy_set.index.plans[key_of(asked)].ask = broken
    decision = decide(policy_set, asked)
    assert decision.cause is Cause.ENGINE_FAULT
    assert "ZeroDivisionError: a defect" in decision.internal


def test_a_rule_about_issuance_and_calls_is_in_no_plan(make, oracle):
    """The checker refuses one; the decision point would not be misled by it."""
    policy_set = oracle.assembled([make.rule("forbid", make.on_any(), make.on_token())])
    for method in ("tools/call", "token/issue"):
        plan = policy_set.index.find((method, "github", "get_x", "s", "developer"))
        assert plan.forbids == ()
