"""The Laws as properties of decisions: random policy sets, random requests, the interpreter."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbac.base.limits import TEXT_OPERAND_CHARACTERS_MAX
from pbac.lang.evaluate.truth import Truth
from pbac.model.decision import Cause, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide, shown


def test_an_indexed_decision_is_a_scan_by_the_interpreter(make, oracle, prove):
    @given(oracle.policy_sets(make), st.lists(oracle.requests(make), min_size=1, max_size=3))
    def check(policy_set, requests):
        for asked in [*requests, *requests]:  # again: plans and answers are kept now
            decision = decide(policy_set, asked)
            assert decision.cause is not Cause.ENGINE_FAULT, decision.internal
            assert oracle.told(decision) == oracle.scan(policy_set, asked)

    prove(check)


def test_what_is_kept_cannot_be_told_from_what_is_built(make, oracle, prove):
    @given(oracle.policy_sets(make), st.lists(oracle.requests(make), min_size=2, max_size=6))
    def check(policy_set, requests):
        used = [oracle.answer(policy_set, asked) for asked in requests]
        for asked, decision in zip(requests, used, strict=True):
            fresh = oracle.of_rules(policy_set.rules, policy_set.program.packages[0].servers)
            assert oracle.answer(fresh, asked) == decision

    prove(check)


def test_the_order_of_rules_is_irrelevant(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make), st.randoms(use_true_random=False))
    def check(policy_set, asked, random):
        shuffled = list(policy_set.rules)
        random.shuffle(shuffled)
        again = oracle.of_rules(shuffled, policy_set.program.packages[0].servers)
        assert decide(again, asked) == decide(policy_set, asked)

    prove(check)


def test_forbid_wins(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make))
    def check(policy_set, asked):
        assume(asked.call.get("method") != "token/issue")
        rules = [rule.node for rule in policy_set.rules]
        stopped = oracle.assembled([*rules, make.rule("forbid", make.on_any())])
        assert decide(stopped, asked).cause is Cause.FORBIDDEN

    prove(check)


def test_a_forbid_that_cannot_be_evaluated_denies_and_is_blamed(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make), st.sampled_from(["forbid", "require"]))
    def check(policy_set, asked, effect):
        assume(asked.call.get("method") != "token/issue")
        doubtful = make.rule(effect, make.when(make.op("==", "$args.never_sent", 1)))
        permit = make.rule("permit", make.on_any())
        decision = oracle.answer(oracle.assembled([permit, doubtful]), asked)
        assert decision.effect is (Effect.DENY if effect == "forbid" else Effect.PERMIT)
        assert decision.unknown == ("args.never_sent",)
        if effect == "forbid":
            assert "`args.never_sent` is missing" in decision.reason
            assert decision.help == "send `args.never_sent`"
        else:
            assert [duty.rule for duty in decision.duties] == ["p.r001"]

    prove(check)


def test_widening_a_permit_never_denies(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make), oracle.rules(make))
    def check(policy_set, asked, narrow):
        others = [rule.node for rule in policy_set.rules]
        narrow = msgspec.structs.replace(narrow, effect="permit")
        before = decide(oracle.assembled([*others, narrow]), asked)
        for wider in (
            msgspec.structs.replace(narrow, conditions=narrow.conditions[1:]),
            msgspec.structs.replace(narrow, who=narrow.who[1:]),
            msgspec.structs.replace(narrow, what=narrow.what[1:] or (make.on_any(),)),
        ):
            after = decide(oracle.assembled([*others, wider]), asked)
            assert after.permitted or not before.permitted
            assert set(before.rules) <= set(after.rules) or not before.permitted

    prove(check)


def test_adding_a_permit_never_denies_and_adding_a_forbid_never_permits(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make), oracle.rules(make))
    def check(policy_set, asked, rule):
        before = decide(policy_set, asked)
        confinement = policy_set.program.packages[0].servers
        rules = [r for r in policy_set.rules if not r.shadow]
        more = oracle.assembled([rule], confinement=confinement).rules
        more = [replace(each, name="p.s000") for each in more]
        after = decide(oracle.of_rules([*rules, *more], confinement), asked)
        if rule.effect == "permit":
            assert after.permitted or not before.permitted
        elif rule.effect == "forbid":
            assert before.permitted or not after.permitted
        else:
            assert after.effect is before.effect
            assert set(map(str, before.duties)) <= set(map(str, after.duties))

    prove(check)


def test_hidden_means_that_no_arguments_are_permitted(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make), st.lists(oracle.requests(make)))
    def check(policy_set, listed, others):
        """Whatever is undetermined when listing may be anything in the call (Law 6)."""
        token = {k: v for k, v in listed.token.items() if k not in ("age", "grant")}
        describes = DecisionRequest(
            agent=listed.agent,
            user=listed.user,
            chain=listed.chain,
            call=listed.call,
            token=token,
            env={"now": oracle.NOW - 1},
        )
        visible = shown(policy_set, describes)
        for other in [listed, *others]:
            late = {k: v for k, v in other.token.items() if k in ("age", "grant")}
            called = DecisionRequest(
                agent=listed.agent,
                user=listed.user,
                chain=listed.chain,
                call=listed.call,
                token={**token, **late},
                args=other.args,
                facts=other.facts,
                session=other.session,
                env=other.env,
            )
            assert visible or not decide(policy_set, called).permitted

    prove(check)


def test_shadow_rules_change_nothing_but_what_is_told(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make))
    def check(policy_set, asked):
        enforced = [rule for rule in policy_set.rules if not rule.shadow]
        confinement = policy_set.program.packages[0].servers
        without = decide(oracle.of_rules(enforced, confinement), asked)
        decision = decide(policy_set, asked)
        assert without.shadow == ()
        assert oracle.told(decision) == oracle.told(without)
        would = [
            rule.name
            for rule in policy_set.rules
            if rule.shadow and oracle.applies(policy_set, rule, asked)
        ]
        assert decision.shadow == tuple(would)

    prove(check)


def test_a_tier_that_is_said_to_help_does(make, oracle, prove):
    tiers = st.sampled_from(["developer", "trusted"])
    clauses = st.builds(make.for_tier, st.sampled_from([">=", ">", "in"]), tiers)
    permits = st.builds(
        lambda clause, rule: msgspec.structs.replace(
            rule, effect="permit", who=(clause,), what=(make.on_any(),)
        ),
        clauses,
        oracle.rules(make),
    )

    @given(oracle.policy_sets(make), oracle.requests(make), st.lists(permits, max_size=2))
    def check(policy_set, asked, more):
        policy_set = oracle.assembled([*(rule.node for rule in policy_set.rules), *more])
        decision = oracle.answer(policy_set, asked)
        if "an agent of tier" not in decision.help:
            return
        tier = decision.help.split("`")[1]
        raised = msgspec.structs.replace(asked, agent={**asked.agent, "tier": tier})
        assert decide(policy_set, raised).permitted

    prove(check)


LONG_TEXTS = [
    'args.x matches r"a*"',
    'args.x default "" matches r"b*"',
    'args.x like "b**"',
    'args.x contains "b"',
    "args.x contains args.y",
    'lower(args.x) == "b"',
    'args.x within "/a"',
    'host(args.x) == "a"',
    'any t in args.l: t like "b**"',
    'any t in args.l: t matches r"b*"',
]  # fmt: skip


@pytest.mark.parametrize("condition", LONG_TEXTS)
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_text_that_is_too_long_is_unknown_to_every_way_of_asking(oracle, condition, beyond):
    text = "a" * (TEXT_OPERAND_CHARACTERS_MAX + beyond)
    asked = oracle.request(args={"x": text, "y": "b", "l": [text]})
    for negated in ("", "not "):
        alone = oracle.policies(f"permit r on tool get_x when {negated}({condition})")
        assert oracle.told(decide(alone, asked)) == oracle.scan(alone, asked)
        text_ = f"permit a on any\nforbid r on tool get_x when {negated}({condition})"
        refused = oracle.policies(text_)
        decision = decide(refused, asked)
        assert oracle.told(decision) == oracle.scan(refused, asked)
        if beyond:
            assert (decision.permitted, decision.rules) == (False, ("p.r",))


def test_what_is_told_of_a_rule_that_is_not_certain_is_never_its_own_reason(make, oracle, prove):
    @given(oracle.policy_sets(make), oracle.requests(make))
    def check(policy_set, asked):
        decision = oracle.answer(policy_set, asked)
        if decision.cause is not Cause.FORBIDDEN:
            return
        for name in decision.rules:
            rule = policy_set.by_name[name]
            narrow = oracle.narrowed(asked, policy_set.tiers)
            data, tiers = policy_set.data, policy_set.tiers
            found = oracle.condition(rule.node, narrow, data, tiers, rule.servers)
            uncertain = found is Truth.UNKNOWN
            assert (f"`{name}` cannot be ruled out" in decision.reason) is uncertain

    prove(check)
