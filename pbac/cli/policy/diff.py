"""`pbac policy diff`: which rules another version adds, removes and changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pbac.base.render import shown
from pbac.cli.config_option import config_option
from pbac.cli.policy_differences import as_json as json_of
from pbac.cli.policy_differences import lines, summary
from pbac.cli.request_options import echo_json
from pbac.cli.versions import IN_FORCE, SOURCE, VersionName, open_versions

if TYPE_CHECKING:
    from pbac.adapters.policy_files import Files

_NAMED_MAX: Final = 5


@click.command()
@click.argument("before", default=IN_FORCE, type=VersionName(IN_FORCE, SOURCE))
@click.argument("after", default=SOURCE, type=VersionName(IN_FORCE, SOURCE))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option("--exit-code", is_flag=True, help="End with 1 when anything differs.")
@config_option()
def command(config: Path, before: str, after: str, *, as_json: bool, exit_code: bool) -> None:
    """Show what AFTER changes: each `in-force`, `source`, an act's number, a version, or a path.

    Rules are compared by what they mean: where they stand and how they are laid out makes no
    difference.
    """
    from pbac.adapters.policy_contents import parse_policies
    from pbac.pdp.diff import difference

    with open_versions(config) as versions:
        files = versions.files_of(before), versions.files_of(after)
        found = difference(*map(versions.policy_set_of, files))
    if as_json:
        echo_json(json_of(found))
    else:
        old, new = (
            {source.name: source.text for source in parse_policies(each).sources} for each in files
        )
        for line in lines(found, old, new):
            click.echo(line)
        click.echo(summary(found) or _no_rule(*files))
    if exit_code and found:
        raise SystemExit(1)


def _no_rule(before: Files, after: Files) -> str:
    """Files may differ and mean the same."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if not names:
        return "nothing differs"
    told = ", ".join(f"`{shown(name)}`" for name in names[:_NAMED_MAX])
    more = ", …" if len(names) > _NAMED_MAX else ""
    return f"no rule differs, but what else stands in {told}{more}"
