"""What would have permitted a call that was denied: the least that would have to be different.

A permit for such calls has to apply, and every forbid that applied must not. `explain_clauses`
knows the least that changes each. Those needs are told, not tried: what else they would change,
nobody can say without the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from pbac.base.limits import NEAR_MISSES_MAX
from pbac.pdp.explain_clauses import shortest

if TYPE_CHECKING:
    from pbac.pdp.explain import RuleExplained


class Avoided(msgspec.Struct, frozen=True, kw_only=True):
    """A forbid that applied, and the least by which it would not."""

    rule: str
    needs: tuple[str, ...]


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A permit for such calls: all it lacks, and what would keep every forbid from applying."""

    rule: str
    needs: tuple[str, ...]
    avoided: tuple[Avoided, ...] = ()


def near_misses(rules: Iterable[RuleExplained]) -> tuple[NearMiss, ...]:
    """The nearest, at most `NEAR_MISSES_MAX`; none when a forbid applies to every such call."""
    enforced = [rule for rule in rules if not rule.shadow]
    forbids = [rule for rule in enforced if rule.effect == "forbid" and rule.applies]
    avoided = [_avoided(rule) for rule in forbids]
    if None in avoided:
        return ()
    ways = tuple(way for way in avoided if way is not None)
    found = [
        NearMiss(rule=rule.name, needs=_needs(rule), avoided=ways)
        for rule in enforced
        if rule.effect == "permit" and _is_certainly_about(rule)
    ]
    least = min((len(miss.needs) for miss in found), default=0)
    return tuple(miss for miss in found if len(miss.needs) == least)[:NEAR_MISSES_MAX]


def _needs(rule: RuleExplained) -> tuple[str, ...]:
    return tuple(dict.fromkeys(need for clause in rule.clauses for need in clause.needs))


def _is_certainly_about(rule: RuleExplained) -> bool:
    """Another tool or scope is another call, not a near miss."""
    return all(each.truth == "true" for each in rule.clauses if each.clause in ("on", "server"))


def _avoided(rule: RuleExplained) -> Avoided | None:
    """By its conditions rather than by who calls, where both are as near."""
    conditions = [each for each in rule.clauses if each.clause in ("when", "unless")]
    who = [each for each in rule.clauses if each.clause == "for"]
    ways = [each.avoids for each in (*conditions, *who) if each.avoids is not None]
    least = shortest(ways)
    return None if least is None else Avoided(rule=rule.name, needs=least)


def told(miss: NearMiss) -> str:
    """In a sentence."""
    needs = _listed(miss.needs)
    first = f"`{miss.rule}` would permit it if {needs}" if needs else f"`{miss.rule}` permits it"
    others = [
        f"`{each.rule}` would not forbid it if {_listed(each.needs)}" for each in miss.avoided
    ]
    return ", and ".join([first, *others])


def _listed(needs: Sequence[str]) -> str:
    return " and ".join(f"`{need}`" for need in needs)
