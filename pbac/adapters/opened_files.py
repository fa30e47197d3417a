"""Are the files at their paths still those that were opened?

A process goes on writing to a file that was moved away, deleted or replaced by a backup, and
nothing tells it: what it acknowledges is gone with the next start, and what another process writes
at the path is never seen. So the state asks here before it acknowledges or remembers anything. (The
audit log does not: there a missing file is found at the next start, which then refuses.)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class OpenedFiles:
    """Files of one process, by device and number."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Call when they are open. Raises `OSError` when one is not there."""
        self._opened = [(path, _identity(path)) for path in paths]

    def replaced(self) -> Path | None:
        """The first path that leads elsewhere now, or nowhere; None when all is well."""
        for path, identity in self._opened:
            try:
                same = _identity(path) == identity
            except OSError:
                same = False
            if not same:
                return path
        return None


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
