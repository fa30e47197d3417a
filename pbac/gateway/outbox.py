"""What operators changed in another process, told to the record by the one that may write it.

A change and its row are one transaction, so no change is ever without a row. The row leaves only
after its record is durable: a crash in between tells a change twice, under the same `outbox_id`,
and never loses one.
"""

from __future__ import annotations

from pbac.audit.record import TokenRecord
from pbac.gateway.ports import AuditLog
from pbac.oauth.model import ClientChange
from pbac.oauth.storage import Storage


async def record_changes(storage: Storage, audit: AuditLog) -> None:
    """Record every change that waits, in the order in which they were made.

    Raises:
        AuditUnavailable, StorageError: what is left waits for the next time.
    """
    while (change := storage.read(lambda reader: reader.find_oldest_change())) is not None:
        await _tell(change, storage, audit)


async def _tell(change: ClientChange, storage: Storage, audit: AuditLog) -> None:
    await audit.append(_record(change))
    await storage.transact(lambda tx: tx.remove_change(change.number))


def _record(change: ClientChange) -> TokenRecord:
    agent = {"id": change.client_id, "name": change.client_name, "tier": change.tier}
    return TokenRecord(
        event=change.event,
        agent=agent | ({"kind": change.kind} if change.kind is not None else {}),
        detail=change.detail,
        actor=change.actor,
        changed_ms=change.changed_at_ms,
        outbox_id=change.number,
    )
