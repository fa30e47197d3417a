"""The log: records in, durable lines, leaves and checkpoints out.

Theory. A record becomes a *line*, `<64 hex digits of its leaf hash> <canonical bytes>`, and the
leaf is appended to the Merkle tree (`merkle`). Lines are made durable in *batches*: one write, one
sync, one stamp of time. A batch is all or nothing for its callers: the tree moves on only after
the storage has promised durability, so whatever is signed is on the disk first.

A *checkpoint* is the signed root of everything durable so far. It is made at most once in
`AUDIT_CHECKPOINT_SECONDS` while there are new leaves, at the start, at a clean stop, and as the
opening of every segment; that last one also carries the tree's right edge. So a start has to read
only the last segment, from an edge that the log's own key vouches for, and the chain of roots goes
through all segments: a segment that is cut, changed or swapped cannot lead to the next root.

What this detects, and what not: any change within the signed history that is there, by anyone
without the key. Not: a log cut back to an earlier checkpoint, its later segments and checkpoints
removed with it; a tail newer than the last checkpoint (about a second of records after a crash); a
whole log replaced by someone who holds the key. Against all three help checkpoints that others
keep; their format is the one that public witnesses sign.

Time is an argument and there is no file or thread here: `adapters/group_commit` drives an
`AuditLog`, one step at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pbac.audit.checkpoint import Signer, checkpoint, sign
from pbac.audit.lines import render_line
from pbac.audit.merkle import EMPTY, Edge, extend, leaf_hash, root
from pbac.audit.record import GatewayRecord, Record, render, stamp
from pbac.audit.storage import AuditStorage
from pbac.base.clock import Clock, rfc3339
from pbac.base.limits import AUDIT_CHECKPOINT_SECONDS


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log stands, as read back from the disk.

    Attributes:
        edge: of all durable records.
        latest_ms: the latest time in any record.
        signed_size: size of the newest checkpoint; -1 when there is none, not even of nothing.
        torn_bytes: bytes of an unacknowledged tail that were cut off, 0 after a clean stop.
    """

    edge: Edge = EMPTY
    latest_ms: int = 0
    signed_size: int = -1
    torn_bytes: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Records on their way to the disk, and where the log stands once they are there."""

    first: int
    lines: bytes
    edge: Edge
    latest_ms: int


class AuditLog:
    """One log with one writer. Not for more than one thread at a time.

    `prepare` only computes; `commit`, `sign`, `start` and `close` wait for the disk.
    """

    def __init__(
        self, storage: AuditStorage, state: LogState, signer: Signer, clock: Clock
    ) -> None:
        self._storage = storage
        self._signer = signer
        self._clock = clock
        self._edge = state.edge
        self._latest_ms = state.latest_ms
        self._signed_size = state.signed_size
        self._signed_at = clock.monotonic()
        self._torn_bytes = state.torn_bytes

    def start(self) -> None:
        """Begin the first segment of a new log, tell of a cut tail, sign what was read back.

        Raises:
            AuditUnavailable: when the disk does not take it.
        """
        if self._torn_bytes:
            detail = {"cut_bytes": self._torn_bytes, "why": "written but never acknowledged"}
            self.append([GatewayRecord(event="recovered", detail=detail)])
        elif self._storage.is_segment_full():
            self._begin_segment()
        self.sign()

    @property
    def size(self) -> int:
        """How many records are durable; the sequence of the last one."""
        return self._edge.size

    @property
    def root(self) -> bytes:
        """Root hash of all durable records."""
        return root(self._edge)

    def append(self, records: Sequence[Record]) -> int:
        """Make a batch durable; the sequence of its first record. Raises as `commit` does."""
        batch = self.prepare(records)
        self.commit(batch)
        return batch.first

    def prepare(self, records: Sequence[Record]) -> Batch:
        """The bytes of the next records. Nothing follows from them until they are committed."""
        first = self._edge.size + 1
        now_ms = self._clock.now_ms()
        mark = stamp(first, now_ms, self._latest_ms)
        leaves, lines = [], []
        for sequence, record in enumerate(records, first):
            data = render(record, sequence, mark)
            leaf = leaf_hash(data)
            leaves.append(leaf)
            lines.append(render_line(leaf, data))
        return Batch(
            first=first,
            lines=b"".join(lines),
            edge=extend(self._edge, leaves),
            latest_ms=max(self._latest_ms, now_ms),
        )

    def commit(self, batch: Batch) -> None:
        """Make the batch that was prepared last durable.

        Raises:
            AuditFull: nothing was kept, a later batch may succeed.
            AuditUnavailable: the log is failed for good.
        """
        assert batch.first == self._edge.size + 1
        if self._storage.is_segment_full():
            self._begin_segment()
        self._storage.append(batch.lines)
        self._edge = batch.edge
        self._latest_ms = batch.latest_ms

    def checkpoint_due_in(self) -> float | None:
        """Seconds until `sign` has something to do; None while everything is signed."""
        if self._signed_size == self._edge.size:
            return None
        return max(0.0, self._signed_at + AUDIT_CHECKPOINT_SECONDS - self._clock.monotonic())

    def sign(self) -> None:
        """Write a checkpoint of everything durable, unless the newest one already says it.

        Raises:
            AuditFull: it could not be kept; try again later, the log goes on.
            AuditUnavailable: the log is failed for good.
        """
        self._signed_at = self._clock.monotonic()
        if self._signed_size == self._edge.size:
            return
        self._storage.append_checkpoint(self._note())
        self._signed_size = self._edge.size

    def close(self) -> None:
        """Sign what is there and let go of the storage, also when signing fails."""
        try:
            self.sign()
        finally:
            self._storage.close()

    def _begin_segment(self) -> None:
        self._storage.begin_segment(self._note(with_edge=True))
        self._signed_size = self._edge.size
        self._signed_at = self._clock.monotonic()

    def _note(self, *, with_edge: bool = False) -> bytes:
        time = rfc3339(self._clock.now_ms())
        origin = self._signer.key.name
        return sign(checkpoint(origin, self._edge, time, with_edge=with_edge), self._signer)
