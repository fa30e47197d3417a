"""Which arguments of a call a rule reads, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pbac.base.lookalikes import EACH, NamesPath
from pbac.lang import nodes
from pbac.lang.evaluate.paths import children
from pbac.lang.program import CompiledRule

_ROOT: Final = "args"


def arguments_of(rule: CompiledRule) -> Iterator[NamesPath]:
    """Paths from `args`, as far as they are written: a computed key ends one.

    Conditions decide by them and limits count by them (`limit 5 per 1h by args.account`).
    """
    for condition in rule.node.conditions:
        yield from _read(condition.expression, {_ROOT: ()})
    for duty in rule.duties:
        for key in duty.parameters.get("by", ()):
            root, *names = key.split(".")
            if root == _ROOT:
                yield tuple(names)


def _read(expression: nodes.Expression, roots: Mapping[str, NamesPath]) -> Iterator[NamesPath]:
    """`roots`: the names that stand for arguments here, `args` and quantifiers' variables."""
    match expression:
        case nodes.Path():
            if expression.root in roots:
                yield _way(expression, roots)
            for step in expression.steps:
                if isinstance(step, nodes.Index):
                    yield from _read(step.key, roots)
        case nodes.Quantified(variable=variable, collection=collection):
            yield from _read(collection, roots)
            inner = dict(roots)
            listed = collection.path if isinstance(collection, nodes.Default) else collection
            if isinstance(listed, nodes.Path) and listed.root in roots:
                inner[variable] = (*_way(listed, roots), EACH)
            yield from _read(expression.body, inner)
        case _:
            for child in children(expression):
                yield from _read(child, roots)


def _way(path: nodes.Path, roots: Mapping[str, NamesPath]) -> NamesPath:
    return (*roots[path.root], *_names(path.steps))


def _names(steps: tuple[nodes.Field | nodes.Index, ...]) -> Iterator[str | None]:
    for step in steps:
        match step:
            case nodes.Field(name=name):
                yield name
            case nodes.Index(key=nodes.Literal(value=str(name))):
                yield name
            case nodes.Index(key=nodes.Literal(value=int())):
                yield EACH
            case _:
                return
