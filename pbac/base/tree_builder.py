"""Trees of JSON values, put together from what a reader meets in order: not recursive, bounded.

A reader says where a record or list begins and ends, and what scalars stand in between; offsets
are characters of the text. A node of the tree is what the reader makes: the value by itself, or
with its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pbac.base.errors import PbacError
from pbac.base.limits import JSON_DEPTH_MAX

Names: TypeAlias = dict[str, tuple[int, int]]
"""Where the names of a record stand."""

MakeNode: TypeAlias = Callable[[Any, int, int, Names], Any]
"""Makes a node of a value, the offsets where it begins and ends, and the names in it."""


class TreeError(PbacError):
    """A text of which no tree can be made. `start` and `end` are offsets in it."""

    code = "bad_tree"

    def __init__(self, message: str, start: int, end: int, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.start = start
        self.end = end


@dataclass(slots=True)
class _Open:
    """A record or list that has not ended. `name` is of the member whose value comes next."""

    value: Any
    start: int
    names: Names = field(default_factory=dict)
    name: str | None = None


class TreeBuilder:
    """The tree so far; `root` is None until it is whole."""

    def __init__(self, make: MakeNode) -> None:
        self.root: Any = None
        self._make = make
        self._open: list[_Open] = []

    @property
    def awaits_name(self) -> bool:
        """Whether the next scalar is the name of a member."""
        top = self._open[-1] if self._open else None
        return top is not None and type(top.value) is dict and top.name is None

    def begin(self, value: dict[str, Any] | list[Any], start: int, end: int) -> None:
        """A record or list opens. Raises `TreeError` where none may."""
        if self.awaits_name:
            raise TreeError("a name has to be a text", start, end)
        if len(self._open) >= JSON_DEPTH_MAX:
            raise TreeError(f"nested deeper than {JSON_DEPTH_MAX} levels", start, end)
        self._open.append(_Open(value, start))

    def end(self, end: int) -> None:
        """It closes."""
        closed = self._open.pop()
        self._put(self._make(closed.value, closed.start, max(end, closed.start), closed.names))

    def scalar(self, value: Any, start: int, end: int) -> None:
        """A name or a value, whichever is next. Raises `TreeError` for a name that cannot be."""
        if not self.awaits_name:
            self._put(self._make(value, start, end, {}))
            return
        top = self._open[-1]
        if type(value) is not str:
            raise TreeError("a name has to be a text", start, end, "put it into quotes")
        if value in top.names:
            raise TreeError(f"`{value[:80]}` is given twice", start, end, "give it once")
        top.names[value], top.name = (start, end), value

    def _put(self, node: Any) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if top.name is None:
            top.value.append(node)
        else:
            top.value[top.name], top.name = node, None
