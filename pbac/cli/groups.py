"""How commands that have commands list them: whole summaries, near misses for misspelt names.

And how they load them: a module when its command runs, so that `--help` and completion stay fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

_WHOLE = 1_000
"""Characters of a summary: more than any has, so that none is cut off but at its first sentence."""


class Group(click.Group):
    """A command of commands."""

    def summaries(self, context: click.Context) -> Mapping[str, str]:
        """Name → the first sentence of its help."""
        names = self.list_commands(context)
        found = ((name, self.get_command(context, name)) for name in names)
        return {name: each.get_short_help_str(_WHOLE) for name, each in found if each}

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Wrapped, where click would end in `...` what does not fit into a line."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries(context).items()))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, which looks for near misses only among commands it was handed."""
        try:
            return super().resolve_command(context, args)
        except click.exceptions.NoSuchCommand as error:
            known = self.list_commands(context)
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=known, ctx=context
            ) from None

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so; none has to be imported for it."""
        items = [
            CompletionItem(name, help=summary)
            for name, summary in self.summaries(context).items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, context, incomplete)]


class LazyGroup(Group):
    """Commands that each have a module of their own, which holds the click command as `command`."""

    def __init__(
        self, *arguments: Any, package: str, modules: Mapping[str, str], **more: Any
    ) -> None:
        """`package` holds `modules`: name of a command and its module → one-line help."""
        super().__init__(*arguments, **more)
        self._package, self._modules = package, modules

    def list_commands(self, _context: click.Context) -> list[str]:
        """In the order in which they are declared."""
        return list(self._modules)

    def summaries(self, _context: click.Context) -> Mapping[str, str]:
        """As declared; no module is imported for it."""
        return self._modules

    def get_command(self, _context: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(f"{self._package}.{cmd_name}").command
        return command
