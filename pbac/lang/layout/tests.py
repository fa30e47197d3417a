"""How tests are laid out: a step a line, neighbouring expectations as a table.

    test "name"
      agent { tier: developer }
      call get_issue   { number: 7 } => permit by look
      call close_issue {}            => deny
      list close_issue => hidden

Rows of one table are of one kind and have no comment above them. A table that would be too wide is
none: its rows then stand as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pbac.lang.layout.expressions import run
from pbac.lang.layout.tree import Group, Leaf, Part
from pbac.lang.layout.writer import STEP, WIDTH, Writer

_EXPECTATIONS: Final = frozenset({"expect_call", "expect_list", "expect_issue"})
_ARROW: Final = "=>"


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of an expectation; `arguments` may be empty."""

    what: str
    subject: str
    arguments: str
    outcome: str

    @property
    def width(self) -> int:
        """Of the row by itself."""
        cells = (self.what, self.subject, self.arguments, _ARROW, self.outcome)
        return STEP + len(" ".join(filter(None, cells)))


def test(writer: Writer, group: Group) -> None:
    """`test "name"`, its steps below."""
    run(writer, group, group.parts[:2])
    steps = group.parts[2:]
    with writer.within(STEP):
        for table in _tables(steps):
            for step, line in zip(table, _lines(table), strict=True):
                writer.newline()
                if line:
                    writer.line(step.first, line, step.last)
                else:
                    _step(writer, step)


def _tables(steps: Sequence[Part]) -> Iterator[list[Part]]:
    """Neighbours that are laid out together."""
    table: list[Part] = []
    for step in steps:
        if table and not (_row(step) and _goes_on(table[-1], step)):
            yield table
            table = []
        table.append(step)
    yield table


def _goes_on(before: Part, step: Part) -> bool:
    above, row = _row(before), _row(step)
    return bool(above and row and above.what == row.what and not step.first.before)


def _lines(table: list[Part]) -> list[str]:
    """A line for every step of a table; empty where a step has to be laid out by itself."""
    rows = [row for step in table if (row := _row(step))]
    if len(rows) < 2:
        return [""] * len(table)
    subject = max(len(row.subject) for row in rows)
    arguments = max(len(row.arguments) for row in rows)
    lines = [
        f"{row.what} {row.subject:<{subject}} "
        + (f"{row.arguments:<{arguments}} " if arguments else "")
        + f"{_ARROW} {row.outcome}"
        for row in rows
    ]
    return lines if max(map(len, lines)) <= WIDTH - STEP else [""] * len(table)


def _row(step: Part) -> _Row | None:
    """The cells of an expectation that fits in one line."""
    if isinstance(step, Leaf) or step.kind not in _EXPECTATIONS or step.flat is None:
        return None
    what, subject, *arguments, _, outcome = (part.flat or "" for part in step.parts)
    row = _Row(what, subject, "".join(arguments), outcome)
    return row if "\n" not in step.flat and row.width <= WIDTH else None


def _step(writer: Writer, step: Part) -> None:
    """One step by itself; what is expected stands below when the line would be too long."""
    if writer.flat(step) or isinstance(step, Leaf):
        return
    if step.kind not in _EXPECTATIONS:
        run(writer, step, step.parts)
        return
    *given, arrow, outcome = step.parts
    short = writer.fits(Group(step.kind, given).flat)
    run(writer, step, given)
    writer.space()
    with writer.within(writer.indent + STEP):
        if short:
            writer.newline()
        run(writer, step, [arrow, outcome])
