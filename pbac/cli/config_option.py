"""The option that names a gateway's configuration, the same for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

DEFAULT_CONFIG: Final = Path("pbac.toml")


def config_option(help_text: str = "Configuration file.") -> Callable[..., Any]:
    """`--config FILE`, passed to the command as `config`."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=DEFAULT_CONFIG,
        show_default=True,
        help=help_text,
    )
