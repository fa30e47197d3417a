"""The audit log as files: `AuditStorage` with its promises kept.

    audit/log-000001.jsonl          lines (`audit/lines`)
    audit/log-000001.checkpoints    signed notes; the first opens the segment and carries the edge

One writer, by `flock` on the directory. A batch is one write at a known offset, one `fdatasync`,
and is then read back and compared. When there is no room, the file is cut back to its acknowledged
length and the log goes on. After any other error, and after *any* failed sync, nothing is written
again: the kernel reports a failed write-back once and then forgets the pages, so a later sync that
succeeds proves nothing about them. `open_audit_files` therefore also writes again whatever no
checkpoint vouches for, before it trusts it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pbac.adapters.audit_reader import notes_path, read_lines, segment_numbers, segment_path
from pbac.adapters.disk import Disk
from pbac.audit.checkpoint import Verifier
from pbac.audit.log import LogState
from pbac.audit.recovery import HELP, Notes, Recovered, read_notes, recover
from pbac.audit.storage import AuditDamaged, AuditFull, AuditUnavailable
from pbac.base.limits import AUDIT_SEGMENT_BYTES_MAX

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIRECTORY_MODE: Final = 0o700


class _File:
    """One append-only file. INVARIANT: its first `size` bytes are durable."""

    def __init__(self, disk: Disk, path: Path, size: int, *, new: bool = False) -> None:
        self._disk = disk
        self.path = path
        self.size = size
        self._descriptor = disk.open_append(path, new=new)

    def append(self, data: bytes) -> None:
        """Durable when it returns; `AuditFull` when there is no room and nothing is left of it."""
        try:
            self._write(data, self.size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self.cut(self.size)
            raise AuditFull(
                f"there is no room for the record in `{self.path.name}`: {error.strerror}",
                help="free some space on the disk of the audit log",
            ) from None
        self._disk.sync(self._descriptor)
        if self._disk.read(self._descriptor, len(data), self.size) != data:
            raise AuditUnavailable(f"`{self.path.name}` does not read back as it was written")
        self.size += len(data)

    def cut(self, size: int) -> None:
        """Durably cut to `size` bytes."""
        self._disk.truncate(self._descriptor, size)
        self._disk.sync(self._descriptor)
        self.size = size

    def write_again(self, start: int) -> None:
        """Make everything from `start` dirty and durable once more."""
        while start < self.size:
            data = self._disk.read(self._descriptor, min(self.size - start, 1 << 20), start)
            self._write(data, start)
            start += len(data)
        self._disk.sync(self._descriptor)

    def _write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = self._disk.write(self._descriptor, bytes(view), offset)
            view, offset = view[written:], offset + written

    def close(self) -> None:
        self._disk.close(self._descriptor)


class AuditFiles:
    """`audit.storage.AuditStorage` in a directory that is already locked."""

    def __init__(self, directory: Path, descriptor: int, disk: Disk, segment_bytes: int) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._number = 0
        self._segment: _File | None = None
        self._notes: _File | None = None
        self._failure: str = ""

    def append(self, lines: bytes) -> None:
        """See `AuditStorage.append`."""
        assert self._segment is not None
        self._append(self._segment, lines)

    def append_checkpoint(self, note: bytes) -> None:
        """See `AuditStorage.append_checkpoint`."""
        assert self._notes is not None
        self._append(self._notes, note)

    def is_segment_full(self) -> bool:
        """See `AuditStorage.is_segment_full`."""
        return self._segment is None or self._segment.size >= self._segment_bytes

    def begin_segment(self, note: bytes) -> None:
        """See `AuditStorage.begin_segment`: the file of lines appears last and makes it exist."""
        self._check()
        number = self._number + 1
        created: list[_File] = []
        try:
            created.append(_File(self._disk, notes_path(self._directory, number), 0, new=True))
            created[0].append(note)
            # The order of two new names in one directory is the order of its syncs, nothing else.
            self._disk.sync_directory(self._descriptor)
            created.append(_File(self._disk, segment_path(self._directory, number), 0, new=True))
            self._disk.sync_directory(self._descriptor)
        except (OSError, AuditUnavailable) as error:
            raise self._undo(created, error) from None
        self._close_files()
        self._number = number
        self._notes, self._segment = created

    def _undo(self, created: list[_File], error: OSError | AuditUnavailable) -> AuditUnavailable:
        """No room for a segment: as if it had never been tried. Anything else: out of use."""
        is_full = isinstance(error, AuditFull) or (
            isinstance(error, OSError) and error.errno in _NO_ROOM
        )
        try:
            for file in created:
                file.close()
                if is_full:
                    self._disk.remove(file.path)
        except OSError as another:
            return self._fail(another)
        if not is_full:
            return self._fail(error)
        return AuditFull("there is no room for a new segment of the audit log")

    def close(self) -> None:
        """See `AuditStorage.close`."""
        self._failure = self._failure or "it is closed"
        self._close_files()
        if self._descriptor >= 0:
            os.close(self._descriptor)  # and with it the lock
            self._descriptor = -1

    def _append(self, file: _File, data: bytes) -> None:
        self._check()
        try:
            file.append(data)
        except AuditFull:
            raise
        except (OSError, AuditUnavailable) as error:
            raise self._fail(error) from None

    def _check(self) -> None:
        if self._failure:
            raise AuditUnavailable(f"the audit log is out of use: {self._failure}")

    def _fail(self, error: OSError | AuditUnavailable) -> AuditUnavailable:
        reason = error.strerror if isinstance(error, OSError) else error.message
        self._failure = reason or "the disk failed"
        return AuditUnavailable(
            f"the audit log is out of use: {self._failure}",
            help="look at the disk, then restart the gateway: it reads the whole log back",
        )

    def _close_files(self) -> None:
        for file in (self._segment, self._notes):
            if file is not None:
                with suppress(OSError):
                    file.close()
        self._segment = self._notes = None

    def resume(self, number: int, recovered: Recovered, notes: Notes) -> None:
        """Go on in the segment that was read back: torn ends are cut, the unsigned rewritten."""
        self._number = number
        self._segment = _File(
            self._disk, segment_path(self._directory, number), recovered.whole_bytes
        )
        self._segment.cut(recovered.whole_bytes)
        self._segment.write_again(recovered.unsigned_from)
        self._notes = _File(self._disk, notes_path(self._directory, number), notes.whole_bytes)
        self._notes.cut(notes.whole_bytes)
        self._notes.write_again(0)
        self._disk.sync_directory(self._descriptor)


def open_audit_files(
    directory: Path,
    verifier: Verifier,
    *,
    disk: Disk | None = None,
    segment_bytes: int = AUDIT_SEGMENT_BYTES_MAX,
) -> tuple[AuditFiles, LogState]:
    """Lock the directory, read the last segment back and verify it against its checkpoints.

    Raises:
        AuditUnavailable: when another process writes this log, or the disk does not answer.
        AuditDamaged: when what is there is not what was written; nothing is changed then.
    """
    disk = disk or Disk()
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        files = AuditFiles(directory, descriptor, disk, segment_bytes)
        try:
            return files, _recover(files, directory, descriptor, disk, verifier)
        except BaseException:
            files.close()
            raise
    except OSError as error:
        raise AuditUnavailable(
            f"the audit log in `{directory}` cannot be opened: {error}"
        ) from None


def _recover(
    files: AuditFiles, directory: Path, descriptor: int, disk: Disk, verifier: Verifier
) -> LogState:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditUnavailable(
            f"another process writes the audit log in `{directory}`",
            help="one gateway per state directory; stop the other one first",
        ) from None
    numbers = segment_numbers(directory)
    for expected, number in enumerate(numbers, 1):
        if number != expected or (
            number < numbers[-1] and not segment_path(directory, number).exists()
        ):
            raise AuditDamaged(f"`{segment_path(directory, expected).name}` is missing", help=HELP)
    while numbers:
        number = numbers.pop()
        path, notes_file = segment_path(directory, number), notes_path(directory, number)
        notes = read_notes(
            notes_file.name, notes_file.read_bytes() if notes_file.exists() else b"", verifier
        )
        if notes is not None:
            recovered = recover(path.name, notes, read_lines(path))
            files.resume(number, recovered, notes)
            return recovered.state
        if path.exists():
            raise AuditDamaged(f"`{notes_file.name}` holds no checkpoint", help=HELP)
        disk.remove(notes_file)  # a segment that a crash kept from beginning
    return LogState()
