"""What the pipeline needs from the shell, as small promises. Assembly fills them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from pbac.audit.record import Record

T = TypeVar("T")

Notify: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends one JSON-RPC notification to the caller of the request in hand."""


class Published(Generic[T]):
    """A value that is replaced as a whole: readers take `.current` once and keep what they took.

    INVARIANT: only assigned on the event loop, so an assignment is the whole publication.
    """

    def __init__(self, value: T) -> None:
        self.current = value


class AuditLog(Protocol):
    """The record. Sequence numbers give the order, never the clock."""

    async def append(self, record: Record) -> int:
        """Return the sequence number once the record is durable.

        Raises:
            AuditUnavailable: it could not be written; the caller must not go on.
        """
        ...

    def enqueue(self, record: Record) -> None:
        """Write it with the next batch, after everything enqueued before; do not wait.

        Raises:
            AuditUnavailable: the log has failed or its queue is full.
        """
        ...


class Counters(Protocol):
    """What operators watch. Never a reason for anything."""

    def decided(self, effect: str, code: str) -> None:
        """Count one decision by its effect and symbolic code."""
        ...

    def refused(self, code: str) -> None:
        """Count one request that was refused before it became a call."""
        ...

    def answered(self, seconds: float) -> None:
        """Observe how long one call took, upstream included."""
        ...
