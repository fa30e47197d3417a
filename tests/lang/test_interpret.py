"""The specification, spelled out: values, targets, blame and what listing may still become."""

from __future__ import annotations

import pytest

from pbac.base.limits import QUANTIFIER_ITEMS_MAX
from pbac.lang.evaluate.interpret import blame, clause_truths, condition, outcomes, truth, value
from pbac.lang.evaluate.truth import UNKNOWN, Truth, conjunction, disjunction
from pbac.model.values import MISSING

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
ARGS = {"text": "a", "null": None, "list": ["a", "b"], "record": {"x": {"y": 1}}, "yes": True}


def test_and_and_or_are_strong_kleene():
    assert [conjunction(pair) for pair in [(T, T), (T, U), (U, F), (U, U), ()]] == [T, U, F, U, T]
    assert [disjunction(pair) for pair in [(F, F), (T, U), (U, F), (U, U), ()]] == [F, T, U, U, F]


# --- paths, has, default -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "keys", "expected"),
    [
        ("args.text", (), "a"),
        ("args.null", (), None),
        ("args.none", (), MISSING),
        ("args.none.deeper", (), MISSING),
        ("args.record.x.y", (), 1),
        ("args.text.x", (), UNKNOWN),
        ("args.null.x", (), UNKNOWN),
        ("args.list.x", (), UNKNOWN),
        ("args.list", (1,), "b"),
        ("args.list", (2,), MISSING),
        ("args.list", (-1,), UNKNOWN),
        ("args.list", (1.0,), UNKNOWN),
        ("args.list", (True,), UNKNOWN),
        ("args.record", ("$args.none",), UNKNOWN),
        ("data.orgs", ("$user.id",), ["acme"]),
        ("data.orgs", ("u2",), MISSING),
        ("user.email", (), MISSING),
        ("nowhere.x", (), UNKNOWN),
    ],
)
def test_the_value_of_a_path(make, path, keys, expected):
    request = make.request(args=ARGS, user={"id": "u1"})
    node = make.path(path.split("[")[0], *(make.expr(k) for k in keys))
    assert value(node, request, {"orgs": {"u1": ["acme"]}}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("user", F),
        ("user.id", F),
        ("args.null", T),
        ("args.none", F),
        ("args.none.x", F),
        ("args.text.x", U),
        ("args.null.x", U),
    ],
)
def test_has_asks_about_missing_only(make, path, expected):
    assert truth(make.has(path), make.request(args=ARGS), {}) is expected


@pytest.mark.parametrize(
    ("path", "expected"), [("args.none", 7), ("args.null", None), ("args.text.x", UNKNOWN)]
)
def test_default_supplies_what_is_missing_only(make, path, expected):
    assert value(make.default(path, 7), make.request(args=ARGS), {}) is expected


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("args.yes", "boolean", T),
        ("args.yes", "number", F),
        ("args.null", "null", T),
        ("args.list", "list", T),
        ("args.record", "record", T),
        ("args.none", "null", U),
        ("args.text.x", "string", U),
    ],
)
def test_is_asks_for_the_kind_of_a_value(make, path, kind, expected):
    request = make.request(args=ARGS)
    assert truth(make.is_kind(f"${path}", kind), request, {}) is expected


@pytest.mark.parametrize(
    ("found", "expected"), [(True, T), (False, F), (1, U), ("true", U), (None, U)]
)
def test_there_is_no_truthiness(make, found, expected):
    assert truth(make.path("args.x"), make.request(args={"x": found}), {}) is expected


# --- quantifiers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "some", "every"),
    [
        ([], F, T),
        (["a", 1], T, U),
        (["b", 1], U, F),
        (["b"], F, F),
        (["a"], T, T),
        ("a", U, U),
        ({"a": 1}, U, U),
        (["a"] * QUANTIFIER_ITEMS_MAX, T, T),
        (["a"] * (QUANTIFIER_ITEMS_MAX + 1), U, U),
    ],
)
def test_a_quantifier_is_an_or_or_an_and_over_a_capped_list(make, items, some, every):
    body = make.op("==", "$v", "a")
    request = make.request(args={"xs": items})
    assert truth(make.quantified("any", "v", "$args.xs", body), request, {}) is some
    assert truth(make.quantified("all", "v", "$args.xs", body), request, {}) is every


# --- targets -------------------------------------------------------------------------------


def target(make, clause, effect="permit", **roots):
    return condition(make.rule(effect, clause), make.request(**roots), {}, make.TIERS)


@pytest.mark.parametrize(
    ("operator", "tiers", "agent", "expected"),
    [
        (">=", ["developer"], "trusted", T),
        (">=", ["developer"], "developer", T),
        (">=", ["developer"], "read_only", F),
        (">", ["developer"], "developer", F),
        ("<", ["ci_agent"], "read_only", T),
        ("<=", ["ci_agent"], "developer", F),
        ("in", ["ci_agent", "trusted"], "trusted", T),
        ("in", ["ci_agent"], "trusted", F),
        (">=", ["developer"], "root", U),
        (">=", ["root"], "developer", U),
        ("in", ["root"], "developer", U),
        (">=", ["developer"], None, U),
        (">=", ["developer"], 3, U),
    ],
)
def test_for_tier(make, operator, tiers, agent, expected):
    found = target(make, make.for_tier(operator, *tiers), agent={"tier": agent})
    assert found is expected


def test_a_missing_tier_is_unknown(make):
    assert target(make, make.for_tier(">=", "read_only"), agent={}) is U


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, F),
        ({}, U),
        ({"groups": None}, U),
        ({"groups": []}, F),
        ({"groups": ["staff-a"]}, T),
        ({"groups": ["other", "staff-x"]}, F),
        ({"groups": ["staff-x", "staff-b"]}, T),
        ({"groups": ["other", 1]}, U),
    ],
)
def test_for_group(make, user, expected):
    clause = make.for_names("group", "staff-*", without=["staff-x"])
    assert target(make, clause, user=user) is expected


@pytest.mark.parametrize(
    ("kind", "actors", "permit", "forbid"),
    [
        ("scanner", [], T, T),
        ("assistant", [], F, F),
        ("assistant", [{"kind": "scanner"}], F, T),
        ("assistant", [{"kind": "ci"}, {"kind": "scanner"}], F, T),
        ("assistant", [{"kind": "ci"}], F, F),
        ("assistant", [{}], F, U),
        ("assistant", ["scanner"], F, U),
        ("assistant", None, F, U),
        ("scanner", None, T, T),
        (None, [{"kind": "scanner"}], U, T),
        (None, [], U, U),
    ],
)
def test_a_permit_asks_the_caller_and_a_forbid_everybody(make, kind, actors, permit, forbid):
    clause = make.for_names("kind", "scanner")
    roots = {"agent": {"kind": kind}, "chain": {"actors": actors}}
    assert target(make, clause, "permit", **roots) is permit
    assert target(make, clause, "forbid", **roots) is forbid
    assert target(make, clause, "require", **roots) is forbid


def test_an_unknown_chain_may_be_anybody(make):
    clause = make.for_names("agent", "a9")
    assert target(make, clause, "forbid", chain={}) is U
    assert target(make, clause, "permit", chain={}) is F


def test_for_agent_is_about_the_id_and_not_the_self_chosen_name(make):
    clause = make.for_names("agent", "a1")
    assert target(make, clause, agent={"id": "x", "name": "a1"}) is F


@pytest.mark.parametrize(
    ("what", "names", "call", "expected"),
    [
        ("tool", ["get_*"], {"tool": "get_x"}, T),
        ("tool", ["get_*"], {"tool": "get_x.y"}, F),
        ("tool", ["get_*"], {}, U),
        ("tool", ["*"], {"method": "resources/read"}, F),
        ("scope", ["gh:*"], {"scope": "gh:read"}, T),
        ("scope", ["gh:*"], {"scope": "gh:prs:read"}, F),
        ("scope", ["gh:*"], {}, U),
        ("tag", ["write"], {"tags": ["read", "write"]}, T),
        ("tag", ["write"], {"tags": []}, F),
        ("tag", ["write"], {}, U),
        ("tag", ["write"], {"tags": "write"}, U),
        ("server", ["git*"], {"server": "github"}, T),
        ("resource", ["*"], {"tool": "x", "method": "tools/call"}, F),
        ("prompt", ["*"], {"tool": "x", "method": "tools/list"}, F),
        ("tool", ["*"], {"tool": "x", "method": "token/issue"}, F),
        ("scope", ["*"], {"scope": "x", "method": "token/issue"}, F),
    ],
)
def test_on(make, what, names, call, expected):
    assert target(make, make.on_names(what, *names), call=call) is expected


def test_except_takes_names_out(make):
    clause = make.on_names("tool", "get_*", "list_*", without=["get_secret_*"])
    answers = {
        tool: target(make, clause, call={"tool": tool}) for tool in ["get_a", "get_secret_b"]
    }
    assert answers == {"get_a": T, "get_secret_b": F}


@pytest.mark.parametrize(
    ("clauses", "issuing", "calling"),
    [(["on_token"], T, F), (["on_any"], F, T), ([], F, T), (["on_any", "on_token"], F, F)],
)
def test_issuance_and_calls_are_two_things(make, clauses, issuing, calling):
    rule = make.rule("forbid", *(getattr(make, clause)() for clause in clauses))
    for method, expected in (("token/issue", issuing), ("tools/call", calling)):
        request = make.request(call={"method": method})
        assert condition(rule, request, {}, make.TIERS) is expected


def test_a_package_is_confined_to_its_servers(make):
    rule = make.rule("forbid", make.on_any())
    answers = [
        condition(rule, make.request(call=call), {}, make.TIERS, servers)
        for call, servers in [
            ({"server": "github"}, ("github",)),
            ({"server": "gitlab"}, ("github",)),
            ({}, ("github",)),
            ({}, ()),
        ]
    ]
    assert answers == [T, F, U, T]


def test_when_and_unless(make):
    rule = make.rule(
        "permit",
        make.when("$args.a"),
        make.when("$args.b", negated=True),
        make.for_tier(">", "ci_agent"),
    )
    request = make.request(args={"a": True, "b": False})
    assert condition(rule, request, {}, make.TIERS) is T
    assert [found for _, found in clause_truths(rule, request, {}, make.TIERS)] == [T, T, T]


# --- blame ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, ("args.amount",)),
        ({"amount": "500"}, ("args.amount",)),
        ({"amount": None}, ("args.amount",)),
        ({"amount": 5}, ()),
    ],
)
def test_blame_names_what_is_missing_or_of_the_wrong_kind(make, args, expected):
    rule = make.rule("forbid", make.when(make.op(">", "$args.amount", 100)))
    assert blame(rule, make.request(args=args), {}, make.TIERS) == expected


def test_blame_points_at_the_unknown_parts_only(make):
    unknown, known = make.op("==", "$args.x", 1), make.op("==", "$args.y", 1)
    request = make.request(args={"y": 1})
    both = make.rule("forbid", make.when(make.and_(unknown, known)))
    assert blame(both, request, {}, make.TIERS) == ("args.x",)
    either = make.rule("forbid", make.when(make.or_(unknown, known)))
    assert blame(either, request, {}, make.TIERS) == ()


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda m: m.op("in", "$args.owner", m.path("data.orgs", "$user.id")), "user.id"),
        (lambda m: m.op("==", "$args.a", "$args.b"), "args.b"),
        (lambda m: m.op(">", m.default("args.b", 0), 1), None),
        (lambda m: m.op(">", m.default("args.a", 0), 1), "args.a"),
        (lambda m: m.op("==", m.default("args.b", "$args.c"), 1), "args.c"),
        (lambda m: m.quantified("all", "v", "$args.list", m.path("v.ok")), "args.list[…].ok"),
        (lambda m: m.quantified("any", "v", "$args.a", m.path("v")), "args.a"),
        (lambda m: m.not_(m.op("like", m.op("lower", "$args.b"), "x*")), "args.b"),
        (lambda m: m.has("args.a.deeper"), "args.a.deeper"),
    ],
)
def test_blame_follows_the_expression(make, build, expected):
    request = make.request(args={"a": "text", "owner": "acme", "list": [{"ok": True}, {}]})
    rule = make.rule("forbid", make.when(build(make)))
    found = blame(rule, request, {"orgs": {}}, make.TIERS)
    assert found == (() if expected is None else (expected,))


@pytest.mark.parametrize(
    ("clause", "roots", "expected"),
    [
        (("for_tier", ">=", "developer"), {"agent": {"tier": "root"}}, "agent.tier"),
        (("for_names", "group", "staff"), {"user": {"id": "u"}}, "user.groups"),
        (("for_names", "provider", "acme"), {"agent": {}}, "agent.provider"),
        (("for_names", "kind", "ci"), {"chain": {}}, "chain.actors"),
        (("for_names", "kind", "ci"), {"chain": {"actors": [{}]}}, "chain.actors[…].kind"),
        (("on_names", "scope", "x"), {"call": {}}, "call.scope"),
        (("on_names", "tag", "x"), {"call": {}}, "call.tags"),
    ],
)
def test_blame_names_the_field_a_target_reads(make, clause, roots, expected):
    word, *operands = clause
    rule = make.rule("forbid", getattr(make, word)(*operands))
    assert blame(rule, make.request(**roots), {}, make.TIERS) == (expected,)


# --- listing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda m: m.op(">", "$args.amount", 100), {T, F, U}),
        (lambda m: m.has("args.amount"), {T, F}),
        (lambda m: m.has("args.a.b"), {T, F, U}),
        (lambda m: m.op(">", m.default("args.amount", 0), 100), {T, F, U}),
        (lambda m: m.has("user"), {F}),
        (lambda m: m.op("==", "$agent.kind", "assistant"), {T}),
        (lambda m: m.and_(m.has("user"), m.op("==", "$args.x", 1)), {F}),
        (lambda m: m.and_(m.has("args.x"), m.op("==", "$agent.kind", "assistant")), {T, F}),
        (lambda m: m.or_(m.op("==", "$agent.kind", "assistant"), m.path("args.x")), {T}),
        (lambda m: m.op(">", "$token.age", 60_000), {T, F, U}),
        (lambda m: m.op("==", m.op("count", "$token"), 0), {T, F, U}),
        (lambda m: m.op("intersects", "$session.labels", ["private"]), {T, F, U}),
        (lambda m: m.quantified("all", "v", [], m.op("==", "$v", "$args.x")), {T}),
        (lambda m: m.quantified("any", "v", "$agent.kind", m.op("==", "$v", "$args.x")), {U}),
        (lambda m: m.op("==", "$call.tool", "get_x"), {T}),
    ],
)
def test_listing_knows_what_a_condition_can_still_become(make, build, expected):
    rule = make.rule("permit", make.when(build(make)))
    assert outcomes(rule, make.request(), {}, make.TIERS) == expected
    swapped = {{T: F, F: T, U: U}[found] for found in expected}
    unless = make.rule("permit", make.when(build(make), negated=True))
    assert outcomes(unless, make.request(), {}, make.TIERS) == swapped


def test_listing_looks_at_targets_first(make):
    rule = make.rule("permit", make.on_names("tool", "set_*"), make.when("$args.x"))
    assert outcomes(rule, make.request(), {}, make.TIERS) == {F}
    assert outcomes(rule, make.request(), {}, make.TIERS, ("gitlab",)) == {F}
