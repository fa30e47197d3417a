"""`pbac init`: a fresh directory that serves."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pbac.app.config import BackendConfig
from pbac.app.scaffold import write_directory


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option(
    "--policy", "story", default="starter", show_default=True, help="Story to begin with."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    help="Loopback port to listen on.",
)
@click.option("--url", "urls", multiple=True, metavar="NAME=URL", help="Add an HTTP backend.")
@click.option(
    "--stdio", "commands", multiple=True, metavar="NAME=COMMAND", help="Add a stdio backend."
)
def command(
    directory: Path, story: str, port: int, urls: tuple[str, ...], commands: tuple[str, ...]
) -> None:
    """Write a configuration, a publisher's keys and a starting policy into DIRECTORY."""
    backends = [BackendConfig(name=name, url=url) for name, url in map(_named, urls)]
    for name, line in map(_named, commands):
        try:
            program, *arguments = shlex.split(line)
        except ValueError as error:
            raise click.BadParameter(f"`{line}` is no command: {str(error).lower()}") from None
        backends.append(BackendConfig(name=name, command=program, args=tuple(arguments)))
    listen = f"127.0.0.1:{port}"
    written = write_directory(
        directory, story=story, public_url=f"http://{listen}", listen=listen, backends=backends
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


def _named(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise click.BadParameter(f"`{text}` is not NAME=VALUE")
    return name, value
