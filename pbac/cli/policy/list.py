"""`pbac policy list`: what was in force, and who put it there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbac.base.render import shown
from pbac.cli.config_option import config_option
from pbac.cli.option_values import WholeNumber
from pbac.cli.request_options import echo_json
from pbac.cli.tables import echo_table
from pbac.cli.versions import moment, open_versions

if TYPE_CHECKING:
    from pbac.adapters.policy_versions import Act, Version

_COUNT = 20
_COUNT_MAX = 10_000


@click.command()
@click.option(
    "--count", type=WholeNumber(1, _COUNT_MAX), default=_COUNT, show_default=True, metavar="N",
    help="How many, newest first.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option()
def command(config: Path, count: int, *, as_json: bool) -> None:
    """Show what was put in force, newest first; the first line is in force now."""
    with open_versions(config) as versions:
        acts = versions.store.acts(count)
        known = {act.version: versions.store.find_version(act.version) for act in acts}
    if as_json:
        for act in acts:
            echo_json(_json(act, known[act.version]))
        return
    if not acts:
        click.echo("nothing was ever in force here: start the gateway, or `pbac policy publish`")
        return
    head = ("", "ACT", "VERSION", "RULES", "HOW", "BY", "AT", "NOTE")
    echo_table([head, *(_row(act, known[act.version], acts[0]) for act in acts)])


def _row(act: Act, version: Version | None, head: Act) -> tuple[str, ...]:
    from pbac.adapters.policy_versions import short

    return (
        "*" if act is head else " ",
        str(act.number),
        short(act.version),
        str(version.rules) if version else "gone",
        act.kind,
        shown(act.actor or "gateway"),
        moment(act.at_ms),
        shown(act.note),
    )


def _json(act: Act, version: Version | None) -> dict[str, Any]:
    return {
        "act": act.number,
        "version": act.version,
        "previous": act.previous,
        "how": act.kind,
        "by": act.actor,
        "at_ms": act.at_ms,
        "note": act.note,
        "rules": version.rules if version else None,
    }
