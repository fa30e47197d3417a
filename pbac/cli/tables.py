"""Rows in columns, and counts of things."""

from __future__ import annotations

from collections.abc import Sequence

import click


def counted(count: int, noun: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def echo_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of plain text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
