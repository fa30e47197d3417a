"""The Laws as properties: the generator against the interpreter, and the logic itself."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from pbac.lang.generate import generate
from pbac.lang.interpret import condition, outcomes, truth
from pbac.lang.truth import Truth, negation


def applies(rule, request, data, tiers):
    (compiled,) = generate([rule], package="p", tiers=tiers)
    answer = compiled.applies(request, data)
    assert type(answer) is bool
    assert answer or not compiled.always
    return answer


def test_generated_is_interpreted_on_both_rails(make):
    @given(make.rules(), make.requests(), make.DATA)
    def check(rule, request, data):
        found = condition(rule, request, data, make.TIERS)
        wanted = found is Truth.TRUE if rule.effect == "permit" else found is not Truth.FALSE
        assert applies(rule, request, data, make.TIERS) is wanted

    check()


def test_every_expression_is_generated_as_it_is_interpreted(make):
    @given(st.lists(make.expressions(), min_size=8, max_size=8), make.requests(), make.DATA)
    def check(expressions, request, data):
        rules = []
        for expression in expressions:
            rules.append(make.rule("permit", make.when(expression)))
            rules.append(make.rule("forbid", make.when(expression)))
        compiled = generate(rules, package="p", tiers=make.TIERS)
        for number, expression in enumerate(expressions):
            found = truth(expression, request, data)
            permit, forbid = compiled[2 * number], compiled[2 * number + 1]
            assert permit.applies(request, data) == (found is Truth.TRUE)
            assert forbid.applies(request, data) == (found is not Truth.FALSE)

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
            clause = make.when(expression, negated)
            for effect, expected in (("permit", False), ("forbid", True), ("require", True)):
                rule = make.rule(effect, clause)
                assert applies(rule, request, data, make.TIERS) is expected

    check()


def test_a_condition_comes_out_as_listing_said_it_could(make):
    @given(make.rules(), make.requests(), make.requests(), make.DATA)
    def check(rule, listed, other, data):
        """Whatever is undetermined when listing may be anything in the call."""
        token = {**listed.token}
        for name in ("age", "grant"):
            token.pop(name, None)
            if name in other.token:
                token[name] = other.token[name]
        called = type(listed)(
            agent=listed.agent,
            user=listed.user,
            chain=listed.chain,
            call=listed.call,
            token=token,
            args=other.args,
            facts=other.facts,
            session=other.session,
            env=other.env,
        )
        possible = outcomes(rule, listed, data, make.TIERS)
        assert condition(rule, called, data, make.TIERS) in possible

    check()
