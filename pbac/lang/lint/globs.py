"""Lint about permits that hold for more than anybody has seen: backends of the future."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pbac.lang import nodes
from pbac.lang.lint.claims import TIER, Claim, Named, OneOf
from pbac.lang.lint.linting import Finding, Linting
from pbac.lang.lint.parts import Part, conditions_of, holds_by
from pbac.lang.lint.rivals import Claimed

_EVERYTHING: Final = frozenset({"*", "**"})
_OF_EVERY_TOOL: Final = frozenset({"tool", "server", "scope", "agent"})
"""What every agent that calls, and every tool there is, has a name of."""

_CALLS_SO: Final = frozenset({"tool", "resource", "prompt"})
"""Named by a backend: any other may use the same names."""


# --- everything ----------------------------------------------------------------------------------


def permits_everything(linting: Linting) -> Iterator[Finding]:
    """Permits of every tool of every server to every agent that has a tier."""
    for rule in linting.rules:
        if _is_everything(rule, linting.resolved.tiers):
            message = f"`{rule.rule.name}` permits every tool of every backend to every agent"
            help_ = "say who and what: `for tier >= …`, `on server …`, `on tool …`, `when …`"
            yield Finding(message, rule.rule.name_span, help_)


def _is_everything(rule: Claimed, tiers: Iterable[str]) -> bool:
    if rule.rule.effect != "permit" or rule.on_token or not rule.rule.what:
        return False
    return all(_is_idle(claim, frozenset(tiers)) for claim in rule.claims)


def _is_idle(claim: Claim, tiers: frozenset[str]) -> bool:
    """True of every call of a tool by an agent that has a tier."""
    match claim:
        case Named():
            return (
                claim.what in _OF_EVERY_TOOL
                and not claim.without
                and not _EVERYTHING.isdisjoint(claim.names)
            )
        case OneOf():
            return claim.subject == TIER and claim.values >= tiers
    return False


# --- every backend -------------------------------------------------------------------------------


def unconfined_globs(linting: Linting) -> Iterator[Finding]:
    """Permits by patterns that hold for every backend there will ever be.

    `package … on server *` says that this is meant. What somebody gave the tools is no pattern of
    a backend's making: a scope, whose name begins with its backend's, and what a review found.
    """
    told = {rule.name for rule in linting.rules if _is_everything(rule, linting.resolved.tiers)}
    for package in linting.resolved.packages:
        for rule in package.rules if not package.servers else ():
            if rule.effect == "permit" and f"{package.name}.{rule.name}" not in told:
                yield from _unconfined(rule)


def _unconfined(rule: nodes.Rule) -> Iterator[Finding]:
    clauses = [clause for clause in rule.what if isinstance(clause, nodes.OnNames)]
    if any(isinstance(clause, nodes.OnToken) for clause in rule.what) or not rule.what:
        return
    if not all(any(_is_wide(clause.what, p.text) for p in clause.names) for clause in clauses):
        return
    if any(holds_by(part, _names_few) for part in conditions_of(rule)):
        return
    for clause in [each for each in clauses if each.what != "server"] or clauses:
        for pattern in clause.names:
            if _is_wide(clause.what, pattern.text):
                yield _finding(pattern.text, clause.what, pattern)
    if not clauses:
        yield _finding("any", "any", rule.what[0])


def _finding(text: str, what: str, node: nodes.Node) -> Finding:
    if what in _CALLS_SO:
        message = f"`{text}` permits whatever any backend, present or future, calls so"
    else:
        clause = "on any" if what == "any" else f"on {what} {text}"
        message = f"`{clause}` holds for every backend, present and future"
    help_ = "confine the rule: `package … on server …`, or `on server …` here"
    return Finding(message, node.span, help_)


def _is_wide(what: str, pattern: str) -> bool:
    """Does the pattern leave the backend open?"""
    if what in _CALLS_SO:
        return "*" in pattern
    return pattern.startswith("*") if what == "scope" else pattern in _EVERYTHING


# --- conditions that confine ---------------------------------------------------------------------

_EXACT: Final = {("==", False), ("in", False), ("!=", True), ("not in", True)}
_TEXTS: Final = _EXACT | {
    (word, False) for word in ("like", "matches", "starts with", "ends with", "within")
}
_LISTS: Final = {(word, False) for word in ("in", "contains", "intersects", "subset of", "==")}
_CONFINING: Final = {
    "server": _TEXTS,
    "scope": _TEXTS,
    "tool": _EXACT,
    "resource": _EXACT | {("within", False)},
    "prompt": _EXACT,
    "tags": _LISTS,
    "read_only": _EXACT,
    "destructive": _EXACT,
    "pinned": _EXACT,
}
"""Field of a call → the operators, and whether below a `not`, after which few backends are left."""


def _names_few(part: Part) -> bool:
    """True for a condition that names backends, tools or scopes, or what a review found."""
    expression, negated = part
    match expression:
        case nodes.Path():
            field = _field(expression)
            return field in ("read_only", "destructive") or (field == "pinned" and not negated)
        case nodes.Operation():
            return any(
                (expression.name, negated) in _CONFINING.get(_field(operand), ())
                and not any(map(_is_open, expression.operands))
                for operand in expression.operands
            )
    return False


def _field(expression: nodes.Expression) -> str:
    """`server` for `call.server`; "" for whatever is no field of a call."""
    match expression:
        case nodes.Path(root="call", steps=(nodes.Field(name=name),)):
            return name
    return ""


def _is_open(expression: nodes.Expression) -> bool:
    """A pattern that begins with anything."""
    return isinstance(expression, nodes.Literal) and str(expression.value).startswith("*")
