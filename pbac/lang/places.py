"""Places in policy files on generated code."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pbac.base.source import Span

Tree = TypeVar("Tree", bound=ast.expr | ast.stmt)


@dataclass(frozen=True, slots=True)
class Places:
    """Puts spans on trees, so that a fault's traceback points into the `.pbac` file.

    `texts` holds the sources by name. Python counts columns in UTF-8 bytes and spans in characters;
    where a text is not given the two are taken to be the same.
    """

    texts: Mapping[str, str] = field(default_factory=dict)

    def at(self, tree: Tree, span: Span) -> Tree:
        """The tree with the span on it, unless an inner one is there already."""
        if not hasattr(tree, "lineno"):
            tree.lineno, tree.col_offset = span.line, self._bytes(span, span.start, span.column - 1)
            tree.end_lineno, tree.end_col_offset = self._end(span, tree.col_offset)
        return tree

    def _bytes(self, span: Span, end: int, characters: int) -> int:
        """UTF-8 bytes of the `characters` before offset `end`."""
        text = self.texts.get(span.source)
        return characters if text is None else len(text[end - characters : end].encode())

    def _end(self, span: Span, column: int) -> tuple[int, int]:
        text = self.texts.get(span.source)
        if text is None:
            return span.line, column
        inner = text[span.start : span.end]
        lines = inner.count("\n")
        if not lines:
            return span.line, column + len(inner.encode())
        return span.line + lines, len(inner.rpartition("\n")[2].encode())
