"""Conditions as they are written beside what they stand for: the definitions in them by name.

The compiler puts every definition in place of its name, so a compiled rule no longer says where it
used one. The parsed files do. Both trees have the same shape but for the names of definitions and
of their parameters, so they are walked side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.paths import children
from pbac.lang.program import CompiledRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An expression, `meant`, as it is `written`.

    Attributes:
        definition: what it stands for, when it is the name of a definition.
        argument: it stands in the definition's body, written where that is used.
    """

    meant: nodes.Expression
    written: nodes.Expression
    package: str
    definition: nodes.Definition | None = None
    argument: bool = False

    @property
    def span(self) -> Span:
        """Where it is written."""
        return self.written.span


class Writings:
    """Finds what is written, in the files of a policy set. Without them, what is meant is told."""

    def __init__(self, trees: Mapping[str, nodes.Package]) -> None:
        self._definitions = {
            (tree.name, definition.name): definition
            for tree in trees.values()
            for definition in tree.definitions
        }
        self._rules = {
            rule.name_span: (tree.name, rule) for tree in trees.values() for rule in tree.rules
        }

    def conditions(self, rule: CompiledRule) -> tuple[Written, ...]:
        """The expression of each `when` and `unless`, in order."""
        package, written = self._rules.get(rule.node.name_span, ("", rule.node))
        pairs = zip(rule.node.conditions, written.conditions, strict=True)
        return tuple(
            self._written(meant.expression, written.expression, package) for meant, written in pairs
        )

    def body(self, use: Written) -> Written:
        """What the name of a definition stands for, as the definition writes it."""
        assert use.definition is not None
        return self._written(use.meant, use.definition.expression, use.package)

    def below(self, whole: Written) -> Iterator[Written]:
        """The expressions directly within one that is no definition's name."""
        meant, written = children(whole.meant), children(whole.written)
        for one, other in zip(meant, written, strict=True):
            yield self._written(one, other, whole.package)

    def _written(self, meant: nodes.Expression, written: nodes.Expression, package: str) -> Written:
        found = Written(meant=meant, written=written, package=package)
        match written:
            case nodes.Apply(name=name) | nodes.Path(root=name, steps=()):
                definition = self._definitions.get((package, name))
                if definition is not None and written != meant:
                    return replace(found, definition=definition)
        if type(written) is not type(meant):
            return replace(found, written=meant, argument=True)
        return found
