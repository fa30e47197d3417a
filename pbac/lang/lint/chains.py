"""Lint about chains of agents: what a longer one gains, or passes by (Law 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeGuard

from pbac.lang import nodes
from pbac.lang.evaluate.paths import paths_in
from pbac.lang.lint.claims import TIER, Claim, OneOf
from pbac.lang.lint.implication import all_follow
from pbac.lang.lint.linting import Finding, Linting, rules_of
from pbac.lang.lint.parts import Part, conditions_of, parts_of
from pbac.lang.lint.rivals import Claimed, Rivals

# --- tiers ---------------------------------------------------------------------------------------


def upper_bounded_tiers(linting: Linting) -> Iterator[Finding]:
    """Permits for low tiers only, where no other permit says the same for the higher ones."""
    permits = [
        rule
        for rule in linting.rules
        if rule.rule.effect == "permit" and rule.enforced and rule not in linting.barren
    ]
    index = Rivals(permits)
    for rule in permits:
        bounds = list(filter(_is_about_tiers, rule.claims))
        left = [tier for tier in linting.resolved.tiers if all(tier in b.values for b in bounds)]
        if not bounds or not left:
            continue
        above = linting.resolved.tiers[linting.resolved.tiers.index(left[0]) + 1 :]
        gains = [tier for tier in above if tier not in left and not _also(rule, tier, index)]
        if gains:
            low, high = left[0], gains[-1]
            message = (
                f"`{high}` gains this behind a `{low}` actor: the lowest tier of a chain counts"
            )
            help_ = (
                f"permit upwards, `for tier >= {low}`, or say who: `for kind …`, `for agent …`, "
                "which look at the caller"
            )
            bound = next(claim for claim in bounds if high not in claim.values)
            yield Finding(message, bound.span, help_)


def _is_about_tiers(claim: Claim) -> TypeGuard[OneOf]:
    return isinstance(claim, OneOf) and claim.subject == TIER


def _also(rule: Claimed, tier: str, permits: Rivals) -> bool:
    """Does another permit give this tier the same, at least as long?"""
    others = tuple(claim for claim in rule.claims if not _is_about_tiers(claim))
    of_tier = OneOf(span=rule.rule.span, subject=TIER, kind="tier", values=frozenset({tier}))
    wanted = replace(rule, claims=(*others, of_tier))
    return any(
        other.on_token == rule.on_token
        and (not other.expires or (rule.expires and rule.expires <= other.expires))
        and all_follow(other.claims, wanted.claims)
        for other in permits.of(wanted)
    )


# --- who -----------------------------------------------------------------------------------------

_CLAUSE_OF: Final = {"kind": "kind", "id": "agent", "provider": "provider"}
"""Field of an agent → the `for` clause that asks it of every actor."""

_MEANT: Final = {("==", False), ("in", False), ("like", False), ("!=", True), ("not in", True)}
"""Operators, and whether below a `not`, by which a rule is meant for somebody named."""


def caller_only(linting: Linting) -> Iterator[Finding]:
    """Forbids and requirements that name who calls, and forget who stands behind the caller."""
    for rule in rules_of(linting, "forbid", "require"):
        expressions = [condition.expression for condition in rule.conditions]
        if any(path.root == "chain" for each in expressions for path in paths_in(each)):
            continue
        for condition in conditions_of(rule):
            for part in parts_of(condition):
                yield from _caller_only(part, rule)


def _caller_only(part: Part, rule: nodes.Rule) -> Iterator[Finding]:
    expression, negated = part
    if not isinstance(expression, nodes.Operation) or (expression.name, negated) not in _MEANT:
        return
    operands = expression.operands
    fields = [field for each in operands if (field := _field(each)) in _CLAUSE_OF]
    named = [names for each in operands if (names := _names(each))]
    if len(fields) != 1 or len(named) != 1:
        return
    field, names = fields[0], named[0]
    if names == _DOCUMENT:
        help_ = f"ask the chain as well: `or any actor in chain.actors: actor.{field} in …`"
    else:
        help_ = f"`for {_CLAUSE_OF[field]} {names}` looks at every actor of the chain"
    message = f"`agent.{field}` is the caller's: behind another agent `{rule.name}` does not apply"
    yield Finding(message, expression.span, help_)


def _field(expression: nodes.Expression) -> str:
    """`kind` for `agent.kind`, with a `default` or without; "" for whatever is no field of it."""
    match expression:
        case nodes.Default():
            return _field(expression.path)
        case nodes.Path(root="agent", steps=(nodes.Field(name=name),)):
            return name
    return ""


_DOCUMENT: Final = "data"


def _names(expression: nodes.Expression) -> str:
    """Names that policy or operator chose, as a target has them; "" for whatever else."""
    match expression:
        case nodes.Literal(kind="string"):
            return f'"{expression.value}"'
        case nodes.ListExpression():
            names = [_names(item) for item in expression.items]
            return ", ".join(names) if all(names) else ""
        case nodes.Default():
            return _names(expression.path)
        case nodes.Path(root="data"):
            return _DOCUMENT
    return ""
