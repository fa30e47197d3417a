"""What follows from claims: which imply which, and which can never be true together. Sound only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.targets import SEPARATORS, names_matcher
from pbac.lang.lint.claims import (
    Between,
    Claim,
    Either,
    Named,
    Never,
    NoneOf,
    OneOf,
    Opaque,
    Shape,
    shape_of,
)

_ONE_NAME: Final = frozenset({"tool", "scope", "server", "resource", "prompt"})
"""Targets about a field that holds one name: two of them are about the same name."""

_ONE_CALLER: Final = frozenset({"agent", "kind", "provider"})
"""Likewise in a permit; in a forbid or require any actor of the chain may match (Law 8)."""

_METHODS: Final = frozenset({"tool", "resource", "prompt"})
"""Targets that no request meets together: its method is about one of them."""


_NOWHERE: Final = Span("", 0, 0, 1, 1)


def _field_of_call(name: str) -> Shape:
    return shape_of(
        nodes.Path(span=_NOWHERE, root="call", steps=(nodes.Field(span=_NOWHERE, name=name),))
    )


_FIELDS: Final = {name: _field_of_call(name) for name in ("tool", "server")}
"""Targets that are about a field of the call which conditions can also read."""


def all_follow(wanted: Iterable[Claim], given: Sequence[Claim]) -> bool:
    """Does every claim of `wanted` follow from some claim of `given`?"""
    return all(any(follows(claim, from_) for from_ in given) for claim in wanted)


def follows(wanted: Claim, given: Claim) -> bool:
    """True when `wanted` is true wherever `given` is, and not false wherever `given` is not."""
    match wanted, given:
        case Named(), Named():
            return wanted.what == given.what and _names_follow(wanted, given)
        case Either(), _:
            if isinstance(given, Either) and given.shape == wanted.shape:
                return True
            return any(all_follow(claims, [given]) for claims in wanted.alternatives)
        case Opaque(), Opaque():
            return (wanted.shape, wanted.negated) == (given.shape, given.negated)
        case OneOf() | NoneOf() | Between(), OneOf() | NoneOf() | Between():
            if wanted.subject != given.subject or _kind(wanted) != _kind(given):
                return False
            return _values_follow(wanted, given)
    return False


def _kind(claim: OneOf | NoneOf | Between) -> str:
    return "number" if isinstance(claim, Between) else claim.kind


def _values_follow(wanted: OneOf | NoneOf | Between, given: OneOf | NoneOf | Between) -> bool:
    match wanted, given:
        case OneOf(), OneOf():
            return given.values <= wanted.values
        case NoneOf(), NoneOf():
            return wanted.values <= given.values
        case Between(), Between():
            # An end that belongs to the stretch reaches further than one that does not.
            low = _low(given) >= _low(wanted)
            return low and _high(given) <= _high(wanted)
        case ((NoneOf() | Between()), OneOf()):
            return all(_holds(wanted, value) for value in given.values)
        case NoneOf(), Between():
            return not any(_holds(given, value) for value in wanted.values)
    return False


def _low(claim: Between) -> tuple[float, int]:
    return claim.low[0], 0 if claim.low[1] else 1


def _high(claim: Between) -> tuple[float, int]:
    return claim.high[0], 1 if claim.high[1] else 0


def _holds(claim: OneOf | NoneOf | Between, value: object) -> bool:
    """Is the claim true of a value of its kind?"""
    match claim:
        case OneOf():
            return value in claim.values
        case NoneOf():
            return value not in claim.values
        case Between():
            (low, from_), (high, to) = claim.low, claim.high
            above = value > low or (from_ and value == low)  # type: ignore[operator]  # numbers
            return above and (value < high or (to and value == high))  # type: ignore[operator]


# --- what can never be true ------------------------------------------------------------------


def never_true(claims: Sequence[Claim], *, permit: bool) -> Claim | None:
    """A claim that cannot be true, by itself or beside the others; None when it cannot be told."""
    for claim in claims:
        if _impossible(claim, permit=permit):
            return claim
    by_subject: dict[object, list[Claim]] = {}
    for claim in claims:
        by_subject.setdefault(_subject(claim), []).append(claim)
    for alike in by_subject.values():
        for first, second in combinations(alike, 2):
            if _exclude(first, second, permit=permit):
                return second
        values = [claim for claim in alike if isinstance(claim, OneOf | NoneOf | Between)]
        sets = [claim for claim in values if isinstance(claim, OneOf)]
        if sets and not any(
            all(_kind(other) == sets[0].kind and _holds(other, value) for other in values)
            for value in sets[0].values
        ):
            return values[-1]
    return _never_beside(claims)


def _never_beside(claims: Sequence[Claim]) -> Claim | None:
    """A claim about a value that another says is not there, of another kind, or another name."""
    values = [claim for claim in claims if isinstance(claim, OneOf | NoneOf | Between)]
    for value in values:
        for other in claims:
            if isinstance(other, Opaque) and _denies(other, value):
                return max(value, other, key=lambda claim: claim.span.start)
            if isinstance(other, Named) and isinstance(value, OneOf) and _misses(other, value):
                return value
    return None


def _denies(told: Opaque, value: OneOf | NoneOf | Between) -> bool:
    """`not has x`, or `x is string` of a number: what is said of `x` is unknown then."""
    match told.shape:
        case ("Has", path) if told.negated:
            return bool(path == value.subject)
        case ("IsKind", path, (_, kind), (_, opposite)) if told.negated == opposite:
            return bool(path == value.subject) and kind != _kind(value)
    return False


def _misses(target: Named, value: OneOf) -> bool:
    """`on tool x` beside `call.tool == "y"`."""
    if value.subject != _FIELDS.get(target.what):
        return False
    fits = names_matcher(target.what, target.names, target.without)
    return not any(isinstance(each, str) and fits(each) for each in value.values)


def certainly_false(claims: Sequence[Claim]) -> Claim | None:
    """A claim that is false of every request, whatever it lacks; None when it cannot be told."""
    for claim in claims:
        if isinstance(claim, Never) and claim.certain:
            return claim
        if isinstance(claim, Either) and all(map(certainly_false, claim.alternatives)):
            return claim
    about = [claim for claim in claims if isinstance(claim, Named) and claim.what in _METHODS]
    return next((claim for claim in about if claim.what != about[0].what), None)


def _subject(claim: Claim) -> object:
    match claim:
        case OneOf() | NoneOf() | Between():
            return claim.subject
        case Named():
            return claim.what
        case Opaque() | Either():
            return claim.shape
    return None


def _impossible(claim: Claim, *, permit: bool) -> bool:
    match claim:
        case Never():
            return True
        case OneOf():
            return not claim.values
        case Either():
            return all(never_true(each, permit=permit) for each in claim.alternatives)
        case Named():
            return bool(claim.without) and not _left(claim)
    return False


def _exclude(first: Claim, second: Claim, *, permit: bool) -> bool:
    match first, second:
        case Opaque(), Opaque():
            return first.negated != second.negated
        case Named(), Named():
            about_one = first.what in _ONE_NAME or (permit and first.what in _ONE_CALLER)
            return about_one and _apart(first, second)
        case Between(), Between():
            low, high = max(_low(first), _low(second)), min(_high(first), _high(second))
            return low[0] > high[0] or (low[0] == high[0] and (low[1], high[1]) != (0, 1))
        case OneOf() | NoneOf() | Between(), OneOf() | NoneOf() | Between():
            return _kind(first) != _kind(second)
    return False


# --- names -----------------------------------------------------------------------------------


def _left(claim: Named) -> tuple[str, ...]:
    """The names that `except` does not take out, as far as that can be told."""
    out = names_matcher(claim.what, claim.without)
    everything = {"*", "**"} & set(claim.without)
    kept = (name for name in claim.names if name not in claim.without and not everything)
    return tuple(name for name in kept if "*" in name or not out(name))


def _names_follow(wanted: Named, given: Named) -> bool:
    """Every text that fits `given` fits `wanted`."""
    if (wanted.names, wanted.without) == (given.names, given.without):
        return True
    matches = names_matcher(wanted.what, wanted.names, wanted.without)
    return all(
        _glob_follows(name, wanted, given) if "*" in name else matches(name)
        for name in _left(given)
    )


def _glob_follows(name: str, wanted: Named, given: Named) -> bool:
    if not any(_glob_within(name, glob, wanted.what) for glob in wanted.names):
        return False
    return all(out in given.without or _disjoint(name, out, wanted.what) for out in wanted.without)


def _glob_within(inner: str, outer: str, what: str) -> bool:
    """Every text of `inner` is one of `outer`: the same glob, `*`, or `get_*` around `get_x*`."""
    if inner == outer or outer in ("*", "**"):
        return True
    plain = outer.rstrip("*")
    stars = len(outer) - len(plain)
    if "*" in plain or not stars or inner in ("*", "**") or not inner.startswith(plain):
        return False
    rest = inner[len(plain) :]
    separators = SEPARATORS.get(what, "")
    return stars >= 2 or not separators or ("**" not in rest and not set(separators) & set(rest))


def _apart(first: Named, second: Named) -> bool:
    """No text fits both."""
    return all(_disjoint(one, other, first.what) for one in _left(first) for other in _left(second))


def _disjoint(one: str, other: str, what: str) -> bool:
    """No text fits both patterns: told for plain names, and for globs that begin differently."""
    if "*" not in one:
        return not names_matcher(what, (other,))(one)
    if "*" not in other:
        return not names_matcher(what, (one,))(other)
    if {one, other} & {"*", "**"}:
        return False
    first, second = one.partition("*")[0], other.partition("*")[0]
    return not (first.startswith(second) or second.startswith(first))
