"""`pbac completion`: what a shell has to know to complete `pbac` when Tab is pressed."""

from __future__ import annotations

from typing import Final

import click

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = "_PBAC_COMPLETE"
"""Where click looks, when `pbac` is started, for the question of a script it wrote."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script that makes a shell complete commands, options, choices and files.

    Whenever Tab is pressed it asks `pbac` itself: it need not be made again when commands change.

    \b
    bash  eval "$(pbac completion bash)"  # in ~/.bashrc
    zsh   eval "$(pbac completion zsh)"   # in ~/.zshrc
    fish  pbac completion fish | source   # in config.fish
    """  # noqa: D301 - `\b` keeps the lines below it as they are
    from click.shell_completion import get_completion_class

    from pbac.cli import group

    kind = get_completion_class(shell)
    assert kind is not None, "the shells of this command are click's"
    click.echo(kind(group, {}, "pbac", _VARIABLE).source(), nl=False)
