"""Near misses are tried: what they promise comes true when their witness is applied."""

from __future__ import annotations

import pytest

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
        '`p.m` would permit it if `agent.tier in ["read_only", "trusted"]`'
        ' (tried: agent.tier = "read_only")',
        id="tiers by name",
    ),
    pytest.param(
        "permit m on tool get_x\nforbid f for kind assistant on tool get_x",
        {},
        '`p.m` permits it, and `p.f` would not forbid it if `agent.kind != "assistant"`'
        ' (tried: agent.kind = "assistantx")',
        id="another kind",
    ),
]


@pytest.mark.parametrize(("text", "args", "told"), TRIED)
def test_what_is_told_is_what_came_of_trying(oracle, text, args, told):
    found = explain(oracle.policies(text), oracle.request(args=args))
    lines = render_explanation(found).splitlines()
    near = [line.strip() for line in lines if line.startswith("  `")]
    assert near == ([told] if told else [])
