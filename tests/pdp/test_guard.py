"""Permits of everything, however they are disguised, and what only looks like one."""

from __future__ import annotations

import pytest

from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.pdp.guard import unacknowledged
from pbac.pdp.policy_set import policy_set_of

HEAD = "package p\ntiers low < mid < high\n"
ALLOW = "# pbac: allow permits-everything a sandbox\n"


def complaints(text, head=HEAD):
    compilation = compile_program([Source("p.pbac", head + text)], {})
    policy_set = policy_set_of(compilation)
    assert policy_set is not None, compilation.diagnostics
    return [each.message.split("`")[1] for each in unacknowledged(policy_set, compilation)]


@pytest.mark.parametrize(
    "text",
    [
        "permit a on any",
        "permit a on tool **",
        "permit a for tier >= low on any",
        "permit a for tier low, mid, high on tool *, **",
        "permit a on any when has agent.id",
        "permit a on any when agent.id == agent.id",
        'permit a on any when agent.id like "*"',
        'permit a on any when call.tool like "**"',
        'permit a on any when agent.tier in ["low", "mid", "high"]',
        "permit a for kind ** on any",
        "permit a on tool ** except zzz",
        "permit a on any unless args.x default false",
        "permit a on any\nforbid b on tool delete_* when args.force default false",
    ],
)
def test_one_rule_that_permits_everything(text):
    assert complaints(text) == ["a"]
    assert complaints(ALLOW + text) == []


@pytest.mark.parametrize(
    "text",
    [
        "permit a for tier low on any\npermit b for tier >= mid on any",
        "permit a on any when call.read_only == true\npermit b on any when call.read_only != true",
        "permit a on tool ** except get_*\npermit b on tool get_*",
    ],
)
def test_rules_that_permit_everything_together(text):
    assert complaints(text) == ["a", "b"]
    assert complaints(ALLOW + text) == []  # what is left without it is not everything


@pytest.mark.parametrize(
    "text",
    [
        "permit a for tier >= mid on any",
        "permit a on tool get_*, list_*",
        "permit a on any when agent.verified",
        'permit a on any when args.owner == "acme"',
        "permit a on server github",
        "permit a on any when call.read_only == true",
        "forbid a on any",
    ],
)
def test_what_does_not(text):
    assert complaints(text) == []


def test_a_package_of_one_server_is_not_everything():
    assert complaints("permit a on any", "package p on server github\n") == []
    assert complaints("permit a on any", "package p\n") == ["a"]


def test_who_needs_no_other_is_blamed_alone():
    narrow = "permit a on tool get_*\npermit b on any"
    assert complaints(narrow) == ["b"]
    assert complaints(narrow.replace("permit b", ALLOW + "permit b")) == []
