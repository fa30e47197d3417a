"""Where a log goes on after a stop: the last segment read back, fail closed.

What was acknowledged is intact or the log does not start. What was not acknowledged may be torn: a
batch is one write and one sync, so a crash leaves at most one batch half written, in any order of
its pages. Hence the rule: from the first bad byte on, everything must belong to that one batch
(nobody begins a batch before the previous one is durable), and no checkpoint may vouch for it.
Then it is cut off. Anything else is damage, and damage is evidence: it is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from pbac.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    Verifier,
    is_finished,
    split_notes,
    verify,
)
from pbac.audit.lines import Line, read_line
from pbac.audit.log import LogState
from pbac.audit.merkle import Edge, extend, root
from pbac.audit.storage import AuditDamaged

HELP = "run `pbac audit verify`; restore the log from a copy, or move it aside to begin a new one"


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's checkpoints: the opening one, the newest one, and how many bytes are whole."""

    opening: Checkpoint
    newest: Checkpoint
    whole_bytes: int


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log stands.

    Attributes:
        whole_bytes: length of the segment without its torn tail.
        unsigned_from: offset of the first record that no checkpoint vouches for: what has to be
            written again before it is trusted, because the sync that should have kept it may be
            the one that failed.
    """

    state: LogState
    whole_bytes: int
    unsigned_from: int


def read_notes(name: str, data: bytes, verifier: Verifier) -> Notes | None:
    """The checkpoints of one segment; None when not even the opening one is whole.

    Raises:
        AuditDamaged: when the opening or the newest one is not ours.
    """
    notes = list(split_notes(data))
    whole_bytes = len(data)
    if notes and not is_finished(notes[-1][1]):
        whole_bytes = notes.pop()[0]
    if not notes:
        return None
    opening = _claim(name, *notes[0], verifier)
    if opening.edge is None:
        raise AuditDamaged(f"{name}, byte 0: the opening checkpoint has no edge", help=HELP)
    newest = _claim(name, *notes[-1], verifier)
    return Notes(opening=opening, newest=newest, whole_bytes=whole_bytes)


def _claim(name: str, offset: int, note: bytes, verifier: Verifier) -> Checkpoint:
    try:
        return verify(note, verifier)
    except CheckpointError as error:
        raise AuditDamaged(f"{name}, byte {offset}: {error.message}", help=HELP) from None


def recover(name: str, notes: Notes, lines: Iterable[bytes]) -> Recovered:
    """Read one segment from its opening edge to its end.

    Raises:
        AuditDamaged: naming file, line and byte, when more is wrong than a torn last batch.
    """
    assert notes.opening.edge is not None
    reader = _Reader(name, notes)
    rest = iter(lines)
    torn_bytes = 0
    for data in rest:
        line = read_line(data)
        if reader.is_bad(line):
            torn_bytes = reader.torn(data, line, rest)
            break
        reader.take(data, line)
    return reader.finish(torn_bytes)


class _Reader:
    """The segment as far as it is good."""

    def __init__(self, name: str, notes: Notes) -> None:
        assert notes.opening.edge is not None
        self.name = name
        self.signed = notes.newest
        self.edge: Edge = notes.opening.edge
        self.latest_ms = 0
        self.bytes = 0
        self.lines = 0
        self.unsigned_from = 0
        self.check_root()

    def is_bad(self, line: Line) -> bool:
        return line.record is None or line.fault is not None or not self.follows(line)

    def follows(self, line: Line) -> bool:
        return line.record is not None and line.record["sequence"] == self.edge.size + 1

    def take(self, data: bytes, line: Line) -> None:
        assert line.record is not None
        self.edge = extend(self.edge, (line.leaf,))
        self.latest_ms = max(self.latest_ms, line.record.get("time_ms", 0))
        self.bytes += len(data)
        self.lines += 1
        self.check_root()

    def check_root(self) -> None:
        """The newest checkpoint vouches for every one before it."""
        if self.edge.size != self.signed.size:
            return
        if root(self.edge) != self.signed.root:
            raise self.damaged(f"the {self.signed.size} records here are not those signed")
        self.unsigned_from = self.bytes

    def torn(self, data: bytes, line: Line, rest: Iterator[bytes]) -> int:
        """The number of bytes to cut off, when they can only be one unacknowledged batch."""
        bad = self.edge.size + 1
        what = line.message or f"record {bad} should stand here"
        damage = self.damaged(what, line.at)
        if self.edge.size < self.signed.size:
            raise damage
        cut = len(data)
        if not self.may_be_torn(line, bad):
            raise damage
        for later in rest:
            cut += len(later)
            if not self.may_be_torn(read_line(later), bad):
                raise damage
        return cut

    def may_be_torn(self, line: Line, bad: int) -> bool:
        """False for an intact record of a later batch: it proves that this one was durable."""
        if line.record is None or line.fault is not None:
            return True
        batch = line.record.get("batch")
        return isinstance(batch, int) and batch <= bad < line.record["sequence"]

    def damaged(self, message: str, at: int = 0) -> AuditDamaged:
        where = f"{self.name}, line {self.lines + 1}, byte {self.bytes + at}"
        return AuditDamaged(f"record {self.edge.size + 1} in {where}: {message}", help=HELP)

    def finish(self, torn_bytes: int) -> Recovered:
        if self.edge.size < self.signed.size:
            missing = self.signed.size - self.edge.size
            raise self.damaged(f"{missing} signed records were cut off")
        state = LogState(
            edge=self.edge,
            latest_ms=self.latest_ms,
            signed_size=self.signed.size,
            torn_bytes=torn_bytes,
        )
        return Recovered(state=state, whole_bytes=self.bytes, unsigned_from=self.unsigned_from)
