"""`pbac serve`: run the gateway until it is told to stop."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("pbac.toml"),
    show_default=True,
    help="Configuration file.",
)
def command(path: Path) -> None:
    """Run the gateway described by a configuration file."""
    from pbac.app.config import load_config
    from pbac.app.run import run

    run(load_config(path))
