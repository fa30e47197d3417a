"""A number in shared memory that changes with every acknowledged write of the state.

Theory. Caches of the state must not outlive a change by another process, and asking SQLite costs
more than the rest of authenticating a call. So every writer follows one order,

    commit (durable) → put a new random value here → acknowledge

and every reader one rule: nothing is answered from a cache that was filled under another value.
The value is taken *before* the state is read to fill the cache, so a change that happens meanwhile
empties it again. Random values rather than a count: two writers that race must not leave the same
number behind. A writer that dies between commit and this store has acknowledged nothing; what it
changed is seen when anything else changes, or after `CACHE_SECONDS_MAX`.

The file holds nothing secret and nothing lasting; when it is lost between two runs, a new one does
as well.
"""

from __future__ import annotations

import mmap
import os
import secrets
from pathlib import Path
from typing import Final

_BYTES: Final = 8


class Epoch:
    """Eight bytes of a file, mapped by every process that opens the state."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` when the file cannot be made or mapped."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < _BYTES:
                # Written, not only lengthened: a store into a page that a full disk has no room
                # for would kill the process.
                os.write(descriptor, bytes(_BYTES))
            self._map = mmap.mmap(descriptor, _BYTES)
        finally:
            os.close(descriptor)
        # One aligned store of a machine word: a reader sees the old value or the new one.
        self._word = memoryview(self._map).cast("Q")

    def current(self) -> int:
        """The value now; costs a memory read."""
        return int(self._word[0])

    def advance(self) -> None:
        """Tell every process that something has been committed."""
        self._word[0] = secrets.randbits(64)

    def close(self) -> None:
        """Unmap it."""
        self._word.release()
        self._map.close()
