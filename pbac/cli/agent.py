"""`pbac agent`: the agents this gateway knows, straight from its state database.

Works while the gateway runs: it sees every change on the next call of the agent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbac.cli.config_option import config_option
from pbac.cli.groups import Group
from pbac.cli.key_files import read_key_file
from pbac.cli.tables import echo_table
from pbac.cli.tiers import require_configured

if TYPE_CHECKING:
    from pbac.adapters.sqlite_state import SqliteState
    from pbac.oauth.model import Client, ClientStatus


@click.group(cls=Group)
def command() -> None:
    """List, register, suspend and promote agents."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option()
def list_agents(config: Path, *, as_json: bool) -> None:
    """Show every registered agent and where its tier comes from."""
    with _state(config) as (state, _):
        clients = state.read(lambda reader: reader.list_clients())
    if as_json:
        _echo_json(clients)
        return
    rows: list[tuple[str, ...]] = [
        ("ID", "NAME", "TIER", "FROM", "STATUS", "PUBLISHER", "REGISTERED")
    ]
    rows += [_row(client) for client in clients]
    echo_table(rows)


@command.command("register")
@click.option("--name", required=True, help="What people call it.")
@click.option("--tier", required=True, help="One of the tiers your policies declare.")
@click.option(
    "--scope", "scopes", multiple=True, default=("**",), help="Scope or pattern; repeat for more."
)
@click.option("--id", "client_id", help="Client id to use; a random one otherwise.")
@click.option("--owner", help="Who answers for it.")
@click.option("--kind", help="What it is, as policies name it: `ci`, `assistant`, …")
@click.option(
    "--jwks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its public key (PEM, JWK or JWK set): it then signs in with `private_key_jwt`.",
)
@config_option()
def register_agent(
    config: Path,
    name: str,
    tier: str,
    scopes: tuple[str, ...],
    jwks: Path | None,
    **optional: str | None,
) -> None:
    """Register an agent you vouch for yourself, and print its credentials once."""
    from pbac.crypto.keys import parse_public_keys, render_jwk
    from pbac.oauth.administration import register_client
    from pbac.oauth.registration import prepare_by_operator

    require_configured(tier, config)
    keys = None if jwks is None else read_key_file(jwks, parse_public_keys)
    with _state(config) as (state, now_ms):
        draft = prepare_by_operator(
            name=name,
            tier=tier,
            scopes=scopes,
            now_ms=now_ms,
            entropy=os.urandom,
            jwks=None if keys is None else {"keys": [render_jwk(key) for key in keys]},
            **optional,
        )
        state.transact_now(lambda tx: register_client(tx, draft, actor=_operator(), now_ms=now_ms))
    click.echo(f"client_id      {draft.client.client_id}")
    if draft.secret:
        click.echo(f"client_secret  {draft.secret}")
        click.echo("the secret is shown this once; only its hash is kept", err=True)


@command.command("suspend")
@click.argument("client_id")
@config_option()
def suspend_agent(config: Path, client_id: str) -> None:
    """Refuse the agent and all its tokens from its next call on."""
    _set_status(config, client_id, "suspended")


@command.command("resume")
@click.argument("client_id")
@config_option()
def resume_agent(config: Path, client_id: str) -> None:
    """Let a suspended agent in again."""
    _set_status(config, client_id, "active")


@command.command("tier")
@click.argument("client_id")
@click.argument("tier")
@config_option()
def set_tier(config: Path, client_id: str, tier: str) -> None:
    """Set the tier yourself, whatever the agent's statement said."""
    from pbac.oauth.administration import set_client_tier

    require_configured(tier, config)
    with _state(config) as (state, now_ms):
        client = state.transact_now(
            lambda tx: set_client_tier(tx, client_id, tier, actor=_operator(), now_ms=now_ms)
        )
    click.echo(f"`{client.client_id}` ({client.client_name}) has the tier `{client.tier}`")


def _set_status(config: Path, client_id: str, status: ClientStatus) -> None:
    from pbac.oauth.administration import set_client_status

    with _state(config) as (state, now_ms):
        client = state.transact_now(
            lambda tx: set_client_status(tx, client_id, status, actor=_operator(), now_ms=now_ms)
        )
    click.echo(f"`{client.client_id}` ({client.client_name}) is {client.status}")


def _operator() -> str:
    """The account that runs this command, by the system's own word, not the environment's."""
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


@contextmanager
def _state(config: Path) -> Iterator[tuple[SqliteState, int]]:
    from pbac.adapters.sqlite_state import open_state
    from pbac.app.config import load_config
    from pbac.base.clock import SystemClock

    now_ms = SystemClock().now_ms()
    state = open_state(load_config(config).state_directory, now_ms)
    try:
        yield state, now_ms
    finally:
        state.close()


def _row(client: Client) -> tuple[str, ...]:
    from pbac.base.clock import rfc3339

    return (
        client.client_id,
        client.client_name,
        client.tier,
        client.tier_source,
        client.status,
        client.publisher or "-",
        rfc3339(client.registered_at_ms)[:16].replace("T", " "),
    )


def _echo_json(clients: Any) -> None:
    import msgspec

    from pbac.base.json import encode

    for client in clients:
        shown = msgspec.structs.replace(client, secret_hash=None)
        click.echo(encode(msgspec.to_builtins(shown)).decode())
