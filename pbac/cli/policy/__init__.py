"""`pbac policy`: versions of policies. One command, one file, imported when it is used."""

from __future__ import annotations

from typing import Final

import click

from pbac.cli.groups import LazyGroup

COMMANDS: Final[dict[str, str]] = {
    "list": "Show what was put in force, and by whom.",
    "show": "Show what a version holds, or bring its files back.",
    "status": "Tell what is in force, what the gateway serves, and what the source holds.",
    "diff": "Show which rules another version adds, removes and changes.",
    "publish": "Put policies in force now.",
    "rollback": "Put an earlier version in force again.",
    "bundle": "Test a folder of policies and sign it as one file.",
    "inspect": "Verify a bundle and tell what is in it.",
}
"""Command → one-line help; `pbac.cli.policy.<command>` holds the click command as `command`."""


@click.group(cls=LazyGroup, package="pbac.cli.policy", modules=COMMANDS)
def command() -> None:
    """Publish, list, compare and roll back policy versions."""
