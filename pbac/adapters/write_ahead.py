"""SQLite's write-ahead log, also where several processes open a new file at once."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

_STEP_SECONDS: Final = 0.01


def write_ahead(connection: sqlite3.Connection, busy_seconds_max: float) -> str:
    """Turn it on; the journal mode that came of it, `wal` where the file system allows that.

    SQLite does not wait by itself while another connection makes the same change.

    Raises:
        sqlite3.Error: when it cannot be done, or another is busy for too long.
    """
    until = time.monotonic() + busy_seconds_max
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_STEP_SECONDS)
        else:
            return str(mode)
