"""Waking the outbox: another process has committed to the state, so an operator may have acted."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pbac.adapters.sqlite_state import SqliteState
from pbac.audit.storage import AuditUnavailable
from pbac.gateway.outbox import record_changes
from pbac.gateway.ports import AuditLog
from pbac.oauth.storage import StorageError

POLL_SECONDS: Final = 0.25
"""How often the state is asked whether anyone else has committed; a cheap question."""

_log = logging.getLogger("pbac.outbox")


async def keep_recording_changes(state: SqliteState, audit: AuditLog) -> None:
    """Record what operators change, for ever; first what they changed while nobody listened."""
    seen: int | None = None
    complaint = ""
    while True:
        try:
            version = state.version()
            if version != seen:
                await record_changes(state, audit)
                seen, complaint = version, ""
        except (AuditUnavailable, StorageError) as error:
            if error.message != complaint:  # once, not four times a second
                _log.error("changes by the operator wait to be recorded: %s", error.message)
            complaint = error.message
        await asyncio.sleep(POLL_SECONDS)
