"""What the audit log needs of a disk, as promises. `adapters/audit_files` keeps them."""

from __future__ import annotations

from typing import Protocol

from pbac.base.errors import PbacError


class AuditUnavailable(PbacError):  # noqa: N818 - a state, not a mistake: the answer is 503
    """The record cannot be made durable now, so nothing may be forwarded.

    Once raised without being an `AuditFull`, the log is failed for good: after a failed sync nobody
    knows what the disk holds (the kernel reports the error once, then drops the dirty pages), so
    only a restart, which reads everything back, may write again.
    """

    code = "audit_unavailable"


class AuditFull(AuditUnavailable):
    """There is no room. Nothing of the batch is left in the log; later batches may succeed."""


class AuditDamaged(PbacError):  # noqa: N818
    """The log on disk is not what was written. It is not touched; the gateway does not start."""

    code = "audit_damaged"


class AuditStorage(Protocol):
    """An append-only row of segments with one writer.

    The caller is one thread. After any exception but `AuditFull` every further call raises
    `AuditUnavailable`.
    """

    def append(self, lines: bytes) -> None:
        """Add whole lines to the current segment.

        When it returns, every line is durable and was read back equal. `AuditFull`: none of them
        is in the segment. `AuditUnavailable`: any number of them may be.
        """
        ...

    def append_checkpoint(self, note: bytes) -> None:
        """Add a signed note beside the current segment; durable when it returns.

        `AuditFull`: it is not there, and the checkpoints before it are unharmed.
        """
        ...

    def begin_segment(self, note: bytes) -> None:
        """Close the current segment and begin the next, whose first checkpoint is `note`.

        Atomic: after a crash the new segment either exists with this note, or does not exist.
        `AuditFull`: the old segment goes on.
        """
        ...

    def is_segment_full(self) -> bool:
        """Whether the current segment reached `AUDIT_SEGMENT_BYTES_MAX`, or there is none."""
        ...

    def close(self) -> None:
        """Let another writer in."""
        ...
