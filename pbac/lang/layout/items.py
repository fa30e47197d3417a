"""How a file, its header, rules and definitions are laid out.

    package name on server name
    "What it is about."

    tiers low < high

    # A comment belongs to what follows it.
    forbid name
      "Docstring."
      for  kind scanner
      on   tool a, b except c
      when args.path within "/srv"
      because "text"

One blank line between items. A clause is a line; what follows `for`, `on`, `when` and `unless`
begins in one column, as far in as the longest of them and of `then` wants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from pbac.lang.layout.expressions import put, run, running
from pbac.lang.layout.tests import test
from pbac.lang.layout.tree import Comment, Group, Leaf, Part
from pbac.lang.layout.writer import STEP, Writer

_ALIGNED: Final = frozenset({"for", "on", "when", "unless"})
_COLUMN: Final = frozenset({*_ALIGNED, "then"})
_HUGGED: Final = frozenset({"list", "record", "apply"})


def file(writer: Writer, group: Group) -> None:
    """A whole file; its last part is the empty leaf that its last comments hang on."""
    for number, item in enumerate(group.parts):
        first = item.first
        before, first.before = first.before, ()
        stay = _staying(before, first) if number else 0
        with writer.within(STEP):
            writer.comments(before[:stay])
        _leading(writer, before[stay:], first)
        if isinstance(item, Group):
            _ITEMS[item.kind](writer, item)


def _staying(before: tuple[Comment, ...], first: Leaf) -> int:
    """How many comments belong to the item above: right below it, and further in than the next."""
    for number, comment in enumerate(before):
        if comment.apart or comment.column <= first.column:
            return number
    return len(before)


def _leading(writer: Writer, comments: tuple[Comment, ...], first: Leaf) -> None:
    """A blank line, then comments as they are grouped, then the item's own line."""
    writer.newline(2)
    for number, comment in enumerate(comments):
        writer.newline(2 if comment.apart and number else 1)
        writer.text(comment.text)
    if comments:
        writer.newline(2 if first.apart else 1)


def _clauses(writer: Writer, clauses: list[Part]) -> None:
    """Each on a line of its own."""
    keywords = {part.first.text for part in clauses} & _COLUMN
    width = max(map(len, keywords), default=0)
    with writer.within(STEP):
        for part in clauses:
            writer.newline()
            _clause(writer, part, width)


def _clause(writer: Writer, part: Part, width: int) -> None:
    """A docstring, an annotation, or a keyword with what it says."""
    if isinstance(part, Leaf) or part.kind == "annotation":
        put(writer, part)
        return
    keyword, *rest = part.parts
    length = len(keyword.first.text)
    column = max(length, width) + 1 if keyword.first.text in _ALIGNED else length + 1
    put(writer, keyword)
    writer.space(column - length)
    with writer.within(writer.indent + column):
        run(writer, part, rest)


def _package(writer: Writer, group: Group) -> None:
    """`package name on server …`, its docstring below."""
    docstring = len(group.parts) - (group.last.text[:1] == '"' and _is_leaf(group.parts[-1]))
    run(writer, group, group.parts[:docstring])
    for part in group.parts[docstring:]:
        writer.newline()
        put(writer, part)


def _is_leaf(part: Part) -> bool:
    return isinstance(part, Leaf)


def _rule(writer: Writer, group: Group) -> None:
    run(writer, group, group.parts[:2])
    _clauses(writer, group.parts[2:])


def _definition(writer: Writer, group: Group) -> None:
    """In one line, or the expression below."""
    if writer.flat(group):
        return
    *head, body = group.parts
    run(writer, group, head)
    writer.space()
    if isinstance(body, Group) and body.kind in _HUGGED:
        put(writer, body)
        return
    with writer.within(STEP):
        writer.newline()
        put(writer, body)


_Layout: TypeAlias = Callable[[Writer, Group], None]

_ITEMS: Final[dict[str, _Layout]] = {
    "package": _package,
    "tiers": running,
    "rule": _rule,
    "requirement": _rule,
    "definition": _definition,
    "test": test,
}
"""Kind → layout."""
