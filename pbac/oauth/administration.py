"""What the operator changes about registered agents: rules over a transaction.

A suspended agent is on the deny list: its access tokens stay known and are refused on the next
call, so resuming it brings them back unless they have expired or were revoked.

Every change leaves a `ClientChange` in the same transaction: the operator works in a process of
its own, which cannot write the record, so the gateway does it as soon as it sees the change.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pbac.base.errors import PbacError
from pbac.base.suggest import did_you_mean
from pbac.crypto.jose import is_identifier
from pbac.oauth.model import ChangeEvent, Client, ClientChange, ClientStatus
from pbac.oauth.registration import Draft, register
from pbac.oauth.storage import Reader, Transaction

_EVENTS: Final[dict[ClientStatus, ChangeEvent]] = {"suspended": "suspended", "active": "resumed"}


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


def register_client(tx: Transaction, draft: Draft, *, actor: str, now_ms: int) -> Client:
    """Remember an agent the operator vouches for. Raises `OAuthError` as `register` does."""
    register(tx, draft, now_ms)
    tx.add_change(_change("registered", draft.client, actor, now_ms))
    return draft.client


def set_client_status(
    tx: Transaction, client_id: str, status: ClientStatus, *, actor: str, now_ms: int
) -> Client:
    """Suspend an agent or let it in again. Raises `UnknownClientError`."""
    changed = msgspec.structs.replace(require_client(tx, client_id), status=status)
    tx.replace_client(changed)
    tx.add_change(_change(_EVENTS[status], changed, actor, now_ms))
    return changed


def set_client_tier(
    tx: Transaction, client_id: str, tier: str, *, actor: str, now_ms: int
) -> Client:
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
    detail = f", from {client.tier} to {tier}"
    tx.add_change(_change("promoted", changed, actor, now_ms, detail))
    return changed


def _change(
    event: ChangeEvent, client: Client, actor: str, now_ms: int, detail: str = ""
) -> ClientChange:
    return ClientChange(
        event=event,
        client_id=client.client_id,
        client_name=client.client_name,
        tier=client.tier,
        kind=client.kind,
        actor=actor,
        detail=f"by the operator {actor}{detail}",
        changed_at_ms=now_ms,
    )
