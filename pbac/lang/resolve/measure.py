"""How large an expression becomes when its definitions are expanded, without expanding any.

A measure is linear in the measures of the arguments: so many nodes of its own, and each parameter
so many times. One pass in order of use therefore measures every definition exactly, chains that
grow as 2ⁿ included; figures stop growing at `_ENOUGH`, for nobody needs to know by how much a bound
is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pbac.base.limits import DEFINITION_NODES_MAX, EXPRESSION_DEPTH_MAX
from pbac.lang import nodes
from pbac.lang.evaluate.paths import children

_ENOUGH: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is known about the size of an expression.

    Attributes:
        size: nodes, those of parameters' arguments not counted.
        depth: levels, likewise.
        uses: parameter → how often it stands there, and how many levels below the top at most.
    """

    size: int
    depth: int
    uses: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def too_large(self) -> bool:
        """It must not be expanded."""
        return self.size > DEFINITION_NODES_MAX

    @property
    def too_deep(self) -> bool:
        """It must not be walked."""
        return self.depth > EXPRESSION_DEPTH_MAX


def measure(
    expression: nodes.Expression,
    definitions: Mapping[str, tuple[tuple[str, ...], Measure]],
    variables: frozenset[str] = frozenset(),
) -> Measure:
    """The measure of an expression whose names are known.

    `definitions` holds the parameters and the measure of each that it uses, `variables` the
    parameters of the definition that it is the body of.
    """
    match expression:
        case nodes.Path():
            keys = [step.key for step in expression.steps if isinstance(step, nodes.Index)]
            found = [_root(expression.root, definitions, variables)]
        case nodes.Apply():
            parameters, body = definitions[expression.name]
            arguments = [measure(one, definitions, variables) for one in expression.arguments]
            return _applied(body, dict(zip(parameters, arguments, strict=True)))
        case _:
            keys = list(children(expression))
            found = [Measure(size=1, depth=1)]
    found += [_below(measure(key, definitions, variables), 1) for key in keys]
    return _together(found)


def _root(
    root: str,
    definitions: Mapping[str, tuple[tuple[str, ...], Measure]],
    variables: frozenset[str],
) -> Measure:
    if root in variables:
        return Measure(size=0, depth=0, uses={root: (1, 0)})
    return definitions[root][1] if root in definitions else Measure(size=1, depth=1)


def _below(found: Measure, levels: int) -> Measure:
    """The same expression so many levels further down."""
    uses = {name: (count, depth + levels) for name, (count, depth) in found.uses.items()}
    return Measure(size=found.size, depth=found.depth + levels, uses=uses)


def _together(found: Iterable[Measure]) -> Measure:
    """Several expressions side by side."""
    size, depth, uses = 0, 0, dict[str, tuple[int, int]]()
    for one in found:
        size = min(size + one.size, _ENOUGH)
        depth = max(depth, one.depth)
        for name, (count, below) in one.uses.items():
            before, deepest = uses.get(name, (0, 0))
            uses[name] = (min(before + count, _ENOUGH), max(deepest, below))
    return Measure(size=size, depth=depth, uses=uses)


def _applied(body: Measure, arguments: Mapping[str, Measure]) -> Measure:
    """The body with each argument as often, and as deep, as its parameter stands there."""
    found = [Measure(size=body.size, depth=body.depth)]
    for name, (count, depth) in body.uses.items():
        if name not in arguments:
            continue
        argument = _below(arguments[name], depth)
        uses = {n: (min(c * count, _ENOUGH), d) for n, (c, d) in argument.uses.items()}
        size = min(argument.size * count, _ENOUGH)
        found.append(Measure(size=size, depth=argument.depth, uses=uses))
    return _together(found)
