"""Which arguments of a call a rule reads, by name."""

from __future__ import annotations

from collections.abc import Iterator

from pbac.lang import nodes
from pbac.lang.paths import paths_in
from pbac.lang.program import CompiledRule

_ROOT = "args"


def arguments_of(rule: CompiledRule) -> Iterator[tuple[str, ...]]:
    """Paths from `args`, as far as they are written: a computed key ends one.

    Conditions decide by them and limits count by them (`limit 5 per 1h by args.account`).
    """
    for condition in rule.node.conditions:
        for path in paths_in(condition.expression):
            if path.root == _ROOT:
                yield tuple(_names(path.steps))
    for duty in rule.duties:
        for key in duty.parameters.get("by", ()):
            root, *names = key.split(".")
            if root == _ROOT:
                yield tuple(names)


def _names(steps: tuple[nodes.Field | nodes.Index, ...]) -> Iterator[str]:
    for step in steps:
        match step:
            case nodes.Field(name=name):
                yield name
            case nodes.Index(key=nodes.Literal(value=str(name))):
                yield name
            case _:
                return
