"""`pbac publisher`: keys that vouch for agents, and the statements they sign."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pbac.base.errors import PbacError
from pbac.base.json import encode
from pbac.cli.config_option import config_option
from pbac.cli.groups import Group
from pbac.cli.key_files import read_key_file
from pbac.cli.option_values import WholeNumber
from pbac.cli.tiers import require_configured


class _PublisherName(click.ParamType[str]):
    """A name that a configuration takes: it becomes the name of files and of an address too."""

    name = "name"

    def convert(
        self, value: str, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        from pbac.app.config import NAME_HELP, is_name

        if not is_name(value):
            self.fail(f"`{value}` cannot be the name of a publisher: {NAME_HELP}", param, context)
        return value


@click.group(cls=Group)
def command() -> None:
    """Make publisher keys and sign software statements."""


@command.command("new")
@click.argument("name", type=_PublisherName())
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("keys"),
    show_default=True,
    help="Where the key pair goes.",
)
@click.option("--issuer", help="Address that names the publisher [default: https://NAME.local].")
@click.option(
    "--ceiling", default="read_only", show_default=True, help="Highest tier that it may give."
)
def new_publisher(name: str, directory: Path, issuer: str | None, ceiling: str) -> None:
    """Create the key pair of publisher NAME, and print what `pbac.toml` needs."""
    from pbac.app.private_files import private_directory, write_private
    from pbac.crypto.keys import generate_signing_key, render_private_pem, render_public_pem

    key = generate_signing_key()
    private, public = directory / f"{name}.pem", directory / f"{name}.pub.pem"
    try:
        private_directory(directory)
        write_private(private, render_private_pem(key))
    except FileExistsError:
        raise PbacError(f"`{private}` is there already", help="choose another name") from None
    public.write_bytes(render_public_pem(key.public))
    settings = {
        "name": name,
        "issuer": issuer or f"https://{name}.local",
        "key": str(public.resolve()),
        "tier_ceiling": ceiling,
    }
    click.echo("[[publishers]]")
    for setting, value in settings.items():  # what is a string in JSON is one in TOML
        click.echo(f"{setting} = {encode(value).decode()}")
    click.echo(f"\nwrote {private} (keep it private) and {public}; add the block above", err=True)


@command.command("sign")
@click.option(
    "--key",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The publisher's private key.",
)
@click.option("--name", required=True, help="Name of the agent.")
@click.option("--tier", required=True, help="Its tier; the gateway lowers it to your ceiling.")
@click.option(
    "--scope", "scopes", multiple=True, default=("**",), help="Scope or pattern; repeat for more."
)
@click.option("--issuer", help="Your issuer; found by the key in the configuration otherwise.")
@click.option("--kind", help="What it is, as policies name it: `ci`, `assistant`, …")
@click.option("--provider", help="Who makes it.")
@click.option("--model", help="The model it runs.")
@click.option("--software-id", help="The same for all its versions and instances [default: NAME].")
@click.option("--software-version", help="Version of that software, such as 2.1.")
@click.option("--tag", "tags", multiple=True, help="Free word for policies; repeat for more.")
@click.option(
    "--days",
    type=WholeNumber(1, 400),
    default=365,
    show_default=True,
    metavar="DAYS",
    help="How long it is valid.",
)
@click.option("--single-use", is_flag=True, help="Good for registering one agent only.")
@config_option("The gateway's configuration, to find issuer and tiers.")
def sign_statement(
    *,
    path: Path,
    name: str,
    tier: str,
    scopes: tuple[str, ...],
    issuer: str | None,
    tags: tuple[str, ...],
    days: int,
    config: Path,
    single_use: bool,
    **optional: str | None,
) -> None:
    """Print a software statement: the agent sends it to `/register`."""
    from pbac.base.clock import SystemClock
    from pbac.crypto import base64url
    from pbac.crypto.keys import parse_private_pem
    from pbac.oauth import software_statement

    require_configured(tier, config)
    key = read_key_file(path, parse_private_pem)
    statement = software_statement.sign_statement(
        key,
        issuer=issuer or _find_issuer(config, key.public.kid),
        name=name,
        tier=tier,
        scope=" ".join(scopes),
        now_ms=SystemClock().now_ms(),
        lifetime_seconds=days * 24 * 3_600,
        tags=tags,
        jti=base64url.encode(os.urandom(16)) if single_use else None,
        **optional,
    )
    click.echo(statement)


def _find_issuer(config: Path, thumbprint: str) -> str:
    """The issuer of the configured publisher that has this key."""
    from pbac.app.config import load_config
    from pbac.crypto.keys import KeyFormatError, parse_public_keys
    from pbac.crypto.keys import thumbprint as thumbprint_of

    if config.exists():
        loaded = load_config(config)
        for publisher in loaded.publishers:
            try:
                keys = parse_public_keys(loaded.path(publisher.key).read_bytes())
            except (OSError, KeyFormatError):  # another publisher's, as far as can be told
                continue
            if any(thumbprint_of(key) == thumbprint for key in keys):
                return publisher.issuer
    raise PbacError(
        f"no publisher in `{config}` has this key",
        help="name the configuration with --config, or the issuer with --issuer",
    )
