"""Compiled packages as bytes: what comes back decides, explains and blames as what was stored."""

import pytest

from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.compile import compile_program
from pbac.lang.program import Program
from pbac.lang.stored import StoredError, parse_package, render_package
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

TEXT = """
sealed package p on server github, gitlab
tiers low < high
define big(n) = n > 100

permit read
  "Reads."
  @owner "platform"
  for tier >= low on tool get_* except get_secret when args.owner in data.orgs
  because "ask {args.owner}" internal "read by {agent.id}"
permit merge
  @expires 2027-01-01
  for tier high, low for kind ci except bot on tool merge on scope gh:*
  when any x in args.list: (x.n == 1 and (x.path default "/") starts with "/srv")
  unless args.n is null or has user.groups
forbid large on any when big(args.n) because "too large"
forbid odd
  @shadow
  on tool get_x when args.url like "https://*" or env.now in daily 06:00-18:00 "Europe/Berlin"
require asked on tool merge then approval from group "maintainers" within 15m
forbid tokens on token when token.grant == "client_credentials" and agent.tier == "low"
"""


def compiled():
    found = compile_program([Source("p.pbac", TEXT)], {"orgs": ["acme"]})
    assert found.program is not None, found.diagnostics
    return found.program


def test_a_package_comes_back_as_it_was_stored():
    program = compiled()
    (package,) = program.packages
    data = render_package(package, program.tiers)
    back = parse_package(data)
    assert render_package(back, program.tiers) == data == render_package(package, program.tiers)
    assert (back.name, back.sealed, back.digest, back.servers) == (
        package.name, package.sealed, package.digest, package.servers,
    )  # fmt: skip
    for rule, again in zip(package.rules, back.rules, strict=True):
        assert again.node == rule.node
        for name in ("name", "effect", "target", "expires_ms", "shadow", "steps", "internal",
                     "duties", "servers", "on_token"):  # fmt: skip
            assert getattr(again, name) == getattr(rule, name)


REQUESTS = [
    DecisionRequest(
        agent={"id": "a", "tier": tier, "kind": kind},
        call={"method": "tools/call", "server": "github", "tool": tool, "scope": "gh:x"},
        chain={"depth": 0, "actors": []},
        args=args,
        env={"now": 1_790_000_000_000},
    )
    for tier in ("low", "high", "none")
    for kind in ("ci", "bot")
    for tool in ("get_x", "merge", "get_secret")
    for args in (
        {"owner": "acme", "n": 7, "list": [{"n": 1}]},
        {"owner": "other", "n": 700, "url": "https://x"},
        {"owner": "acme"},
    )
]


def test_what_comes_back_decides_and_tells_the_same():
    program = compiled()
    packages = tuple(parse_package(render_package(p, program.tiers)) for p in program.packages)
    again = Program(
        version=program.version, tiers=program.tiers, packages=packages, data=program.data
    )
    before, after = PolicySet(program), PolicySet(again)
    assert (before.rule_count, before.sealed, before.with_internal) == (
        after.rule_count, after.sealed, after.with_internal,
    )  # fmt: skip
    causes = set()
    for request in REQUESTS:
        told = [tell(each, request, decide(each, request)) for each in (before, after)]
        assert told[0] == told[1]
        causes.add((told[0].cause, bool(told[0].unknown), bool(told[0].shadow)))
    assert len(causes) > 4


def test_an_index_takes_over_what_was_filed_of_packages_that_stay():
    program = compiled()
    first = PolicySet(program)
    second = PolicySet(program, previous=first)
    assert all(second.index.filed[p] is first.index.filed[p] for p in program.packages)
    assert second.index.plans == {}


@pytest.mark.parametrize("cut", [0, 1, 7, 100, -1])
def test_other_bytes_are_refused(cut):
    program = compiled()
    data = render_package(program.packages[0], program.tiers)
    with pytest.raises(StoredError):
        parse_package(data[:cut])


def test_every_kind_of_node_counts_for_the_form():
    """A node that is a subclass of another would not be counted, and so must not be."""
    assert all(not each.__subclasses__() for each in nodes.Node.__subclasses__())
    assert len(nodes.Node.__subclasses__()) > 30
