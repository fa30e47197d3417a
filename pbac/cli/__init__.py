"""Layer 8: one command, one file, imported when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from pbac import __version__
from pbac.base.errors import PbacError

COMMANDS: Final[dict[str, str]] = {
    "demo": "watch one agent being allowed and refused, end to end",
    "init": "write a configuration, keys and a starting policy into a folder",
    "serve": "run the gateway",
    "check": "read policy files and tell every mistake",
    "fmt": "write policy files in their one canonical layout",
    "test": "run the tests written in policy files",
    "eval": "decide one request",
    "explain": "show why one request is decided as it is",
    "tools": "import and show what tools take",
    "agent": "list, register, suspend and promote agents",
    "publisher": "make publisher keys and sign software statements",
    "audit": "read and verify the record of decisions",
}
"""Command → one-line help; `pbac.cli.<command>` holds the click command as `command`."""


class _Commands(click.Group):
    """Loads a command's module only when it runs, so that `--help` and completion stay fast."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"pbac.cli.{cmd_name}").command
        command.short_help = COMMANDS[cmd_name]
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pbac")
def group() -> None:
    """PBAC Gateway: every tool call of an agent, decided by policy and recorded."""


def main() -> None:
    """The `pbac` command. A mistake somebody can act on ends in one line and exit code 1."""
    try:
        group()
    except PbacError as error:
        click.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
