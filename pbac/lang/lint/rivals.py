"""Which rules could cover which: an index, so that lint compares each with few and never with all.

A rule covers another when each of its claims follows from the other's. So whatever covers a rule
has no claim that the rule's own do not touch. Every rule is therefore filed under *one* of its
claims, the most telling one, and a rule looks for rivals under the keys its own claims can touch:
a tool's name, and the beginnings of that name for patterns. At most `LINT_RIVALS_MAX` are looked
at for each rule; what is beyond them goes unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from pbac.base.limits import LINT_RIVALS_MAX
from pbac.lang import nodes
from pbac.lang.lint.claims import Between, Claim, Named, NoneOf, OneOf, Opaque, Shape

Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claimed:
    """A rule with what it claims.

    Attributes:
        number: place in the order that the set is told in.
        name: qualified.
        on_token: about issuance, never about calls.
        enforced: no `@shadow`: what it says matters to decisions.
        expires: the day of `@expires`, as text that sorts; "" without.
        said: the shape of all it says; equal ones are duplicates.
    """

    number: int
    name: str
    package: str
    rule: nodes.Rule
    claims: tuple[Claim, ...]
    on_token: bool
    enforced: bool
    expires: str
    said: Shape


def claimed(number: int, package: str, rule: nodes.Rule, claims: tuple[Claim, ...]) -> Claimed:
    """A rule with its claims."""
    annotations = {each.name: each.value for each in rule.annotations}
    expires = annotations.get("expires")
    on_token = any(isinstance(clause, nodes.OnToken) for clause in rule.what)
    day = str(expires.value) if expires else ""
    duties = frozenset(duty_shape(duty) for duty in rule.duties)
    said = (rule.effect, on_token, day, frozenset(map(_said, claims)), duties)
    return Claimed(
        number=number,
        name=f"{package}.{rule.name}",
        package=package,
        rule=rule,
        claims=claims,
        on_token=on_token,
        enforced="shadow" not in annotations,
        expires=day,
        said=said,
    )


def duty_shape(duty: nodes.DutyLine) -> Shape:
    """What a duty asks for, without its place."""
    return (duty.kind, repr(sorted(duty.parameters.items())))


def _said(claim: Claim) -> Shape:
    match claim:
        case OneOf() | NoneOf():
            return (type(claim).__name__, claim.subject, claim.kind, claim.values)
        case Between():
            return ("Between", claim.subject, claim.low, claim.high)
        case Named():
            return ("Named", claim.what, frozenset(claim.names), frozenset(claim.without))
    return (type(claim).__name__, shape_of_claim(claim))


def shape_of_claim(claim: Claim) -> Shape:
    """The shape of a claim that is known by nothing else; of `Never`, a word."""
    return (getattr(claim, "shape", "never"), getattr(claim, "negated", False))


# --- the index -------------------------------------------------------------------------------


class Rivals:
    """Rules filed under their most telling claim."""

    def __init__(self, rules: Iterable[Claimed]) -> None:
        self._filed: dict[Key, list[Claimed]] = {}
        for each in rules:
            for key in _filing_keys(each.claims):
                self._filed.setdefault(key, []).append(each)

    def of(self, rule: Claimed) -> Iterator[Claimed]:
        """Rules that may cover this one, the telling keys first; never itself."""
        found = (
            rival
            for key in dict.fromkeys((*_looking_keys(rule.claims), _GENERAL))
            for rival in self._filed.get(key, ())
            if rival is not rule
        )
        return islice(found, LINT_RIVALS_MAX)


_GENERAL: Final[Key] = ("general",)


def _filing_keys(claims: Sequence[Claim]) -> Iterable[Key]:
    telling = min(claims, key=_rank, default=None)
    match telling:
        case Named():
            return [_name_key(telling.what, name) for name in telling.names]
        case OneOf():
            return [("=", telling.subject, value) for value in telling.values]
        case NoneOf() | Between():
            return [("~", telling.subject)]
        case Opaque():
            return [("?", telling.shape, telling.negated)]
    return [_GENERAL]


def _rank(claim: Claim) -> int:
    """The lower, the fewer rules share it."""
    match claim:
        case Named():
            globs = any("*" in name for name in claim.names)
            return 3 if globs else 0 if claim.what in ("tool", "scope") else 2
        case OneOf():
            return 1 if claim.kind != "tier" else 6
        case Opaque():
            return 4
        case NoneOf() | Between():
            return 5
    return 7


def _name_key(what: str, name: str) -> Key:
    plain, star, _ = name.partition("*")
    return (what, "glob" if star else "name", plain)


def _looking_keys(claims: Sequence[Claim]) -> Iterator[Key]:
    for claim in claims:
        match claim:
            case Named():
                yield from _touched_by_name(claim)
            case OneOf():
                if claim.values:
                    yield ("=", claim.subject, min(claim.values))
                yield ("~", claim.subject)
            case NoneOf() | Between():
                yield ("~", claim.subject)
            case Opaque():
                yield ("?", claim.shape, claim.negated)


def _touched_by_name(claim: Named) -> Iterator[Key]:
    """Whatever holds all names holds the first: by itself, or by a pattern that begins so."""
    first = claim.names[0]
    plain, star, _ = first.partition("*")
    if not star:
        yield (claim.what, "name", first)
    for length in range(len(plain), -1, -1):
        yield (claim.what, "glob", plain[:length])
