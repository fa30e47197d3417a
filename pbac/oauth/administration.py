"""What the operator changes about registered agents: rules over a transaction.

A suspended agent is on the deny list: its access tokens stay known and are refused on the next
call, so resuming it brings them back unless they have expired or were revoked.
"""

from __future__ import annotations

import msgspec

from pbac.base.errors import PbacError
from pbac.base.suggest import did_you_mean
from pbac.crypto.jose import is_identifier
from pbac.oauth.model import Client, ClientStatus
from pbac.oauth.storage import Reader, Transaction


class UnknownClientError(PbacError):
    """No agent is registered under this id."""

    code = "unknown_agent"


def require_client(reader: Reader, client_id: str) -> Client:
    """The client of that id. Raises `UnknownClientError`, naming near misses."""
    client = reader.find_client(client_id)
    if client is None:
        near = did_you_mean(client_id, (known.client_id for known in reader.list_clients()))
        raise UnknownClientError(
            f"no agent has the id `{client_id}`", help=near or "`pbac agent list` shows all"
        )
    return client


def set_client_status(tx: Transaction, client_id: str, status: ClientStatus) -> Client:
    """Suspend an agent or let it in again. Raises `UnknownClientError`."""
    changed = msgspec.structs.replace(require_client(tx, client_id), status=status)
    tx.replace_client(changed)
    return changed


def set_client_tier(tx: Transaction, client_id: str, tier: str) -> Client:
    """The operator's word on an agent's tier; it stands until the operator changes it.

    A tier no policy declares is allowed and worth nothing: comparisons with it are unknown.

    Raises:
        UnknownClientError: no such agent. PbacError: text that is not a tier.
    """
    if not is_identifier(tier):
        raise PbacError("a tier is a short plain word", code="bad_tier")
    client = require_client(tx, client_id)
    changed = msgspec.structs.replace(client, tier=tier, tier_source="operator")
    tx.replace_client(changed)
    return changed
