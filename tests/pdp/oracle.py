"""The slow oracle that every decision is held to, policy sets in short, and random ones.

Tests are not a package, so this is reached through the fixture `oracle` of `conftest.py`.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import strategies as st

from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.compile import compile_program, compile_rules
from pbac.lang.evaluate.interpret import blame, condition
from pbac.lang.evaluate.truth import Truth
from pbac.lang.generate.generate import Question, generate_rule
from pbac.lang.program import CompiledPackage, Prepared, Program
from pbac.model.request import DecisionRequest
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet, policy_set_of
from pbac.pdp.telling import tell

TIERS = ("read_only", "ci_agent", "developer", "trusted")
NOW = 1_767_261_600_000


def compiled(*texts, data=None, previous=None):
    """A compilation of files; a text without a `package` line gets one, the first with tiers."""
    sources = []
    for number, text in enumerate(texts):
        tiers = f"tiers {' < '.join(TIERS)}\n" if number == 0 else ""
        header = "" if "package " in text else f"package p{number or ''}\n{tiers}"
        sources.append(Source(f"{number}.pbac", header + text))
    return compile_program(sources, data or {}, previous=previous)


def policies(*texts, data=None):
    """A policy set from files."""
    found = compiled(*texts, data=data)
    assert found.program is not None, [f"{d.span} {d.message}" for d in found.diagnostics]
    return policy_set_of(found)


def request(tool="get_x", **roots):
    """An ordinary call; `call` adds to it, other roots replace the ordinary ones."""
    ordinary = {
        "agent": {"id": "a1", "tier": "developer", "kind": "assistant"},
        "chain": {"depth": 0, "actors": []},
        "env": {"now": NOW, "today": "2026-01-01"},
    }
    call = {"method": "tools/call", "tool": tool, "server": "github", **roots.pop("call", {})}
    return DecisionRequest(**{**ordinary, **roots, "call": call})


def answer(policy_set, asked):
    """The decision with its texts, as the gateway wants it."""
    return tell(policy_set, asked, decide(policy_set, asked))


# --- the oracle ----------------------------------------------------------------------------


def scan(policy_set, asked):
    """Laws 1 and 2 by the interpreter over every rule: permitted, rules, duties, unknown."""
    asked = narrowed(asked, policy_set.tiers)
    applied = {"permit": [], "forbid": [], "require": []}
    for rule in policy_set.rules:
        if not rule.shadow and applies(policy_set, rule, asked):
            applied[rule.effect].append(rule)
    if applied["forbid"] or not applied["permit"]:
        return False, names(applied["forbid"]), (), blamed(policy_set, applied["forbid"], asked)
    duties = tuple(duty for rule in applied["require"] for duty in rule.duties)
    return True, names(applied["permit"]), duties, blamed(policy_set, applied["require"], asked)


def applies(policy_set, rule, asked):
    asked = narrowed(asked, policy_set.tiers)
    found = condition(rule.node, asked, policy_set.data, policy_set.tiers, rule.servers)
    if rule.effect != "permit":
        return found is not Truth.FALSE
    now = asked.env.get("now")
    in_time = rule.expires_ms is None or (type(now) is int and now < rule.expires_ms)
    return found is Truth.TRUE and in_time


def names(rules):
    return tuple(rule.name for rule in rules)


def blamed(policy_set, rules, asked):
    data, tiers = policy_set.data, policy_set.tiers
    paths = [p for rule in rules for p in blame(rule.node, asked, data, tiers, rule.servers)]
    return tuple(dict.fromkeys(paths))


def told(decision):
    """A decision as `scan` tells it."""
    return decision.permitted, decision.rules, decision.duties, decision.unknown


# --- random policy sets --------------------------------------------------------------------

TOOLS = ["get_x", "get_y", "merge", "ns.get_x", "ns.del.y"]
TOOL_PATTERNS = [*TOOLS, "get_*", "*", "**", "ns.*", "ns.**", "*_x"]
SERVERS = ["github", "gitlab"]


def assembled(rules, *, confinement=(), expires=(), shadows=()):
    """A policy set straight from nodes. Rules come named `r000`, `r001`, …"""
    named = [
        msgspec.structs.replace(rule, name=f"r{number:03}", duties=_duties(rule, number))
        for number, rule in enumerate(rules)
    ]
    compiled_ = compile_rules(
        named, package="p", servers=confinement, tiers=TIERS, written={}, prepared=Prepared()
    )
    found = [
        replace(
            expiring(rule) if number in expires and rule.effect == "permit" else rule,
            shadow=number in shadows,
        )
        for number, rule in enumerate(compiled_)
    ]
    return of_rules(found, confinement)


def _duties(rule, number):
    if rule.effect != "require":
        return ()
    return (nodes.DutyLine(span=rule.span, kind="limit", parameters={"count": number}),)


def expiring(rule):
    question = Question(rule=rule.node, materials=rule.materials, until_ms=NOW)
    return replace(rule, expires_ms=NOW, ask=generate_rule(question))


def of_rules(rules, confinement=()):
    package = CompiledPackage(
        name="p", sealed=False, digest="", rules=tuple(rules), tests=(), servers=confinement
    )
    data = {"orgs": {"u1": ["acme"]}, "list": ["a", 1]}
    return PolicySet(Program(version="v1", tiers=TIERS, packages=(package,), data=data))


def rules(make):
    """The language's random rules, with targets and conditions that the index answers."""
    patterns = st.lists(st.sampled_from(TOOL_PATTERNS), min_size=1, max_size=3)
    without = st.lists(st.sampled_from(TOOL_PATTERNS), max_size=1)
    servers = st.lists(st.sampled_from([*SERVERS, "git*"]), min_size=1, max_size=2)
    targets = st.one_of(
        st.builds(lambda n, w: make.on_names("tool", *n, without=w), patterns, without),
        st.builds(lambda n, w: make.on_names("tool", *n, without=w), patterns, without),
        st.builds(lambda n: make.on_names("server", *n), servers),
        st.just(make.on_any()),
        st.just(make.on_token()),
    )
    parts = make.rules(), st.lists(targets, max_size=2), st.lists(_by_key(make), max_size=1)

    @st.composite  # a short name for a strategy that Hypothesis would spell out on every error
    def rule_of(draw):
        rule, what, when = map(draw, parts)
        bare = draw(st.booleans())
        return msgspec.structs.replace(
            rule,
            who=rule.who[: 1 if bare else 2],
            what=(*what, *rule.what),
            conditions=(*when, *(() if bare else rule.conditions)),
        )

    return rule_of()


def _by_key(make):
    """Conditions that the key alone decides, or seems to."""
    op, has, listed = make.op, make.has, make.listed
    scope, tool = "$call.scope", "$call.tool"
    conditions = [
        op("==", scope, "gh:read"),
        op("in", scope, listed("gh:read", "gh:x")),
        op("in", scope, "$data.list"),
        op("starts with", tool, "get"),
        op("==", "$agent.tier", "developer"),
        op("in", "$data.missing", listed(1)),
        has("call.scope"),
        make.is_kind("$call.scope", "null"),
        make.and_(op("==", scope, "gh:read"), op("==", "$args.n", 500)),
        make.or_(op("==", scope, "gh:read"), op("==", "$args.n", 500)),
        make.lit(True),
    ]
    # By number: Hypothesis shows what it draws from, and trees are long.
    number = st.integers(0, len(conditions) - 1)
    return st.builds(
        lambda n, negated: make.when(conditions[n], negated=negated), number, st.booleans()
    )


def policy_sets(make, most=12):
    some = st.sets(st.integers(0, most), max_size=3)
    confinement = st.sampled_from([(), (), ("github",), ("git*",)])
    return st.builds(
        lambda found, servers, expires, shadows: assembled(
            found, confinement=servers, expires=expires, shadows=shadows
        ),
        st.lists(rules(make), min_size=2, max_size=most),
        confinement,
        some,
        some,
    )


def requests(make):
    """The language's random requests, about tools and servers that rules name (or about none)."""
    odd = [None, 7, ["get_x"], True]
    tool = st.sampled_from([*TOOLS, *TOOLS, "other", *odd])
    server = st.sampled_from([*SERVERS, *SERVERS, "other", *odd])
    scope = st.sampled_from(["gh:read", "gh:prs:write", "gh:read", *odd])
    method = st.sampled_from(["tools/call"] * 6 + ["token/issue", "resources/read", None])
    now = st.sampled_from([NOW - 1, NOW - 1, NOW, None])
    parts = st.fixed_dictionaries(
        {"tool": tool, "server": server, "scope": scope, "method": method}
    )
    return st.builds(_about, make.requests(), parts, now)


def _about(asked, parts, now):
    """The request about another call; None means that the field is missing."""
    call = {name: value for name, value in asked.call.items() if name not in parts}
    call |= {name: value for name, value in parts.items() if value is not None}
    env = {**asked.env, "now": now} if now is not None else {}
    return msgspec.structs.replace(asked, call=call, env=env)
