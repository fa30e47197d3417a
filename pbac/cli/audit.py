"""`pbac audit`: read the record of decisions, and prove it."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pbac.base.errors import PbacError
from pbac.base.limits import AUDIT_TAIL_RECORDS_MAX
from pbac.cli.config_option import config_option
from pbac.cli.groups import Group
from pbac.cli.option_values import WholeNumber

if TYPE_CHECKING:
    from pbac.audit.checkpoint import NoteKey
    from pbac.audit.query import Entry, Selection
    from pbac.audit.verify import Verification

_COLORS: Final = {"good": "green", "bad": "red", "plain": "cyan"}
_PROGRESS_BYTES_MIN: Final = 20_000_000
_JOINED_MAX: Final = 10_000

_config = config_option("The gateway's configuration, to find its log.")
_directory = click.argument(
    "directory", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.group(cls=Group)
def command() -> None:
    """Read and verify the record of decisions."""


@command.command()
@_directory
@_config
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The log's public key; by default `keys/audit.pub` beside the log.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def verify(*, directory: Path | None, config: Path, key: Path | None, as_json: bool) -> None:
    """Prove that no record was changed, removed or inserted.

    DIRECTORY is the log itself, when there is no configuration at hand. Ends with 1 when the log
    does not verify, or is not signed by the key.
    """
    from pbac.adapters.audit_keys import load_verifier
    from pbac.adapters.audit_reader import log_bytes, read_segments
    from pbac.audit.verify import verify_log

    log = _log_directory(directory, config)
    verifier = load_verifier(key or log.parent / "keys" / "audit.pub")
    with _progress(log_bytes(log)) as advance:
        found = verify_log(read_segments(log), verifier, advance)
    if as_json:
        click.echo(_as_json(found, verifier.key))
    else:
        _tell(found, verifier.key)
    sys.exit(0 if found.ok else 1)


@command.command()
@_directory
@_config
@click.option("-n", "count", default=20, show_default=True, metavar="COUNT",
              help="How many records.",
              type=WholeNumber(0, AUDIT_TAIL_RECORDS_MAX))  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Wait for new records and show them too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--agent", metavar="GLOB", help="Only calls of agents with this id or name.")
@click.option("--tool", metavar="GLOB", help="Only calls of this tool, `name` or `server.name`.")
@click.option("--denied", is_flag=True, help="Only refused calls.")
def tail(
    *,
    directory: Path | None,
    config: Path,
    count: int,
    follow: bool,
    as_json: bool,
    agent: str | None,
    tool: str | None,
    denied: bool,
) -> None:
    """Show the newest records, one line each, decisions with their outcome.

    DIRECTORY is the log itself, when there is no configuration at hand.
    """
    from pbac.adapters.audit_reader import lines_added, read_backwards
    from pbac.audit.query import Selection, Wanted, newest

    log = _log_directory(directory, config)
    selection = Selection(Wanted(agent=agent, tool=tool, denied=denied))
    # Where the log ends is noted before its newest records are shown: none falls in between.
    added = lines_added(log) if follow else None
    show = _show_json if as_json else _show
    for entry in newest(read_backwards(log), selection, count):
        show(entry)
    if added is not None:
        _follow(added, selection, show)


def _log_directory(directory: Path | None, config: Path) -> Path:
    from pbac.app.config import load_config

    log = directory or load_config(config).state_directory / "audit"
    if not any(log.glob("log-*")):
        raise PbacError(
            f"there is no audit log in `{log}`",
            help="start the gateway once, or name the log's directory",
        )
    return log


# --- verify ----------------------------------------------------------------------------------


def _tell(found: Verification, key: NoteKey) -> None:
    from pbac.audit.checkpoint import fingerprint

    with_key = f"by `{key.name}`, key {fingerprint(key)}"
    if found.ok:
        text = f"ok: {found.size} records, {found.checkpoints} checkpoints fit, root {found.root}"
        click.secho(text, fg="green")
        click.echo(f"signed {with_key}")
        if unsigned := found.size - found.signed_size:
            click.echo(f"the last {unsigned} are newer than the newest checkpoint")
        return
    for problem in found.problems:
        click.secho(str(problem), fg="red")
    if more := found.problems_count - len(found.problems):
        click.echo(f"and {more} more")
    places = f"{found.problems_count} bad place{'s' if found.problems_count != 1 else ''}"
    click.secho(f"the log does not verify: {places}", fg="red", bold=True)
    if not found.checkpoints:
        click.secho(f"no checkpoint is signed {with_key}", fg="red", bold=True)
        click.echo("  help: name the log's own public key with --key, if this is another one")
    else:
        click.echo(f"{found.checkpoints} checkpoints are signed {with_key}")


def _as_json(found: Verification, key: NoteKey) -> str:
    import msgspec

    from pbac.audit.checkpoint import fingerprint

    report = msgspec.to_builtins(found)
    return json.dumps({"ok": found.ok, **report, "log": key.name, "key": fingerprint(key)})


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    """A bar for work that takes seconds, on a terminal only."""
    if total < _PROGRESS_BYTES_MIN or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verifying", total=total)
        yield lambda done: bar.advance(task, done)


# --- tail ------------------------------------------------------------------------------------


def _show_json(entry: Entry) -> None:
    click.echo(json.dumps(entry.as_json(), ensure_ascii=True))


def _show(entry: Entry) -> None:
    from pbac.audit.query import row

    line = row(entry)
    word = click.style(f"{line.word:<6}", fg=_COLORS[line.mood], bold=line.mood == "bad")
    parts = (line.time, word, line.who, line.what, line.note, click.style(line.id, dim=True))
    click.echo("  ".join(part for part in parts if part))


def _follow(added: Iterator[bytes], selection: Selection, show: Callable[[Entry], None]) -> None:
    """Decisions as they are made, outcomes below when they come."""
    from pbac.audit.query import Entry, outcome_text, read_record

    shown: deque[str] = deque(maxlen=_JOINED_MAX)
    try:
        for line in added:
            record = read_record(line)
            identifier = record.get("decision_id", "")
            if selection.holds(record):
                shown.append(identifier)
                show(Entry(record=record))
            elif record.get("kind") == "outcome" and identifier in shown:
                if show is _show_json:
                    show(Entry(record=record))
                else:
                    click.echo(f"    {outcome_text(record)}  {click.style(identifier, dim=True)}")
    except KeyboardInterrupt:
        click.echo()
