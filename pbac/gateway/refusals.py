"""Requests that never became a call, counted per window and recorded as one row.

A durable row each would let anyone without a token fill the disk that gates everybody's calls.
"""

from __future__ import annotations

from collections import Counter

from pbac.audit.record import RefusalsRecord


class RefusalWindow:
    """Counts by symbolic code since the last record. Codes come from our tables: bounded."""

    def __init__(self, now_ms: int) -> None:
        self._since_ms = now_ms
        self._counts: Counter[str] = Counter()

    def count(self, code: str) -> None:
        """One more request refused for this reason."""
        self._counts[code] += 1

    def drain(self, now_ms: int) -> RefusalsRecord | None:
        """The record of the window that ends now, and a new window; None when nothing was."""
        counts, since_ms = self._counts, self._since_ms
        self._counts, self._since_ms = Counter(), now_ms
        if not counts:
            return None
        return RefusalsRecord(from_ms=since_ms, to_ms=now_ms, counts=dict(sorted(counts.items())))
