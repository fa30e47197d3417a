"""Many callers, one sync: order, deadlines, and every way to be refused."""

from __future__ import annotations

import asyncio
import errno
import threading
import time

import orjson
import pytest

from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import open_audit_keys
from pbac.adapters.audit_reader import read_lines, read_segments
from pbac.adapters.disk import Disk
from pbac.adapters.group_commit import GroupCommit
from pbac.audit.log import AuditLog
from pbac.audit.record import GatewayRecord
from pbac.audit.storage import AuditFull, AuditUnavailable
from pbac.audit.verify import verify_log
from pbac.base.clock import SystemClock


class SwitchableDisk(Disk):
    """A disk whose mood the test decides."""

    def __init__(self):
        self.syncs = 0
        self.error = None
        self.error_on = "write"
        self.open_gate = threading.Event()
        self.open_gate.set()

    def _fail(self, where):
        if self.error is not None and where == self.error_on:
            raise self.error

    def write(self, descriptor, data, offset):
        self._fail("write")
        return super().write(descriptor, data, offset)

    def sync(self, descriptor):
        self.syncs += 1
        self.open_gate.wait()
        self._fail("sync")
        super().sync(descriptor)


class Front:
    """A group commit on a real directory."""

    def __init__(self, tmp_path, **options):
        self.directory = tmp_path / "audit"
        self.keys = open_audit_keys(tmp_path / "keys", "gateway.example/audit")
        self.disk = SwitchableDisk()
        files, state = open_audit_files(self.directory, self.keys.verifier, disk=self.disk)
        self.log = AuditLog(files, state, self.keys.signer, SystemClock())
        self.log.start()
        self.commit = GroupCommit(self.log, **options)

    def records(self):
        paths = sorted(self.directory.glob("*.jsonl"))
        return [orjson.loads(line[65:]) for path in paths for line in read_lines(path)]

    def events(self):
        return [found["event"] for found in self.records()]

    def verify(self):
        return verify_log(read_segments(self.directory), self.keys.verifier)


@pytest.fixture
def front(tmp_path):
    def make(**options):
        made.append(Front(tmp_path, **options))
        return made[-1]

    made = []
    yield make
    for one in made:
        one.disk.open_gate.set()


def record(event):
    return GatewayRecord(event=str(event))


async def settle():
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_every_caller_has_its_own_sequence_and_records_keep_their_order(front):
    audit = front()
    numbers = await asyncio.gather(*(audit.commit.append(record(n)) for n in range(200)))
    assert numbers == list(range(1, 201))
    await audit.commit.close()
    assert audit.events() == [str(n) for n in range(200)]
    assert audit.verify().ok
    assert audit.verify().signed_size == 200


async def test_callers_share_a_sync(front):
    audit = front()
    await audit.commit.append(record("first"))
    audit.disk.syncs = 0
    await asyncio.gather(*(audit.commit.append(record(n)) for n in range(500)))
    assert audit.disk.syncs < 50
    await audit.commit.close()


async def test_what_nobody_waits_for_keeps_its_place(front):
    audit = front()
    await audit.commit.append(record(1))
    audit.commit.enqueue(record(2))
    third = audit.commit.append(record(3))
    audit.commit.enqueue(record(4))
    assert await third in {3, 4}
    audit.commit.enqueue(record(5))
    await audit.commit.close()
    assert sorted(audit.events()) == ["1", "2", "3", "4", "5"]
    assert audit.events().index("1") < audit.events().index("2")
    assert audit.events()[-1] == "5"


async def test_an_append_returns_only_after_the_sync(front):
    audit = front()
    await audit.commit.append(record("a"))
    audit.disk.open_gate.clear()
    waiting = asyncio.create_task(audit.commit.append(record("b")))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    audit.disk.open_gate.set()
    assert await waiting == 2
    await audit.commit.close()


async def test_a_checkpoint_comes_by_itself(front, monkeypatch):
    monkeypatch.setattr("pbac.audit.log.AUDIT_CHECKPOINT_SECONDS", 0.05)
    audit = front()
    await audit.commit.append(record("a"))
    await asyncio.sleep(0.3)
    assert audit.verify().signed_size == 1
    await audit.commit.close()


async def test_what_nobody_waits_for_is_written_soon_also_right_after_a_call(front):
    audit = front()
    await audit.commit.append(record("call"))
    audit.commit.enqueue(record("outcome"))
    await asyncio.sleep(0.3)
    assert audit.events() == ["call", "outcome"]
    await audit.commit.close()


async def test_a_hanging_disk_is_refused_at_the_deadline_and_at_once_afterwards(front):
    audit = front(commit_seconds_max=0.2)
    await audit.commit.append(record("a"))
    audit.disk.open_gate.clear()
    taken = asyncio.create_task(audit.commit.append(record("taken")))
    await settle()
    await asyncio.sleep(0.02)
    queued = asyncio.create_task(audit.commit.append(record("withdrawn")))
    started = time.monotonic()
    for waiting in (taken, queued):
        with pytest.raises(AuditUnavailable, match=r"not durable after 0\.2 s"):
            await waiting
    assert time.monotonic() - started < 0.5
    started = time.monotonic()
    with pytest.raises(AuditUnavailable, match="has not answered"):
        await audit.commit.append(record("late"))
    with pytest.raises(AuditUnavailable):
        audit.commit.check()
    assert time.monotonic() - started < 0.05
    audit.disk.open_gate.set()
    await asyncio.sleep(0.1)
    audit.commit.check()
    assert await audit.commit.append(record("b")) == 3
    await audit.commit.close()
    assert audit.events() == ["a", "taken", "b"]


async def test_a_full_disk_refuses_callers_keeps_outcomes_and_tells_of_it_afterwards(front):
    audit = front()
    await audit.commit.append(record("a"))
    audit.disk.error = OSError(errno.ENOSPC, "No space left on device")
    audit.commit.enqueue(record("outcome"))
    for _ in range(3):
        with pytest.raises(AuditFull, match="no room"):
            await audit.commit.append(record("refused"))
    audit.disk.error = None
    await audit.commit.append(record("b"))
    await audit.commit.close()
    assert audit.events() == ["a", "outcome", "b", "fault"]
    detail = audit.records()[-1]["detail"]
    assert detail["refused"] == 3
    assert "no room" in detail["why"]
    assert audit.verify().ok


async def test_what_waits_for_room_is_written_without_another_call(front):
    audit = front()
    audit.disk.error = OSError(errno.ENOSPC, "No space left on device")
    audit.commit.enqueue(record("outcome"))
    await asyncio.sleep(0.1)
    assert audit.events() == []
    audit.disk.error = None
    await asyncio.sleep(0.6)
    assert audit.events() == ["outcome", "fault"]
    await audit.commit.close()


async def test_after_a_failed_sync_everyone_is_refused_for_good(front):
    audit = front()
    await audit.commit.append(record("a"))
    audit.disk.error, audit.disk.error_on = OSError(errno.EIO, "Input/output error"), "sync"
    callers = [audit.commit.append(record(n)) for n in range(5)]
    for failure in await asyncio.gather(*callers, return_exceptions=True):
        assert isinstance(failure, AuditUnavailable)
        assert not isinstance(failure, AuditFull)
    audit.disk.error = None
    with pytest.raises(AuditUnavailable, match="Input/output error"):
        await audit.commit.append(record("b"))
    with pytest.raises(AuditUnavailable):
        audit.commit.enqueue(record("c"))
    with pytest.raises(AuditUnavailable):
        await audit.commit.close()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("defect"), SystemExit(1)])
async def test_a_defect_in_the_writer_refuses_instead_of_hanging(front, error):
    audit = front()
    audit.disk.error = error
    with pytest.raises(AuditUnavailable):
        await audit.commit.append(record("a"))
    with pytest.raises(AuditUnavailable):
        await audit.commit.append(record("b"))
    with pytest.raises(AuditUnavailable):
        await audit.commit.close()


async def test_a_defect_before_the_disk_refuses_instead_of_hanging(front, monkeypatch):
    def fail(_records):
        raise MemoryError

    audit = front()
    monkeypatch.setattr(audit.log, "prepare", fail)
    with pytest.raises(AuditUnavailable, match="MemoryError"):
        await audit.commit.append(record("a"))
    with pytest.raises(AuditUnavailable, match="MemoryError"):
        await audit.commit.append(record("b"))
    with pytest.raises(AuditUnavailable):
        await audit.commit.close()


async def test_a_caller_that_goes_away_leaves_the_others_alone(front):
    audit = front()
    audit.disk.open_gate.clear()
    callers = [asyncio.create_task(audit.commit.append(record(n))) for n in range(4)]
    await settle()
    callers[1].cancel()
    audit.disk.open_gate.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answers[0], *answers[2:]] == [1, 3, 4]
    await audit.commit.close()
    assert audit.verify().ok


async def test_a_queue_that_is_full_refuses_calls_before_outcomes(front, monkeypatch):
    monkeypatch.setattr("pbac.adapters.group_commit._AWAITED_RECORDS_MAX", 3)
    monkeypatch.setattr("pbac.adapters.group_commit.AUDIT_QUEUE_RECORDS_MAX", 5)
    audit = front()
    audit.disk.open_gate.clear()
    first = asyncio.create_task(audit.commit.append(record("first")))
    await asyncio.sleep(0.05)
    for _ in range(3):
        audit.commit.enqueue(record("outcome"))
    with pytest.raises(AuditUnavailable, match="3 records already wait"):
        await audit.commit.append(record("call"))
    audit.commit.enqueue(record("outcome"))
    audit.commit.enqueue(record("outcome"))
    with pytest.raises(AuditUnavailable, match="5 records already wait"):
        audit.commit.enqueue(record("outcome"))
    audit.disk.open_gate.set()
    assert await first == 1
    await audit.commit.close()
    assert audit.events() == ["first", *["outcome"] * 5]


async def test_a_closed_log_takes_nothing_and_can_be_opened_again(front, tmp_path):
    audit = front()
    await audit.commit.append(record("a"))
    await audit.commit.close()
    with pytest.raises(AuditUnavailable, match="being closed"):
        await audit.commit.append(record("b"))
    again = front()
    assert await again.commit.append(record("c")) == 2
    await again.commit.close()
    assert again.events() == ["a", "c"]


async def test_closing_does_not_wait_for_ever_for_a_disk_that_hangs(front):
    audit = front(commit_seconds_max=0.2)
    audit.disk.open_gate.clear()
    waiting = asyncio.create_task(audit.commit.append(record("a")))
    await settle()
    with pytest.raises(AuditUnavailable, match="does not answer"):
        await audit.commit.close()
    with pytest.raises(AuditUnavailable):
        await asyncio.wait_for(waiting, 1)


def test_a_loop_that_ends_first_does_not_break_the_writer(tmp_path):
    async def main():
        audit = Front(tmp_path)
        await audit.commit.append(record("a"))
        audit.disk.open_gate.clear()
        given = asyncio.create_task(audit.commit.append(record("b")))
        await settle()
        assert not given.done()
        return audit

    audit = asyncio.run(main())
    audit.disk.open_gate.set()
    for _ in range(100):
        if audit.events() == ["a", "b"]:
            break
        time.sleep(0.01)
    assert audit.events() == ["a", "b"]
