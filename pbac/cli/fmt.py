"""`pbac fmt`: policy files in their one canonical layout."""

from __future__ import annotations

import difflib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from pbac.base.diagnostics import PolicyError, worst
from pbac.base.errors import PbacError
from pbac.base.render import render_left_out, shown
from pbac.base.source import Source
from pbac.cli.policy_files import PATH, draw
from pbac.cli.streams import in_colour

_STDIN: Final = Path("-")
_DIFF_STYLES: Final = {"---": "", "+++": "", "@": "cyan", "-": "red", "+": "green"}


@dataclass(frozen=True, slots=True)
class _Laid:
    """A file as it is and as it should be."""

    name: str
    before: str
    after: str
    changed: bool


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PATH)
@click.option("--check", is_flag=True, help="Write nothing; list the files that would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.pass_context
def command(context: click.Context, paths: tuple[Path, ...], *, check: bool, diff: bool) -> None:
    """Write policy files in their one canonical layout; what they mean never changes.

    Every PATH is a folder, with all the policy files below it but `*_bad.pbac`, or one file; `-`
    reads from standard input and writes to standard output.

    A file with a mistake in its syntax is told and left as it is. Ends with 1 when there was one,
    and with `--check` and `--diff` when a file would change.
    """
    told: Counter[str] = Counter()
    for path in _files(paths, told):
        try:
            told[_one(path, check=check, diff=diff)] += 1
        except PbacError as error:
            _tell(error, path)
            told["failed"] += 1
    if _STDIN not in paths:
        click.echo(_summary(told, written=not (check or diff)))
    context.exit(int(bool(told["failed"] or (told["changed"] and (check or diff)))))


def _files(paths: Iterable[Path], told: Counter[str]) -> Iterator[Path]:
    """Every file once, in the order named."""
    from pbac.adapters.policy_text import policy_files

    seen: set[str] = set()
    for path in paths:
        try:
            found = [path] if path == _STDIN else policy_files(path)
        except PbacError as error:
            _tell(error, path)
            told["failed"] += 1
            continue
        for file in found:
            if (real := os.path.realpath(file)) not in seen:
                seen.add(real)
                yield file


def _one(path: Path, *, check: bool, diff: bool) -> str:
    """Lay out one file and say what became of it."""
    from pbac.adapters.policy_text import read_policy_text, replace_policy_text

    data = sys.stdin.buffer.read() if path == _STDIN else read_policy_text(path)
    laid = _laid("stdin" if path == _STDIN else str(path), data)
    if diff and laid.changed:
        _echo_diff(laid)
    if check and laid.changed:
        click.echo(f"would change  {shown(laid.name)}")
    if check or diff:
        return "changed" if laid.changed else "unchanged"
    if path == _STDIN:
        click.echo(laid.after.encode(), nl=False)
    elif laid.changed:
        replace_policy_text(path, laid.after.encode())
        click.echo(f"changed  {shown(laid.name)}")
    return "changed" if laid.changed else "unchanged"


def _laid(name: str, data: bytes) -> _Laid:
    from pbac.lang.layout.format import format_source

    try:
        before = data.decode("utf-8-sig")  # a byte order mark is no part of the text, and goes
    except UnicodeDecodeError as error:
        message = f"`{name}` is not UTF-8 at byte {error.start}"
        raise PbacError(message, help="save it as UTF-8") from None
    try:
        after = format_source(Source(name, before))
    except PolicyError as error:
        told, left_out = worst(error.diagnostics)
        click.echo(draw(told, {name: before}), nl=False, err=True)
        if left_out:
            click.echo(f"\n{render_left_out(left_out)}", err=True)
        raise
    return _Laid(name, before, after, changed=after.encode() != data)


# --- output ----------------------------------------------------------------------------------


def _tell(error: PbacError, path: Path) -> None:
    """Why a file is as it was. Mistakes in policies are drawn already."""
    if isinstance(error, PolicyError):
        click.echo(f"left as it is  {shown(str(path))}\n", err=True)
    else:
        click.secho(f"error: {error}", fg="red", err=True)


def _echo_diff(laid: _Laid) -> None:
    name = shown(laid.name)  # the texts hold nothing that could steer a terminal: they were parsed
    lines = difflib.unified_diff(
        laid.before.splitlines(), laid.after.splitlines(), name, name, lineterm=""
    )
    for line in lines:
        click.echo(_coloured(line) if in_colour() else line)


def _coloured(line: str) -> str:
    style = next((colour for sign, colour in _DIFF_STYLES.items() if line.startswith(sign)), "")
    return click.style(line, fg=style) if style else line


def _summary(told: Counter[str], *, written: bool) -> str:
    changed = "changed" if written else "would change"
    parts = [f"{_count(told['changed'])} {changed}", f"{told['unchanged']} unchanged"]
    if told["failed"]:
        parts.append(f"{told['failed']} with mistakes")
    return ", ".join(parts)


def _count(files: int) -> str:
    return f"{files} file{'s' if files != 1 else ''}"
