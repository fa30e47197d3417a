"""`pbac policy publish`: put the policies of a folder in force now."""

from __future__ import annotations

from pathlib import Path

import click

from pbac.cli.config_option import config_option
from pbac.cli.putting_in_force import in_force, put_in_force, refusals_noted
from pbac.cli.versions import NOTE, open_versions


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--note", default="", type=NOTE, help="Why, for `pbac policy list` and the record.")
@click.option(
    "--expect",
    metavar="VERSION",
    help="Refuse when another version is in force than this one [default: the one at the start].",
)
@config_option()
def command(config: Path, path: Path | None, note: str, expect: str | None) -> None:
    """Compile and test PATH, or the configured source, and put it in force.

    A running gateway serves it at once; one that does not run starts with it. It stays in force
    until another act, or until the source changes. Ends with 1 when it is refused: then what was in
    force stays.
    """
    from pbac.adapters.policy_files import read_files
    from pbac.adapters.policy_source import Found, read_source

    with open_versions(config) as versions, refusals_noted(versions, "publish"):
        store = versions.store
        expected = store.require_version(expect).version if expect else in_force(versions)
        if path is None:
            found = read_source(versions.source, store.accepted_bundles())
        else:
            found = Found(files=read_files(path))
        put_in_force(versions, found, "publish", note, expected=expected, guarded=True)
