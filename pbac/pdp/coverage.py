"""What the tests of a policy set have seen: every rule, clause and part, true, false and unknown.

Lines say nothing here: a rule is one expression, and a test that only permits has read all of it.
So an outcome counts, and only where it could have decided: the outcome of a clause when no other
clause of the rule is false, of a part of `and` when no other part is false, of a part of `or` when
no other is true. What is asked for is what can come (`reachable`); what was seen is what the
interpreter, the specification of the language, says of each `call` and `issue` that was tested.
A `list` asks for sets of outcomes and sees none.

A definition is covered once, by all its uses; where it is used, its name is a part like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate import interpret, targets
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.paths import children
from pbac.lang.evaluate.truth import Truth, conjunction, truth_of
from pbac.lang.program import CompiledRule, Data
from pbac.model.request import DecisionRequest
from pbac.model.values import Value
from pbac.pdp.cases import CaseResult
from pbac.pdp.coverage_places import Key, Place, place_of
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.reachable import Outcomes
from pbac.pdp.written import Writings

ORDER: Final = (Truth.TRUE, Truth.FALSE, Truth.UNKNOWN)

_Seen: TypeAlias = defaultdict[Key, set[Truth]]
_Bindings: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A rule, a clause, a part of one, or a definition.

    Attributes:
        what: `permit`, `forbid`, `require`, `for`, `on`, `when`, `unless`, `expires`, `part`,
            `define`.
        text: as written, on one line; of rules and definitions the qualified name.
        asked: the outcomes that can come; `seen`: those of them that came where they count.
    """

    what: str
    text: str
    span: Span
    asked: Outcomes
    seen: Outcomes
    parts: tuple[Spot, ...] = ()

    @property
    def unseen(self) -> tuple[Truth, ...]:
        """What never came."""
        return tuple(truth for truth in ORDER if truth in self.asked - self.seen)

    def every(self) -> Iterator[Spot]:
        """The spot and all in it, in the order written."""
        yield self
        for part in self.parts:
            yield from part.every()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of a policy set: a spot for each rule by name, and one for each definition that is used."""

    rules: tuple[Spot, ...]
    definitions: tuple[Spot, ...] = ()

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Rules, then definitions."""
        return self.rules + self.definitions


def counted(spots: Iterable[Spot]) -> tuple[int, int]:
    """How many outcomes were seen, and of how many, with all that is in the spots."""
    every = [each for spot in spots for each in spot.every()]
    return sum(len(spot.seen) for spot in every), sum(len(spot.asked) for spot in every)


def percent(spots: Iterable[Spot]) -> int:
    """Rounded down: 100 means all, and all of nothing is 100."""
    seen, asked = counted(spots)
    return 100 * seen // asked if asked else 100


def measure(policy_set: PolicySet, results: Iterable[CaseResult]) -> Coverage:
    """What these results, of tests of this policy set, have seen of its rules."""
    writings, seen = Writings(policy_set.trees), _Seen(set)
    rules = policy_set.rules
    places = {rule.name: place_of(rule, policy_set.tiers, writings) for rule in rules}
    packages = {package.name: package.rules for package in policy_set.program.packages}
    for result in results:
        if result.step.what != "list":
            for rule in packages[result.package]:
                _look(rule, places[rule.name], result.request, result.policy_set, seen)
    return Coverage(
        rules=tuple(
            _spot(place, seen, policy_set.texts, text=name) for name, place in places.items()
        ),
        definitions=_definitions(places.values(), seen, policy_set.texts),
    )


# --- looking ---------------------------------------------------------------------------------


def _look(
    rule: CompiledRule, place: Place, request: DecisionRequest, policy_set: PolicySet, seen: _Seen
) -> None:
    """Notes what the interpreter says of one rule about a request that was tested."""
    confined = targets.server_truth(rule.servers, request)
    about = conjunction([targets.phase_truth(rule.node, request), confined])
    if about is Truth.FALSE:
        return  # a rule says nothing about other servers, or about calls when it is for tokens
    told = interpret.clause_truths(rule.node, request, policy_set.data, policy_set.tiers)
    truths = [truth for _, truth in told]
    if rule.expires_ms is not None:
        truths.insert(0, _in_time(rule.expires_ms, request))
    seen[place.key].add(conjunction([about, *truths]))
    for part in _deciding(place.parts, truths, Truth.FALSE, seen):
        _look_within(part, request, policy_set.data, {}, seen)


def _in_time(expires_ms: int, request: DecisionRequest) -> Truth:
    now = request.env.get("now")
    return truth_of(now < expires_ms) if type(now) is int else Truth.UNKNOWN


def _deciding(
    places: Sequence[Place], truths: Sequence[Truth], decisive: Truth, seen: _Seen
) -> Iterator[Place]:
    """Counts, and gives, those beside which no other has the truth that settles the whole."""
    settled = truths.count(decisive)
    for place, truth in zip(places, truths, strict=True):
        if settled == (truth is decisive):
            seen[place.key].add(truth)
            yield place


def _look_within(
    place: Place, request: DecisionRequest, data: Data, bindings: _Bindings, seen: _Seen
) -> None:
    """Notes the parts of a condition, or of a part, whose own outcome counts."""
    if place.meant is None:
        return
    if place.body is not None:
        seen[place.body.key].add(interpret.truth(place.meant, request, data, bindings))
        _look_within(place.body, request, data, bindings, seen)
    if not place.parts:
        return
    for joined, inner in _joined(place.meant, request, data, bindings):
        truths = [interpret.truth(item, request, data, inner) for item in children(joined)]
        decisive = Truth.FALSE if isinstance(joined, nodes.And) else Truth.TRUE
        for part in _deciding(place.parts, truths, decisive, seen):
            _look_within(part, request, data, inner, seen)


def _joined(
    expression: nodes.Expression, request: DecisionRequest, data: Data, bindings: _Bindings
) -> Iterator[tuple[nodes.And | nodes.Or, _Bindings]]:
    """The `and` or `or` below `not`, and within `any` and `all`, there for every item."""
    match expression:
        case nodes.And() | nodes.Or():
            yield expression, bindings
        case nodes.Not():
            yield from _joined(expression.operand, request, data, bindings)
        case nodes.Quantified():
            found = interpret.value(expression.collection, request, data, bindings)
            for item in items_of(found) or ():
                inner: dict[str, Any] = {**bindings, expression.variable: item}
                yield from _joined(expression.body, request, data, inner)


# --- telling ---------------------------------------------------------------------------------


def _spot(place: Place, seen: _Seen, texts: Mapping[str, str], *, text: str = "") -> Spot:
    written = texts.get(place.span.source, "")[place.span.start : place.span.end]
    keyword = f"{place.what} " if place.what in ("for", "on") else ""
    return Spot(
        what=place.what,
        text=text or keyword + " ".join(written.split()),
        span=place.span,
        asked=place.asked,
        seen=frozenset(seen[place.key]) & place.asked,
        parts=tuple(_spot(part, seen, texts) for part in place.parts),
    )


def _definitions(
    places: Iterable[Place], seen: _Seen, texts: Mapping[str, str]
) -> tuple[Spot, ...]:
    """Each once: an outcome is asked for when it can come where the definition is used."""
    found: dict[Key, Spot] = {}
    for place in places:
        for body in place.definitions():
            spot = _spot(body, seen, texts, text=".".join(map(str, body.key[1:])))
            found[body.key] = _united(found[body.key], spot) if body.key in found else spot
    return tuple(sorted(found.values(), key=lambda spot: spot.text))


def _united(one: Spot, other: Spot) -> Spot:
    return Spot(
        what=one.what,
        text=one.text,
        span=one.span,
        asked=one.asked | other.asked,
        seen=one.seen | other.seen,
        parts=tuple(map(_united, one.parts, other.parts)),
    )
