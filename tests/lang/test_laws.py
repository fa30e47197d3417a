"""The Laws as properties: the generator against the interpreter, and the logic itself."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from pbac.lang.evaluate.interpret import condition, outcomes, truth
from pbac.lang.evaluate.truth import Truth, negation
from pbac.lang.generate.generate import Question, generate_rule
from pbac.lang.program import DOUBT, Materials, bit_of


def asked(tiers, rule):
    """Does it apply, and is that certain? As its generated function says."""
    return generate_rule(Question(rule=rule, materials=Materials(tiers=tiers)))


def applies(rule, request, data, tiers):
    return bool(asked(tiers, rule)(request, data))


def bits(truths):
    """Laws 1 and 2 in bits, for rules whose conditions have these truths."""
    applied = {"forbid": 0, "permit": 0, "require": 0}
    for number, (effect, found) in enumerate(truths):
        if found is Truth.TRUE or (effect != "permit" and found is Truth.UNKNOWN):
            applied[effect] |= bit_of(number) | (DOUBT if found is Truth.UNKNOWN else 0)
    return applied["forbid"] or (applied["permit"] and applied["permit"] | applied["require"])


def test_generated_is_interpreted_on_both_rails(make):
    @given(make.rules(), st.lists(make.requests(), min_size=3, max_size=3), make.DATA)
    def check(rule, requests, data):
        ask = asked(make.TIERS, rule)
        for request in requests:
            found = condition(rule, request, data, make.TIERS)
            applied = 0 if found is Truth.FALSE else bit_of(0)
            if found is Truth.UNKNOWN:
                applied = 0 if rule.effect == "permit" else applied | DOUBT
            assert ask(request, data) == applied

    check()


def test_a_function_of_many_rules_is_each_of_them_interpreted(make):
    """What one rule reads, another may have read for it: together and alone must be the same."""
    order = ("forbid", "permit", "require")

    @given(
        st.lists(make.rules(), min_size=1, max_size=6),
        st.lists(st.integers(1, 3), min_size=6, max_size=6),
        st.lists(make.requests(), min_size=3, max_size=3),
        make.DATA,
    )
    def check(found, often, requests, data):
        rules = [rule for rule, times in zip(found, often, strict=False) for _ in range(times)]
        rules.sort(key=lambda rule: order.index(rule.effect))
        materials = Materials(tiers=make.TIERS)
        questions = [Question(rule=rule, materials=materials) for rule in rules]
        for question in questions:
            generate_rule(question)
        prepared = len(materials.prepared.made)
        ask = make.plan_function(questions)
        assert len(materials.prepared.made) == prepared, "all was prepared when rules were checked"
        for request in requests:
            truths = [(r.effect, condition(r, request, data, make.TIERS)) for r in rules]
            assert ask(request, data) == bits(truths)

    check()


def test_every_expression_is_generated_as_it_is_interpreted(make):
    @given(
        st.lists(make.expressions(4), min_size=6, max_size=6),
        st.lists(make.requests(), min_size=4, max_size=4),
        make.DATA,
    )
    def check(expressions, requests, data):
        permits = [asked(make.TIERS, make.rule("permit", make.when(e))) for e in expressions]
        forbids = [asked(make.TIERS, make.rule("forbid", make.when(e))) for e in expressions]
        for expression, permit, forbid in zip(expressions, permits, forbids, strict=True):
            for request in requests:
                found = truth(expression, request, data)
                assert bool(permit(request, data)) is (found is Truth.TRUE)
                assert bool(forbid(request, data)) is (found is not Truth.FALSE)

    check()


def test_the_order_of_and_and_or_is_irrelevant(make):
    @given(
        st.lists(make.expressions(3), min_size=2, max_size=4).flatmap(
            lambda items: st.tuples(st.just(items), st.permutations(items))
        ),
        make.requests(),
        make.DATA,
    )
    def check(orders, request, data):
        for join in (make.and_, make.or_):
            first, second = (join(*items) for items in orders)
            assert truth(first, request, data) is truth(second, request, data)
            for effect in ("permit", "forbid"):
                answers = {
                    applies(make.rule(effect, make.when(e)), request, data, make.TIERS)
                    for e in (first, second)
                }
                assert len(answers) == 1

    check()


def test_not_swaps_and_twice_is_nothing(make):
    @given(make.expressions(), make.requests(), make.DATA)
    def check(expression, request, data):
        found = truth(expression, request, data)
        assert truth(make.not_(expression), request, data) is negation(found)
        assert truth(make.not_(make.not_(expression)), request, data) is found

    check()


def test_a_forbid_that_cannot_be_evaluated_applies_and_such_a_permit_does_not(make):
    @given(make.expressions(), make.requests(), make.DATA)
    def check(expression, request, data):
        assume(truth(expression, request, data) is Truth.UNKNOWN)
        for negated in (False, True):
            clause = make.when(expression, negated=negated)
            for effect, expected in (("permit", False), ("forbid", True), ("require", True)):
                rule = make.rule(effect, clause)
                assert applies(rule, request, data, make.TIERS) is expected

    check()


def test_a_condition_comes_out_as_listing_said_it_could(make):
    """Whatever is undetermined when listing may be anything in the call."""
    undetermined = ("args", "facts", "session", "env")

    def as_called(listed, other):
        later = {root: getattr(other, root) for root in undetermined}
        token = {k: v for k, v in listed.token.items() if k not in ("age", "grant")}
        token |= {k: v for k, v in other.token.items() if k in ("age", "grant")}
        return structs.replace(listed, token=token, **later)

    @given(
        make.rules(), st.lists(make.requests(), min_size=5, max_size=5), make.DATA, st.booleans()
    )
    def check(rule, requests, data, bare):
        listed, *others = requests
        if bare:  # as a listing really is: undetermined records are empty
            listed = structs.replace(listed, **{root: {} for root in undetermined})
        possible = outcomes(rule, listed, data, make.TIERS)
        for other in others:
            assert condition(rule, as_called(listed, other), data, make.TIERS) in possible

    check()
