"""Source text and positions in it. No position, no node; no position, no complaint."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Source:
    """One policy file: its display name (a relative path) and its text."""

    name: str
    text: str


class Span(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """A stretch of one source.

    `line` and `column` count from 1 and in characters (Python's `ast` wants UTF-8 bytes:
    `lang/generate` converts). `start` and `end` are character offsets, end exclusive.
    Ordering is by file, then place, which is the order diagnostics are told in.
    """

    source: str
    start: int
    end: int
    line: int
    column: int

    def to(self, other: Span) -> Span:
        """The stretch from the start of this span to the end of `other`, in one source."""
        return Span(self.source, self.start, max(self.end, other.end), self.line, self.column)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


NOWHERE = Span("", 0, 0, 1, 1)
"""For values that were built by the program rather than read from a file."""


def line_column(text: str, at: int) -> tuple[int, int]:
    """Line and column, counted from 1, of a character offset."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
