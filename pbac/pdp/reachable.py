"""Which truths a clause can have at all: what coverage asks for, and what it does not.

Outcome sets, as Law 6 has them, but over every request there can be instead of one that is listed.
A set may be too large, when parts depend on each other (`args.n < 1 and args.n > 2` is thought to
be true some day), and is never too small: an outcome that is left out cannot come.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from pbac.lang import nodes
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.interpret import combined
from pbac.lang.evaluate.truth import Truth, conjunction, disjunction, negation, truth_of
from pbac.lang.program import CompiledRule
from pbac.model.request import FIELDS

Clause: TypeAlias = nodes.ForClause | nodes.OnClause | nodes.Condition
Outcomes: TypeAlias = frozenset[Truth]

ANYTHING: Final[Outcomes] = frozenset(Truth)
DECIDED: Final[Outcomes] = frozenset({Truth.TRUE, Truth.FALSE})
_TRUE: Final = frozenset({Truth.TRUE})
_FALSE: Final = frozenset({Truth.FALSE})
_UNKNOWN: Final = frozenset({Truth.UNKNOWN})

_ALWAYS: Final = frozenset(
    {"agent.id", "agent.name", "chain.depth", "chain.actors", "env.now", "env.today"}
)
_CALLS: Final = _ALWAYS | {"call.method", "call.tool"}
_TOKENS: Final = _ALWAYS | {"call.method", "call.scope"}
"""What every request holds, in the kind it has: of a call, and of a scope that is issued."""

_PLAIN_KIND: Final = {
    "string": "string", "tier": "string", "date": "date", "datetime": "datetime",
    "number": "number", "boolean": "boolean",
}  # fmt: skip
_EQUALITIES: Final = frozenset({"==", "!="})
_ORDERS: Final = frozenset({"<", "<=", ">", ">="})
_TEXTUAL: Final = frozenset({"like", "matches", "starts with", "ends with"})


def rule_outcomes(rule: CompiledRule, tiers: tuple[str, ...]) -> Outcomes:
    """Of its whole condition, within the servers of its package."""
    parts = [clause_outcomes(clause, rule, tiers) for clause in clauses_of(rule)]
    if rule.expires_ms is not None:
        parts.append(DECIDED)
    return combined(parts, conjunction)


def clauses_of(rule: CompiledRule) -> tuple[Clause, ...]:
    """In the order written."""
    return (*rule.node.who, *rule.node.what, *rule.node.conditions)


def clause_outcomes(clause: Clause, rule: CompiledRule, tiers: tuple[str, ...]) -> Outcomes:
    """Of one clause, for requests of the kind the rule is about."""
    match clause:
        case nodes.Condition():
            found = expression_outcomes(clause.expression, on_token=rule.on_token)
            return frozenset(map(negation, found)) if clause.negated else found
        case nodes.ForTier():
            told = {targets.tier_truth(clause, tier, tiers) for tier in tiers}
            return frozenset(told) | _UNKNOWN
        case nodes.ForNames():
            return _for_names(clause)
        case nodes.OnNames():
            return _FALSE if rule.on_token else _on_names(clause)
        case nodes.OnToken() | nodes.OnAny():
            return _TRUE if isinstance(clause, nodes.OnToken) == rule.on_token else _FALSE


def _for_names(clause: nodes.ForNames) -> Outcomes:
    if clause.what == "group":
        return ANYTHING
    found = _TRUE if _is_everything(clause) else DECIDED
    if clause.what == "agent":
        return found
    return found | _UNKNOWN  # a kind or provider nobody verified is missing (Law 8)


def _on_names(clause: nodes.OnNames) -> Outcomes:
    if clause.what in ("resource", "prompt"):
        return _FALSE  # only tools are served
    if clause.what == "tag":
        return ANYTHING
    found = _TRUE if _is_everything(clause) else DECIDED
    return found if clause.what == "tool" else found | _UNKNOWN


def _is_everything(clause: nodes.ForNames | nodes.OnNames) -> bool:
    return not clause.without and any(name.text in ("*", "**") for name in clause.names)


# --- expressions -----------------------------------------------------------------------------


def expression_outcomes(expression: nodes.Expression, *, on_token: bool = False) -> Outcomes:
    """Of a condition, or a part of one."""
    return _outcomes(expression, _TOKENS if on_token else _CALLS)


def _outcomes(expression: nodes.Expression, known: frozenset[str]) -> Outcomes:
    match expression:
        case nodes.Literal():
            return frozenset({truth_of(expression.value)})
        case nodes.Not():
            return frozenset(map(negation, _outcomes(expression.operand, known)))
        case nodes.And():
            return combined((_outcomes(item, known) for item in expression.items), conjunction)
        case nodes.Or():
            return combined((_outcomes(item, known) for item in expression.items), disjunction)
        case nodes.Has():
            return _has(expression.path, known)
        case nodes.IsKind():
            return DECIDED if _is_there(expression.operand, known) else ANYTHING
        case nodes.Quantified():
            return _quantified(expression, known)
        case nodes.Operation():
            return _operation(expression, known)
    return ANYTHING


def _has(path: nodes.Path, known: frozenset[str]) -> Outcomes:
    if path.text() in known or (not path.steps and path.root in FIELDS and path.root != "user"):
        return _TRUE
    # One step into a root of a request is never a step into something that is no record.
    plain = len(path.steps) < 2 and path.root in FIELDS
    return DECIDED if plain and all(isinstance(s, nodes.Field) for s in path.steps) else ANYTHING


def _quantified(expression: nodes.Quantified, known: frozenset[str]) -> Outcomes:
    """An empty list decides one way; items can decide as the body does."""
    body = _outcomes(expression.body, known)
    empty = _FALSE if expression.quantifier == "any" else _TRUE
    collection = expression.collection
    sure = isinstance(collection, nodes.ListExpression) or (
        isinstance(collection, nodes.Path) and collection.text() in known
    )
    return empty | body if sure else empty | body | _UNKNOWN


def _operation(expression: nodes.Operation, known: frozenset[str]) -> Outcomes:
    operands = expression.operands
    if all(isinstance(operand, nodes.Literal) for operand in operands):
        values = [operand.value for operand in operands if isinstance(operand, nodes.Literal)]
        return frozenset({truth_of(function_of(expression).evaluate(*values))})
    kinds = [_kind(operand, known) for operand in operands]
    return DECIDED if _is_total(expression, kinds, known) else ANYTHING


def _is_total(expression: nodes.Operation, kinds: list[str | None], known: frozenset[str]) -> bool:
    """Is it never unknown, for operands of these kinds?"""
    name = expression.name
    if name == "in window":
        return kinds[0] == "datetime"
    if name in ("in", "not in"):
        items = expression.operands[1]
        return (
            isinstance(items, nodes.ListExpression)
            and kinds[0] is not None
            and all(_kind(item, known) == kinds[0] for item in items.items)
        )
    if None in kinds or len(set(kinds)) != 1:
        return False
    return (
        name in _EQUALITIES
        or (name in _ORDERS and kinds[0] != "boolean")
        or (name in _TEXTUAL and kinds[0] == "string")
    )


def _is_there(expression: nodes.Expression, known: frozenset[str]) -> bool:
    """Has it surely a value, of whatever kind?"""
    match expression:
        case nodes.Literal():
            return True
        case nodes.Path():
            return expression.text() in known
        case nodes.Default(path=path):
            return _has(path, known) == DECIDED and _is_there(expression.fallback, known)
    return False


def _kind(expression: nodes.Expression, known: frozenset[str]) -> str | None:
    """The kind of a value that is surely there; None when one cannot know."""
    match expression:
        case nodes.Literal():
            return expression.kind
        case nodes.Path() if expression.text() in known:
            root, _, field = expression.text().partition(".")
            return _PLAIN_KIND.get(FIELDS[root][field])
    return None
