"""`pbac policy rollback`: put an earlier version in force again."""

from __future__ import annotations

from pathlib import Path

import click

from pbac.base.errors import PbacError
from pbac.cli.config_option import config_option
from pbac.cli.putting_in_force import in_force, put_in_force, refusals_noted
from pbac.cli.versions import NOTE, VersionName, open_versions


@click.command()
@click.argument("version", required=False, type=VersionName())
@click.option("--note", default="", type=NOTE, help="Why, for `pbac policy list` and the record.")
@config_option()
def command(config: Path, version: str | None, note: str) -> None:
    """Put VERSION in force again: an act's number or first digits [default: the one before].

    A second rollback undoes the first: name an act of `pbac policy list` to go further back. The
    files of VERSION are compiled and tested again. The folder of policies stays as it is, and acts
    again when it changes: mend it, or bring files back with `pbac policy show -o`.
    """
    from pbac.adapters.policy_source import Found

    with open_versions(config) as versions, refusals_noted(versions, "rollback"):
        store, expected = versions.store, in_force(versions)
        named = version or versions.require_head().previous
        if not named:
            help_ = "name one of `pbac policy list`"
            raise PbacError("nothing was in force before this version", help=help_)
        files = store.files(store.require_version(named).version)
        put_in_force(
            versions, Found(files=files), "rollback", note, expected=expected, guarded=False
        )
