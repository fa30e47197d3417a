"""`pbac serve`: run the gateway until it is told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from pbac.cli.config_option import config_option


@click.command()
@config_option()
def command(config: Path) -> None:
    """Run the gateway described by a configuration file."""
    from pbac.app.config import load_config
    from pbac.app.run import run

    run(load_config(config))
