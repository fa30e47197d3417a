"""The index: what is kept, what is not, and that callers cannot make it grow."""

from __future__ import annotations

import pytest

from pbac.base.limits import INDEX_KEYS_MAX
from pbac.pdp.engine import decide
from pbac.pdp.index import key_of


def test_a_plan_is_kept_for_tools_of_a_known_server_only(oracle):
    policy_set = oracle.policies("permit p on any")
    known, unknown = oracle.request(), oracle.request(call={"server": None})
    for asked in (known, known, unknown):
        decide(policy_set, asked)
    assert list(policy_set.index.plans) == [key_of(known)]


def test_the_table_of_plans_has_a_bound(oracle, monkeypatch):
    monkeypatch.setattr("pbac.pdp.index.INDEX_KEYS_MAX", 10)
    policy_set = oracle.policies("permit p on tool get_*")
    for number in range(100):
        assert decide(policy_set, oracle.request(f"get_{number}")).permitted
        assert len(policy_set.index.plans) <= 10
    assert INDEX_KEYS_MAX >= 10_000


def test_the_table_of_answers_has_a_bound(oracle, monkeypatch):
    monkeypatch.setattr("pbac.pdp.plan.ANSWERS_KEPT_MAX", 3)
    monkeypatch.setattr("pbac.pdp.plan.ANSWER_NAMES_KEPT_MAX", 20)
    permits = "\n".join(f"permit p{n} on any when args.a contains {n}" for n in range(8))
    policy_set = oracle.policies(permits)
    for mask in range(256):
        chosen = [n for n in range(8) if mask >> n & 1]
        decision = decide(policy_set, oracle.request(args={"a": chosen}))
        assert decision.rules == tuple(f"p.p{n}" for n in chosen)
    (plan,) = policy_set.index.plans.values()
    assert len(plan.answers) > 3
    assert sum(1 + len(answer.rules) for answer in [*plan.answers.values()][3:]) <= 20


def test_names_that_are_no_texts_are_never_kept(oracle):
    policy_set = oracle.policies("permit p on any")
    for odd in (7, True, ["get_x"], {"a": 1}, 1.5):
        assert decide(policy_set, oracle.request(odd)).permitted
        assert decide(policy_set, oracle.request(call={"scope": odd})).permitted
    assert policy_set.index.plans == {}


NAMES = ["a", "get_", "get_x", "gt_x", "list_y", "ns.a", "ns.a.b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", NAMES),
        ("**", NAMES),
        ("get_*", ["get_", "get_x"]),
        ("*_x", ["get_x", "gt_x"]),
        ("g*t_x", ["get_x", "gt_x"]),
        ("ns.*", ["ns.a"]),
        ("ns.**", ["ns.a", "ns.a.b"]),
        ("**.b", ["ns.a.b"]),
        ("list_*, get_x", ["get_x", "list_y"]),
        ("* except *_x, ns.**", ["a", "get_", "list_y"]),
    ],
)
def test_a_glob_finds_its_tools_and_no_others(oracle, pattern, found):
    policy_set = oracle.policies(f"permit p on tool {pattern}")
    assert [n for n in NAMES if decide(policy_set, oracle.request(n)).permitted] == found


def test_a_rule_about_other_tools_is_not_in_a_plan(oracle):
    policy_set = oracle.policies(
        """
        permit a on tool get_x
        permit b on tool merge
        permit c on tool get_*, list_* except get_x
        forbid d on tool merge, get_x except get_x
        forbid e on server gitlab
        forbid f for tier <= ci_agent
        permit g on scope gh:write
        forbid h on token
        """
    )
    asked = oracle.request(call={"scope": "gh:read"})
    plan = policy_set.index.find(key_of(asked))
    assert [candidate.rule.name for candidate in plan.candidates] == ["p.a"]
