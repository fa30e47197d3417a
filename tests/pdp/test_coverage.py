"""Coverage: it asks for what can come, counts what the interpreter saw, and never more."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.source import NOWHERE
from pbac.lang import nodes
from pbac.lang.evaluate import interpret, targets
from pbac.lang.evaluate.paths import children
from pbac.lang.evaluate.truth import Truth, conjunction, negation, truth_of
from pbac.pdp.cases import CaseResult, run_tests
from pbac.pdp.coverage import counted, measure, percent
from pbac.pdp.coverage_text import coverage_json, render_annotated, render_lcov, render_table
from pbac.pdp.reachable import clause_outcomes, clauses_of, expression_outcomes

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
ANY, DECIDED = {T, F, U}, {T, F}


def covered(oracle, rules, tests, data=None):
    policy_set = oracle.policies(f'{rules}\ntest "t"\n{tests}\n', data=data)
    return policy_set, measure(policy_set, run_tests(policy_set))


def spots(coverage):
    """Text → seen and asked, as words; parts too."""
    return {
        each.text: (told(each.seen), told(each.asked))
        for spot in coverage.spots
        for each in spot.every()
    }


def told(outcomes):
    return "".join(truth.name[0] for truth in (T, F, U) if truth in outcomes)


# --- what counts -------------------------------------------------------------------------------


def test_an_outcome_counts_where_no_other_clause_decides(oracle):
    _, found = covered(
        oracle,
        "permit x\n  for tier >= trusted\n  on tool get_x\n  when args.n > 3\n",
        """
        agent { tier: read_only }
        call get_y { n: 1 } => deny
        call get_x { n: 5 } => deny
        agent { tier: trusted }
        call get_x { n: "x" } => deny
        """,
    )
    assert spots(found) == {
        "p.x": ("FU", "TFU"),
        "for tier >= trusted": ("F", "TFU"),  # true was never alone with the rest not false
        "on tool get_x": ("T", "TF"),
        "when args.n > 3": ("U", "TFU"),
    } | {"for tier >= trusted": ("TF", "TFU")}
    assert percent(found.spots) == 100 * 6 // 11


def test_parts_of_and_and_or_count_where_they_could_decide(oracle):
    _, found = covered(
        oracle,
        "permit x\n  on tool t\n  when args.a == 1 and (args.b == 1 or not (args.c == 1 and has args.d))\n",
        """
        call t { a: 1, b: 1, c: 1, d: 1 } => permit
        call t { a: 2, b: 2, c: 1, d: 1 } => deny
        call t { a: 2, b: 1, c: 1, d: 1 } => deny
        """,
    )
    seen = spots(found)
    assert seen["args.a == 1"] == ("TF", "TFU")  # false counts when the rest is true
    assert seen["args.b == 1"] == ("T", "TFU")  # false only where `a` decided already
    assert seen["args.c == 1"] == ("", "TFU")  # `b` decided, or `a` did


def test_items_of_a_list_are_each_seen(oracle):
    _, found = covered(
        oracle,
        "permit x\n  on tool t\n  when any i in args.l: (i.a == 1 or i.b == 1)\n",
        "call t { l: [{a: 1, b: 2}, {a: 2, b: 1}, {a: 2}] } => permit\n  call t { l: [] } => deny",
    )
    seen = spots(found)
    assert seen["when any i in args.l: (i.a == 1 or i.b == 1)"] == ("TF", "TFU")
    assert seen["i.a == 1"] == ("TF", "TFU")
    assert seen["i.b == 1"] == ("TU", "TFU")  # false only beside an `a` that decides


def test_a_definition_is_covered_once_by_all_its_uses(oracle):
    _, found = covered(
        oracle,
        """
        define mine(who) = who == agent.id or who in data.friends
        permit x
          on tool t
          when mine(args.owner)
        permit y
          on tool u
          when mine(args.author) and args.n == 1
        """,
        """
        call t { owner: "agent" } => permit
        call u { author: "b", n: 1 } => permit
        call u { author: "c", n: 1 } => deny
        """,
        data={"friends": ["b"]},
    )
    (definition,) = found.definitions
    assert (definition.text, definition.what) == ("p.mine", "define")
    assert told(definition.seen) == "TF"
    assert [(part.text, told(part.seen)) for part in definition.parts] == [
        ("who == agent.id", "TF"),
        ("who in data.friends", "TF"),
    ]
    seen = spots(found)
    assert seen["mine(args.author)"] == ("TF", "TFU")
    assert seen["when mine(args.owner)"] == ("T", "TFU")


def test_lists_see_nothing_and_tokens_see_rules_about_tokens(oracle):
    rules = "permit x\n  on tool t\nforbid y\n  for kind scanner\n  on token\n"
    _, found = covered(oracle, rules, "list t => shown")
    assert counted(found.spots)[0] == 0
    _, found = covered(oracle, rules, 'agent { kind: "scanner" }\n  issue gh:x => deny by y')
    assert spots(found)["p.y"] == ("T", "TFU")
    assert spots(found)["p.x"] == ("", "TF")


def test_other_servers_and_expiry(oracle):
    text = """package p on server github
permit x
  @expires 2026-07-01
  on tool t
test "t"
  call t => permit
  tool t { server: "other" }
  call t => deny
"""
    policy_set = oracle.policies(text)
    found = spots(measure(policy_set, run_tests(policy_set)))
    assert found == {
        "p.x": ("T", "TF"),
        "@expires 2026-07-01": ("T", "TF"),
        "on tool t": ("T", "TF"),
    }


# --- what is asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("args.n > 3", "TFU"),
        ("has args.n", "TF"),
        ("has args.n.m", "TFU"),
        ("has user", "TF"),
        ("has agent.id", "T"),
        ("not has user", "TF"),
        ('agent.id == "x"', "TF"),
        ('agent.id in ["a", "b"]', "TF"),
        ('agent.id like "a*"', "TF"),
        ("agent.id == args.owner", "TFU"),
        ('agent.kind == "x"', "TFU"),
        ("env.now > 2026-01-01T00:00:00Z", "TF"),
        ('env.now in weekdays 09:00-17:00 "Europe/Berlin"', "TF"),
        ("args.n default 0 is number", "TF"),
        ("args.n is number", "TFU"),
        ("true", "T"),
        ("has args.a and has args.b", "TF"),
        ("has args.a or args.b == 1", "TFU"),
        ('any a in chain.actors: a.kind == "x"', "TFU"),
        ('any a in args.l: a.kind == "x"', "TFU"),
        ("all a in args.l: has args.b", "TFU"),  # it may be no list
        ("all a in chain.actors: has args.b", "TF"),
        ("call.pinned", "TFU"),
    ],
)
def test_what_a_condition_can_become(oracle, condition, asked):
    policy_set = oracle.policies(f"permit x\n  on any\n  when {condition}\n")
    (rule,) = policy_set.rules
    assert told(expression_outcomes(rule.node.conditions[0].expression)) == asked


@pytest.mark.parametrize(
    ("clause", "asked"),
    [
        ("on any", "T"),
        ("on tool *", "T"),
        ("on tool t", "TF"),
        ("on tool * except t", "TF"),
        ("on scope *", "TU"),
        ("on scope a", "TFU"),
        ("on resource r", "F"),
        ("for tier >= read_only", "TU"),
        ("for tier >= trusted", "TFU"),
        ("for tier < read_only", "FU"),
        ("for agent a", "TF"),
        ("for kind a", "TFU"),
        ("for group *", "TFU"),
    ],
)
def test_what_a_target_can_become(oracle, clause, asked):
    policy_set = oracle.policies(f"forbid x\n  {clause}\n")
    (rule,) = policy_set.rules
    (written,) = clauses_of(rule)
    assert told(clause_outcomes(written, rule, policy_set.tiers)) == asked


def ordinary(asked):
    """The request with what every request holds, in the kind it has."""
    call = {**asked.call, "method": "tools/call", "tool": "t"}
    chain = {**asked.chain, "depth": 0, "actors": []}
    env = {**asked.env, "now": 1_767_261_600_000, "today": "2026-01-01"}
    agent = {**asked.agent, "id": "a1", "name": "a1"}
    return msgspec.structs.replace(asked, agent=agent, call=call, chain=chain, env=env)


def test_what_comes_was_thought_to_be_possible(make, oracle, prove):
    @given(oracle.rules(make), oracle.requests(make), make.DATA)
    def check(node, asked, data):
        (rule,) = oracle.assembled([node]).rules
        if rule.on_token:
            return
        asked = ordinary(asked)
        told = interpret.clause_truths(rule.node, asked, data, oracle.TIERS)
        for clause, truth in told:
            assert truth in clause_outcomes(clause, rule, oracle.TIERS)

    prove(check)


# --- against an oracle -------------------------------------------------------------------------


def results_of(policy_set, requests):
    step = nodes.Expectation(span=NOWHERE, what="call", subject="t", arguments=None, outcome="deny")
    return [
        CaseResult(
            package="p", test="t", span=NOWHERE, step=step, policy_set=policy_set,
            request=request, expected="deny",
        )
        for request in requests
    ]  # fmt: skip


def scanned(rule, policy_set, requests):
    """What counts, for rule and clauses, by trying: an outcome decides when changing it may."""
    seen, data, tiers = {}, policy_set.data, policy_set.tiers
    for request in requests:
        truths = [t for _, t in interpret.clause_truths(rule.node, request, data, tiers)]
        if rule.expires_ms is not None:
            now = request.env.get("now")
            truths.insert(0, truth_of(now < rule.expires_ms) if type(now) is int else U)
        outside = [targets.phase_truth(rule.node, request), targets.server_truth(rule.servers, request)]  # fmt: skip
        if F in outside:
            continue
        seen.setdefault("rule", set()).add(conjunction([*outside, *truths]))
        for number, truth in enumerate(truths):
            others = [*outside, *truths[:number], *truths[number + 1 :]]
            wholes = {conjunction([*others, other]) for other in Truth}
            if len(wholes) > 1:  # it makes a difference
                seen.setdefault(number, set()).add(truth)
    return seen


def test_coverage_is_what_the_interpreter_saw_and_never_more(make, oracle, prove):
    @given(oracle.policy_sets(make, most=4), st.lists(oracle.requests(make), max_size=5))
    def check(policy_set, requests):
        found = measure(policy_set, results_of(policy_set, requests))
        for rule, spot in zip(policy_set.rules, found.rules, strict=True):
            seen = scanned(rule, policy_set, requests)
            assert spot.seen == seen.get("rule", set()) & spot.asked
            for number, clause in enumerate(spot.parts):
                assert clause.seen == seen.get(number, set()) & clause.asked
            for each in spot.every():
                assert each.seen <= each.asked
        assert 0 <= percent(found.spots) <= 100

    prove(check)


def test_parts_are_what_the_interpreter_saw(make, oracle, prove):
    """Of one `when` that is `and` or `or`: a part counts when changing it changes the whole."""

    @given(
        st.lists(make.expressions(3), min_size=2, max_size=4),
        st.sampled_from(["and_", "or_"]),
        st.lists(make.requests(), max_size=4),
        st.booleans(),
    )
    def check(items, join, requests, negated):
        whole = getattr(make, join)(*items)
        policy_set = oracle.assembled([make.rule("permit", make.when(whole, negated=negated))])
        asked = [ordinary(request) for request in requests]
        found = measure(policy_set, results_of(policy_set, asked))
        (clause,) = found.rules[0].parts
        fold = (
            conjunction if join == "and_" else lambda ts: negation(conjunction(map(negation, ts)))
        )
        expected = [set() for _ in items]
        for request in asked:
            truths = [interpret.truth(i, request, policy_set.data) for i in children(whole)]
            for number, truth in enumerate(truths):
                others = truths[:number] + truths[number + 1 :]
                if len({fold([*others, other]) for other in Truth}) > 1:
                    expected[number].add(truth)
        assert [part.seen for part in clause.parts] == [
            frozenset(seen) & part.asked for seen, part in zip(expected, clause.parts, strict=True)
        ]

    prove(check)


def test_more_tests_never_cover_less(make, oracle, prove):
    @given(oracle.policy_sets(make, most=4), st.lists(oracle.requests(make), max_size=6))
    def check(policy_set, requests):
        results = results_of(policy_set, requests)
        some = measure(policy_set, results[: len(results) // 2])
        more = measure(policy_set, results)
        assert counted(some.spots)[0] <= counted(more.spots)[0]
        assert counted(some.spots)[1] == counted(more.spots)[1]

    prove(check)


# --- telling -----------------------------------------------------------------------------------

RULES = "permit x\n  for tier >= trusted\n  on tool t\n  when args.a == 1 and args.b == 1\n"
TESTS = "agent { tier: trusted }\n  call t { a: 1, b: 1 } => permit"


def test_the_table_says_what_was_never_seen(oracle):
    _, found = covered(oracle, RULES, TESTS)
    text = render_table(found)
    assert "  permit p.x   35%\n" in text
    assert "      4  for tier >= trusted  never false, unknown\n" in text
    assert "      6  args.b == 1  never false, unknown\n" in text
    assert text.endswith("  6 of 17 outcomes seen, 35%\n")


def test_the_source_is_marked_line_by_line(oracle):
    policy_set, found = covered(oracle, RULES, TESTS)
    text = render_annotated(found, policy_set.texts)
    assert "✓··    4 │   for tier >= trusted\n" in text
    assert "✓·     5 │   on tool t\n" in text
    assert f"         │ {' ' * 23}~~~~~~~~~~~ never false, unknown\n" in text
    assert '       8 │ test "t"\n' in text


def test_what_is_complete_has_no_complaints(oracle):
    _, found = covered(oracle, "permit x\n  on tool t\n", "call t => permit\n  call u => deny")
    assert percent(found.spots) == 100
    assert "never" not in render_table(found)
    assert percent([]) == 100


def test_lcov_has_a_branch_for_every_outcome_asked(oracle):
    _, found = covered(oracle, RULES, TESTS)
    lines = render_lcov(found).splitlines()
    branches = [line for line in lines if line.startswith("BRDA:")]
    seen, asked = counted(found.spots)
    assert (f"BRF:{asked}" in lines, f"BRH:{seen}" in lines) == (True, True)
    assert len(branches) == asked
    assert lines[0] == "TN:"
    assert lines[1] == "SF:0.pbac"
    assert lines[-1] == "end_of_record"
    assert "DA:4,1" in lines


def test_json_is_the_same_as_data(oracle):
    _, found = covered(oracle, RULES, TESTS)
    data = msgspec.json.decode(msgspec.json.encode(coverage_json(found)))
    assert (data["seen"], data["asked"]) == counted(found.spots)
    (rule,) = data["rules"]
    assert rule["parts"][2]["parts"][1]["text"] == "args.b == 1"
    assert rule["parts"][0]["asked"] == ["true", "false", "unknown"]
