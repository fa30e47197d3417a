"""Every policy set version that was ever in force, and by which acts: one SQLite file.

    contents   digest → the bytes of a file, each once
    versions   version → its files (path → digest), its packages
    acts       what put a version in force, in order: the last one says which is in force
    attempts   what was refused, until the gateway has recorded it
    bundles    name → the highest number accepted, and of what
    serving    what the running gateway decides by

A publication is one transaction: its files, its version and its act are there together or not at
all, whenever the program dies. Acts that say which version they follow are refused when another act
came first (`VersionConflict`), so of two who publish at once one is told. It is a file of its own,
so that writing many megabytes never keeps the state of tokens waiting.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pbac.adapters.opened_files import OpenedFiles
from pbac.adapters.policy_files import Files
from pbac.adapters.policy_source import Bundled
from pbac.adapters.policy_versions import Act, Attempt, Serving, Version, short
from pbac.adapters.write_ahead import write_ahead
from pbac.base.errors import PbacError
from pbac.base.limits import (
    POLICY_ACTS_MAX,
    POLICY_ATTEMPTS_MAX,
    POLICY_STORE_BUSY_SECONDS_MAX,
    POLICY_VERSIONS_KEPT_MAX,
)

FILE_NAME: Final = "policies.sqlite3"
"""The store within the state directory."""

Result = TypeVar("Result")


class PolicyStoreError(PbacError):
    """The store cannot be used; trying again may help."""

    code = "policy_store"


class VersionConflict(PbacError):  # noqa: N818  # the field's term
    """Somebody else published first (409)."""

    code = "version_conflict"


class VersionUnknown(PbacError):  # noqa: N818
    """There is no such version, or its files are no longer kept."""

    code = "version_unknown"


_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS contents (digest BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS versions (
         version TEXT PRIMARY KEY, detail BLOB NOT NULL, files BLOB NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS acts (
         number INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, detail BLOB NOT NULL
       ) STRICT""",
    """CREATE TABLE IF NOT EXISTS attempts (
         number INTEGER PRIMARY KEY AUTOINCREMENT, detail BLOB NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS bundles (
         name TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS serving (
         one INTEGER PRIMARY KEY CHECK (one = 1), detail BLOB NOT NULL) STRICT""",
)
_FORMAT: Final = 1
_ACT: Final = re.compile(r"[1-9][0-9]{0,9}")
_encode: Final = msgspec.json.encode


class PolicyStore:
    """The store. Any thread may use it; one at a time does."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = OpenedFiles([path])
        self._lock = threading.Lock()

    # --- writing ---------------------------------------------------------------------------

    def keep(self, version: Version, files: Files) -> None:
        """Keep a version that is sound. It is not in force by that.

        Of the bundle it came in nothing older is accepted from now on, also when its policies are
        the same: it may have been made to withdraw the one before.
        """
        rows = [(hashlib.sha256(data).digest(), data) for data in files.values()]
        listed = {name: row[0] for name, row in zip(files, rows, strict=True)}

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(_KEEP, rows)
            known = _version(connection, version.version)
            bundled = version.bundled or (known.bundled if known else None)
            detail = msgspec.structs.replace(version, bundled=bundled)
            connection.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?)",
                (version.version, _encode(detail), msgspec.msgpack.encode(listed)),
            )
            if version.bundled is not None:
                _accept(connection, version.bundled)

        self._transact(write)

    def publish(self, act: Act, *, expected: str | None = None) -> Act:
        """Put a kept version in force; `previous` and `number` are filled in.

        `expected`: the version that this act follows; None follows whatever is in force.

        Raises:
            VersionConflict: when another version is in force.
            VersionUnknown: when the version is not kept.
        """

        def write(connection: sqlite3.Connection) -> Act:
            head = _head(connection)
            found = head.version if head else ""
            if expected is not None and found != expected:
                raise VersionConflict(
                    f"`{short(found)}` is in force by now, and not `{short(expected)}`",
                    help="look at it with `pbac policy diff`, then publish again",
                )
            version = _version(connection, act.version)
            if version is None:
                raise VersionUnknown(f"there is no version `{short(act.version)}`")
            detail = msgspec.structs.replace(act, previous=found)
            cursor = connection.execute(
                "INSERT INTO acts (version, detail) VALUES (?, ?)",
                (act.version, _encode(detail)),
            )
            _prune(connection)
            return msgspec.structs.replace(detail, number=cursor.lastrowid or 0)

        return self._transact(write)

    def refuse(self, attempt: Attempt) -> None:
        """Note an attempt for the record."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO attempts (detail) VALUES (?)", (_encode(attempt),))
            connection.execute(
                "DELETE FROM attempts WHERE number <= (SELECT max(number) FROM attempts) - ?",
                (POLICY_ATTEMPTS_MAX,),
            )

        self._transact(write)

    def forget_attempt(self, number: int) -> None:
        """It has been recorded."""
        self._transact(
            lambda connection: connection.execute(
                "DELETE FROM attempts WHERE number = ?", (number,)
            )
        )

    def serve(self, serving: Serving) -> None:
        """Say what this gateway decides by."""
        self._transact(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO serving VALUES (1, ?)", (_encode(serving),)
            )
        )

    # --- reading ---------------------------------------------------------------------------

    def head(self) -> Act | None:
        """The act that says what is in force; None before the first."""
        return self._read(_head)

    def find_act(self, number: int) -> Act | None:
        """One act by its number."""
        return self._read(lambda c: next(_acts(c, _ONE_ACT, number), None))

    def acts(self, most: int) -> list[Act]:
        """The last ones, newest first."""
        return self._read(lambda c: list(_acts(c, _LAST_ACTS, most)))

    def find_version(self, version: str) -> Version | None:
        """What is known about a version."""
        return self._read(lambda connection: _version(connection, version))

    def require_version(self, named: str) -> Version:
        """By an act's number, a version, or enough of its first digits.

        Raises:
            VersionUnknown: when it is none, or more than one.
        """
        if _ACT.fullmatch(named) and (act := self.find_act(int(named))) is not None:
            named = act.version
        digits = named.removeprefix("sha256:")
        query = "SELECT detail FROM versions WHERE substr(version, 8, ?) = ?"
        rows = self._read(lambda c: c.execute(query, (len(digits), digits)).fetchall())
        if not digits or len(rows) != 1:
            what = "no version" if not rows else f"{len(rows)} versions"
            raise VersionUnknown(
                f"there {'is' if len(rows) < 2 else 'are'} {what} `{named}`",
                help=f"see `pbac policy list`; the last {POLICY_VERSIONS_KEPT_MAX} are kept",
            )
        return msgspec.json.decode(rows[0][0], type=Version)

    def files(self, version: str) -> Files:
        """The files of a version.

        Raises:
            VersionUnknown: when one of them is gone.
        """

        def read(connection: sqlite3.Connection) -> Files:
            query = "SELECT files FROM versions WHERE version = ?"
            row = connection.execute(query, (version,)).fetchone()
            if row is None:
                raise VersionUnknown(f"there is no version `{short(version)}`")
            listed: Mapping[str, bytes] = msgspec.msgpack.decode(row[0])
            return {name: _content(connection, version, name, listed[name]) for name in listed}

        return self._read(read)

    def oldest_attempt(self) -> Attempt | None:
        """The one to be recorded next."""
        return self._read(_oldest_attempt)

    def accepted_bundles(self) -> dict[str, tuple[int, str]]:
        """Name → highest number, and the digest of that bundle."""
        rows = self._read(
            lambda c: c.execute("SELECT name, number, digest FROM bundles").fetchall()
        )
        return {name: (number, digest) for name, number, digest in rows}

    def serving(self) -> Serving | None:
        """What a gateway said last that it decides by."""
        return self._read(_serving)

    def changes(self) -> int:
        """Another number whenever another connection has committed; cheap."""
        row = self._read(lambda c: c.execute("PRAGMA data_version").fetchone())
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # --- transactions ----------------------------------------------------------------------

    def _require_file(self) -> None:
        """What is at the path is what was opened: a store that nobody else sees decides nothing."""
        if self._file.replaced() is not None:
            raise PolicyStoreError(
                f"`{self._path}` is not the file that was opened",
                help="put it back, or start the gateway again on what is there now",
            )

    def _transact(self, write: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock, _store_errors(self._path):
            self._require_file()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                result = write(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return result

    def _read(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock, _store_errors(self._path):
            self._require_file()
            try:
                self._connection.execute("BEGIN")
                return read(self._connection)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def open_policy_store(state_directory: Path) -> PolicyStore:
    """Open (or make) the store within a state directory.

    Raises:
        PolicyStoreError: when it cannot be opened, or is newer than this program.
    """
    path = state_directory / FILE_NAME
    with _store_errors(path):
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            path,
            timeout=POLICY_STORE_BUSY_SECONDS_MAX,
            isolation_level=None,
            check_same_thread=False,
        )
        write_ahead(connection, POLICY_STORE_BUSY_SECONDS_MAX)
        for pragma in ("synchronous = FULL", "fullfsync = ON"):
            connection.execute(f"PRAGMA {pragma}")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > _FORMAT:
            connection.close()
            raise PolicyStoreError(
                f"`{path}` has format {found}, this program knows {_FORMAT}",
                help="run the version that wrote it, or a newer one",
            )
        if found < _FORMAT:
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            connection.execute("COMMIT")
    return PolicyStore(connection, path)


# What is damaged is mended by publishing the file again.
_KEEP: Final = """
INSERT INTO contents VALUES (?, ?) ON CONFLICT (digest)
DO UPDATE SET data = excluded.data WHERE data IS NOT excluded.data
"""
_LAST_ACTS: Final = "SELECT number, detail FROM acts ORDER BY number DESC LIMIT ?"
_ONE_ACT: Final = "SELECT number, detail FROM acts WHERE number = ?"


def _head(connection: sqlite3.Connection) -> Act | None:
    return next(_acts(connection, _LAST_ACTS, 1), None)


def _acts(connection: sqlite3.Connection, query: str, *values: int) -> Iterator[Act]:
    for number, detail in connection.execute(query, values):
        yield msgspec.structs.replace(msgspec.json.decode(detail, type=Act), number=number)


def _oldest_attempt(connection: sqlite3.Connection) -> Attempt | None:
    query = "SELECT number, detail FROM attempts ORDER BY number LIMIT 1"
    row = connection.execute(query).fetchone()
    if row is None:
        return None
    return msgspec.structs.replace(msgspec.json.decode(row[1], type=Attempt), number=row[0])


def _serving(connection: sqlite3.Connection) -> Serving | None:
    row = connection.execute("SELECT detail FROM serving").fetchone()
    return msgspec.json.decode(row[0], type=Serving) if row else None


def _version(connection: sqlite3.Connection, version: str) -> Version | None:
    query = "SELECT detail FROM versions WHERE version = ?"
    row = connection.execute(query, (version,)).fetchone()
    return msgspec.json.decode(row[0], type=Version) if row else None


def _accept(connection: sqlite3.Connection, bundled: Bundled) -> None:
    """From now on nothing older is accepted under this name."""
    connection.execute(
        "INSERT INTO bundles VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "number = excluded.number, digest = excluded.digest WHERE excluded.number >= number",
        (bundled.name, bundled.number, bundled.digest),
    )


def _content(connection: sqlite3.Connection, version: str, name: str, digest: bytes) -> bytes:
    row = connection.execute("SELECT data FROM contents WHERE digest = ?", (digest,)).fetchone()
    if row is None or hashlib.sha256(row[0]).digest() != digest:
        raise VersionUnknown(
            f"`{name}` of version `{short(version)}` is gone from the store",
            help="publish its files again from where they came from",
        )
    return bytes(row[0])


# What is not among the versions in force last; but not what was kept just now, to be put in force.
_GONE: Final = """
SELECT version FROM versions
WHERE rowid <= (SELECT max(rowid) FROM versions) - ? AND version NOT IN (
  SELECT version FROM acts GROUP BY version ORDER BY max(number) DESC LIMIT ?)
"""
_PRUNE_AT: Final = 16
"""So many versions too many are removed together: finding out whose files are whose takes time."""


def _prune(connection: sqlite3.Connection) -> None:
    """Leave the versions in force last, with their files, and the acts of longer."""
    connection.execute(
        "DELETE FROM acts WHERE number <= (SELECT max(number) FROM acts) - ?", (POLICY_ACTS_MAX,)
    )
    gone = connection.execute(_GONE, (_PRUNE_AT, POLICY_VERSIONS_KEPT_MAX)).fetchall()
    if len(gone) < _PRUNE_AT:
        return
    connection.executemany("DELETE FROM versions WHERE version = ?", gone)
    wanted: set[bytes] = set()
    for (files,) in connection.execute("SELECT files FROM versions"):
        wanted.update(msgspec.msgpack.decode(files).values())
    kept = connection.execute("SELECT digest FROM contents").fetchall()
    unwanted = [row for row in kept if row[0] not in wanted]
    connection.executemany("DELETE FROM contents WHERE digest = ?", unwanted)


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
        raise PolicyStoreError(f"`{path}` cannot be used: {str(error).lower()}") from error
