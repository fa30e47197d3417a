"""`pbac check`: every mistake in policy files, told in one run."""

from __future__ import annotations

from pathlib import Path

import click

from pbac.base.render import render_json, render_line, render_summary
from pbac.cli.policy_files import PATH, Loaded, draw, exit_code, load


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["full", "line", "json"]),
    default="full",
    show_default=True,
    help="Drawn for people, one line each for editors, or one JSON array.",
)
@click.pass_context
def command(context: click.Context, paths: tuple[Path, ...], form: str) -> None:
    """Read policies and tell every mistake, each with its place and what to write instead.

    Every PATH is a policy set of its own: a folder with all the files in it, or one file.
    Ends with 1 when there is an error; warnings alone end with 0.
    """
    sets = [load(path) for path in paths]
    found = [diagnostic for each in sets for diagnostic in each.diagnostics]
    if form == "json":
        click.echo(render_json(found), nl=False)
    elif form == "line":
        for diagnostic in found:
            click.echo(render_line(diagnostic))
    else:
        _echo_full(sets)
    context.exit(exit_code(found))


def _echo_full(sets: list[Loaded]) -> None:
    for each in sets:
        if each.diagnostics:
            click.echo(draw(each.diagnostics, each.texts))
    for each in sets:
        colour = "red" if exit_code(each.diagnostics) else "green"
        click.echo(f"{click.style(str(each.path), fg=colour)}  {_summary(each)}")


def _summary(loaded: Loaded) -> str:
    compilation = loaded.publication.compilation
    told = render_summary(loaded.diagnostics)
    if compilation is None or compilation.program is None:
        return told
    program = compilation.program
    rules = sum(len(package.rules) for package in program.packages)
    cost = f", a call costs at most {compilation.cost.steps:,} steps" if compilation.cost else ""
    return f"{told} ({rules} rule{'s' if rules != 1 else ''}{cost})"
