"""OAuth state in one SQLite file: the storage contract of `oauth.storage`, and the hot read.

Writes run on one thread of their own with one connection: `BEGIN IMMEDIATE`, the whole rule,
`COMMIT`. In WAL mode with `synchronous=FULL` a commit returns after the log is on the disk, so
what was acknowledged survives a crash and a power cut (with NORMAL it would not).

Reads on the way of every call run on the event loop's thread, with another connection and a
bounded cache. INVARIANT: nothing is answered from a cache that was filled under another `Epoch`, or
longer than `CACHE_SECONDS_MAX` ago: a revocation that was acknowledged, by this process or another,
is seen by the very next call. Nothing is acknowledged, nor remembered anew, when the files at their
paths are no longer those that were opened: see `docs/decisions/state_epoch.md`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from pbac.adapters.epoch import Epoch
from pbac.adapters.opened_files import OpenedFiles
from pbac.adapters.sqlite_migrations import migrate
from pbac.adapters.sqlite_rows import FIND_PRINCIPAL, SqliteTransaction, read_principal
from pbac.adapters.write_ahead import write_ahead
from pbac.base.limits import (
    PRINCIPALS_CACHED_MAX,
    STORAGE_BUSY_SECONDS_MAX,
    STORAGE_READ_BUSY_SECONDS_MAX,
)
from pbac.oauth.model import PrincipalRecord
from pbac.oauth.storage import Reader, StorageError, Transaction

Result = TypeVar("Result")

FILE_NAME: Final = "state.sqlite3"
"""The state database within the state directory."""

EPOCH_NAME: Final = "state.epoch"
"""Beside it, what tells every process that it has changed."""

CACHE_SECONDS_MAX: Final = 1.0
"""How long a change stays unseen whose writer died before it could acknowledge it."""

_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # only macOS listens: its fsync alone does not reach the disk
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 16777216",
)


class SqliteState:
    """`oauth.storage.Storage` over one file. Open it once per process, close it at the end.

    `read` and `find_principal_record` belong to the thread of the event loop.
    """

    def __init__(
        self,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        epoch: Epoch,
        files: OpenedFiles,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._epoch = epoch
        self._files = files
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-state")
        self._cache: OrderedDict[bytes, PrincipalRecord] = OrderedDict()
        self._cache_epoch = -1
        self._cache_until = 0.0

    async def transact(self, rule: Callable[[Transaction], Result]) -> Result:
        """See `Storage.transact`. A caller that is cancelled does not stop the transaction."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self.transact_now, rule)

    def transact_now(self, rule: Callable[[Transaction], Result]) -> Result:
        """`transact` for programs without an event loop (the command line)."""
        with _storage_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = rule(SqliteTransaction(self._writer))
                self._writer.execute("COMMIT")
            except BaseException:
                # A failed COMMIT may already have rolled back (a full disk does that).
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._epoch.advance()
            self._require_files()
            return result

    def read(self, rule: Callable[[Reader], Result]) -> Result:
        """See `Storage.read`: one snapshot for the whole rule."""
        with _storage_errors():
            self._reader.execute("BEGIN")
            try:
                return rule(SqliteTransaction(self._reader))
            finally:
                self._reader.execute("ROLLBACK")

    def version(self) -> int:
        """Changes whenever another connection, of this process or another, has committed."""
        with _storage_errors():
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
        return int(version)

    def find_principal_record(self, token_hash: bytes) -> PrincipalRecord | None:
        """See `Storage.find_principal_record`.

        Unknown tokens are not remembered: whoever sends random ones cannot push out the others.
        """
        epoch, now = self._epoch.current(), time.monotonic()
        if epoch != self._cache_epoch or now >= self._cache_until:
            self._cache.clear()
            self._require_files()
            self._cache_epoch, self._cache_until = epoch, now + CACHE_SECONDS_MAX
        record = self._cache.get(token_hash)
        if record is not None:
            self._cache.move_to_end(token_hash)
            return record
        try:
            row = self._reader.execute(FIND_PRINCIPAL, (token_hash,)).fetchone()
        except sqlite3.Error as error:
            raise _storage_error(error) from error
        return None if row is None else self._remember(token_hash, read_principal(row))

    def _require_files(self) -> None:
        path = self._files.replaced()
        if path is not None:
            raise StorageError(
                f"`{path}` is not the file that was opened",
                help="put it back, or start the gateway again on what is there now",
            )

    def _remember(self, token_hash: bytes, record: PrincipalRecord) -> PrincipalRecord:
        self._cache[token_hash] = record
        if len(self._cache) > PRINCIPALS_CACHED_MAX:
            self._cache.popitem(last=False)
        return record

    def close(self) -> None:
        """Finish the transaction that is running, then close the file."""
        self._worker.shutdown(wait=True)
        self._reader.close()
        self._writer.close()
        self._epoch.close()


def open_state(directory: Path, now_ms: int) -> SqliteState:
    """Open (or make) the state database in `directory` and bring it to the newest schema.

    The directory is made with mode 0700 and the file kept at 0600: it holds no secret in the
    clear, but whoever can write it can grant themselves a tier.

    Raises:
        StorageError: when it cannot be opened, is newer than this program, or cannot do WAL.
    """
    path = directory / FILE_NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
        epoch = Epoch(directory / EPOCH_NAME)
    except OSError as error:
        raise StorageError(f"`{path}` cannot be opened: {error.strerror}".lower()) from None
    with _storage_errors():
        writer = _connect(path, STORAGE_BUSY_SECONDS_MAX)
        try:
            _require_wal(writer, path)
            migrate(writer, now_ms)
            reader = _connect(path, STORAGE_READ_BUSY_SECONDS_MAX)
            reader.execute("PRAGMA query_only = ON")
            names = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", EPOCH_NAME)
            files = OpenedFiles(directory / name for name in names)
        except BaseException:
            writer.close()
            raise
    return SqliteState(writer, reader, epoch, files)


def _require_wal(connection: sqlite3.Connection, path: Path) -> None:
    if write_ahead(connection, STORAGE_BUSY_SECONDS_MAX) != "wal":
        raise StorageError(
            f"`{path}` cannot use a write-ahead log", help="put it on a local file system"
        )


def _make_private(path: Path) -> None:
    """SQLite gives its `-wal` and `-shm` files the mode of the main file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            path.chmod(0o600)
    finally:
        os.close(handle)


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _storage_error(error) from error


def _storage_error(error: Exception) -> StorageError:
    return StorageError(f"the state database failed: {error}".lower())
