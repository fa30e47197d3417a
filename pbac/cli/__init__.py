"""Layer 8: one command, one file, imported when it is used."""

from __future__ import annotations

import sys
from typing import Final

import click

from pbac import __version__
from pbac.base.collector import collect_seldom
from pbac.base.errors import PbacError
from pbac.cli.groups import LazyGroup
from pbac.cli.streams import colour, output_failed

COMMANDS: Final[dict[str, str]] = {
    "demo": "Watch one agent being allowed and refused, end to end.",
    "init": "Write a configuration, keys and policies to begin with into a folder.",
    "serve": "Run the gateway.",
    "check": "Read policies and tell every mistake.",
    "fmt": "Write policy files in their one canonical layout.",
    "test": "Run the tests of policies.",
    "eval": "Decide one request.",
    "explain": "Show why one request is decided as it is.",
    "tools": "Import and show what tools take, so that policies are checked against it.",
    "policy": "Publish, list, compare and roll back policy versions.",
    "agent": "List, register, suspend and promote agents.",
    "publisher": "Make publisher keys and sign software statements.",
    "audit": "Read and verify the record of decisions.",
    "completion": "Print a script that makes a shell complete all this.",
}
"""Command → one-line help; `pbac.cli.<command>` holds the click command as `command`."""


LONG_LIVED: Final = frozenset({"serve", "demo"})
"""Commands that stay; the gateway settles its memory by itself."""


@click.group(
    cls=LazyGroup,
    package="pbac.cli",
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="pbac")
@click.pass_context
def group(context: click.Context) -> None:
    """PBAC Gateway: every tool call of an agent, decided by policy and recorded."""
    context.color = colour()  # for every command: each has this context above it
    if context.invoked_subcommand not in LONG_LIVED:
        collect_seldom()


def main() -> None:
    """The `pbac` command. A mistake somebody can act on ends in one line and exit code 1."""
    try:
        group()
    except PbacError as error:
        _fail(str(error))
    except OSError as error:
        reason = (error.strerror or "unusable").lower()
        if output_failed(error):
            _fail(f"output cannot be written: {reason}")
        if error.filename is None:  # no file that somebody named: a defect, told as one
            raise
        _fail(f"`{error.filename}`: {reason}")


def _fail(message: str) -> None:
    click.secho(f"error: {message}", fg="red", err=True, color=colour())
    sys.exit(1)
