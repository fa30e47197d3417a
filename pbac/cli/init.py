"""`pbac init`: a fresh directory that serves."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pbac.app.config import NAME_HELP, BackendConfig, is_name
from pbac.app.scaffold import stories, write_directory
from pbac.base.suggest import did_you_mean
from pbac.catalog.backends import url_problem


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
    """`NAME=VALUE`, of which a reader makes a backend, or says why it cannot be one."""

    name = "backend"

    def __init__(self, read: Callable[[str, str], BackendConfig]) -> None:
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> BackendConfig:
        name, separator, text = str(value).partition("=")
        if not (separator and text):
            form = param.metavar if param else "NAME=VALUE"
            self.fail(f"`{name}` is not {form}", param, context)
        if not is_name(name):
            self.fail(f"`{name}` cannot be the name of a backend: {NAME_HELP}", param, context)
        try:
            return self._read(name, text)
        except ValueError as error:
            self.fail(str(error), param, context)


def _http(name: str, url: str) -> BackendConfig:
    if problem := url_problem(url):
        raise ValueError(f"the url of `{name}` {problem[0]}: {problem[1]}")
    return BackendConfig(name=name, url=url)


def _stdio(name: str, line: str) -> BackendConfig:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"`{line}` is no command: {str(error).lower()}") from None
    if not words:
        raise ValueError(f"`{name}` has an empty command")
    return BackendConfig(name=name, command=words[0], args=tuple(words[1:]))


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
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    metavar="PORT",
    help="Loopback port to listen on.",
)
@click.option(
    "--url",
    "urls",
    type=_Backend(_http),
    multiple=True,
    metavar="NAME=URL",
    help="Add a backend that is reached by HTTP. Repeatable.",
)
@click.option(
    "--stdio",
    "commands",
    type=_Backend(_stdio),
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
