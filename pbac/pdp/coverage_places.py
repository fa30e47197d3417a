"""What coverage counts in a rule: itself, its clauses, their parts, the definitions they use.

Parts are what `and` and `or` join, at any depth: below `not`, within `any` and `all`, and within
those parts. Built once for a rule; `coverage` fills in what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.program import CompiledRule
from pbac.pdp import reachable
from pbac.pdp.reachable import Outcomes
from pbac.pdp.written import Writings, Written

Key: TypeAlias = tuple[str | int, ...]
"""A rule's name and the numbers of clause and parts; or `define`, package, name and parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something whose outcomes are counted.

    Attributes:
        what: as for `coverage.Spot`.
        asked: the outcomes it can have.
        meant: the expression, for conditions and their parts.
        body: what it stands for, when it is the name of a definition; counted for that too.
    """

    what: str
    key: Key
    span: Span
    asked: Outcomes
    meant: nodes.Expression | None = None
    parts: tuple[Place, ...] = ()
    body: Place | None = None

    def definitions(self) -> Iterator[Place]:
        """The bodies of the definitions used in it."""
        if self.body is not None:
            yield self.body
        for part in (*self.parts, *((self.body,) if self.body else ())):
            yield from part.definitions()


def place_of(rule: CompiledRule, tiers: tuple[str, ...], writings: Writings) -> Place:
    """A rule, with a part for `@expires` and for each clause in the order written."""
    placing = _Placing(rule, writings)
    written = iter(writings.conditions(rule))
    clauses = [
        placing.clause(
            (rule.name, number), clause, reachable.clause_outcomes(clause, rule, tiers), written
        )
        for number, clause in enumerate(reachable.clauses_of(rule))
    ]
    if rule.expires_ms is not None:
        clauses.insert(0, placing.expiry())
    return Place(
        what=rule.effect,
        key=(rule.name,),
        span=rule.node.name_span,
        asked=reachable.rule_outcomes(rule, tiers),
        parts=tuple(clauses),
    )


class _Placing:
    """Builds the places of one rule."""

    def __init__(self, rule: CompiledRule, writings: Writings) -> None:
        self._rule = rule
        self._writings = writings

    def expiry(self) -> Place:
        """`@expires`: env.now is always known."""
        rule = self._rule.node
        spans = [each.span for each in rule.annotations if each.name == "expires"]
        key: Key = (self._rule.name, "expires")
        span = spans[0] if spans else rule.name_span
        return Place(what="expires", key=key, span=span, asked=reachable.DECIDED)

    def clause(
        self, key: Key, clause: reachable.Clause, asked: Outcomes, written: Iterator[Written]
    ) -> Place:
        """One clause; `written` yields the condition it is, when it is one."""
        if isinstance(clause, nodes.Condition):
            what = "unless" if clause.negated else "when"
            return self._within(
                Place(what=what, key=key, span=clause.span, asked=asked), next(written)
            )
        what = "for" if isinstance(clause, nodes.ForTier | nodes.ForNames) else "on"
        return Place(what=what, key=key, span=clause.span, asked=asked)

    def _within(self, place: Place, written: Written) -> Place:
        """The place with its parts, or with the definition it is the name of."""
        place = replace(place, meant=written.meant)
        if written.definition is not None:
            return replace(place, body=self._body(written, written.definition))
        joined = self._joined(written)
        if joined is None:
            return place
        parts = [
            self._within(
                Place(
                    what="part",
                    key=(*place.key, number),
                    span=part.span,
                    asked=self._asked(part),
                ),
                part,
            )
            for number, part in enumerate(self._writings.below(joined))
        ]
        return replace(place, parts=tuple(parts))

    def _body(self, written: Written, definition: nodes.Definition) -> Place:
        key: Key = ("define", written.package, definition.name)
        body = self._writings.body(written)
        place = Place(what="define", key=key, span=definition.name_span, asked=self._asked(written))
        return self._within(place, body)

    def _joined(self, written: Written) -> Written | None:
        """The `and` or `or` that an expression is, below `not`, `any` and `all`."""
        if written.definition is not None or written.argument:
            return None
        match written.meant:
            case nodes.And() | nodes.Or():
                return written
            case nodes.Not() | nodes.Quantified():
                *_, inner = self._writings.below(written)
                return self._joined(inner)
        return None

    def _asked(self, written: Written) -> Outcomes:
        return reachable.expression_outcomes(written.meant, on_token=self._rule.on_token)
