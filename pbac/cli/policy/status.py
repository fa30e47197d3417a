"""`pbac policy status`: what is in force, what the gateway serves, what the source holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbac.base.render import shown
from pbac.cli.config_option import config_option
from pbac.cli.putting_in_force import is_alive
from pbac.cli.request_options import echo_json
from pbac.cli.versions import Versions, moment, open_versions

if TYPE_CHECKING:
    from pbac.adapters.policy_versions import Act, Serving


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@config_option()
def command(config: Path, *, as_json: bool) -> None:
    """Tell whether the gateway serves what was published, and whether its source has moved on."""
    with open_versions(config) as versions:
        head, serving = versions.store.head(), versions.store.serving()
        alive = serving is not None and is_alive(serving.process)
        source = _source(versions)
    if as_json:
        echo_json(_json(head, serving, source, alive=alive))
        return
    if head is None:
        click.echo("in force  nothing yet: start the gateway, or `pbac policy publish`")
    else:
        click.echo(f"in force  {_told(head)}")
    click.echo(f"gateway   {_gateway(head, serving, alive=alive)}")
    click.echo(f"source    {source}")


def _told(act: Act) -> str:
    from pbac.adapters.policy_versions import short

    by = f" by {shown(act.actor)}" if act.actor else ""
    note = f": {shown(act.note)}" if act.note else ""
    version = click.style(short(act.version), bold=True)
    return f"{version}  act {act.number}, {act.kind}{by}, {moment(act.at_ms)}{note}"


def _gateway(head: Act | None, serving: Serving | None, *, alive: bool) -> str:
    from pbac.adapters.policy_versions import short

    if serving is None or not alive:
        return "not running"
    since = f"since {moment(serving.since_ms)} (process {serving.process})"
    if head is not None and serving.act == head.number:
        return click.style(f"serves it {since}", fg="green")
    told = f"serves {short(serving.version)} {since}: it has not taken the last act"
    return click.style(told, fg="yellow") + "\n  help: its log and `pbac audit tail` say why"


def _source(versions: Versions) -> str:
    path, head = versions.source.path, versions.store.head()
    content = versions.source_content()
    if not content:
        return f"`{shown(path)}` cannot be read\n  help: `pbac policy publish` tells why"
    version = versions.store.find_version(head.version) if head else None
    if version is not None and version.content == content:
        return f"`{shown(path)}` holds what is in force"
    if head is not None and head.source == content:
        return (
            f"`{shown(path)}` holds something else, which acts again when it changes\n"
            "  help: `pbac policy diff` tells what, `pbac policy publish` puts it in force"
        )
    if head is None:
        return f"`{shown(path)}` holds what was not published yet"
    return f"`{shown(path)}` has changed since\n  help: `pbac policy diff` tells how"


def _json(head: Act | None, serving: Serving | None, source: str, *, alive: bool) -> dict[str, Any]:
    return {
        "in_force": None
        if head is None
        else {
            "act": head.number,
            "version": head.version,
            "how": head.kind,
            "by": head.actor,
            "at_ms": head.at_ms,
            "note": head.note,
        },
        "gateway": None
        if serving is None or not alive
        else {
            "version": serving.version,
            "act": serving.act,
            "process": serving.process,
            "since_ms": serving.since_ms,
        },
        "source": source.splitlines()[0],
    }
