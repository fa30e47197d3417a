"""Where a layout is written: indentation, width, blanks, and comments wherever they stand.

Separators are only asked for, and written with the next token. So a comment can turn any of them
into a line break, and a layout need not know where comments are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pbac.lang.layout.tree import Comment, Leaf, Part

WIDTH: Final = 100
"""Characters a line may have where it can be broken."""

STEP: Final = 2
"""Blanks a level is indented by."""


class Writer:
    """Text that grows.

    Attributes:
        indent: blanks that the next line begins with.
        reserve: characters that have to follow on the line, such as a closing parenthesis.
    """

    def __init__(self) -> None:
        self.indent = 0
        self.reserve = 0
        self._pieces: list[str] = []
        self._column = 0
        self._blanks = 0
        self._breaks = 0

    def written(self) -> str:
        """All of it, ending in a line break."""
        return "".join(self._pieces) + "\n"

    @property
    def column(self) -> int:
        """Where the next text would begin."""
        return self.indent if self._breaks else self._column + self._blanks

    @contextmanager
    def within(self, indent: int, reserve: int | None = None) -> Iterator[None]:
        """Another indentation, and another length that has to follow."""
        kept = self.indent, self.reserve
        self.indent = indent
        self.reserve = self.reserve if reserve is None else reserve
        try:
            yield
        finally:
            self.indent, self.reserve = kept

    def fits(self, flat: str | None, more: int = 0) -> bool:
        """Can this be written here in one line?"""
        if flat is None or "\n" in flat:
            return False
        return self.column + len(flat) + more + self.reserve <= WIDTH

    # --- separators --------------------------------------------------------------------------

    def space(self, blanks: int = 1) -> None:
        """Blanks before what comes next, unless a line break is wanted."""
        self._blanks = blanks

    def newline(self, breaks: int = 1) -> None:
        """Line breaks before what comes next; two leave a blank line."""
        self._breaks = max(self._breaks, breaks)

    # --- text --------------------------------------------------------------------------------

    def text(self, text: str) -> None:
        """Any text, with the separator that was asked for."""
        if self._breaks and self._pieces:
            lead = "\n" * self._breaks + " " * self.indent
            self._column = self.indent
        else:
            lead = " " * self._blanks
            self._column += self._blanks
        self._blanks = self._breaks = 0
        self._pieces += (lead, text)
        line = text.rfind("\n")
        self._column = len(text) - line - 1 if line >= 0 else self._column + len(text)

    def leaf(self, leaf: Leaf) -> None:
        """One token with its comments."""
        self.line(leaf, leaf.text, leaf)

    def line(self, first: Leaf, text: str, last: Leaf) -> None:
        """The text of some tokens, with the comments before the first and after the last."""
        self.comments(first.before)
        self.ending(text, last)

    def ending(self, text: str, last: Leaf) -> None:
        """The text of some tokens, with the comment after the last."""
        self.text(text)
        if last.after:
            self._pieces.append(f"  {last.after}")
            self._breaks = 1

    def flat(self, part: Part) -> bool:
        """Write a part in one line if that is possible here."""
        flat = part.flat
        if not self.fits(flat) or flat is None:
            return False
        self.line(part.first, flat, part.last)
        return True

    def comments(self, comments: tuple[Comment, ...]) -> None:
        """Comments on lines of their own."""
        for comment in comments:
            self.newline()
            self.text(comment.text)
            self.newline()
