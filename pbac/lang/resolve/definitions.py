"""The definitions of one package, put in order, measured, expanded.

A definition with a mistake is *broken*: its own mistake is told once, and what uses it is broken in
silence, for there is nothing more to say about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import DEFINITION_NODES_MAX, EXPRESSION_DEPTH_MAX
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.paths import children
from pbac.lang.resolve.expand import Bodies, NotAPath, expand
from pbac.lang.resolve.measure import Measure, measure
from pbac.lang.resolve.names import Names, complaint, misnamed, taken
from pbac.model.request import FIELDS

_CIRCLE_SHOWN_MAX: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What a package defines.

    Attributes:
        names: all of them, broken ones too.
        measures: name → parameters and measure, of those that are not broken.
        bodies: name → parameters and expanded body, likewise.
    """

    names: Names
    measures: Mapping[str, tuple[tuple[str, ...], Measure]]
    bodies: Bodies


def define(written: Sequence[nodes.Definition], found: list[Diagnostic]) -> Definitions:
    """Check, measure and expand the definitions of a package; complaints go to `found`."""
    # The first of a name counts, and no request's part is ever read as a definition.
    first = {d.name: d for d in reversed(written) if d.name not in FIELDS}
    names = Names(definitions=first)
    measures: dict[str, tuple[tuple[str, ...], Measure]] = {}
    bodies: dict[str, tuple[tuple[str, ...], nodes.Expression]] = {}
    known = Definitions(names=names, measures=measures, bodies=bodies)
    sound = {d.name for d in written if not _mistakes(d, names, found)}
    for definition in _in_order_of_use(names.definitions, found):
        if definition.name not in sound:
            continue
        parameters = definition.parameters
        size = _measured(definition.expression, known, definition.name_span, found, parameters)
        body = size and _expanded(definition.expression, known, found, parameters)
        if size and body:
            measures[definition.name] = parameters, size
            bodies[definition.name] = parameters, body
    return known


def expanded(
    expression: nodes.Expression, known: Definitions, found: list[Diagnostic]
) -> nodes.Expression | None:
    """A rule's expression with all definitions in place; None after a complaint."""
    if mistakes := list(misnamed(expression, known.names)):
        found.extend(mistakes)
        return None
    if not _names_used(expression) & known.names.definitions.keys():
        return expression  # as it was read, and measured then
    if not _measured(expression, known, expression.span, found):
        return None
    return _expanded(expression, known, found)


# --- one definition ----------------------------------------------------------------------------


def _mistakes(definition: nodes.Definition, names: Names, found: list[Diagnostic]) -> bool:
    """Complain about the names in a definition. True when there was a reason to."""
    before = len(found)
    at = definition.name_span
    found.extend(taken(definition.name, at, "the definition", Names(definitions={})))
    inside = names
    for parameter in definition.parameters:
        found.extend(taken(parameter, at, "the parameter", inside))
        inside = inside.binding(parameter)
    found.extend(misnamed(definition.expression, inside))
    return len(found) > before


def _measured(
    expression: nodes.Expression,
    known: Definitions,
    span: Span,
    found: list[Diagnostic],
    parameters: tuple[str, ...] = (),
) -> Measure | None:
    """The size it will have, or None when it is too much, or when it uses what is broken."""
    if not _names_used(expression) & known.names.definitions.keys() <= known.bodies.keys():
        return None
    size = measure(expression, known.measures, frozenset(parameters))
    if size.too_large:
        message = f"this has more than {DEFINITION_NODES_MAX} parts once definitions are expanded"
        code = "expansion-too-large"
    elif size.too_deep:
        message = (
            f"this is nested deeper than {EXPRESSION_DEPTH_MAX} levels once definitions "
            "are expanded"
        )
        code = "expression-too-deep"
    else:
        return size
    help_ = "use fewer or smaller definitions in each other, or move lists into data documents"
    found.append(complaint(code, message, span, help=help_))
    return None


def _expanded(
    expression: nodes.Expression,
    known: Definitions,
    found: list[Diagnostic],
    parameters: tuple[str, ...] = (),
) -> nodes.Expression | None:
    try:
        return expand(expression, known.bodies, parameters)
    except NotAPath as refused:
        found.append(refused.diagnostic)
        return None


# --- order of use ------------------------------------------------------------------------------


def _names_used(expression: nodes.Expression) -> set[str]:
    """Roots and applied names; variables are among them, and never share a definition's name."""
    match expression:
        case nodes.Path():
            keys = [step.key for step in expression.steps if isinstance(step, nodes.Index)]
            return {expression.root}.union(*map(_names_used, keys))
        case nodes.Apply():
            return {expression.name}.union(*map(_names_used, expression.arguments))
        case _:
            return set[str]().union(*map(_names_used, children(expression)))


def _in_order_of_use(
    definitions: Mapping[str, nodes.Definition], found: list[Diagnostic]
) -> list[nodes.Definition]:
    """Each after those it uses. What uses itself, directly or not, is told and left out.

    Iterative, depth first: a chain of definitions may be longer than the stack is deep.
    """
    uses = {
        name: sorted(_names_used(definition.expression) & definitions.keys())
        for name, definition in definitions.items()
    }
    done: dict[str, nodes.Definition] = {}
    recursive: set[str] = set()
    for start in definitions:
        path: list[tuple[str, Iterator[str]]] = [(start, iter(uses[start]))]
        under_way = {start}
        while path and start not in done:
            name, rest = path[-1]
            following = next((used for used in rest if used not in done), None)
            if following is None:
                done[name] = definitions[name]
                under_way.discard(name)
                path.pop()
            elif following in under_way:
                circle = _circle(following, [entry for entry, _ in path], definitions)
                if not recursive.issuperset(circle):
                    found.append(_recursion(circle, definitions[circle[0]]))
                recursive.update(circle)
            else:
                under_way.add(following)
                path.append((following, iter(uses[following])))
    return [definition for name, definition in done.items() if name not in recursive]


def _circle(name: str, path: list[str], definitions: Mapping[str, nodes.Definition]) -> list[str]:
    """The names of a circle in order of use, from the one that is written first."""
    circle = path[path.index(name) :]
    first = min(range(len(circle)), key=lambda place: definitions[circle[place]].span)
    return circle[first:] + circle[:first]


def _recursion(circle: list[str], definition: nodes.Definition) -> Diagnostic:
    shown = [f"`{name}`" for name in (*circle, definition.name)[:_CIRCLE_SHOWN_MAX]]
    more = [] if len(circle) < _CIRCLE_SHOWN_MAX else ["…"]
    return complaint(
        "recursive-definition",
        f"`{definition.name}` uses itself: {' → '.join(shown + more)}",
        definition.name_span,
        help="definitions cannot be recursive; write the cases out",
    )
