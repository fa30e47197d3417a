"""Decisions one by one: what is said, who is blamed, what a list shows, what a token may hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pbac.model.decision import Cause, Effect
from pbac.pdp.engine import decide, grant_scope, shown
from pbac.pdp.index import key_of

ISSUE = {"method": "token/issue", "scope": "gh:read"}


@pytest.fixture
def ask(oracle):
    """Decide one call by a policy text."""

    def decision(text, tool="get_x", data=None, **roots):
        return oracle.answer(oracle.policies(text, data=data), oracle.request(tool, **roots))

    return decision


# --- Law 1 -----------------------------------------------------------------------------------


def test_nothing_permits_so_it_is_denied(ask):
    decision = ask("permit p on tool merge")
    assert (decision.effect, decision.cause) == (Effect.DENY, Cause.NOT_PERMITTED)
    assert (decision.rules, decision.reason, decision.help) == ((), "", "")


def test_every_permit_and_every_forbid_that_applies_is_named_in_name_order(ask):
    permits = "permit z on any\npermit b on tool get_*\npermit a on tool get_x\npermit c on any"
    assert ask(permits).rules == ("p.a", "p.b", "p.c", "p.z")
    forbids = "forbid y on any\nforbid x on tool get_x\nforbid w on tool get_*\nforbid v on any"
    assert ask(f"{permits}\n{forbids}").rules == ("p.v", "p.w", "p.x", "p.y")


def test_duties_come_from_every_require_that_applies_and_only_with_a_permit(ask):
    duties = """
      require b on any then limit 2 per 1m by agent
      require a on tool get_x then redact result.secret
      require c on tool merge then limit 9 per 1m by agent
    """
    decision = ask(f"permit p on any {duties}")
    assert [(duty.rule, duty.kind) for duty in decision.duties] == [
        ("p.a", "redact"),
        ("p.b", "limit"),
    ]
    assert decision.rules == ("p.p",)
    assert ask(duties).duties == ()
    assert ask(f"permit p on any forbid f on any {duties}").duties == ()


def test_the_version_is_the_sets(ask, oracle):
    policy_set = oracle.policies("permit p on any")
    assert decide(policy_set, oracle.request()).policy_version == policy_set.version
    assert policy_set.version.startswith("sha256:")


# --- Law 2 -----------------------------------------------------------------------------------

BIG = 'forbid big when args.amount > 100 because "too much: {args.amount}"\npermit p on any'


def test_a_forbid_that_is_true_gives_its_reason_with_this_requests_values(ask, oracle):
    policy_set = oracle.policies(BIG)
    for amount in (500, 900, 500):
        decision = oracle.answer(policy_set, oracle.request(args={"amount": amount}))
        assert decision.reason == f"too much: {amount}"
        assert (decision.unknown, decision.help) == ((), "")
    assert decide(policy_set, oracle.request(args={"amount": 5})).permitted


@pytest.mark.parametrize(
    ("args", "help_"),
    [
        ({}, "send `args.amount`"),
        ({"amount": "500"}, "send `args.amount` in the kind the tool asks for"),
        ({"amount": None}, "send `args.amount` in the kind the tool asks for"),
    ],
)
def test_a_forbid_that_cannot_be_ruled_out_names_the_path_instead_of_its_reason(ask, args, help_):
    decision = ask(BIG, args=args)
    assert (decision.effect, decision.rules) == (Effect.DENY, ("p.big",))
    assert decision.unknown == ("args.amount",)
    assert decision.reason == (
        "`args.amount` is missing or of the wrong kind, so `p.big` cannot be ruled out"
    )
    assert decision.help == help_


def test_of_two_forbids_only_the_doubtful_one_is_doubted(ask):
    decision = ask(f'{BIG} forbid always on tool get_x because "no"')
    assert decision.rules == ("p.always", "p.big")
    assert decision.reason.startswith("no; `args.amount` is missing")
    assert decision.unknown == ("args.amount",)


def test_a_caller_is_told_to_send_arguments_and_nothing_else(ask):
    decision = ask("permit p on any forbid f when facts.pull.author == args.b.c", args={"b": {}})
    assert decision.unknown == ("facts.pull.author", "args.b.c")
    assert decision.help == "send `args.b.c`"


def test_a_require_that_cannot_be_ruled_out_attaches_its_duties_and_blame(ask):
    text = "permit p on any require r when args.n > 1 then limit 1 per 1m by agent"
    decision = ask(text)
    assert (decision.permitted, len(decision.duties)) == (True, 1)
    assert decision.unknown == ("args.n",)
    assert ask(text, args={"n": 2}).unknown == ()
    assert ask(text, args={"n": 0}).duties == ()


def test_an_unknown_tool_or_server_is_to_blame_like_any_other_path(oracle):
    policy_set = oracle.policies(
        "package a on server github tiers lo < hi forbid f on tool get_x permit p on any"
    )
    decision = decide(policy_set, oracle.request(call={"tool": 7}))
    assert (decision.rules, decision.unknown) == (("a.f",), ("call.tool",))
    decision = decide(policy_set, oracle.request(call={"server": None}))
    assert (decision.rules, decision.unknown) == (("a.f",), ("call.server",))
    assert decide(policy_set, oracle.request(call={"server": "other"})).cause is Cause.NOT_PERMITTED


CHAIN = "permit p on any forbid f for kind scanner on any"


@pytest.mark.parametrize(
    ("kind", "actors", "rules", "unknown"),
    [
        ("assistant", [], ("p.p",), ()),
        ("scanner", [], ("p.f",), ()),
        ("assistant", [{"kind": "scanner"}], ("p.f",), ()),
        (None, [{"kind": "scanner"}], ("p.f",), ()),
        ("assistant", [{"id": "x"}], ("p.f",), ("chain.actors[…].kind",)),
        (None, [], ("p.f",), ("agent.kind",)),
    ],
)
def test_a_forbid_matches_any_actor_of_the_chain(ask, kind, actors, rules, unknown):
    agent = {"id": "a1", "tier": "developer"} | ({"kind": kind} if kind else {})
    decision = ask(CHAIN, agent=agent, chain={"actors": actors})
    assert (decision.rules, decision.unknown) == (rules, unknown)
    assert ("cannot be ruled out" in decision.reason) is bool(unknown)


def test_a_permit_matches_the_caller_alone(ask):
    text = "permit p for kind scanner on any"
    assert not ask(text, chain={"actors": [{"kind": "scanner"}]}).permitted
    assert ask(text, agent={"kind": "scanner"}).permitted


# --- what is settled by the key --------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "permitted"),
    [
        ('when call.scope == "gh:read"', True),
        ('when call.scope == "gh:write"', False),
        ('unless call.scope == "gh:write"', True),
        ('when call.scope in data.scopes and call.tool starts with "get"', True),
        ("when call.scope in data.scopes and args.a == 1", True),
        ("when call.scope in data.other and args.a == 1", False),
        ("when call.scope in data.missing", False),
        ("when call.server is null", False),
        ("when has call.scope", True),
        ("unless has call.scope", False),
    ],
)
def test_conditions_about_the_tool_alone_mean_what_they_say(ask, when, permitted):
    data = {"scopes": ["gh:read"], "other": []}
    roots = {"call": {"scope": "gh:read"}, "args": {"a": 1}, "data": data}
    assert ask(f"permit p on tool get_x {when}", **roots).permitted is permitted
    forbidden = ask(f"permit q on any forbid p on tool get_x {when}", **roots)
    assert forbidden.permitted is (not permitted and "missing" not in when)
    assert ask(f"permit q on any require p {when} then limit 1 per 1m by agent", **roots).permitted


def test_missing_and_null_are_told_apart_though_the_key_does_not(ask):
    for text in ("permit p on any when has call.scope", "permit p on any when call.scope is null"):
        assert not ask(text).permitted
        assert ask(text, call={"scope": None}).permitted


def test_a_permit_that_the_tool_rules_out_still_says_why(ask):
    text = 'permit p on any when call.scope == "gh:write" because "only for gh:write"'
    assert ask(text, call={"scope": "gh:read"}).reason == "only for gh:write"


@pytest.mark.parametrize(
    ("tier", "actors", "permitted"),
    [
        ("trusted", [], True),
        ("trusted", [{"tier": "trusted"}], True),
        ("trusted", [{"tier": "trusted"}, {"tier": "developer"}], False),
        ("developer", [{"tier": "trusted"}], False),
        ("trusted", [{"tier": "undeclared"}], False),
        ("trusted", [{}], False),
        ("trusted", ["trusted"], False),
        ("trusted", "trusted", False),
        ("trusted", None, False),
        ("trusted", {}, False),
    ],
)
def test_the_lowest_tier_of_the_chain_counts(ask, tier, actors, permitted):
    for text in (
        "permit p for tier >= trusted on any",
        'permit p on any when agent.tier == "trusted"',
    ):
        decision = ask(text, agent={"id": "a", "tier": tier}, chain={"actors": actors})
        assert decision.permitted is permitted
        assert not decision.help, "another tier of the caller alone would not help"
    forbid = "permit p on any forbid f for tier <= developer"
    assert ask(forbid, agent={"tier": tier}, chain={"actors": actors}).permitted is permitted


# --- expiry, shadow, texts, faults -----------------------------------------------------------


def test_a_permit_ends_as_its_day_begins(ask, oracle):
    text = "permit p @expires 2026-01-02 on any"
    day = 1_767_312_000_000
    assert ask(text, env={"now": day - 1}).permitted
    assert not ask(text, env={"now": day}).permitted
    assert not ask(text, env={}).permitted
    policy_set = oracle.policies(text)
    assert shown(policy_set, oracle.request(env={"now": day - 1}))
    assert shown(policy_set, oracle.request(env={}))
    assert not shown(policy_set, oracle.request(env={"now": day}))


def test_shadow_rules_are_told_and_not_enforced(ask):
    text = """
      forbid f @shadow on tool get_x
      forbid g @shadow when args.n > 1
      forbid h @shadow on tool merge
      permit q @shadow on any
    """
    decision = ask(f"{text} permit p on any")
    assert (decision.rules, decision.shadow) == (("p.p",), ("p.f", "p.g", "p.q"))
    assert decision.unknown == ()
    decision = ask(text)
    assert (decision.cause, decision.shadow) == (Cause.NOT_PERMITTED, ("p.f", "p.g", "p.q"))


def test_a_shadow_requirement_adds_no_duty(ask):
    text = "permit p on any require r @shadow on any then limit 1 per 1m by agent"
    decision = ask(text)
    assert (decision.permitted, decision.duties, decision.shadow) == (True, (), ("p.r",))


def test_a_shadow_permit_of_an_unknown_server_would_not_have_applied(ask):
    text = "permit q @shadow on server github permit p on any"
    assert ask(text).shadow == ("p.q",)
    assert ask(text, call={"server": None}).shadow == ()


def test_internal_texts_go_to_the_record_and_not_into_the_reason(ask):
    text = 'forbid f on any internal "{user.login} tried {call.tool}" permit p on any'
    decision = ask(text, user={"login": "eve"})
    assert (decision.reason, decision.internal) == ("", "eve tried get_x")


def test_a_permit_that_does_not_apply_says_why_when_nothing_else_permits(ask):
    text = 'permit p on tool get_x when args.a == 1 because "only with a = 1, not {args.a}"'
    assert ask(text, args={"a": 2}).reason == "only with a = 1, not 2"
    assert ask(text, args={"a": 3}).reason == "only with a = 1, not 3"
    assert ask(text, args={"a": 1}).reason == ""


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("permit p for tier >= trusted on any", "an agent of tier `trusted` may do this"),
        ("permit p for tier < ci_agent on any", "an agent of tier `read_only` may do this"),
        (
            "permit p for tier >= ci_agent on any",
            "an agent of tier `ci_agent` or higher may do this",
        ),
        ("permit p for tier >= ci_agent on any when args.n == 1", ""),
        ("permit p for tier >= ci_agent on any forbid f on any", ""),
        ("permit p for tier >= ci_agent on any forbid f for tier >= ci_agent", ""),
    ],
)
def test_a_tier_is_said_to_help_only_when_it_would(ask, text, help_):
    agent = {"tier": "ci_agent"} if "trusted" in text or "<" in text else {"tier": "read_only"}
    assert ask(text, agent=agent).help == help_


def test_a_defect_of_ours_is_a_denial_that_carries_its_traceback(oracle):
    policy_set = oracle.policies("permit p on any when agent.verified")

    def broken(*_):
        raise ZeroDivisionError("a defect")

    (rule,) = policy_set.rules
    policy_set = oracle.of_rules([replace(rule, ask=broken)])
    policy_set.index.find(key_of(oracle.request())).rules = broken
    decision = decide(policy_set, oracle.request())
    assert (decision.effect, decision.cause) == (Effect.DENY, Cause.ENGINE_FAULT)
    assert "ZeroDivisionError: a defect" in decision.internal
    assert "ZeroDivisionError" not in decision.reason + decision.help
    assert not shown(policy_set, oracle.request())
    grant = grant_scope(policy_set, oracle.request(call=ISSUE), [oracle.request().call])
    assert not grant.permitted


@pytest.mark.parametrize(
    "text",
    [
        'permit p on any internal "a call of {agent.id}"',
        'permit p on any forbid f on any because "not {agent.id}"',
        'permit p for tier >= trusted on any because "not {agent.id}"',
    ],
)
def test_a_defect_in_telling_is_a_denial_too(oracle, monkeypatch, text):
    """Whoever tells a decision is about to record it, or to forward what it permits."""

    def broken(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("pbac.pdp.telling.render_text", broken)
    decision = oracle.answer(oracle.policies(text), oracle.request())
    assert (decision.effect, decision.cause) == (Effect.DENY, Cause.ENGINE_FAULT)
    assert "ZeroDivisionError: a defect" in decision.internal
    assert "ZeroDivisionError" not in decision.reason + decision.help


def test_rules_that_apply_for_certain_are_not_asked_for_blame(oracle, monkeypatch):
    def never(*_):
        raise AssertionError("a certain rule was asked whom to blame")

    policy_set = oracle.policies('permit p on any forbid f on any when args.a == 1 because "no"')
    monkeypatch.setattr("pbac.pdp.telling.blamed", never)
    assert oracle.answer(policy_set, oracle.request(args={"a": 1})).reason == "no"


# --- Law 6 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("permit p on any", True),
        ("permit p on tool merge", False),
        ("permit p on any when args.a == 1", True),
        ('permit p on any when args.a == 1 and agent.kind == "ci"', False),
        ("permit p on any when has args.a", True),
        ("permit p on any when not has args.a", True),
        ("permit p for tier >= trusted on any", False),
        ("permit p on any forbid f on tool get_x", False),
        ("permit p on any forbid f when args.a == 1", True),
        ('permit p on any forbid f when user.login == "x"', False),
        ('permit p on any forbid f when args.a == 1 or agent.kind == "assistant"', False),
        ("permit p on any forbid f when session.calls > 3", True),
        ("permit p on any forbid f @shadow on any", True),
        ("permit p @shadow on any", False),
    ],
)
def test_a_list_shows_what_could_be_permitted(oracle, text, visible):
    assert shown(oracle.policies(text), oracle.request()) is visible


# --- Law 9 -----------------------------------------------------------------------------------


@pytest.fixture
def grant(oracle):
    """Ask for the scope `gh:read`, which `get_x` needs."""

    def decision(text, **roots):
        call = {**oracle.request().call, "scope": "gh:read"}
        return grant_scope(oracle.policies(text), oracle.request(call=ISSUE, **roots), [call])

    return decision


def test_a_scope_is_granted_when_some_call_that_needs_it_could_be_permitted(grant):
    assert grant("permit p on scope gh:read when args.a == 1").rules == ("p.p",)
    assert grant("permit p on tool get_x").permitted
    denied = grant("permit p on tool merge")
    assert (denied.effect, denied.cause) == (Effect.DENY, Cause.NOT_PERMITTED)
    assert not grant("permit p for tier >= trusted on scope gh:read").permitted
    assert not grant("permit p on any forbid f on scope gh:read").permitted


def test_no_tool_needs_the_scope_so_it_is_not_granted(oracle):
    policy_set = oracle.policies("permit p on any")
    assert not grant_scope(policy_set, oracle.request(call=ISSUE), []).permitted


def test_rules_on_token_of_a_confined_package_are_about_tokens_for_its_servers(oracle):
    """Others are none of its business; of a scope for several servers, one refusal is enough."""
    confined = 'package gh on server github\nforbid f on token because "no"'
    policy_set = oracle.policies("permit p on any", confined)
    here = {**oracle.request().call, "scope": "s"}
    there = {**here, "server": "mirror"}
    asked = oracle.request(call={"method": "token/issue", "scope": "s"})
    assert grant_scope(policy_set, asked, [there]).permitted
    for calls in ([here], [here, there], [there, here]):
        denied = grant_scope(policy_set, asked, calls)
        assert (denied.rules, denied.unknown, denied.reason) == (("gh.f",), (), "no")


def test_a_token_is_issued_now_and_nobody_knows_yet_when_it_ends(grant):
    """What is asked of `token.expires_at` could still be either (Law 6)."""
    held = {"token": {"scopes": ["gh:read"], "issued_at": 1_767_261_600_000, "age": 0}}
    permit = "permit p on tool get_x"
    for condition in ("token.expires_at > 2020-01-01T00:00:00Z", "has token.expires_at"):
        assert grant(f"{permit} when {condition}", **held).permitted
        assert grant(f"{permit} forbid f on any when {condition}", **held).permitted
    later = "forbid f on any when token.issued_at < 2026-01-01T00:00:00Z"
    assert grant(f"{permit} {later}", **held).permitted


def test_only_on_token_rules_are_about_issuance(grant):
    text = 'permit p on any forbid f on token when agent.kind == "assistant" because "not you"'
    denied = grant(text)
    assert (denied.cause, denied.rules, denied.reason) == (Cause.FORBIDDEN, ("p.f",), "not you")
    assert grant(text, agent={"kind": "ci", "tier": "developer"}).permitted
    doubted = grant(text, agent={"tier": "developer"})
    assert (doubted.rules, doubted.unknown) == (("p.f",), ("agent.kind",))


def test_an_on_token_rule_says_nothing_about_calls(ask):
    assert ask("permit p on any forbid f on token").permitted


def test_requires_on_token_give_a_token_its_duties(grant):
    text = 'permit p on any require short on token when agent.kind == "ci" then expire in 15m'
    granted = grant(text, agent={"kind": "ci", "tier": "developer"})
    assert [duty.parameters for duty in granted.duties] == [{"in_ms": 900_000}]
    assert grant(text).duties == ()
    assert grant(text, agent={"tier": "developer"}).unknown == ("agent.kind",)
