"""`pbac policy inspect`: what a bundle holds, once its signature does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pbac.cli.key_files import read_key_file

if TYPE_CHECKING:
    from pbac.pdp.bundle import Bundle


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_files",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A public key that you trust: PEM, a JWK or a JWK set; repeat for more.",
)
@click.option("--name", help="The name that the bundle must have.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def command(file: Path, key_files: tuple[Path, ...], name: str | None, *, as_json: bool) -> None:
    """Verify a bundle and tell its name, number, key and files.

    Ends with 1 when none of the keys signed it, or anything in it is not as it must be.
    """
    from pbac.adapters.policy_bundle import load_bundle
    from pbac.crypto.keys import parse_public_keys

    keys = [key for path in key_files for key in read_key_file(path, parse_public_keys)]
    bundle = load_bundle(file, keys, name=name)
    if as_json:
        click.echo(msgspec.json.encode(_json(bundle)))
    else:
        click.echo(_text(bundle))


def _json(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "number": bundle.number,
        "made": _moment(bundle.made_ms),
        "key": bundle.key_id,
        "digest": bundle.digest,
        "files": [
            {"path": path, "bytes": len(data)} for path, data in sorted(bundle.files.items())
        ],
    }


def _text(bundle: Bundle) -> str:
    head = [
        f"bundle `{bundle.name}` number {bundle.number}, made {_moment(bundle.made_ms)}",
        f"signed by {bundle.key_id}",
        bundle.digest,
        "",
    ]
    files = sorted(bundle.files.items())
    width = max(len(f"{len(data):,}") for _, data in files)
    return "\n".join([*head, *(f"{len(data):>{width},}  {path}" for path, data in files)])


def _moment(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
