"""Explanations: they agree with the decision, and what they say would help does."""

from __future__ import annotations

from hypothesis import assume, given

from pbac.base.render import STYLES
from pbac.pdp.engine import grant_scope, shown
from pbac.pdp.explain import explain
from pbac.pdp.explain_listing import explain_issue, explain_list
from pbac.pdp.explain_text import render_explanation, render_issue, render_listing


def explained(oracle, text, **roots):
    found = explain(oracle.policies(text), oracle.request(**roots))
    return found, render_explanation(found)


def rule(explanation, name):
    return next(each for each in explanation.rules if each.name == name)


def test_an_explanation_agrees_with_the_decision(make, oracle, prove):
    """The interpreter explains what generated code decided."""

    @given(oracle.policy_sets(make), oracle.requests(make))
    def check(policy_set, asked):
        assume(asked.call.get("method") != "token/issue")
        found = explain(policy_set, asked)
        assert found.decision == oracle.answer(policy_set, asked)
        applied = {each.name for each in found.rules if each.applies and not each.shadow}
        assert {each.name for each in found.rules if each.decides} == set(found.decision.rules)
        assert set(found.decision.rules) <= applied
        forbids = {each.name for each in found.rules if each.effect == "forbid"} & applied
        permits = {each.name for each in found.rules if each.effect == "permit"} & applied
        assert found.decision.permitted == bool(permits and not forbids)
        assert {each.name for each in found.rules if each.applies and each.shadow} == set(
            found.decision.shadow
        )
        assert len(found.rules) + found.elsewhere == policy_set.rule_count
        assert render_explanation(found).endswith("\n")

    prove(check)


def test_a_near_miss_names_everything_that_is_lacking(oracle):
    found, text = explained(
        oracle,
        """
        permit merge
          for tier >= trusted
          on tool get_x
          when args.n < 10 and args.branch == "main"
        permit far
          for tier trusted
          for kind planner
          on tool get_x
          when args.n > 10 and args.branch == "dev" unless args.n < 100
        """,
        args={"n": 5, "branch": "dev"},
    )
    (miss,) = found.near_misses
    assert miss.rule == "p.merge"
    assert miss.needs == ("for tier >= trusted", 'args.branch == "main"')
    assert "`p.merge` would permit it if `for tier >= trusted` and" in text


def test_what_a_near_miss_needs_makes_it_a_permit(oracle):
    text = "permit merge\n  for tier >= trusted\n  on tool get_x\n  when args.n < 10\n"
    found, _ = explained(oracle, text, args={"n": 50})
    assert found.near_misses[0].needs == ("for tier >= trusted", "args.n < 10")
    agent = {"id": "a1", "tier": "trusted"}
    found, _ = explained(oracle, text, agent=agent, args={"n": 9})
    assert found.decision.permitted
    assert found.near_misses == ()


def test_an_unless_is_needed_the_other_way_round(oracle):
    text = "permit x\n  on tool get_x\n  unless args.force == true\n"
    found, _ = explained(oracle, text, args={"force": True})
    assert found.near_misses[0].needs == ("args.force != true",)


def test_a_permit_for_another_scope_is_no_near_miss(oracle):
    text = "permit x\n  on scope gh:write\n"
    found, _ = explained(oracle, text)
    assert found.near_misses == ()
    assert found.rules[0].truth == "unknown"


def test_every_truth_and_value_is_told(oracle):
    found, text = explained(
        oracle,
        """
        permit x
          on tool get_x
          when args.n > 3 or args.list contains "a" or has user
        forbid y
          when not env.ip in cidr "10.0.0.0/8"
        """,
        args={"n": "many", "list": ["b"]},
    )
    assert [clause.truth for clause in rule(found, "p.x").clauses] == ["true", "unknown"]
    assert [part.truth for part in rule(found, "p.x").clauses[1].parts] == [
        "unknown",
        "false",
        "false",
    ]
    assert '? args.n > 3              args.n = "many"\n' in text
    assert '✗ args.list contains "a"  args.list = ["b"]\n' in text
    assert "✗ has user                user is missing\n" in text
    assert "→ forbid p.y  applies: it cannot be ruled out\n" in text
    assert "env.ip is missing\n" in text


def test_a_step_into_what_has_no_fields_cannot_be_read(oracle):
    _, text = explained(oracle, "permit x\n  on any\n  when args.a.b == 1\n", args={"a": "text"})
    assert "args.a.b cannot be read" in text


def test_expiry_shadow_and_duties_are_told(oracle):
    found, text = explained(
        oracle,
        """
        permit old
          @expires 2026-01-01
          on tool get_x
        permit new
          on tool get_x
        forbid tried
          @shadow
          on any
        require often
          on any
          then limit 3 per 1m by agent
        """,
    )
    assert rule(found, "p.old").clauses[0].truth == "false"
    assert "✗ @expires 2026-01-01  env.now = 2026-01-01T10:00:00.000Z" in text
    assert "  forbid p.tried  applies (shadow: not enforced)\n" in text
    assert "  require p.often  applies, and adds limit\n" in text
    assert "→ permit p.new  applies\n" in text


def test_a_rule_without_clauses_is_about_every_call(oracle):
    _, text = explained(oracle, "forbid all_of_it\n")
    assert "→ forbid p.all_of_it  applies\n  └─ ✓ about every call\n" in text


def test_a_definition_is_quoted_where_it_is_used_and_told_by_its_values(oracle):
    found, _ = explained(
        oracle,
        "define small = args.n < 10 and args.n > 0\npermit x\n  on any\n  when small\n",
        args={"n": 20},
    )
    (clause,) = [each for each in found.rules[0].clauses if each.clause == "when"]
    assert clause.text == "when small"
    (body,) = clause.parts
    assert body.text == "args.n < 10 and args.n > 0"
    assert {reading.path for part in body.parts for reading in part.readings} == {"args.n"}


def test_long_and_hostile_values_do_not_run_away(oracle):
    _, text = explained(
        oracle,
        "permit x\n  on any\n  when args.t == 1\n",
        args={"t": "\x1b[2J\u202e" + "x" * 500},
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 200


def test_colour_only_adds_escapes(oracle):
    found, plain = explained(oracle, "permit x\n  on any\n")
    coloured = render_explanation(found, STYLES)
    assert coloured != plain
    for escape in (*STYLES.values(), "\x1b[0m"):
        coloured = coloured.replace(escape, "")
    assert coloured == plain


# --- near misses ---------------------------------------------------------------------------------


def near(oracle, text, **roots):
    found, told = explained(oracle, text, **roots)
    return [(miss.rule, miss.needs, miss.avoided) for miss in found.near_misses], told


def test_a_forbid_that_decides_says_how_it_would_not(oracle):
    text = """
    permit merge
      on tool get_x
    forbid forced
      on tool get_x
      when args.force == true or args.n > 10
    """
    ((rule_name, needs, avoided),), told = near(oracle, text, args={"force": True, "n": 50})
    assert (rule_name, needs) == ("p.merge", ())
    assert [(each.rule, each.needs) for each in avoided] == [
        ("p.forced", ("args.force != true", "args.n <= 10"))
    ]
    assert (
        "`p.merge` permits it, and `p.forced` would not forbid it if "
        "`args.force != true` and `args.n <= 10` (tried: args.force = false, args.n = 10)\n"
    ) in told


def test_what_a_forbid_and_a_permit_want_is_told_together_and_least_first(oracle):
    text = """
    permit merge
      for tier >= trusted
      on tool get_x
    permit far
      for tier >= trusted
      for kind ci
      on tool get_x
    forbid forced
      on tool get_x
      when args.force == true and args.n > 10 and args.m == 1
    """
    ((rule_name, needs, avoided),), _ = near(oracle, text, args={"force": True, "n": 50, "m": 1})
    assert (rule_name, needs) == ("p.merge", ("for tier >= trusted",))
    assert avoided[0].needs == ("args.force != true",)


def test_nothing_is_near_when_a_forbid_applies_to_every_such_call(oracle):
    found, _ = near(oracle, "permit x\n  on any\nforbid y\n  on tool get_x\n")
    assert found == []


def test_who_calls_is_changed_only_when_no_condition_can_be(oracle):
    text = "permit x\n  on any\nforbid y\n  for kind assistant\n  unless args.n == 1\n"
    ((_, _, avoided),), _ = near(oracle, text, args={"n": 2})
    assert avoided[0].needs == ("args.n == 1",)
    ((_, _, avoided),), _ = near(oracle, "permit x\n  on any\nforbid y\n  for kind assistant\n")
    assert avoided[0].needs == ('agent.kind != "assistant"',)


# --- definitions, items, annotations ---------------------------------------------------------------


def test_a_definition_is_told_by_its_name_and_below_it_what_it_stands_for(oracle):
    found, text = explained(
        oracle,
        """
        define mine(who) = who == agent.id or who in data.friends
        permit x
          on any
          when mine(args.owner) and not mine(args.author)
        """,
        args={"owner": "a1", "author": "a1"},
    )
    (clause,) = [each for each in rule(found, "p.x").clauses if each.clause == "when"]
    assert [part.text for part in clause.parts] == ["mine(args.owner)", "not mine(args.author)"]
    (body,) = clause.parts[0].parts
    assert body.text == "who == agent.id or who in data.friends"
    assert [part.truth for part in body.parts] == ["true", "unknown"]
    assert body.parts[0].readings[0].path == "args.owner"
    assert found.near_misses[0].needs == ("not mine(args.author)",)
    assert "├─ ✓ mine(args.owner)\n" in text


def test_the_item_that_decided_is_told(oracle):
    text = """
    permit x
      on any
      when any l in session.labels: l starts with "un"
      when all n in args.list: (n < 10 and n > 0)
    """
    session = {"labels": ["a", "un:b", "un:c"]}
    found, told = explained(oracle, text, session=session, args={"list": [5, 50]})
    first, second = [each for each in rule(found, "p.x").clauses if each.clause == "when"]
    (part,) = first.parts
    assert (part.item, part.text) == ("item 2 of 3", 'l starts with "un"')
    assert [(r.path, r.value) for r in part.readings] == [("session.labels[1]", "un:b")]
    assert (second.truth, second.parts[0].item) == ("false", "item 2 of 2")
    assert [part.truth for part in second.parts[0].parts] == ["false", "true"]
    assert "(item 2 of 3)" in told
    assert "args.list[1] = 50" in told


def test_no_item_decides_what_an_empty_list_would(oracle):
    text = 'permit x\n  on any\n  when any l in session.labels: l == "b"\n'
    found, _ = explained(oracle, text, session={"labels": ["a"]})
    clause = rule(found, "p.x").clauses[-1]
    assert clause.parts == ()
    assert clause.readings[0].value == ["a"]


def test_the_annotations_of_the_deciding_rule_are_told(oracle):
    text = """
    permit x
      @owner "payments"
      @ticket "SEC-7"
      on any
    permit y
      @owner "nobody"
      on tool other
    """
    found, told = explained(oracle, text)
    assert rule(found, "p.x").annotations == {"owner": "payments", "ticket": "SEC-7"}
    assert '→ permit p.x  applies  @owner "payments"  @ticket "SEC-7"\n' in told


def test_several_duties_of_a_kind_are_told_together(oracle):
    _, told = explained(
        oracle,
        """
        permit x
          on any
        require a
          on any
          then limit 3 per 1m by agent
        require b
          on any
          then limit 5 per 1h by tool
        """,
    )
    assert "     then limit 3 per 1m by agent\n" in told
    assert "  2 × limit: every one of them has to hold\n" in told


def test_unknown_paths_are_told(oracle):
    _, told = explained(oracle, "permit x\n  on any\nforbid y\n  when args.n > 3\n")
    assert "  unknown   args.n\n" in told


# --- lists and tokens ------------------------------------------------------------------------------


def test_a_listing_s_explanation_agrees_with_the_engine(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make))
    def check(policy_set, asked):
        assume(asked.call.get("method") != "token/issue")
        found = explain_list(policy_set, asked)
        assert found.shown == shown(policy_set, asked)
        refused = [r for r in found.rules if r.effect == "forbid" and "false" not in r.can]
        possible = [r for r in found.rules if r.effect == "permit" and "true" in r.can]
        assert found.shown == bool(possible and not refused)
        for each in found.rules:
            assert each.decides == (each in refused or (found.shown and each in possible))
        assert render_listing(found).endswith("\n")

    prove(check)


def test_a_hidden_tool_says_which_clause_hides_it(oracle):
    text = "permit x\n  for tier >= trusted\n  on tool get_x\n  when args.n > 3\n"
    told = render_listing(explain_list(oracle.policies(text), oracle.request()))
    assert told.startswith("hidden  `get_x` on `github` by `a1` (developer)\n")
    assert "  permit p.x  cannot be true\n" in told
    assert '├─ ✗   for tier >= trusted  agent.tier = "developer"\n' in told
    assert "└─ ✓✗? when args.n > 3\n" in told


def test_a_forbid_that_cannot_be_false_hides(oracle):
    text = "permit x\n  on tool get_x\nforbid y\n  unless call.pinned\n"
    told = render_listing(explain_list(oracle.policies(text), oracle.request()))
    assert "→ forbid p.y  cannot be false: it hides the tool\n" in told


def test_a_scope_is_explained_by_rules_about_tokens_and_by_its_calls(oracle):
    text = """
    permit x
      for tier >= trusted
      on scope gh:read
    forbid y
      for kind scanner
      on token
    """
    policy_set = oracle.policies(text)
    asked = oracle.request(call={"method": "token/issue", "scope": "gh:read"})
    call = {"method": "tools/call", "tool": "get_x", "scope": "gh:read"}
    found = explain_issue(policy_set, asked, [call])
    assert found.decision == grant_scope(policy_set, asked, [call])
    assert [each.name for each in found.rules] == ["p.y"]
    told = render_issue(found)
    assert told.startswith("deny  ")
    assert "  a call of it could never be permitted:\n" in told
    assert "permit p.x  cannot be true\n" in told
