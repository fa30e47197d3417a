"""What rules can cost, counted at load (Law 4): a version over the budget is refused.

Theory. The unit is a *step*: one visit of a node by the interpreter, one comparison, one character
that is matched, one item that is looked at. There are no loops but `any` and `all`, which take at
most `QUANTIFIER_ITEMS_MAX` items, and operators see no text longer than
`TEXT_OPERAND_CHARACTERS_MAX` and no list longer than `LIST_OPERAND_ITEMS_MAX`: so every expression
has a greatest number of steps, and it can be written down from its tree:

    cost(node, times) = times · own + Σ cost(part, times)
    cost(any x in list: body, times) = times + cost(list, times) + cost(body, times · items)

A text within a list is read once for each item, but all items together are never more than the
request (or the data) they came with. So what is matched of a quantifier's variable is bounded by
that as well, however many items there are: `_Variable` keeps the figure.

Rules are asked because of their tool. What a call can cost is the sum over the rules that are not
about another tool or another server (the index of the decision point finds no more than those),
for the tool and server where that sum is greatest.

A step takes ten to a hundred nanoseconds. The figure is for asking every rule once: a denial that
looks for a tier which would help asks again for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final, TypeAlias

from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import (
    EVALUATION_STEPS_MAX,
    LIST_OPERAND_ITEMS_MAX,
    POLICY_DATA_BYTES_MAX,
    QUANTIFIER_ITEMS_MAX,
    REQUEST_BODY_BYTES_MAX,
    RESPONSE_BODY_BYTES_MAX,
    TEXT_OPERAND_CHARACTERS_MAX,
)
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.paths import children
from pbac.lang.program import CompiledRule, Target

_TEXT_OF: Final = {"data": POLICY_DATA_BYTES_MAX, "facts": RESPONSE_BODY_BYTES_MAX}
"""All characters of a root, where they do not come with the request."""

_NAMED_MAX: Final = 3
"""Rules that a complaint names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variable:
    """A quantifier's variable: how often it is bound, and all characters it then stands for."""

    times: int
    characters: int


_Variables: TypeAlias = Mapping[str, _Variable]


# --- one expression ------------------------------------------------------------------------------


def steps_of(
    expression: nodes.Expression, times: int = 1, variables: _Variables | None = None
) -> int:
    """The most steps that evaluating an expression so many times can take."""
    return _steps(expression, times, variables or {})


def _steps(expression: nodes.Expression, times: int, variables: _Variables) -> int:
    match expression:
        case nodes.Path():
            keys = [step.key for step in expression.steps if isinstance(step, nodes.Index)]
            return times * (1 + len(expression.steps)) + _sum(keys, times, variables)
        case nodes.Operation():
            own = 1 + function_of(expression).cost
            inner = _sum(expression.operands, times, variables)
            return times * own + inner + _growth(expression, times, variables)
        case nodes.Quantified():
            bound = times * QUANTIFIER_ITEMS_MAX
            variable = _variable(expression.collection, times, variables)
            known = {**variables, expression.variable: variable}
            collection = _steps(expression.collection, times, variables)
            return times + collection + _steps(expression.body, bound, known)
    return times + _sum(children(expression), times, variables)


def _sum(parts: Iterable[nodes.Expression], times: int, variables: _Variables) -> int:
    return sum(_steps(part, times, variables) for part in parts)


def _growth(operation: nodes.Operation, times: int, variables: _Variables) -> int:
    """What the sizes of its operands add to an operation."""
    row = function_of(operation)
    match row.grows:
        case "text":
            return sum(_characters(one, times, variables) for one in operation.operands)
        case "list":
            return times * row.cost * sum(map(_items, operation.operands))
        case "tree":
            return times * row.cost * LIST_OPERAND_ITEMS_MAX
    return 0


def _characters(operand: nodes.Expression, times: int, variables: _Variables) -> int:
    if isinstance(operand, nodes.Literal):
        return times * (len(operand.value) if isinstance(operand.value, str) else 0)
    most = times * TEXT_OPERAND_CHARACTERS_MAX
    variable = variables.get(_root(operand))
    # Between the binding and here, other quantifiers may make the same text be read again.
    return min(most, variable.characters * times // variable.times) if variable else most


def _items(operand: nodes.Expression) -> int:
    """Items of an operand that may be a list. A written one has those that are written."""
    match operand:
        case nodes.ListExpression():
            return len(operand.items)
        case nodes.Literal():
            return 0
    return LIST_OPERAND_ITEMS_MAX


def _variable(collection: nodes.Expression, times: int, variables: _Variables) -> _Variable:
    bound = times * QUANTIFIER_ITEMS_MAX
    root = _root(collection)
    if outer := variables.get(root):
        characters = outer.characters * times // outer.times
    elif root:
        characters = times * _TEXT_OF.get(root, REQUEST_BODY_BYTES_MAX)
    else:
        characters = bound * TEXT_OPERAND_CHARACTERS_MAX
    return _Variable(times=bound, characters=characters)


def _root(expression: nodes.Expression) -> str:
    """Whose texts these are: the root of a path, also below `strings`; "" for others."""
    match expression:
        case nodes.Path(root=root):
            return root
        case nodes.Operation(name="strings", operands=(operand,)):
            return _root(operand)
    return ""


# --- rules -------------------------------------------------------------------------------------


def rule_steps(rule: nodes.Rule) -> int:
    """The most steps that asking a rule can take.

    Names in targets come from the registry and from configuration, not from callers: each costs
    about as much as one `like` of a short text.
    """
    clauses = [*rule.who, *rule.what]
    names = sum(
        len(clause.names) + len(clause.without)
        for clause in clauses
        if isinstance(clause, nodes.ForNames | nodes.OnNames)
    )
    conditions = sum(steps_of(condition.expression) for condition in rule.conditions)
    return 1 + len(clauses) + len(rule.conditions) + names + conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the dearest call of a policy set can cost.

    Attributes:
        steps: at most.
        tool: of that call; "" when it may be any.
        rules: that are asked, the dearest first.
    """

    steps: int
    tool: str
    rules: tuple[CompiledRule, ...] = field(repr=False)


_ANY: Final = ""
"""Any server that no package names; any tool that no rule names."""


def cost_of(rules: Sequence[CompiledRule]) -> Cost:
    """The cost of the dearest call, or of issuing a scope where that is more."""
    calls = [rule for rule in rules if not rule.on_token]
    dearest = _dearest(calls), _cost([rule for rule in rules if rule.on_token], _ANY)
    return max(dearest, key=lambda cost: cost.steps)


def _cost(rules: Sequence[CompiledRule], tool: str) -> Cost:
    ordered = tuple(sorted(rules, key=lambda rule: (-rule.steps, rule.name)))
    return Cost(steps=sum(rule.steps for rule in rules), tool=tool, rules=ordered)


def _dearest(rules: Sequence[CompiledRule]) -> Cost:
    targets: dict[Target, int] = defaultdict(int)
    for rule in rules:
        targets[rule.target] += rule.steps  # far fewer than there are rules
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for target, steps in targets.items():
        for place in product(_servers(target), _tools(target)):
            sums[place] += steps

    def total(place: tuple[str, str]) -> int:
        server, tool = place
        return sum(sums.get(each, 0) for each in {*product((_ANY, server), (_ANY, tool))})

    # A server's dearest tool is one that its own rules name, or the dearest of all others'.
    shared = max((p for p in sums if p[0] == _ANY), key=total, default=(_ANY, _ANY))
    places = {*sums, *((server, shared[1]) for server, _ in sums)}
    server, tool = max(places, key=lambda place: (total(place), place), default=shared)
    servers, tools = {_ANY, server}, {_ANY, tool}
    asked = {t for t in targets if servers & set(_servers(t)) and tools & set(_tools(t))}
    return _cost([rule for rule in rules if rule.target in asked], tool)


def _servers(target: Target) -> tuple[str, ...]:
    """The servers that its package is confined to, when it names them."""
    named = target.servers and not any("*" in server for server in target.servers)
    return tuple(dict.fromkeys(target.servers)) if named else (_ANY,)


def _tools(target: Target) -> tuple[str, ...]:
    """The tools that it can be about, when it names them."""
    exact = target.exact_tools()
    return (_ANY,) if exact is None else tuple(dict.fromkeys(exact))


# --- the complaint -----------------------------------------------------------------------------


def over_budget(cost: Cost) -> Diagnostic | None:
    """The complaint about a version whose dearest call is above the budget."""
    if cost.steps <= EVALUATION_STEPS_MAX:
        return None
    dearest = cost.rules[0]
    spent = ", ".join(f"`{rule.name}` {rule.steps:,}" for rule in cost.rules[:_NAMED_MAX])
    whose = f"a call of `{cost.tool}`" if cost.tool else "a call"
    return Diagnostic(
        code="budget-exceeded",
        message=f"{whose} may cost {cost.steps:,} steps of {EVALUATION_STEPS_MAX:,}: {spent}",
        span=_dearest_part(dearest.node),
        help="nest `any` and `all` less, match fewer texts of lists, or name the tools a rule is "
        "about",
    )


def _dearest_part(rule: nodes.Rule) -> Span:
    """The place of the condition that spends most."""
    conditions = [condition.expression for condition in rule.conditions]
    return max(conditions, key=steps_of).span if conditions else rule.name_span
