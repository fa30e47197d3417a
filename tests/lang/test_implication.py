"""What lint concludes, held against the truth of every clause at every request of a grid."""

from __future__ import annotations

from itertools import product

import pytest

from pbac.lang.evaluate.interpret import condition
from pbac.lang.evaluate.truth import Truth
from pbac.lang.lint.claims import claims_of
from pbac.lang.lint.implication import all_follow, certainly_false, never_true

NUMBERS = [0, 1, 1.5, 2, 3]
VALUES = [*NUMBERS, True, False, "a", "b", "c", None, [1], {"a": 1}]
TOOLS = ["get_x", "get_x.y", "get_x_y", "get_z", "put", "", 7]


def conditions(make):
    """Clauses about one argument, and two about another."""
    orders = ["<", "<=", ">", ">=", "==", "!="]
    for name, number in product(orders, [0, 1, 2]):
        yield make.op(name, "$args.a", number)
        yield make.op(name, number, "$args.a")
        yield make.op(name, make.default("args.a", 1), number)
    for text in "ab":
        yield make.op("==", "$args.a", text)
        yield make.op("!=", text, "$args.a")
        yield make.op("<", "$args.a", text)
    for items in (["a"], ["a", "b"], ["b", "c"], [1, 2], [0, 1, 2], ["a", 1], []):
        yield make.op("in", "$args.a", items)
        yield make.op("not in", "$args.a", items)
    yield from (make.op("==", "$args.a", truth) for truth in (True, False))
    yield from (make.op("!=", "$args.a", truth) for truth in (True, False))
    yield from (make.path("args.a"), make.default("args.a", fallback=False), make.has("args.a"))
    yield from (make.is_kind("$args.a", "number"), make.lit(True), make.lit(False), make.lit(1))
    yield from (make.op("<", 1, 2), make.op("==", 1, "a"), make.op(">", "$args.b", 1))
    leaf, other = make.op("==", "$args.a", 1), make.op("==", "$args.b", 1)
    yield from (make.or_(leaf, other), make.and_(leaf, other), make.or_(leaf, make.lit(False)))
    yield make.or_(make.and_(leaf, make.lit(False)), make.and_(other, make.lit(False)))
    yield make.or_(make.op("==", "$args.a", 1), make.op("==", "$args.a", "a"))


def condition_rules(make, effect):
    for expression in conditions(make):
        for negated in (False, True):
            yield make.rule(effect, make.when(expression, negated=negated))


def target_rules(make, effect):
    names = [["get_x"], ["get_x", "put"], ["get_*"], ["get_**"], ["get_x*"], ["*"], ["**"], ["*x"]]
    names += [["put", "get_*"], ["g*x*"], ["get_x**"], ["get_x", "get_z"]]
    for each, without in product(names, [[], ["get_x"], ["get_*"], ["*"], ["get_z", "put"]]):
        yield make.rule(effect, make.on_names("tool", *each, without=without))
    for each, without in product(["a1", "a*", "b", "*"], [[], ["a1"], ["b*"]]):
        yield make.rule(effect, make.for_names("agent", each, without=without))
        yield make.rule(effect, make.for_names("group", each, without=without))
    for order, tier in product([">=", "<=", "<", ">"], make.TIERS):
        yield make.rule(effect, make.for_tier(order, tier))
    yield make.rule(effect, make.for_tier("in", "read_only", "trusted"))
    yield make.rule(effect, make.on_names("resource", "get_x"))
    yield make.rule(effect, make.on_names("tag", "get_x"))
    yield from (make.rule(effect), make.rule(effect, make.on_any()))
    yield make.rule(effect, make.on_names("server", "github"))
    yield make.rule(effect, make.on_names("server", "git*"))


def argument_requests(make):
    for a in [*VALUES, ...]:
        for b in [1, 2, "a", ...]:
            yield make.request(args={k: v for k, v in {"a": a, "b": b}.items() if v is not ...})


def target_requests(make):
    agents = [{"id": "a1", "tier": "read_only"}, {"id": "b", "tier": "trusted"}, {"tier": "root"}]
    actors = [[], [{"id": "b"}], [{"id": "a1"}], [{}]]
    users = [None, {}, {"groups": []}, {"groups": ["a1", "b"]}, {"groups": ["b", 1]}]
    for tool, method in product([*TOOLS, ...], ["tools/call", "resources/read"]):
        call = {"method": method, "server": "github", "tags": ["put"], "resource": "get_x"}
        yield make.request(call=call if tool is ... else call | {"tool": tool})
    for agent, actor, user in product(agents, actors, users):
        yield make.request(agent=agent, chain={"actors": actor}, user=user, call={"server": 3})
    for server in ("github", "git", "x"):
        yield make.request(call={"method": "tools/call", "server": server, "tags": "x"})
    for tier in make.TIERS:
        yield make.request(agent={"tier": tier}, chain={}, call={"method": "tools/list"})


SPACES = {
    "conditions": (condition_rules, argument_requests),
    "targets": (target_rules, target_requests),
}


def told(make, space, effect):
    """Every rule with its claims and its truth at every request."""
    rules, requests = SPACES[space]
    asked = list(requests(make))
    for rule in rules(make, effect):
        truths = tuple(condition(rule, request, {}, make.TIERS) for request in asked)
        yield claims_of(rule, (), make.TIERS), truths, rule


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("given", "wanted"), [("permit", "permit"), ("permit", "forbid"), ("forbid", "forbid")]
)
def test_what_follows_is_true_where_the_other_is_and_in_doubt_where_it_is(
    make, space, given, wanted
):
    narrow, wide = list(told(make, space, given)), list(told(make, space, wanted))
    found = 0
    for (claims, truths, _), (others, their, _) in product(narrow, wide):
        if not all_follow(others, claims):
            continue
        found += truths != their
        for mine, yours in zip(truths, their, strict=True):
            assert not (mine is Truth.TRUE and yours is not Truth.TRUE), (claims, others)
            assert not (mine is Truth.UNKNOWN and yours is Truth.FALSE), (claims, others)
    assert found > 100  # and none of them by being the same


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_what_can_never_be_true_never_is(make, space, effect):
    known = list(told(make, space, effect))
    found = false = 0
    for (claims, truths, _), (others, their, _) in product(known, known):
        together = list(zip(truths, their, strict=True))
        if never_true((*claims, *others), permit=effect == "permit"):
            found += 1
            assert (Truth.TRUE, Truth.TRUE) not in together, (claims, others)
        if certainly_false((*claims, *others)):
            false += 1
            assert all(Truth.FALSE in pair for pair in together), (claims, others)
    assert found > 100
    assert false > 50


def test_what_is_plain_is_found(make):
    """Soundness alone would be kept by finding nothing."""
    rules = {
        name: claims_of(make.rule("permit", *clauses), (), make.TIERS)
        for name, clauses in {
            "over 500": [make.when(make.op(">", "$args.n", 500))],
            "over 100": [make.when(make.op("<", 100, "$args.n"))],
            "not up to 100": [make.when(make.op("<=", "$args.n", 100), negated=True)],
            "under 100": [make.when(make.op("<", "$args.n", 100))],
            "is a": [make.when(make.op("==", "$args.n", "a"))],
            "a or b": [make.when(make.op("in", "$args.n", ["a", "b"]))],
            "not c": [make.when(make.op("!=", "$args.n", "c"))],
            "get x": [make.on_names("tool", "get_x")],
            "get": [make.on_names("tool", "get_*")],
            "trusted": [make.for_tier(">=", "trusted")],
            "developer": [make.for_tier(">=", "developer")],
            "reader": [make.for_tier("<", "developer")],
        }.items()
    }
    following = [
        ("over 100", "over 500"),
        ("not up to 100", "over 500"),
        ("over 100", "not up to 100"),
        ("a or b", "is a"),
        ("not c", "a or b"),
        ("get", "get x"),
        ("developer", "trusted"),
    ]
    for wanted, given in following:
        assert all_follow(rules[wanted], rules[given]), (wanted, given)
    for one, other in [("over 100", "under 100"), ("over 100", "is a"), ("trusted", "reader")]:
        assert never_true((*rules[one], *rules[other]), permit=False), (one, other)
    assert not never_true((*rules["trusted"], *rules["developer"]), permit=True)
