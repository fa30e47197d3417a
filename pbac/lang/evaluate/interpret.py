"""The language, executed slowly and obviously: the specification that `generate` is held to.

Theory. An expression has a *value*: a JSON value, `MISSING` when its path leads nowhere, or
`UNKNOWN` when it has none (a step into something that is no record or list, an operator on wrong
kinds). A condition has a *truth*: TRUE, FALSE or UNKNOWN. They meet in two places: a value that is
exactly `true` or `false` is that truth and every other value is UNKNOWN; a truth used as a value
is `true`, `false` or `UNKNOWN`. `and`, `or`, `not`, `any` and `all` are strong Kleene logic over
truths, so no order of evaluation can be told from another, and nothing here stops early.

The condition of a rule (Law 2) is the conjunction of its package's servers, its `for` clauses, its
`on` clauses and its `when`s and `unless`es. `blame` explains an UNKNOWN, by the paths that made it
so. `outcomes` is the same walk over *sets* of truths (Law 6): what the condition may still become
when arguments, facts, session and time are yet to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final, TypeAlias

from pbac.base.limits import QUANTIFIER_ITEMS_MAX
from pbac.lang import nodes
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.paths import children, is_undetermined, paths_in, step
from pbac.lang.evaluate.truth import (
    UNKNOWN,
    Truth,
    conjunction,
    disjunction,
    negation,
    truth_of,
    value_of,
)
from pbac.lang.program import Data
from pbac.model.request import FIELDS, DecisionRequest
from pbac.model.values import MISSING, Value, kind_of

Outcomes: TypeAlias = frozenset[Truth]
Clause: TypeAlias = nodes.ForClause | nodes.OnClause | nodes.Condition

ANYTHING: Final[Outcomes] = frozenset(Truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """All an expression can read. `names` says how a variable's path is blamed."""

    request: DecisionRequest
    data: Data
    bindings: Mapping[str, Value] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def bind(self, variable: str, item: Value, name: str) -> _World:
        """The same world with one item of a list under a quantifier's variable."""
        bindings = {**self.bindings, variable: item}
        return replace(self, bindings=bindings, names={**self.names, variable: name})


# --- values --------------------------------------------------------------------------------


def value(
    expression: nodes.Expression,
    request: DecisionRequest,
    data: Data,
    bindings: Mapping[str, Value] | None = None,
) -> Value:
    """The value of an expression, `MISSING` or `UNKNOWN`."""
    return _value(expression, _World(request=request, data=data, bindings=bindings or {}))


def _value(expression: nodes.Expression, world: _World) -> Value:
    match expression:
        case nodes.Literal():
            return expression.value
        case nodes.ListExpression():
            return [_item(item, world) for item in expression.items]
        case nodes.RecordExpression():
            return {name: _item(item, world) for name, item in expression.pairs}
        case nodes.Path():
            return _path_value(expression, world)
        case nodes.Default():
            found = _path_value(expression.path, world)
            return _value(expression.fallback, world) if found is MISSING else found
        case nodes.Operation():
            operands = [_value(operand, world) for operand in expression.operands]
            return function_of(expression).evaluate(*operands)
        case nodes.Apply():
            return UNKNOWN  # none is left after `resolve`
    return value_of(_truth(expression, world))


def _item(expression: nodes.Expression, world: _World) -> Value:
    """An item of a written list or record: there, what is missing is merely unknown."""
    found = _value(expression, world)
    return UNKNOWN if found is MISSING else found


def _path_value(path: nodes.Path, world: _World) -> Value:
    found = _root_value(path.root, world)
    for part in path.steps:
        if found is MISSING:
            return MISSING
        key = part.name if isinstance(part, nodes.Field) else _value(part.key, world)
        found = step(found, key)
    return found


def _root_value(root: str, world: _World) -> Value:
    if root in world.bindings:
        return world.bindings[root]
    if root == "data":
        return world.data
    if root not in FIELDS:
        return UNKNOWN  # a definition's name: none is left after `resolve`
    found = getattr(world.request, root)
    return MISSING if found is None else found


# --- truths --------------------------------------------------------------------------------


def truth(
    expression: nodes.Expression,
    request: DecisionRequest,
    data: Data,
    bindings: Mapping[str, Value] | None = None,
) -> Truth:
    """The truth of an expression. `bindings` holds the variables of quantifiers around it."""
    return _truth(expression, _World(request=request, data=data, bindings=bindings or {}))


def _truth(expression: nodes.Expression, world: _World) -> Truth:
    match expression:
        case nodes.Not():
            return negation(_truth(expression.operand, world))
        case nodes.And():
            return conjunction([_truth(item, world) for item in expression.items])
        case nodes.Or():
            return disjunction([_truth(item, world) for item in expression.items])
        case nodes.Has():
            found = _path_value(expression.path, world)
            return Truth.UNKNOWN if found is UNKNOWN else truth_of(found is not MISSING)
        case nodes.IsKind():
            return _kind_truth(expression, _value(expression.operand, world))
        case nodes.Quantified():
            worlds = _worlds(expression, world)
            if worlds is None:
                return Truth.UNKNOWN
            fold = disjunction if expression.quantifier == "any" else conjunction
            return fold([_truth(expression.body, inner) for inner in worlds])
    return truth_of(_value(expression, world))


def _kind_truth(expression: nodes.IsKind, found: Value) -> Truth:
    if found is MISSING or found is UNKNOWN:
        return Truth.UNKNOWN
    return truth_of((kind_of(found) == expression.kind) is not expression.negated)


def _worlds(expression: nodes.Quantified, world: _World) -> list[_World] | None:
    """A world for each item of the list; None for no list, or one beyond the cap (Law 4)."""
    items = items_of(_value(expression.collection, world))
    if items is None or len(items) > QUANTIFIER_ITEMS_MAX:
        return None
    paths = [_text(path, world) for path in paths_in(expression.collection)]
    name = f"{paths[0]}[…]" if paths else expression.variable
    return [world.bind(expression.variable, item, name) for item in items]


# --- rules ---------------------------------------------------------------------------------


def clause_truths(
    rule: nodes.Rule, request: DecisionRequest, data: Data, tiers: tuple[str, ...]
) -> tuple[tuple[Clause, Truth], ...]:
    """Each clause of the rule with its truth, in the order written: what `explain` shows."""
    world = _World(request=request, data=data)
    return (
        *((who, targets.for_truth(who, request, rule.effect, tiers)) for who in rule.who),
        *((what, targets.on_truth(what, request)) for what in rule.what),
        *((when, _condition_truth(when, world)) for when in rule.conditions),
    )


def _condition_truth(clause: nodes.Condition, world: _World) -> Truth:
    found = _truth(clause.expression, world)
    return negation(found) if clause.negated else found


def condition(
    rule: nodes.Rule,
    request: DecisionRequest,
    data: Data,
    tiers: tuple[str, ...],
    servers: tuple[str, ...] = (),
) -> Truth:
    """The whole condition of a rule; `servers` is its package's confinement, `()` for none."""
    found = [targets.phase_truth(rule, request), targets.server_truth(servers, request)]
    found += [truth for _, truth in clause_truths(rule, request, data, tiers)]
    return conjunction(found)


# --- blame ---------------------------------------------------------------------------------


def blame(
    rule: nodes.Rule,
    request: DecisionRequest,
    data: Data,
    tiers: tuple[str, ...],
    servers: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """The paths because of which the condition is unknown, in the order read, each once.

    Empty when the condition is not unknown. A missing or unusable path is blamed before its
    neighbours; where every path has a value, their kinds do not fit and all are blamed.
    """
    if condition(rule, request, data, tiers, servers) is not Truth.UNKNOWN:
        return ()
    found: list[str] = []
    if targets.server_truth(servers, request) is Truth.UNKNOWN:
        found.append("call.server")
    world = _World(request=request, data=data)
    for clause, truth in clause_truths(rule, request, data, tiers):
        if truth is Truth.UNKNOWN:
            found += _blamed_by_clause(clause, rule, world)
    return tuple(dict.fromkeys(found))


def _blamed_by_clause(clause: Clause, rule: nodes.Rule, world: _World) -> Iterable[str]:
    match clause:
        case nodes.Condition():
            return _blamed(clause.expression, world)
        case nodes.ForTier():
            return ["agent.tier"]
        case nodes.ForNames() | nodes.OnNames():
            return _blamed_by_names(clause, rule, world.request)
    return []


def _blamed_by_names(
    clause: nodes.ForNames | nodes.OnNames, rule: nodes.Rule, request: DecisionRequest
) -> Iterable[str]:
    """The caller's field, the chain, or both: whichever leaves the clause open."""
    read = targets.FIELD_OF[clause.what]
    if clause.what not in targets.ACTOR_FIELD_OF or rule.effect == "permit":
        return [read]
    name = targets.ACTOR_FIELD_OF[clause.what]
    caller = [] if type(request.agent.get(name)) is str else [read]
    actors = items_of(request.chain.get("actors", MISSING))
    if actors is None:
        return [*caller, "chain.actors"]
    known = all(type(actor) is dict and type(actor.get(name)) is str for actor in actors)
    return caller if known else [*caller, f"chain.actors[…].{name}"]


def _blamed(expression: nodes.Expression, world: _World) -> Iterator[str]:
    """Paths to blame for an expression whose truth is unknown."""
    match expression:
        case nodes.Not():
            yield from _blamed(expression.operand, world)
        case nodes.And() | nodes.Or():
            for item in expression.items:
                if _truth(item, world) is Truth.UNKNOWN:
                    yield from _blamed(item, world)
        case nodes.Quantified():
            worlds = _worlds(expression, world)
            if worlds is None:
                yield from _blamed_in_leaf(expression.collection, world)
            for inner in worlds or ():
                if _truth(expression.body, inner) is Truth.UNKNOWN:
                    yield from _blamed(expression.body, inner)
        case _:
            yield from _blamed_in_leaf(expression, world)


def _blamed_in_leaf(leaf: nodes.Expression, world: _World) -> list[str]:
    read = list(_paths_used(leaf, world))
    broken = [path for path in read if _path_value(path, world) in (MISSING, UNKNOWN)]
    return [_text(path, world) for path in broken or read]


def _paths_used(expression: nodes.Expression, world: _World) -> Iterator[nodes.Path]:
    """The paths that decided a leaf: of a `default` one side, of a broken index its key alone."""
    match expression:
        case nodes.Path():
            keys = [s.key for s in expression.steps if isinstance(s, nodes.Index)]
            inner = [path for key in keys for path in _paths_used(key, world)]
            broken = [path for path in inner if _path_value(path, world) in (MISSING, UNKNOWN)]
            yield from broken or [expression]
        case nodes.Default():
            fallback = list(_paths_used(expression.fallback, world))
            missing = _path_value(expression.path, world) is MISSING
            yield from fallback if missing and fallback else _paths_used(expression.path, world)
        case _:
            for child in children(expression):
                yield from _paths_used(child, world)


def _text(path: nodes.Path, world: _World) -> str:
    """As it is blamed; a quantifier's variable is written as the list it runs over."""
    text = path.text()
    name = world.names.get(path.root)
    return text if name is None else name + text.removeprefix(path.root)


# --- listing -------------------------------------------------------------------------------


def outcomes(
    rule: nodes.Rule,
    request: DecisionRequest,
    data: Data,
    tiers: tuple[str, ...],
    servers: tuple[str, ...] = (),
) -> Outcomes:
    """Law 6: what the condition can still become for some arguments, facts, session and time.

    Sound and not complete: whatever the condition turns out to be is in the set, but a set may
    hold a truth that never comes. Values of undetermined paths in `request` are not looked at.
    """
    known = [targets.phase_truth(rule, request), targets.server_truth(servers, request)]
    parts = [frozenset({truth}) for truth in known]
    parts += [found for _, found in clause_outcomes(rule, request, data, tiers)]
    return combined(parts, conjunction)


def clause_outcomes(
    rule: nodes.Rule, request: DecisionRequest, data: Data, tiers: tuple[str, ...]
) -> tuple[tuple[Clause, Outcomes], ...]:
    """Each clause with what it can still become, in the order written."""
    world = _World(request=request, data=data)
    targeted = (
        *((who, targets.for_truth(who, request, rule.effect, tiers)) for who in rule.who),
        *((what, targets.on_truth(what, request)) for what in rule.what),
    )
    return (
        *((clause, frozenset({truth})) for clause, truth in targeted),
        *((when, _condition_outcomes(when, world)) for when in rule.conditions),
    )


def _condition_outcomes(clause: nodes.Condition, world: _World) -> Outcomes:
    found = _outcomes(clause.expression, world)
    return frozenset(map(negation, found)) if clause.negated else found


def combined(parts: Iterable[Outcomes], fold: Callable[[Iterable[Truth]], Truth]) -> Outcomes:
    """Every outcome that a choice of one from each part can have."""
    found = frozenset({fold(())})
    for part in parts:
        found = frozenset(fold(pair) for pair in product(found, part))
    return found


def _outcomes(expression: nodes.Expression, world: _World) -> Outcomes:
    if not any(map(is_undetermined, paths_in(expression))):
        return frozenset({_truth(expression, world)})
    match expression:
        case nodes.Not():
            return frozenset(map(negation, _outcomes(expression.operand, world)))
        case nodes.And():
            return combined([_outcomes(i, world) for i in expression.items], conjunction)
        case nodes.Or():
            return combined([_outcomes(i, world) for i in expression.items], disjunction)
        case nodes.Has(path=nodes.Path(steps=(nodes.Field(),))):
            # One step into a root is never a step into something that is no record.
            return frozenset({Truth.TRUE, Truth.FALSE})
        case nodes.Quantified() if not any(map(is_undetermined, paths_in(expression.collection))):
            worlds = _worlds(expression, world)
            if worlds is None:
                return frozenset({Truth.UNKNOWN})
            fold = disjunction if expression.quantifier == "any" else conjunction
            return combined([_outcomes(expression.body, inner) for inner in worlds], fold)
    return ANYTHING
