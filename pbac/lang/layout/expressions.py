"""How what does not fit in one line is broken: conditions at `and` and `or`, lists at commas.

    when args.environment in ["production", "staging"]
         and (args.path within "/srv"
              or args.path within "/home")
         and args.name in [
           "one",  # of them
           "other",
         ]

Whatever has no layout of its own is written word after word, and broken where a comma allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from pbac.lang.layout.tree import Group, Leaf, Part, touch
from pbac.lang.layout.writer import STEP, Writer

_NESTED: Final = frozenset({
    "list", "record", "literal_list", "literal_record", "pair", "literal_pair", "apply",
})  # fmt: skip
_LOGIC: Final = frozenset({"and_", "or_"})
_MAY_BREAK_BEFORE: Final = frozenset({"except", "by", "duties", "unknowns"})
_MAY_BREAK_AFTER: Final = frozenset({",", "<"})


def put(writer: Writer, part: Part) -> None:
    """Any part: in one line where it fits, otherwise by the layout of its kind."""
    if isinstance(part, Leaf):
        writer.leaf(part)
    elif not writer.flat(part):
        _LAYOUTS.get(part.kind, running)(writer, part)


def running(writer: Writer, group: Group) -> None:
    """Part after part."""
    run(writer, group, group.parts)


def run(writer: Writer, group: Group, parts: list[Part]) -> None:
    """Some neighbours of a group, one after the other."""
    before: Part | None = None
    for part in parts:
        if before is not None:
            _separate(writer, group, before, part)
        put(writer, part)
        before = part


def _separate(writer: Writer, group: Group, left: Part, right: Part) -> None:
    if touch(group, left, right):
        return
    writer.space()
    may_break = (isinstance(left, Leaf) and left.text in _MAY_BREAK_AFTER) or (
        isinstance(right, Group) and right.kind in _MAY_BREAK_BEFORE
    )
    if may_break and not writer.fits(right.flat):
        writer.newline()


def _hanging(writer: Writer, group: Group) -> None:
    """Further lines begin under the first word."""
    with writer.within(writer.column):
        running(writer, group)


def _logic(writer: Writer, group: Group, deeper: int = 0) -> None:
    """`and`, `or`: an operand a line; an `and` within an `or` is further in."""
    first, *rest = group.parts
    _operand(writer, first)
    with writer.within(writer.indent + deeper):
        for operator, operand in zip(rest[::2], rest[1::2], strict=True):
            writer.newline()
            put(writer, operator)
            writer.space()
            _operand(writer, operand)


def _operand(writer: Writer, part: Part) -> None:
    if isinstance(part, Leaf) or part.kind not in _LOGIC:
        put(writer, part)
    elif not writer.flat(part):
        _logic(writer, part, STEP)


def _parentheses(writer: Writer, group: Group) -> None:
    left, inner, right = group.parts
    put(writer, left)
    with writer.within(writer.column, writer.reserve + 1):
        put(writer, inner)
    put(writer, right)


def _quantified(writer: Writer, group: Group) -> None:
    """`any x in list:` with its body behind or, where it does not fit, below."""
    *head, body = group.parts
    run(writer, group, head)
    writer.space()
    with writer.within(writer.indent + STEP):
        hugged = isinstance(body, Group) and body.kind == "parentheses"
        if not hugged and not writer.fits(body.flat):
            writer.newline()
        put(writer, body)


def _enclosed(writer: Writer, group: Group) -> None:
    """Lists, records, arguments: items on lines of their own; plain ones share them."""
    opening = 2 if group.kind == "apply" else 1
    items, closer = group.parts[opening:-1], group.parts[-1].first
    sharing = group.flat is not None and all(_plain(item) for item in items)
    run(writer, group, group.parts[:opening])
    with writer.within(writer.indent + STEP, reserve=1):
        writer.newline()
        for item in items:
            comma = isinstance(item, Leaf) and item.text == ","
            if sharing and not comma and not writer.fits(item.flat):
                writer.newline()
            put(writer, item)
            if comma and sharing:
                writer.space()
            elif comma:
                writer.newline()
        writer.comments(closer.before)
    writer.newline()
    writer.ending(closer.text, closer)


def _plain(part: Part) -> bool:
    return isinstance(part, Leaf) or part.kind not in _NESTED


_Layout: TypeAlias = Callable[[Writer, Group], None]

_LAYOUTS: Final[dict[str, _Layout]] = {
    "and_": _logic,
    "or_": _logic,
    "parentheses": _parentheses,
    "quantified": _quantified,
    "list": _enclosed,
    "record": _enclosed,
    "literal_list": _enclosed,
    "literal_record": _enclosed,
    "apply": _enclosed,
    "names": _hanging,
}
"""Kind → how it is broken."""
