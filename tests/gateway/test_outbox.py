"""What the operator did in another process reaches the record: in order, durably, never lost."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3

import pytest

from pbac.adapters.sqlite_state import FILE_NAME, open_state
from pbac.app.outbox import keep_recording_changes
from pbac.audit.storage import AuditUnavailable
from pbac.gateway.outbox import record_changes
from pbac.oauth.administration import (
    UnknownClientError,
    register_client,
    set_client_status,
    set_client_tier,
)
from pbac.oauth.registration import prepare_by_operator
from pbac.oauth.storage import StorageError

BY = {"actor": "maria", "now_ms": 1_800_000_000_000}


class Log:
    def __init__(self):
        self.records, self.fails, self.told = [], False, asyncio.Event()

    async def append(self, record):
        if self.fails:
            raise AuditUnavailable("no room")
        self.records.append(record)
        self.told.set()
        return len(self.records)

    @property
    def events(self):
        return [(record.event, record.outbox_id) for record in self.records]


@pytest.fixture
def state(tmp_path):
    opened = open_state(tmp_path, 0)
    yield opened
    opened.close()


@pytest.fixture
def log():
    return Log()


def operate(state):
    """Everything an operator can do to an agent, once."""
    draft = prepare_by_operator(
        name="Nightly",
        tier="ci_agent",
        scopes=["a"],
        now_ms=1,
        entropy=os.urandom,
        client_id="nightly",
        kind="ci",
    )
    state.transact_now(lambda tx: register_client(tx, draft, **BY))
    state.transact_now(lambda tx: set_client_status(tx, "nightly", "suspended", **BY))
    state.transact_now(lambda tx: set_client_status(tx, "nightly", "active", **BY))
    state.transact_now(lambda tx: set_client_tier(tx, "nightly", "trusted", **BY))


def waiting(state):
    return state.read(lambda reader: reader.find_oldest_change())


async def test_every_change_is_recorded_once_in_order_with_who_and_when(state, log):
    operate(state)
    await record_changes(state, log)
    await record_changes(state, log)
    assert log.events == [("registered", 1), ("suspended", 2), ("resumed", 3), ("promoted", 4)]
    last = log.records[-1]
    agent = {"id": "nightly", "name": "Nightly", "tier": "trusted", "kind": "ci"}
    assert (last.agent, last.actor, last.changed_ms) == (agent, "maria", BY["now_ms"])
    assert last.detail == "by the operator maria, from ci_agent to trusted"
    assert waiting(state) is None


async def test_a_change_that_failed_leaves_nothing_to_record(state, log):
    with pytest.raises(UnknownClientError):
        state.transact_now(lambda tx: set_client_status(tx, "nobody", "suspended", **BY))
    await record_changes(state, log)
    assert log.records == []


async def test_a_record_that_cannot_be_written_keeps_its_row(state, log):
    operate(state)
    log.fails = True
    with pytest.raises(AuditUnavailable):
        await record_changes(state, log)
    assert waiting(state).number == 1
    log.fails = False
    await record_changes(state, log)
    assert [event for event, _ in log.events] == ["registered", "suspended", "resumed", "promoted"]


async def test_a_crash_between_record_and_removal_repeats_under_the_same_number(
    state, log, tmp_path
):
    operate(state)
    lock = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    state._writer.execute("PRAGMA busy_timeout = 1")
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError):
        await record_changes(state, log)
    lock.execute("ROLLBACK")
    lock.close()
    await record_changes(state, log)
    assert log.events[:3] == [("registered", 1), ("registered", 1), ("suspended", 2)]


async def test_a_number_is_never_given_twice(state, log, tmp_path):
    operate(state)
    await record_changes(state, log)
    again = open_state(tmp_path, 0)
    again.transact_now(lambda tx: set_client_status(tx, "nightly", "suspended", **BY))
    again.close()
    await record_changes(state, log)
    assert log.events[-1] == ("suspended", 5)


async def test_changes_of_another_process_are_found_while_the_gateway_runs(
    state, log, tmp_path, caplog
):
    operate(state)
    running = asyncio.create_task(keep_recording_changes(state, log))
    while len(log.records) < 4:
        await log.told.wait()
        log.told.clear()
    other = open_state(tmp_path, 0)
    log.fails = True
    with caplog.at_level(logging.ERROR):
        other.transact_now(lambda tx: set_client_status(tx, "nightly", "suspended", **BY))
        await asyncio.sleep(0.8)
    assert [entry.message for entry in caplog.records] == [
        "changes by the operator wait to be recorded: no room"
    ]
    log.fails = False
    async with asyncio.timeout(1):
        await log.told.wait()
    assert log.events[-1] == ("suspended", 5)
    running.cancel()
    other.close()
