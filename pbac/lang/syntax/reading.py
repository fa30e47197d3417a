"""What one run of the reader carries along: the source, its complaints, how much was built."""

from __future__ import annotations

import bisect
import re

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.source import Source, Span
from pbac.lang.syntax.resume import Repair
from pbac.lang.syntax.tree import Part


class Reading:
    """One file being read. Mistakes are collected, so that one run tells them all.

    Attributes:
        source: the file.
        diagnostics: complaints so far, in the order found.
        nodes: expression nodes and patterns built so far; rules measure themselves with it.
        repairs: what is read in place of mistakes, in the order made; places are told as if there
            were none.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.nodes = 0
        self.repairs: list[Repair] = []
        self._line_ends = [match.start() for match in re.finditer("\n", source.text)]

    def span(self, part: Part) -> Span:
        """Where a token or a branch stands."""
        return self.span_at(part.start, part.end)

    def span_at(self, start: int, end: int) -> Span:
        """The span of two character offsets."""
        start, end = self.offset(start), self.offset(end)
        line = bisect.bisect_left(self._line_ends, start)
        column = start - (self._line_ends[line - 1] if line else -1)
        return Span(self.source.name, start, end, line + 1, column)

    def offset(self, at: int) -> int:
        """Where a place of the repaired text stands in the file."""
        for repair in reversed(self.repairs):
            at -= min(repair.grown, max(0, at - repair.end))
        return at

    def complain(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        help: str | None = None,
    ) -> None:
        """Note an error."""
        self.diagnostics.append(
            Diagnostic(
                code=code,
                message=message,
                span=span,
                label=label,
                help=help,
                severity=Severity.ERROR,
            )
        )
