"""`pbac init`: a fresh directory that serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pbac.app.config import NAME_HELP, BackendConfig, is_name
from pbac.app.scaffold import stories, write_directory
from pbac.base.suggest import did_you_mean
from pbac.catalog.backends import url_problem
from pbac.cli.option_values import WholeNumber, command_words, named_value


class _Story(click.Choice[str]):
    """One of the shipped policies; a misspelt one is told with its neighbour and all there are."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        if value not in self.choices:
            near = did_you_mean(value, self.choices)
            told = f"there is no story `{value}`" + (f", {near}" if near else "")
            self.fail(f"{told}; there are {', '.join(self.choices)}", param, context)
        return str(value)


class _Backend(click.ParamType[BackendConfig]):
    """A name and more, of which a reader makes a backend, or says why it cannot be one."""

    name = "backend"

    def __init__(self, form: str, read: Callable[[str, str], BackendConfig]) -> None:
        self.form = form
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> BackendConfig:
        try:
            return self._read(*named_value(str(value), self.form))
        except click.BadParameter as error:
            self.fail(error.message, param, context)


def _http(name: str, url: str) -> BackendConfig:
    _check_name(name)
    if problem := url_problem(url):
        raise click.BadParameter(f"the url of `{name}` {problem[0]}: {problem[1]}")
    return BackendConfig(name=name, url=url)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise click.BadParameter(f"`{name}` cannot be the name of a backend: {NAME_HELP}")


def _stdio(name: str, line: str) -> BackendConfig:
    _check_name(name)
    program, *arguments = command_words(line)
    return BackendConfig(name=name, command=program, args=tuple(arguments))


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option(
    "--policy",
    "story",
    type=_Story(stories()),
    default="starter",
    show_default=True,
    metavar="STORY",
    help=f"Policies to begin with: {', '.join(stories())}.",
)
@click.option(
    "--port",
    type=WholeNumber(1, 65_535),
    default=8080,
    show_default=True,
    metavar="PORT",
    help="Loopback port to listen on.",
)
@click.option(
    "--url",
    "urls",
    type=_Backend("NAME=URL", _http),
    multiple=True,
    metavar="NAME=URL",
    help="Add a backend that is reached by HTTP. Repeatable.",
)
@click.option(
    "--stdio",
    "commands",
    type=_Backend("NAME=COMMAND", _stdio),
    multiple=True,
    metavar="NAME=COMMAND",
    help="Add a backend that the gateway starts. Repeatable.",
)
def command(
    directory: Path,
    story: str,
    port: int,
    urls: tuple[BackendConfig, ...],
    commands: tuple[BackendConfig, ...],
) -> None:
    """Write a configuration, a publisher's keys and policies to begin with into DIRECTORY."""
    listen = f"127.0.0.1:{port}"
    written = write_directory(
        directory,
        story=story,
        public_url=f"http://{listen}",
        listen=listen,
        backends=(*urls, *commands),
    )
    for path in written:
        click.echo(f"  {click.style('new', fg='green')}  {path}")
    config = directory / "pbac.toml"
    click.echo("\nNext:")
    key = directory / "keys/local.pem"
    click.echo(f"  pbac test {directory / 'policies'}")
    click.echo(f"  pbac serve --config {config}")
    click.echo(
        f"  pbac publisher sign --config {config} --key {key} --name my-agent --tier developer"
    )
