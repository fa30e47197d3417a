"""Time is an argument. The shell passes `SystemClock`; tests pass one they can turn."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records and policies, monotonic time for bounds and cache ages."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC. May go back when the system clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, origin unspecified."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)


def rfc3339(epoch_ms: int) -> str:
    """`2026-11-23T08:00:00.123Z`, RFC 3339 with milliseconds in UTC."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"
