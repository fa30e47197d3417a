"""Near misses are tried: what they promise comes true when their witness is applied."""

from __future__ import annotations

import copy
import re

import msgspec
import pytest
from laws import programs as random
from laws.chance import hold
from pdp.oracle import scan

from pbac.base.limits import NEAR_MISS_TRIES_MAX
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide
from pbac.pdp.explain import explain
from pbac.pdp.explain_text import render_explanation
from pbac.pdp.source_text import one_line

TRIED = [
    pytest.param(
        "permit m for tier >= trusted on tool get_x\nforbid f for tier >= trusted on tool get_x",
        {},
        "`p.m` would permit it if `for tier >= trusted`, but `p.f` would then forbid it"
        ' (tried: agent.tier = "trusted")',
        id="a forbid for the same tiers",
    ),
    pytest.param(
        "permit m on tool get_x when args.n > 100\nforbid f on tool get_x when args.n > 50",
        {"n": 10},
        "`p.m` would permit it if `args.n > 100`, but `p.f` would then forbid it"
        " (tried: args.n = 101)",
        id="a forbid that comes to apply",
    ),
    pytest.param(
        "permit m on tool get_x when args.n > 100\nforbid f on tool get_x when args.n >= 10",
        {"n": 10},
        "`p.m` would permit it if `args.n > 100`, but `p.f` would then forbid it"
        " (tried: args.n = 101)",
        id="a forbid that keeps applying",
    ),
    pytest.param(
        "permit m on tool get_x when args.n > 100 when args.n < 50",
        {"n": 10},
        None,
        id="bounds without a number between",
    ),
    pytest.param(
        'permit m on tool get_x when agent.id == "zz" and false', {}, None, id="never true"
    ),
    pytest.param(
        "permit m on tool get_x when args.a in [1, 2] and not args.a in [1, 2]",
        {"a": 1},
        None,
        id="a condition and its opposite",
    ),
    pytest.param(
        "permit m for tier read_only, trusted on tool get_x",
        {},
        '`p.m` would permit it if `for tier read_only, trusted` (tried: agent.tier = "read_only")',
        id="tiers by name",
    ),
    pytest.param(
        "permit m on tool get_x\nforbid f for kind assistant on tool get_x",
        {},
        '`p.m` permits it, and `p.f` would not forbid it if `agent.kind != "assistant"`'
        ' (tried: agent.kind = "other")',
        id="another kind",
    ),
]


@pytest.mark.parametrize(("text", "args", "told"), TRIED)
def test_what_is_told_is_what_came_of_trying(oracle, text, args, told):
    found = explain(oracle.policies(text), oracle.request(args=args))
    lines = render_explanation(found).splitlines()
    near = [line.strip() for line in lines if line.startswith("  `")]
    assert near == ([told] if told else [])


# --- what is promised comes true -----------------------------------------------------------------


def applied(miss, asked):
    """The request with what the near miss changes, and nothing else."""
    roots = {name: copy.deepcopy(getattr(asked, name)) for name in asked.__struct_fields__}
    for change in miss.changes:
        record, names = roots, re.findall(r'(?<=\[")[^"]*|\w+', change.path)
        for name in names[:-1]:
            record = record[name]
        if change.state == "value":
            record[names[-1]] = change.value
        elif len(names) == 1:
            record[names[0]] = None
        else:
            del record[names[-1]]
    return msgspec.structs.replace(asked, **roots)


def held_to_its_word(policy_set, asked, seen):
    """Each promise, by the interpreter over every rule and by the engine."""
    before = msgspec.to_builtins(asked)
    found = explain(policy_set, asked)
    assert msgspec.to_builtins(asked) == before
    assert render_explanation(found).endswith("\n")
    seen["denied"] += not found.decision.permitted
    seen["with a promise"] += any(miss.outcome == "permits" for miss in found.near_misses)
    for miss in found.near_misses:
        seen[miss.outcome] += 1
        changed = applied(miss, narrowed(asked, policy_set.tiers))
        permitted, rules, _, _ = scan(policy_set, changed)
        if miss.outcome == "permits":
            assert permitted
            assert miss.rule in rules
            assert decide(policy_set, changed).permitted
            assert miss.changes
        if miss.outcome == "forbids":
            assert not permitted
            assert set(rules) == set(miss.forbidden_by)
    return found


def test_a_promise_of_random_rules_comes_true(say, full):
    def check(chance, seen):
        policy_set = random.policy_set(chance, most=chance.one([3, 5, 8]))
        for asked in random.requests(chance, 6):
            held_to_its_word(policy_set, asked, seen)
        return 6

    examples = 20_000 if full else 2_000
    _, seen = hold("near", check, seed=9, examples=examples, among=["permits", "forbids"])
    say(f"near misses of random rules: {examples:,} requests, {dict(seen)}")
    assert seen["with a promise"] > seen["denied"] / 10


HEAD = """
define mine(who) = who == agent.id or who in data.orgs["u1"]
define small = args.n < 10  # not large
"""
LEAVES = [
    "args.n > 100", "args.n <= 50", "args.n == 7", "args.n != 7", "args.n default 0 > 3",
    "args.n in [1, 2,  # and\n 3]", "args.n not in [1, 2]", 'args.a == "two  # blanks"',
    "(args.f and args.g) == true", "args.f", "not args.f", "has args.why", "has user",
    'args.a like "acme/*"', 'args.a matches r"[A-Z]{2}#\\d+"', 'args.a starts with "x"',
    "args.a is string", "args.a is not null", 'any v in args.c: v == "b"',
    'all v in args.c: (v is string and v != "z")', 'args.c contains "k"', "count(args.c) > 1",
    "mine(args.owner)", "not mine(args.owner)", "small", "args.m > args.n", "args.m == args.n",
    'lower(args.a) == "k"', 'host(args.u) == "b.example"', "token.age < 15m",
    "env.today < 2026-01-01", 'env.ip in cidr "10.0.0.0/8"', 'agent.software_version >= v"2.1"',
    'env.now in weekdays 09:00-17:00 "Europe/Berlin"', 'args["a b"] == 1', "args.r.s == 1",
    "true", "false", 'session.labels intersects ["p", "q"]', 'user.groups contains "g"',
    "chain.depth == 0", "chain.depth > 3", 'args.path within "/srv"',
]  # fmt: skip
WHO = [
    "for tier >= trusted", "for tier < developer", "for tier read_only, trusted",
    'for kind "ci", scanner', "for kind * except assistant", "for agent a1, ci-*",
    "for agent b* except b1", 'for group "ops"', "for group x*", "for provider acme",
]  # fmt: skip


def condition(chance, depth=2):
    """A condition as text."""
    if depth == 0 or chance.odds(40):
        return chance.one(LEAVES)
    inner = [f"({condition(chance, depth - 1)})" for _ in range(2)]
    return chance.one([" and\n ", "  or "]).join(inner) if chance.odds(75) else f"not {inner[0]}"


def program(chance):
    """Some permits and forbids about one tool, as text."""
    rules = []
    for number in range(chance.randint(1, 4)):
        effect = "permit" if number == 0 or chance.odds(40) else "forbid"
        who = chance.one(WHO) if chance.odds(50) else ""
        conditions = [
            f"{chance.one(['when', 'unless'])} {condition(chance)}"
            for _ in range(chance.randint(0, 2))
        ]
        rules.append("\n  ".join([f"{effect} r{number}", who, "on tool get_x", *conditions]))
    return HEAD + "\n".join(rules)


def a_call(chance, oracle):
    """With some arguments, and perhaps a user."""
    values = {
        "n": [1, 7, 10, 500], "m": [1, 7], "a": ["x", "acme/api", None], "f": [True, False],
        "g": [True], "c": [["b"], [], ["z", "k"]], "owner": ["a1", "zz"], "why": ["so"],
        "u": ["https://a.example/"], "path": ["/etc", "/srv/x"], "r": [{"s": 2}, "text"],
    }  # fmt: skip
    args = {name: chance.one(found) for name, found in values.items() if chance.odds(60)}
    user = {"id": "u1", "groups": chance.one([["g"], ["ops", "x1"]])} if chance.odds(40) else None
    token = {"age": chance.one([1_000, 10**7])} if chance.odds(50) else {}
    return oracle.request(args=args, user=user, token=token)


def as_policy(needs):
    """A permit that asks for just that."""
    who = [need for need in needs if need.startswith("for ")]
    conditions = [f"when {need}" for need in needs if not need.startswith("for ")]
    return HEAD + "\n  ".join(["permit q", *who, "on any", *conditions])


def test_what_is_told_is_policy_and_holds_for_what_was_tried(oracle, say, full):
    """Everything told compiles; all that is needed together is true of the changed request."""
    data = {"orgs": {"u1": ["acme"]}}

    def check(chance, seen):
        policy_set = oracle.policies(program(chance), data=data)
        for asked in [a_call(chance, oracle) for _ in range(3)]:
            found = held_to_its_word(policy_set, asked, seen)
            for miss in found.near_misses:
                needs = [*miss.needs, *(need for each in miss.avoided for need in each.needs)]
                assert needs
                told = oracle.policies(as_policy(dict.fromkeys(needs)), data=data)
                if miss.outcome != "untried":
                    assert decide(told, applied(miss, asked)).permitted, needs
        return 3

    examples = 5_000 if full else 1_000
    _, seen = hold("told", check, seed=9, examples=examples, among=["permits", "forbids"])
    say(f"near misses as policy: {examples:,} requests, {dict(seen)}")
    assert seen["with a promise"] > seen["denied"] / 2


# --- cases ---------------------------------------------------------------------------------------


def near(oracle, text, **roots):
    """The near misses of a call, and the lines about them."""
    found = explain(oracle.policies(text), oracle.request(**roots))
    lines = render_explanation(found).splitlines()
    return found.near_misses, [line.strip() for line in lines if line.startswith("  `")]


def test_a_forbid_that_a_change_would_wake_is_kept_asleep_by_another_change(oracle):
    text = "permit m on tool get_x when args.n > args.m\nforbid f on tool get_x when args.n > 50"
    (miss,), told = near(oracle, text, args={"n": 10, "m": 60})
    assert (miss.needs, miss.avoided) == (("args.n > args.m",), ())
    assert told == ["`p.m` would permit it if `args.n > args.m` (tried: args.m = 9)"]


def test_another_way_is_taken_when_the_nearest_wakes_a_forbid(oracle):
    text = """
    permit m on tool get_x when args.n > 100 or args.why == "audit"
    forbid f on tool get_x when args.n > 50
    """
    (miss,), told = near(oracle, text, args={"n": 10, "why": "fun"})
    assert miss.outcome == "permits"
    assert told == ['`p.m` would permit it if `args.why == "audit"`']


def test_a_condition_that_holds_is_told_when_its_value_is_changed(oracle):
    text = "permit m on tool get_x when args.n > 100 and args.n < 200"
    (miss,), _ = near(oracle, text, args={"n": 10})
    assert miss.needs == ("args.n > 100", "args.n < 200")


def test_what_cannot_be_tried_is_told_of_the_rule_alone(oracle):
    text = "permit m on tool get_x when chain.depth > 3 and args.n == 1"
    (miss,), told = near(oracle, text)
    assert (miss.outcome, miss.changes) == ("untried", ())
    lacking = "`chain.depth > 3` and `args.n == 1`"
    assert told == [f"`p.m` asks for {lacking}; whether it would permit this call was not tried"]


def test_an_agent_behind_another_does_not_become_trusted_by_its_own_tier(oracle):
    actors = [{"id": "a0", "tier": "read_only", "kind": "ci"}]
    text = "permit m for tier >= developer on tool get_x"
    (miss,), _ = near(oracle, text, chain={"depth": 1, "actors": actors})
    assert miss.outcome == "untried"


def test_the_day_follows_the_moment(oracle):
    (miss,), _ = near(oracle, "permit old\n  @expires 2026-01-01\n  on tool get_x")
    assert {change.path: change.value for change in miss.changes} == {
        "env.now": 1_767_225_599_999,
        "env.today": "2025-12-31",
    }
    assert miss.needs == ("env.today < 2026-01-01",)


def test_a_path_can_have_to_be_left_out(oracle):
    text = "permit m on tool get_x\nforbid f on tool get_x when has args.force"
    (miss,), told = near(oracle, text, args={"force": True})
    assert [(change.path, change.state) for change in miss.changes] == [("args.force", "missing")]
    assert told == ["`p.m` permits it, and `p.f` would not forbid it if `not has args.force`"]


def test_only_the_nearest_are_told_and_not_many(oracle):
    rules = [f"permit m{number} on tool get_x when args.a == {number}" for number in range(9)]
    rules.append("permit far on tool get_x when args.a == 1 and args.b == 1")
    found, _ = near(oracle, "\n".join(rules))
    assert [miss.rule for miss in found] == ["p.m0", "p.m1", "p.m2"]


def test_trying_ends(oracle, monkeypatch):
    """Conditions that hide what they want: the budget is spent, and nothing is promised."""
    tries = []
    monkeypatch.setattr(
        "pbac.pdp.near_misses.decide", lambda *given: tries.append(1) or decide(*given)
    )
    ordered = " and ".join(f"args.a{number} > args.a{number + 1}" for number in range(30))
    forbids = "\n".join(
        f"forbid f{number} on tool get_x when args.a == {number} or args.b != {number}"
        for number in range(60)
    )
    text = f"permit m on tool get_x when {ordered}\npermit n on tool get_x\n{forbids}"
    found, _ = near(oracle, text, args={f"a{number}": number for number in range(31)})
    assert found == ()
    assert 0 < len(tries) <= NEAR_MISS_TRIES_MAX


def test_json_tells_the_changes(oracle):
    (miss,), _ = near(oracle, "permit m for tier >= trusted on tool get_x")
    assert msgspec.to_builtins(miss) == {
        "rule": "p.m",
        "outcome": "permits",
        "needs": ("for tier >= trusted",),
        "avoided": (),
        "forbidden_by": (),
        "changes": ({"path": "agent.tier", "state": "value", "value": "trusted"},),
    }


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ('args.a ==  "two  blanks"', 'args.a == "two  blanks"'),
        ("args.a in [1, # one\n  2]", "args.a in [1, 2]"),
        ('args.a matches r"a#\\"  # ends', 'args.a matches r"a#\\"'),
        ('"""a\n# b"""  # c', '"""a\n# b"""'),
        ('args.a == "\\"#"', 'args.a == "\\"#"'),
    ],
)
def test_a_condition_is_told_on_one_line_and_its_texts_stay(written, line):
    assert one_line(written) == line
