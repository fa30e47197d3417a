"""The disk's promises: kept through crashes, power cuts, full disks and failing syncs."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import open_audit_keys
from pbac.adapters.audit_reader import read_lines, read_segments, segment_path
from pbac.adapters.disk import Disk
from pbac.audit.log import AuditLog
from pbac.audit.merkle import leaf_hash
from pbac.audit.record import GatewayRecord
from pbac.audit.storage import AuditDamaged, AuditFull, AuditUnavailable
from pbac.audit.verify import verify_log
from pbac.base.clock import SystemClock

ROOT = Path(__file__).parent.parent.parent


class Crash(BaseException):
    """The process is gone."""


class FaultyDisk(Disk):
    """Fails the n-th call that changes anything, after doing `part` of it."""

    def __init__(self, fail_at=None, error=None, part=0.0, only=None):
        self.calls = 0
        self.fail_at, self.error, self.part, self.only = fail_at, error, part, only
        self.log = []

    def _step(self, name):
        if self.only is not None and name not in self.only:
            return False
        self.calls += 1
        self.log.append(name)
        return self.calls == self.fail_at

    def _fail(self):
        raise self.error if self.error is not None else Crash

    def open_append(self, path, *, new):
        if self._step("open"):
            self._fail()
        return super().open_append(path, new=new)

    def write(self, descriptor, data, offset):
        if self._step("write"):
            if kept := data[: int(len(data) * self.part)]:
                super().write(descriptor, kept, offset)
            self._fail()
        return super().write(descriptor, data, offset)

    def sync(self, descriptor):
        if self._step("sync"):
            self._fail()
        super().sync(descriptor)

    def sync_directory(self, descriptor):
        if self._step("sync_directory"):
            self._fail()
        super().sync_directory(descriptor)

    def truncate(self, descriptor, size):
        if self._step("truncate"):
            self._fail()
        super().truncate(descriptor, size)

    def remove(self, path):
        if self._step("remove"):
            self._fail()
        super().remove(path)


class Place:
    """A state directory with its keys."""

    def __init__(self, directory):
        self.directory = directory / "audit"
        self.keys = open_audit_keys(directory / "keys", "gateway.example/audit")

    def open(self, disk=None, segment_bytes=1 << 20):
        files, state = open_audit_files(
            self.directory, self.keys.verifier, disk=disk, segment_bytes=segment_bytes
        )
        self.files = files
        log = AuditLog(files, state, self.keys.signer, SystemClock())
        log.start()
        return log

    def kill(self):
        """What the end of a process does: descriptors and the lock are gone."""
        self.files.close()

    def verify(self):
        return verify_log(read_segments(self.directory), self.keys.verifier)

    def events(self):
        """`event` of every record in the log, in order."""
        import orjson

        segments = sorted(self.directory.glob("*.jsonl"))
        return [orjson.loads(line[65:])["event"] for path in segments for line in read_lines(path)]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def record(event):
    return GatewayRecord(event=str(event))


def test_what_is_written_is_there_after_a_restart_and_verifies(place):
    log = place.open()
    assert log.append([record("a"), record("b")]) == 1
    assert log.append([record("c")]) == 3
    root = log.root
    log.close()
    log = place.open()
    assert (log.size, log.root) == (3, root)
    assert log.append([record("d")]) == 4
    log.close()
    assert place.verify().ok
    assert place.verify().signed_size == 4
    assert place.events() == ["a", "b", "c", "d"]


def test_only_the_owner_may_read(place):
    place.open().close()
    assert stat.S_IMODE(place.directory.stat().st_mode) == 0o700
    for path in place.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = place.directory.parent / "keys"
    assert stat.S_IMODE((keys / "audit.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((keys / "audit_arguments.key").stat().st_mode) == 0o600


def test_a_log_goes_on_in_segments(place):
    log = place.open(segment_bytes=600)
    for number in range(20):
        log.append([record(number)])
    log.close()
    log = place.open(segment_bytes=600)
    log.append([record(20)])
    log.close()
    found = place.verify()
    assert found.ok
    assert found.segments > 4
    assert place.events() == [str(number) for number in range(21)]


def test_two_writers_are_not_admitted(place):
    log = place.open()
    with pytest.raises(AuditUnavailable, match="another process writes"):
        place.open()
    log.close()
    place.open().close()


def test_a_sync_comes_before_every_acknowledgement(place):
    disk = FaultyDisk()
    log = place.open(disk)
    disk.log.clear()
    log.append([record("a"), record("b")])
    assert disk.log == ["write", "sync"]


# --- crashes ---------------------------------------------------------------------------------


def run_until_it_breaks(place, disk, records=8, segment_bytes=500):
    """Sequences that were acknowledged before the disk, or the process, failed."""
    acknowledged = []
    try:
        log = place.open(disk, segment_bytes)
        for number in range(records):
            log.append([record(f"{number}a"), record(f"{number}b")])
            acknowledged += [f"{number}a", f"{number}b"]
            if number % 3 == 2:
                log.sign()
        log.close()
    except (Crash, OSError, AuditUnavailable):
        return acknowledged, False
    finally:
        if hasattr(place, "files"):
            place.kill()
    return acknowledged, True


@pytest.mark.parametrize("part", [0.0, 0.4, 0.99])
def test_a_crash_at_the_nth_step_loses_nothing_acknowledged(tmp_path, part):
    """For rising n, until a run gets through: every system call has been the last one once."""
    for fail_at in range(1, 500):
        place = Place(tmp_path / str(fail_at))
        acknowledged, finished = run_until_it_breaks(place, FaultyDisk(fail_at, part=part))
        log = place.open()
        log.append([record("after")])
        log.close()
        events = [event for event in place.events() if event not in {"recovered", "after"}]
        assert events[: len(acknowledged)] == acknowledged, f"step {fail_at}"
        assert place.verify().ok, (fail_at, place.verify().problems)
        if finished:
            break
    assert finished
    assert fail_at > 30


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_an_error_at_the_nth_step_loses_nothing_acknowledged(tmp_path, error):
    for fail_at in range(1, 500):
        place = Place(tmp_path / str(fail_at))
        disk = FaultyDisk(fail_at, OSError(error, os.strerror(error)), part=0.5)
        acknowledged, finished = run_until_it_breaks(place, disk)
        place.open().close()
        assert [e for e in place.events() if e != "recovered"][: len(acknowledged)] == acknowledged
        assert place.verify().ok, (fail_at, place.verify().problems)
        if finished:
            break
    assert finished


def test_a_torn_line_is_cut_off_and_recorded(place):
    log = place.open()
    log.append([record("a")])
    place.kill()
    path = segment_path(place.directory, 1)
    path.write_bytes(path.read_bytes() + b"0123456789abcdef torn")
    log = place.open()
    assert log.size == 2
    log.close()
    assert place.events() == ["a", "recovered"]
    line = path.read_bytes().splitlines()[1]
    assert b'"cut_bytes":21' in line
    assert place.verify().ok


def test_a_batch_that_lost_pages_in_its_middle_is_cut_off(place):
    """Pages of one write reach the disk in any order; only the sync orders batches."""
    log = place.open()
    log.append([record("a")])
    path = segment_path(place.directory, 1)
    whole = len(path.read_bytes())
    log.append([record("x" * 300) for _ in range(5)])
    place.kill()
    data = bytearray(path.read_bytes())
    data[whole + 500 : whole + 700] = bytes(200)
    path.write_bytes(data)
    log = place.open()
    assert place.events()[0] == "a"
    assert place.events()[-1] == "recovered"
    log.close()
    assert place.verify().ok


def test_damage_before_the_last_batch_is_not_repaired(place):
    log = place.open()
    log.append([record("a")])
    log.append([record("b")])
    log.append([record("c")])
    place.kill()
    path = segment_path(place.directory, 1)
    data = path.read_bytes().replace(b'"event":"b"', b'"event":"B"')
    path.write_bytes(data)
    with pytest.raises(AuditDamaged) as damaged:
        place.open()
    assert "record 2 in log-000001.jsonl, line 2, byte" in damaged.value.message
    assert "was `b` and is `B`" in damaged.value.message
    assert path.read_bytes() == data, "evidence is left alone"


def test_signed_records_are_never_cut_off(place):
    log = place.open()
    log.append([record("a")])
    log.append([record("b")])
    log.close()
    path = segment_path(place.directory, 1)
    whole = path.read_bytes()
    for cut in (1, 20, 190, len(whole)):
        path.write_bytes(whole[:-cut])
        with pytest.raises(AuditDamaged):
            place.open()
    path.unlink()
    with pytest.raises(AuditDamaged):
        place.open()
    path.write_bytes(whole)
    place.open().close()


def test_every_flipped_byte_of_a_signed_log_keeps_it_from_starting(place):
    log = place.open()
    log.append([record("a")])
    log.append([record("b")])
    log.close()
    path = segment_path(place.directory, 1)
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(AuditDamaged) as damaged:
            place.open()
        assert "in log-000001.jsonl, line" in damaged.value.message
        assert "cut off" not in damaged.value.message, "what is there and wrong is not missing"
        assert path.read_bytes() == flipped


def test_records_rewritten_together_with_their_hashes_keep_the_log_from_starting(place):
    log = place.open()
    log.append([record("a"), record("b"), record("c")])
    log.close()
    path = segment_path(place.directory, 1)
    lines = path.read_bytes().splitlines()
    data = lines[1][65:].replace(b'"event":"b"', b'"event":"x"')
    lines[1] = leaf_hash(data).hex().encode() + b" " + data
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(AuditDamaged, match="the 3 records here are not those signed"):
        place.open()


@pytest.mark.parametrize("gone", ["log-000002.jsonl", "log-000001.jsonl", "log-000003.checkpoints"])
def test_a_missing_file_keeps_the_log_from_starting(place, gone):
    log = place.open(segment_bytes=300)
    for number in range(5):
        log.append([record(number)])
    log.close()
    (place.directory / gone).unlink()
    if gone.endswith("jsonl"):
        with pytest.raises(AuditDamaged, match="is missing"):
            place.open(segment_bytes=300)
    assert not place.verify().ok


def test_a_log_of_another_key_does_not_start(place, tmp_path):
    place.open().close()
    other = Place(tmp_path / "other")
    other.directory = place.directory
    with pytest.raises(AuditDamaged, match="another key"):
        other.open()


def test_a_checkpoint_that_lost_a_page_is_cut_off_and_a_changed_one_is_not(place):
    log = place.open()
    log.append([record("a")])
    log.sign()
    notes = place.directory / "log-000001.checkpoints"
    before = len(notes.read_bytes())
    log.append([record("b")])
    log.close()
    whole = notes.read_bytes()
    lost = bytearray(whole)
    lost[before + 40 : before + 60] = bytes(20)
    notes.write_bytes(lost)
    place.open().close()
    assert place.verify().ok
    assert place.verify().signed_size == 2, "signed again"
    changed = whole.replace(b"=\ntime", b"=\nTime")
    notes.write_bytes(changed)
    with pytest.raises(AuditDamaged, match="signature does not fit"):
        place.open()
    assert notes.read_bytes() == changed


class PowerCutDisk(FaultyDisk):
    """Remembers what was written since the last sync, and loses a random part of it."""

    def __init__(self, fail_at, *, syncs):
        super().__init__(fail_at)
        self.syncs = syncs
        self.unsynced = {}
        self.paths = {}
        self.unnamed = set()

    def open_append(self, path, *, new):
        descriptor = super().open_append(path, new=new)
        self.paths[descriptor] = path
        if new:
            self.unnamed.add(path)
        return descriptor

    def write(self, descriptor, data, offset):
        path = self.paths[descriptor]
        before = path.read_bytes()
        self.unsynced.setdefault(path, before)
        return super().write(descriptor, data, offset)

    def sync(self, descriptor):
        super().sync(descriptor)
        if self.syncs:
            self.unsynced.pop(self.paths[descriptor], None)

    def sync_directory(self, descriptor):
        super().sync_directory(descriptor)
        if self.syncs:
            self.unnamed.clear()

    def cut(self, chance):
        for path, old in self.unsynced.items():
            if path.exists():
                path.write_bytes(lose(chance, old, path.read_bytes()))
        for path in self.unnamed:
            if path.exists() and chance.random() < 0.5:
                path.unlink()


def lose(chance, old, new, page=128):
    """Some pages of the new content are still the old ones, and the length is anything between."""
    kept = bytearray(new[: chance.randint(len(old), max(len(old), len(new)))])
    for start in range(0, len(kept), page):
        if chance.random() < 0.5:
            was = old[start : start + page]
            size = len(kept[start : start + page])
            kept[start : start + page] = was.ljust(size, b"\0")[:size]
    return bytes(kept)


def cut_power_often(tmp_path, cuts, *, syncs):
    """How many cuts lost something acknowledged or left a log that does not start."""
    chance = random.Random(7)
    lossy = 0
    for cut in range(cuts):
        place = Place(tmp_path / str(cut))
        disk = PowerCutDisk(chance.randint(4, 60), syncs=syncs)
        acknowledged, _ = run_until_it_breaks(place, disk)
        disk.cut(chance)
        try:
            place.open().close()
        except AuditDamaged:
            lossy += 1
            continue
        kept = [event for event in place.events() if event != "recovered"]
        lossy += kept[: len(acknowledged)] != acknowledged or not place.verify().ok
    return lossy


def test_no_power_cut_loses_anything_acknowledged(tmp_path):
    assert cut_power_often(tmp_path, 120, syncs=True) == 0


def test_the_power_cut_would_show_a_missing_sync(tmp_path):
    assert cut_power_often(tmp_path, 30, syncs=False) > 15


def test_kill_9_loses_nothing_acknowledged(place):
    code = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from pbac.adapters.audit_files import open_audit_files
        from pbac.adapters.audit_keys import open_audit_keys
        from pbac.adapters.group_commit import GroupCommit
        from pbac.audit.log import AuditLog
        from pbac.audit.record import GatewayRecord
        from pbac.base.clock import SystemClock

        async def worker(front, name):
            for number in range(1_000_000):
                sequence = await front.append(GatewayRecord(event=f"{name}.{number}"))
                sys.stdout.write(f"{sequence} {name}.{number}\\n")
                sys.stdout.flush()

        async def main():
            state = Path(sys.argv[1])
            keys = open_audit_keys(state / "keys", "gateway.example/audit")
            files, at = open_audit_files(state / "audit", keys.verifier, segment_bytes=20_000)
            log = AuditLog(files, at, keys.signer, SystemClock())
            log.start()
            front = GroupCommit(log)
            await asyncio.gather(*(worker(front, name) for name in range(8)))

        asyncio.run(main())
    """)
    told = {}
    for round_number in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(place.directory.parent)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        lines = [child.stdout.readline() for _ in range(150 + 70 * round_number)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                sequence, event = line.split()
                told[int(sequence)] = event
    place.open(segment_bytes=20_000).close()
    events = place.events()
    assert len(told) > 500
    for sequence, event in told.items():
        assert events[sequence - 1] == event
    assert place.verify().ok


# --- disks that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_full_disk_refuses_and_goes_on_when_there_is_room(place, part):
    disk = FaultyDisk()
    log = place.open(disk)
    log.append([record("a")])
    before = segment_path(place.directory, 1).read_bytes()
    disk.error, disk.part = OSError(errno.ENOSPC, "No space left on device"), part
    disk.only, disk.calls, disk.fail_at = {"write"}, 0, 1
    with pytest.raises(AuditFull, match="there is no room"):
        log.append([record("b"), record("c")])
    assert segment_path(place.directory, 1).read_bytes() == before, "nothing is left of the batch"
    assert log.append([record("d")]) == 2
    log.close()
    assert place.events() == ["a", "d"]
    assert place.verify().ok


def test_a_full_disk_that_cannot_be_cut_back_is_the_end(place):
    disk = FaultyDisk()
    log = place.open(disk)
    disk.error, disk.part = OSError(errno.ENOSPC, "No space left on device"), 0.5
    disk.only, disk.calls, disk.fail_at = {"write"}, 0, 1
    disk.truncate = lambda _descriptor, _size: (_ for _ in ()).throw(OSError(errno.EIO, "I/O"))
    with pytest.raises(AuditUnavailable) as failed:
        log.append([record("b")])
    assert not isinstance(failed.value, AuditFull)
    with pytest.raises(AuditUnavailable, match="out of use"):
        log.append([record("c")])


def test_after_one_failed_sync_nothing_is_acknowledged_any_more(place):
    disk = FaultyDisk()
    log = place.open(disk)
    log.append([record("a")])
    disk.error = OSError(errno.EIO, "Input/output error")
    disk.only, disk.calls, disk.fail_at = {"sync"}, 0, 1
    with pytest.raises(AuditUnavailable, match="Input/output error"):
        log.append([record("b")])
    disk.log.clear()
    for _ in range(3):  # the disk would answer again: it is not asked
        with pytest.raises(AuditUnavailable, match="out of use"):
            log.append([record("c")])
    with pytest.raises(AuditUnavailable):
        log.close()
    assert disk.log == []
    log = place.open()
    log.append([record("d")])
    log.close()
    assert place.events()[0] == "a"
    assert "c" not in place.events()
    assert place.verify().ok


def test_a_disk_that_lies_is_noticed(place):
    """Written and synced, and something else is read back."""

    class LyingDisk(Disk):
        def write(self, descriptor, data, offset):
            return super().write(descriptor, data.replace(b"allowed", b"refused"), offset)

    log = place.open(LyingDisk())
    with pytest.raises(AuditUnavailable, match="does not read back"):
        log.append([record("allowed")])


def test_a_real_size_limit_is_a_full_disk(place):
    """RLIMIT_FSIZE: the kernel's own refusal, partial write included."""
    log = place.open()
    log.append([record("a")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(AuditFull):
            log.append([record("x" * 2_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.append([record("b")]) == 2
    log.close()
    assert place.events() == ["a", "b"]
    assert place.verify().ok


def test_what_no_checkpoint_vouches_for_is_written_again_at_the_start(place):
    """The sync that failed may have dropped it although it still reads back from the cache."""
    log = place.open()
    log.append([record("a")])
    log.sign()
    log.append([record("b")])
    place.kill()
    written = []

    class WatchedDisk(Disk):
        def write(self, descriptor, data, offset):
            written.append(data)
            return super().write(descriptor, data, offset)

    place.open(WatchedDisk()).close()
    again = [data for data in written if b'"event"' in data]
    assert len(again) == 1
    assert b'"event":"b"' in again[0]
    assert b'"event":"a"' not in again[0]


def test_a_log_is_verified_while_it_is_written(place):
    log = place.open(segment_bytes=2_000)
    for number in range(60):
        log.append([record(number)])
        if number % 7 == 0:
            log.sign()
            assert place.verify().ok
    log.close()
