"""Explanations: they agree with the decision, and what they say would help does."""

from __future__ import annotations

from hypothesis import assume, given

from pbac.base.render import STYLES
from pbac.pdp.engine import decide
from pbac.pdp.explain import explain
from pbac.pdp.explain_text import render_explanation


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
        assert found.decision == decide(policy_set, asked)
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
    assert miss.needs == ("agent.tier >= trusted", 'args.branch == "main"')
    assert "`p.merge` would permit it if `agent.tier >= trusted` and" in text


def test_what_a_near_miss_needs_makes_it_a_permit(oracle):
    text = "permit merge\n  for tier >= trusted\n  on tool get_x\n  when args.n < 10\n"
    found, _ = explained(oracle, text, args={"n": 50})
    assert found.near_misses[0].needs == ("agent.tier >= trusted", "args.n < 10")
    agent = {"id": "a1", "tier": "trusted"}
    found, _ = explained(oracle, text, agent=agent, args={"n": 9})
    assert found.decision.permitted
    assert found.near_misses == ()


def test_an_unless_is_needed_the_other_way_round(oracle):
    text = "permit x\n  on tool get_x\n  unless args.force == true\n"
    found, _ = explained(oracle, text, args={"force": True})
    assert found.near_misses[0].needs == ("not (args.force == true)",)


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
    assert rule(found, "p.old").clauses[0].needs == "env.today < 2026-01-01"
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
    told = {reading.path for reading in clause.readings}
    told |= {reading.path for part in clause.parts for reading in part.readings}
    assert told == {"args.n"}


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
