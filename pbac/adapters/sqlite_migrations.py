"""The schema of the state database, one step at a time, from step 1.

A step that was released is never changed; a new one is appended. A database that knows a step
we do not was written by a newer version: it is refused rather than half understood.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from pbac.oauth.storage import StorageError


class Migration(NamedTuple):
    """One step: its number, what it is about, its statements."""

    version: int
    name: str
    statements: tuple[str, ...]


_CLIENTS: Final = """
CREATE TABLE clients (
  client_id        TEXT PRIMARY KEY,
  client_name      TEXT NOT NULL,
  name_skeleton    TEXT NOT NULL,
  tier             TEXT NOT NULL,
  tier_source      TEXT NOT NULL CHECK (tier_source IN ('statement', 'ceiling', 'operator')),
  status           TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
  scopes           TEXT NOT NULL,
  grant_types      TEXT NOT NULL,
  auth_method      TEXT NOT NULL,
  secret_hash      BLOB CHECK (length(secret_hash) = 32),
  jwks             TEXT NOT NULL,
  kind             TEXT,
  provider         TEXT,
  model            TEXT,
  software_id      TEXT,
  software_version TEXT,
  publisher        TEXT,
  owner            TEXT,
  tags             TEXT NOT NULL,
  registered_at_ms INTEGER NOT NULL
) STRICT
"""

_ACCESS_TOKENS: Final = """
CREATE TABLE access_tokens (
  token_hash    BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
  client_id     TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  grant_type    TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  audience      TEXT NOT NULL,
  issued_at_ms  INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  revoked_at_ms INTEGER
) STRICT
"""

_USED_IDS: Final = """
CREATE TABLE used_ids (
  issuer        TEXT NOT NULL,
  id            TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  PRIMARY KEY (issuer, id)
) STRICT
"""

# AUTOINCREMENT: a number is never given again, also after its row has left.
_CLIENT_CHANGES: Final = """
CREATE TABLE client_changes (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  event         TEXT NOT NULL,
  client_id     TEXT NOT NULL,
  client_name   TEXT NOT NULL,
  tier          TEXT NOT NULL,
  kind          TEXT,
  actor         TEXT NOT NULL,
  detail        TEXT NOT NULL,
  changed_at_ms INTEGER NOT NULL
) STRICT
"""

MIGRATIONS: Final = (
    Migration(
        1,
        "clients, access tokens, used ids",
        (
            _CLIENTS,
            "CREATE INDEX clients_by_skeleton ON clients (name_skeleton)",
            _ACCESS_TOKENS,
            "CREATE INDEX access_tokens_by_client ON access_tokens (client_id, expires_at_ms)",
            "CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at_ms)",
            _USED_IDS,
            "CREATE INDEX used_ids_by_expiry ON used_ids (expires_at_ms)",
        ),
    ),
    Migration(2, "changes by operators, to be recorded", (_CLIENT_CHANGES,)),
)

_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  version       INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL
) STRICT
"""


def migrate(
    connection: sqlite3.Connection, now_ms: int, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Bring a database to the newest step, all in one transaction.

    Raises:
        StorageError: when the database is newer than this program, or its history is not ours.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_LEDGER)
        query = "SELECT version, name FROM schema_migrations ORDER BY version"
        applied = connection.execute(query).fetchall()
        _check_history(applied, migrations)
        for migration in migrations[len(applied) :]:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?)",
                (migration.version, migration.name, now_ms),
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_history(applied: list[tuple[int, str]], migrations: Sequence[Migration]) -> None:
    known = [(migration.version, migration.name) for migration in migrations]
    if len(applied) > len(known):
        raise StorageError(
            f"the state database has schema {applied[-1][0]}, this program knows {known[-1][0]}",
            help="run the version that wrote it, or a newer one",
            code="schema_too_new",
        )
    if applied != known[: len(applied)]:
        raise StorageError("the state database was made by another program", code="schema_unknown")
