"""Near misses are tried: what they promise comes true when their witness is applied."""

from __future__ import annotations

import copy

import msgspec
import pytest
from laws import programs as random
from laws.chance import hold
from pdp.oracle import compiled, scan

from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide
from pbac.pdp.explain import explain
from pbac.pdp.explain_text import render_explanation

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
        root, *names = change.path.split(".")
        if not names:
            roots[root] = change.value if change.state == "value" else None
            continue
        record = roots[root] = roots[root] if type(roots[root]) is dict else {}
        for name in names[:-1]:
            if type(record.get(name)) is not dict:
                record[name] = {}
            record = record[name]
        if change.state == "value":
            record[names[-1]] = change.value
        else:
            record.pop(names[-1], None)
    return msgspec.structs.replace(asked, **roots)


def held_to_its_word(policy_set, asked, seen):
    """Each promise, by the interpreter over every rule and by the engine."""
    before = msgspec.to_builtins(asked)
    found = explain(policy_set, asked)
    assert msgspec.to_builtins(asked) == before
    assert render_explanation(found).endswith("\n")
    seen["denied"] += not found.decision.permitted
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

    examples = 30_000 if full else 3_000
    _, seen = hold("near", check, seed=9, examples=examples, among=["permits", "forbids"])
    say(f"near misses of random rules: {examples:,} requests, {dict(seen)}")
    assert seen["permits"] > seen["denied"] / 10
