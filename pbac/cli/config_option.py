"""The option that names a gateway's configuration, the same for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def config_option(help_text: str = "Configuration file.") -> Callable[..., Any]:
    """`--config FILE`, passed to the command as `config`."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("pbac.toml"),
        show_default=True,
        help=help_text,
    )
