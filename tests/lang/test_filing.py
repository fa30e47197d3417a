"""Files find the rules for which a leaf is true, as asking each of them does."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.lang.generate.filing import by_bound, by_head, by_member, by_tail, by_value

TEXTS = st.text("ab/", max_size=4)
ORDERED = st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.just(10**30))
NUMBERS = st.one_of(ORDERED, st.just(float("nan")))

ROWS = [
    ("value", by_value, operator.eq, ORDERED, ORDERED),
    ("value", by_value, operator.eq, TEXTS, TEXTS),
    ("member", by_member, lambda x, c: x in c, ORDERED, st.lists(ORDERED, max_size=3).map(tuple)),
    ("head", by_head, str.startswith, TEXTS, TEXTS),
    ("tail", by_tail, str.endswith, TEXTS, TEXTS),
    ("<", by_bound(above=True, equal=False), operator.lt, NUMBERS, ORDERED),
    ("<=", by_bound(above=True, equal=True), operator.le, NUMBERS, ORDERED),
    (">", by_bound(above=False, equal=False), operator.gt, NUMBERS, ORDERED),
    (">=", by_bound(above=False, equal=True), operator.ge, NUMBERS, ORDERED),
    (">= of texts", by_bound(above=False, equal=True), operator.ge, TEXTS, TEXTS),
]


@pytest.mark.parametrize(("name", "file", "leaf", "values", "constants"), ROWS)
def test_a_file_finds_what_the_leaf_is_true_for(name, file, leaf, values, constants):
    @given(st.lists(constants, min_size=1, max_size=8), st.lists(values, max_size=4))
    def check(filed, asked):
        found = file([(constant, 1 << number) for number, constant in enumerate(filed)])
        for value in [*asked, *(each for each in filed if not isinstance(each, tuple))]:
            true = [number for number, constant in enumerate(filed) if leaf(value, constant)]
            assert found(value, 0) == sum(1 << number for number in true), (name, value)

    check()
