"""`pbac policy show`: what a version holds, and its files brought back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbac.base.errors import PbacError
from pbac.base.render import shown
from pbac.cli.config_option import config_option
from pbac.cli.request_options import echo_json
from pbac.cli.tables import counted
from pbac.cli.versions import IN_FORCE, VersionName, open_versions

if TYPE_CHECKING:
    from pbac.adapters.policy_files import Files
    from pbac.adapters.policy_versions import Version


@click.command()
@click.argument("version", default=IN_FORCE, type=VersionName(IN_FORCE))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write its files into this folder, which must be new or empty.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@config_option()
def command(config: Path, version: str, output: Path | None, *, as_json: bool) -> None:
    """Show the packages and files of VERSION: `in-force`, an act's number, or its first digits."""
    with open_versions(config) as versions:
        named = versions.require_head().version if version == IN_FORCE else version
        found = versions.store.require_version(named)
        files = versions.store.files(found.version)
    if output is not None:
        _write(files, output)
        click.echo(f"wrote {counted(len(files), 'file')} into `{shown(str(output))}`", err=True)
    if as_json:
        echo_json(_json(found, files))
    else:
        click.echo("\n".join(_lines(found, files)))


def _lines(version: Version, files: Files) -> list[str]:
    lines = [f"{click.style(version.version, bold=True)}  made by PBAC {version.program}"]
    if version.bundled is not None:
        lines.append(f"bundle `{shown(version.bundled.name)}` number {version.bundled.number}")
    lines.append(f"{counted(version.rules, 'rule')} in {counted(len(version.packages), 'package')}")
    width = max(len(package.name) for package in version.packages)
    lines += [
        f"  {package.name:<{width}}  {counted(package.rules, 'rule'):>12}"
        + ("  sealed" if package.sealed else "")
        for package in version.packages
    ]
    lines.append(counted(len(files), "file"))
    return [*lines, *(f"  {len(data):>9,}  {shown(name)}" for name, data in files.items())]


def _json(version: Version, files: Files) -> dict[str, Any]:
    return {
        "version": version.version,
        "program": version.program,
        "rules": version.rules,
        "packages": [
            {"name": each.name, "digest": each.digest, "sealed": each.sealed, "rules": each.rules}
            for each in version.packages
        ],
        "files": [{"path": name, "bytes": len(data)} for name, data in files.items()],
    }


def _write(files: Files, folder: Path) -> None:
    """Their names were checked when they were read: relative, and within a folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PbacError(f"`{folder}` is there and not empty", help="name a new folder")
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
