"""Lint about one rule at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from pbac.base.limits import EXPIRES_SOON_DAYS
from pbac.lang import nodes
from pbac.lang.check.checking import Checking
from pbac.lang.check.expressions import kind_of
from pbac.lang.evaluate.paths import children, paths_in
from pbac.lang.kinds.kinds import ANY
from pbac.lang.lint.claims import walk
from pbac.lang.lint.implication import certainly_false, never_true
from pbac.lang.lint.linting import Finding, Linting, rules_of
from pbac.lang.lint.rivals import Claimed

_DAY_MS: Final = 24 * 3_600_000


# --- never -------------------------------------------------------------------------------------


def is_barren(rule: Claimed) -> bool:
    """True when no request makes the rule apply. A forbid's doubt applies, so less is certain."""
    if certainly_false(rule.claims):
        return True
    return rule.rule.effect == "permit" and never_true(rule.claims, permit=True) is not None


def never_fires(linting: Linting) -> Iterator[Finding]:
    """Rules that no request ever makes apply."""
    for rule in linting.rules:
        if rule not in linting.barren:
            continue
        claim = certainly_false(rule.claims)
        why = "this is false of every request" if claim else "this is never true beside the rest"
        claim = claim or never_true(rule.claims, permit=True)
        assert claim is not None
        message = f"`{rule.rule.name}` never applies: {why}"
        yield Finding(message, claim.span, "correct this part, or remove the rule")


def contradictions(linting: Linting) -> Iterator[Finding]:
    """Forbids and requirements that are never true: they apply by doubt alone."""
    for rule in linting.rules:
        if rule.rule.effect == "permit" or rule in linting.barren:
            continue
        claim = never_true(rule.claims, permit=False)
        if claim is not None:
            message = (
                f"this is never true beside the rest: `{rule.rule.name}` applies only in doubt"
            )
            help_ = (
                "it applies where a value is missing or of another kind: say so with `has`, `is`"
            )
            yield Finding(message, claim.span, help_)


# --- time --------------------------------------------------------------------------------------


def expired(linting: Linting) -> Iterator[Finding]:
    """Permits whose day has come."""
    for annotation, left_ms in _expiries(linting):
        if left_ms <= 0:
            message = "this permit has ended and permits nothing"
            yield Finding(message, annotation.span, "remove the rule, or agree on a later day")


def expires_soon(linting: Linting) -> Iterator[Finding]:
    """Permits that end within `EXPIRES_SOON_DAYS`."""
    for annotation, left_ms in _expiries(linting):
        if 0 < left_ms <= EXPIRES_SOON_DAYS * _DAY_MS:
            days = -(-left_ms // _DAY_MS)
            message = f"this permit ends in {days} day{'s' if days > 1 else ''}"
            yield Finding(message, annotation.span, "remove the rule, or agree on a later day")


def _expiries(linting: Linting) -> Iterator[tuple[nodes.Annotation, int]]:
    """Each `@expires` that names a day, and the milliseconds until then."""
    for rule in rules_of(linting, "permit"):
        for annotation in rule.annotations:
            value = annotation.value
            if annotation.name == "expires" and value is not None and value.kind == "date":
                day = datetime.fromisoformat(str(value.value)).replace(tzinfo=UTC)
                yield annotation, int(day.timestamp()) * 1000 - linting.now_ms


# --- targets -----------------------------------------------------------------------------------


def permits_on_token(linting: Linting) -> Iterator[Finding]:
    """Permits about issuance, which permits calls alone decide (Law 9)."""
    for rule in rules_of(linting, "permit"):
        if rule.what and all(isinstance(clause, nodes.OnToken) for clause in rule.what):
            message = "a permit `on token` grants nothing"
            help_ = "a scope is issued when some call that needs it could be permitted: permit that"
            yield Finding(message, rule.what[0].span, help_)


# --- conditions --------------------------------------------------------------------------------


def absent_users(linting: Linting) -> Iterator[Finding]:
    """An agent acting for itself has no user: a forbid then applies, which may surprise."""
    for rule in rules_of(linting, "forbid"):
        if any(isinstance(who, nodes.ForNames) and who.what == "group" for who in rule.who):
            continue  # false without a user (Law 2): the rule cannot apply then
        expressions = [condition.expression for condition in rule.conditions]
        if any(_asks_for_user(part) for whole in expressions for part in walk(whole)):
            continue
        for path in (path for whole in expressions for path in _without_default(whole)):
            if path.root == "user" and path.steps:
                yield Finding(
                    f"without a user `{path.text()}` is unknown, and `{rule.name}` then forbids",
                    path.span,
                    "write `has user and …`, or `default` after the path; `not has user or …` "
                    "says that this is meant",
                )


OPTIONAL_FIELDS: Final = frozenset(
    {"owner", "provider", "model", "publisher", "software_id", "software_version"}
)
"""Fields of `agent` that many agents lack: nobody said, or nobody verified (Law 8)."""


def absent_agent_fields(linting: Linting) -> Iterator[Finding]:
    """What nobody verified of an agent is missing: a forbid then applies to all of those."""
    for rule in rules_of(linting, "forbid"):
        expressions = [condition.expression for condition in rule.conditions]
        asked = {
            part.path.text()
            for whole in expressions
            for part in walk(whole)
            if isinstance(part, nodes.Has)
        }
        for path in (path for whole in expressions for path in _without_default(whole)):
            name, text = path.text().removeprefix("agent."), path.text()
            if path.root == "agent" and name in OPTIONAL_FIELDS and text not in asked:
                yield Finding(
                    f"many agents have no `{text}`, and `{rule.name}` then forbids",
                    path.span,
                    f"write `has {text} and …`, or `default` after the path; `not has {text} or …` "
                    "says that this is meant",
                )


def _asks_for_user(expression: nodes.Expression) -> bool:
    return isinstance(expression, nodes.Has) and expression.path.root == "user"


def _without_default(expression: nodes.Expression) -> Iterator[nodes.Path]:
    """Every path read without a `default` of its own."""
    if isinstance(expression, nodes.Path):
        yield from paths_in(expression)
        return
    for child in children(expression):
        if isinstance(expression, nodes.Default) and child is expression.path:
            yield from (path for path in paths_in(child) if path is not child)
        else:
            yield from _without_default(child)


def parts_of_texts(linting: Linting) -> Iterator[Finding]:
    """Permits with a `contains` that finds any part of a text: `admin` in `not_an_admin`."""
    checking = Checking(schema=linting.schema, tiers=linting.resolved.tiers, found=[])
    for rule in rules_of(linting, "permit"):
        parts = [part for c in rule.conditions for part in walk(c.expression)]
        asked = {
            part.operand.text()
            for part in parts
            if isinstance(part, nodes.IsKind) and isinstance(part.operand, nodes.Path)
        }
        variables = dict.fromkeys(
            (part.variable for part in parts if isinstance(part, nodes.Quantified)), ANY
        )
        known = replace(checking, variables=variables)
        for part in parts:
            if isinstance(part, nodes.Operation) and part.name == "contains":
                yield from _part_of_text(part, asked, known)


def _part_of_text(
    operation: nodes.Operation, asked: set[str], known: Checking
) -> Iterator[Finding]:
    whole = operation.operands[0]
    if not isinstance(whole, nodes.Path) or whole.text() in asked:
        return
    name, kind = whole.text(), kind_of(whole, known).word
    if kind == "string":
        message = f"`{name}` is a text, and `contains` finds any part of it"
        help_ = f"compare all of it: `{name} == …`, `in […]`, `ends with`, `like`"
    elif kind == "any":
        message = f"should `{name}` be a text and no list, `contains` finds any part of it"
        help_ = f"write `{name} is list and …`, or `… in {name}`, which takes lists only"
    else:
        return
    yield Finding(message, operation.span, help_)


# --- for people --------------------------------------------------------------------------------


def reasonless(linting: Linting) -> Iterator[Finding]:
    """Forbids that tell the agent nothing, permits that tell nobody why."""
    for rule in rules_of(linting, "permit", "forbid"):
        if rule.because is not None:
            continue
        if rule.effect == "forbid":
            message = f"an agent that `{rule.name}` refuses is not told why"
            yield Finding(message, rule.name_span, 'add `because "…"`: the agent reads it')
        elif not (rule.docstring or rule.internal):
            message = f"nothing says why `{rule.name}` permits"
            yield Finding(message, rule.name_span, "add a docstring below the name, or `because`")
