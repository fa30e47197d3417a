"""Tiers that somebody types: held against those that policies declare."""

from __future__ import annotations

from pathlib import Path

import click


def require_configured(tier: str, config: Path) -> None:
    """Refuse a tier that the policies of a gateway do not declare; an agent of it could do nothing.

    Policies that declare no tiers know no wrong ones. Where no policies can be read, that is told
    and any tier is taken: a publisher need not have the gateway's policies.

    Raises:
        PbacError: with the nearest tier, or all of them.
    """
    from pbac.app.config import ConfigError, load_config
    from pbac.cli.policy_files import find_policy_set, load
    from pbac.pdp.request_tree import require_declared

    try:
        folder = load_config(config).policy_directory
    except ConfigError as error:
        _warn(tier, error.message)
        return
    policy_set = find_policy_set(load(folder))
    if policy_set is None:
        _warn(tier, f"the policies in `{folder}` cannot be used, see `pbac check {folder}`")
    elif policy_set.tiers:
        require_declared(tier, policy_set.tiers)


def _warn(tier: str, why: str) -> None:
    click.secho(f"warning: nobody checked whether there is a tier `{tier}`: {why}",
                fg="yellow", err=True)  # fmt: skip
