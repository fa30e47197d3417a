"""What has to hold so that a rule applies, or does not: ways to it, each made of goals.

    permit x for tier >= trusted on any when args.n > 3 or has args.why

    `for tier >= trusted`, `args.n > 3`       a way of two goals
    `for tier >= trusted`, `has args.why`     another way

A goal is a leaf of a condition, or a `for` clause, that has to be true, or false. A way holds all
goals that make its rule apply, those too that hold already: what changes must not break them. A
definition is told by its name, and split like what it stands for. Ways are sorted by how many goals
do not hold yet, and only the nearest are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from msgspec import structs

from pbac.base.limits import NEAR_MISS_WAYS_MAX
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate import interpret, targets
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.paths import children
from pbac.lang.evaluate.truth import Truth, truth_of
from pbac.lang.program import CompiledRule, Data
from pbac.model.request import DecisionRequest
from pbac.model.values import Value
from pbac.pdp.delegation import acts_alone
from pbac.pdp.other_callers import INVERSE, Test, others
from pbac.pdp.places import Place, can_change, place_of, places_in
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.seeds import name_seeds, seeds_in
from pbac.pdp.source_text import one_line
from pbac.pdp.written import Writings, Written

_TESTS_OF_QUANTIFIED: Final = 64
_TESTS_OF_PATTERN: Final = 8
_PREPARED: Final = frozenset({"matches", "in window"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Goal:
    """One thing that has to hold.

    Attributes:
        text: as a policy would write it; "" when there is no source text.
        test: does it hold for a request?
        held: for the request that was asked.
        places: what may be changed so that it holds.
        changeable: something it reads could be otherwise for such a call, if not by us.
        seeds: values that its places may have to be made from.
        weight: what a test costs, in tests of a comparison.
    """

    text: str
    test: Test
    held: bool
    places: tuple[Place, ...]
    changeable: bool
    seeds: Callable[[], tuple[Value, ...]]
    weight: int = 1


Way: TypeAlias = tuple[Goal, ...]


class GoalReader:
    """Reads goals off the rules of a policy set, for one request."""

    def __init__(self, policy_set: PolicySet, request: DecisionRequest) -> None:
        self._set = policy_set
        self._request = request
        self._alone = acts_alone(request)
        self._writings = Writings(policy_set.trees)

    def to_apply(self, permit: CompiledRule) -> list[Way]:
        """All its clauses are true; what it is about is not changed: that were another call."""
        parts = [self._who(clause, permit, wanted=True) for clause in permit.node.who]
        parts += [self._condition(*each, wanted=True) for each in self._conditions(permit)]
        if permit.expires_ms is not None:
            parts.append([(self._in_time(permit.expires_ms),)])
        return _together(parts)

    def to_avoid(self, forbid: CompiledRule) -> list[Way]:
        """One clause is false: a condition rather than who calls, where both are as near."""
        parts = [self._condition(*each, wanted=False) for each in self._conditions(forbid)]
        parts += [self._who(clause, forbid, wanted=False) for clause in forbid.node.who]
        return _nearest(way for part in parts for way in part)

    # --- conditions ------------------------------------------------------------------------

    def _conditions(self, rule: CompiledRule) -> Iterator[tuple[nodes.Condition, Written]]:
        return zip(rule.node.conditions, self._writings.conditions(rule), strict=True)

    def _condition(self, clause: nodes.Condition, written: Written, *, wanted: bool) -> list[Way]:
        return self._ways(written, wanted is not clause.negated, "")

    def _ways(self, written: Written, wanted: bool, told: str) -> list[Way]:  # noqa: FBT001
        """`told` is the definition around it, by its name."""
        if written.definition is not None:
            text = self._text(written.span)
            told = told or (text if wanted else _signed(text))
            return self._ways(self._writings.body(written), wanted, told)
        match written.meant:
            case nodes.Not():
                (operand,) = self._writings.below(written)
                return self._ways(operand, not wanted, told)
            case nodes.And() | nodes.Or():
                parts = [self._ways(each, wanted, told) for each in self._writings.below(written)]
                if isinstance(written.meant, nodes.And) is wanted:
                    return _together(parts)
                return _nearest(way for part in parts for way in part)
        return [(self._leaf(written, wanted, told),)]

    def _leaf(self, written: Written, wanted: bool, told: str) -> Goal:  # noqa: FBT001
        meant, data = written.meant, self._set.data
        test = _test_of(meant, Truth.TRUE if wanted else Truth.FALSE, data)
        return Goal(
            text=told or (self._text(written.span) if wanted else self._inverse(written)),
            test=test,
            held=test(self._request),
            places=tuple(places_in(meant, alone=self._alone)),
            changeable=can_change(meant),
            seeds=lambda: seeds_in(meant, self._request, data),
            weight=_weight(meant),
        )

    def _inverse(self, written: Written) -> str:
        """The opposite, as one would write it."""
        meant, text = written.meant, self._text(written.span)
        if isinstance(meant, nodes.Operation) and meant.name in INVERSE:
            left, right = (each.span for each in self._writings.below(written))
            between = self._text(structs.replace(left, start=left.end, end=right.start))
            if between:
                start = self._text(structs.replace(left, start=written.span.start))
                end = self._text(structs.replace(right, end=written.span.end))
                turned = between.replace(meant.name, INVERSE[meant.name])
                return f"{start} {turned} {end}"
        return _signed(text, plain=isinstance(meant, nodes.Path | nodes.Has))

    # --- targets and time --------------------------------------------------------------------

    def _who(self, clause: nodes.ForClause, rule: CompiledRule, *, wanted: bool) -> list[Way]:
        text, tiers = self._text(clause.span), self._set.tiers
        truth = Truth.TRUE if wanted else Truth.FALSE

        def test(request: DecisionRequest) -> bool:
            return targets.for_truth(clause, request, rule.effect, tiers) is truth

        if wanted:
            return [(self._caller(clause, text and f"for {text}", test),)]
        return [
            (self._caller(clause, told, _both(test, instead)),)
            for told, instead in others(clause, self._text)
        ]

    def _caller(self, clause: nodes.ForClause, text: str, test: Test) -> Goal:
        what = "tier" if isinstance(clause, nodes.ForTier) else clause.what
        place = place_of(targets.FIELD_OF[what], alone=self._alone)
        return Goal(
            text=text,
            test=test,
            held=test(self._request),
            places=(place,) if place else (),
            changeable=True,
            seeds=lambda: (
                self._set.tiers if isinstance(clause, nodes.ForTier) else name_seeds(clause)
            ),
        )

    def _in_time(self, expires_ms: int) -> Goal:
        def test(request: DecisionRequest) -> bool:
            now = request.env.get("now")
            return type(now) is int and now < expires_ms

        day = datetime.fromtimestamp(expires_ms / 1000, UTC).date().isoformat()
        return Goal(
            text=f"env.today < {day}",
            test=test,
            held=test(self._request),
            places=(("env", "now"),),
            changeable=True,
            seeds=lambda: (expires_ms - 1,),
        )

    def _text(self, span: Span) -> str:
        return one_line(self._set.texts.get(span.source, "")[span.start : span.end])


def _test_of(meant: nodes.Expression, truth: Truth, data: Data) -> Test:
    """By the interpreter, but that a pattern is prepared once and not for each test."""
    rest = meant.operands[1:] if isinstance(meant, nodes.Operation) else ()
    constants = [each.value for each in rest if isinstance(each, nodes.Literal)]
    if isinstance(meant, nodes.Operation) and len(constants) == len(rest):
        prepare, first = function_of(meant).prepare, meant.operands[0]
        if prepare is not None:
            try:
                prepared = prepare(*constants)
            except ValueError:
                return lambda _request: False  # such an operation is unknown
            return lambda request: (
                truth_of(prepared(interpret.value(first, request, data))) is truth
            )
    return lambda request: interpret.truth(meant, request, data) is truth


def _both(test: Test, other: Test | None) -> Test:
    return test if other is None else lambda request: test(request) and other(request)


def _signed(text: str, *, plain: bool = True) -> str:
    """The opposite of something that is no comparison."""
    if not text:
        return ""
    return f"not {text}" if plain else f"not ({text})"


def _weight(expression: nodes.Expression) -> int:
    """What stands in `any` and `all` is tested, and its pattern prepared, for each item."""
    inner = sum(map(_weight, children(expression)))
    if isinstance(expression, nodes.Quantified):
        return _TESTS_OF_QUANTIFIED * inner
    prepares = isinstance(expression, nodes.Operation) and expression.name in _PREPARED
    return _TESTS_OF_PATTERN if prepares else max(1, inner)


# --- ways ----------------------------------------------------------------------------------------


def _together(parts: Sequence[list[Way]]) -> list[Way]:
    """One way of each part, each with each; what is too far off at any step is dropped."""
    found: list[Way] = [()]
    for part in parts:
        found = _nearest((*way, *more) for way in found for more in part)
    return found


def _nearest(ways: Iterable[Way]) -> list[Way]:
    return sorted(ways, key=distance)[:NEAR_MISS_WAYS_MAX]


def distance(way: Way) -> int:
    """How many of its goals do not hold yet, as they are told."""
    return len({goal.text or id(goal) for goal in way if not goal.held})
