"""SQL of the state database and the way between its rows and our values.

`SqliteTransaction` is handed to rules; it never begins or commits, its owner does.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from pbac.base import json
from pbac.base.limits import (
    EXPIRED_ROWS_DELETED_PER_WRITE_MAX,
    IDENTIFIER_CHARACTERS_MAX,
    USED_IDS_MAX,
)
from pbac.oauth.client_metadata import skeleton
from pbac.oauth.model import AccessToken, Client, ClientChange, PrincipalRecord, SpentId
from pbac.oauth.storage import StorageError

_CLIENT_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Client))
_TOKEN_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(AccessToken))
_CHANGE_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(ClientChange))
_CLIENT_COLUMNS: Final = ", ".join(f"c.{name}" for name in _CLIENT_FIELDS)
_TOKEN_COLUMNS: Final = ", ".join(f"t.{name}" for name in _TOKEN_FIELDS)

# Column names come from our own structs above; values are always bound.
_SELECT_CLIENT: Final = f"SELECT {_CLIENT_COLUMNS} FROM clients c "  # noqa: S608
_FIND_CLIENT: Final = _SELECT_CLIENT + "WHERE client_id = ?"
_FIND_NAMED: Final = _SELECT_CLIENT + "WHERE name_skeleton = ? LIMIT 1"
_FIND_SUSPENDED: Final = _SELECT_CLIENT + "WHERE name_skeleton = ? AND status = 'suspended' LIMIT 1"
_LIST_CLIENTS: Final = _SELECT_CLIENT + "ORDER BY registered_at_ms, client_id"
_SELECT_TOKEN: Final = f"SELECT {_TOKEN_COLUMNS} FROM access_tokens t "  # noqa: S608
_FIND_TOKEN: Final = _SELECT_TOKEN + "WHERE token_hash = ?"
FIND_PRINCIPAL: Final = (
    f"SELECT {_TOKEN_COLUMNS}, {_CLIENT_COLUMNS} FROM access_tokens t "  # noqa: S608
    "JOIN clients c USING (client_id) WHERE token_hash = ?"
)
"""One access token by its hash, with its client: for `read_principal`."""
_COUNT_LIVE: Final = """SELECT count(*) FROM access_tokens
    WHERE client_id = ? AND expires_at_ms > ? AND revoked_at_ms IS NULL"""
_INSERT_TOKEN: Final = (
    f"INSERT INTO access_tokens ({', '.join(_TOKEN_FIELDS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_TOKEN_FIELDS))})"
)
_OLDEST_CHANGE: Final = (
    f"SELECT {', '.join(_CHANGE_FIELDS)} FROM client_changes "  # noqa: S608
    "ORDER BY number LIMIT 1"
)
_INSERT_CHANGE: Final = (
    f"INSERT INTO client_changes ({', '.join(_CHANGE_FIELDS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_CHANGE_FIELDS))})"
)
_ALL_CLIENT_COLUMNS: Final = (*_CLIENT_FIELDS, "name_skeleton")
_INSERT_CLIENT: Final = (
    f"INSERT INTO clients ({', '.join(_ALL_CLIENT_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_ALL_CLIENT_COLUMNS))})"
)
_REPLACE_CLIENT: Final = (
    f"UPDATE clients SET {', '.join(f'{name} = ?' for name in _ALL_CLIENT_COLUMNS)} "  # noqa: S608
    "WHERE client_id = ?"
)
_DELETE_EXPIRED: Final = {
    table: f"""DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table}
        WHERE expires_at_ms < ? LIMIT {EXPIRED_ROWS_DELETED_PER_WRITE_MAX})"""  # noqa: S608
    for table in ("access_tokens", "used_ids")
}
# The span of row ids bounds their number from above without counting; it is counted only when the
# span is too wide, which one long-lived id at the low end can make it.
_USED_SPAN: Final = "SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM used_ids"
_USED_COUNT: Final = "SELECT count(*) FROM used_ids"


def read_client(row: tuple[Any, ...]) -> Client:
    """A row of `_CLIENT_COLUMNS` as a value."""
    fields = dict(zip(_CLIENT_FIELDS, row, strict=True))
    for name in ("scopes", "grant_types"):
        fields[name] = tuple(fields[name].split())
    for name in ("jwks", "tags"):
        fields[name] = tuple(json.decode(fields[name].encode()))
    return Client(**fields)


def read_token(row: tuple[Any, ...]) -> AccessToken:
    """A row of `_TOKEN_COLUMNS` as a value."""
    fields = dict(zip(_TOKEN_FIELDS, row, strict=True))
    return AccessToken(**{**fields, "scopes": tuple(fields["scopes"].split())})


def read_principal(row: tuple[Any, ...]) -> PrincipalRecord:
    """A row of `FIND_PRINCIPAL` as a value."""
    split = len(_TOKEN_FIELDS)
    return PrincipalRecord(read_token(row[:split]), read_client(row[split:]))


def _write_client(client: Client) -> tuple[Any, ...]:
    fields = msgspec.structs.asdict(client)
    for name in ("scopes", "grant_types"):
        fields[name] = " ".join(fields[name])
    for name in ("jwks", "tags"):
        fields[name] = json.canonical(list(fields[name])).decode()
    return (*fields.values(), skeleton(client.client_name))


class SqliteTransaction:
    """`oauth.storage.Transaction` over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    def _number(self, sql: str, *values: Any) -> int:
        return int(self._connection.execute(sql, values).fetchone()[0])

    def find_client(self, client_id: str) -> Client | None:
        """See `Reader.find_client`."""
        # Unbounded or unencodable text cannot be a key, and SQLite would raise on a surrogate.
        if len(client_id) > IDENTIFIER_CHARACTERS_MAX or not client_id.isprintable():
            return None
        row = self._row(_FIND_CLIENT, client_id)
        return None if row is None else read_client(row)

    def find_client_named_like(self, skeleton: str) -> Client | None:
        """See `Reader.find_client_named_like`."""
        row = self._row(_FIND_NAMED, skeleton)
        return None if row is None else read_client(row)

    def is_name_suspended(self, skeleton: str) -> bool:
        """See `Reader.is_name_suspended`."""
        return self._row(_FIND_SUSPENDED, skeleton) is not None

    def list_clients(self) -> list[Client]:
        """See `Reader.list_clients`."""
        return [read_client(row) for row in self._connection.execute(_LIST_CLIENTS)]

    def count_clients(self) -> int:
        """See `Reader.count_clients`."""
        return self._number("SELECT count(*) FROM clients")

    def count_access_tokens(self, client_id: str, now_ms: int) -> int:
        """See `Reader.count_access_tokens`."""
        return self._number(_COUNT_LIVE, client_id, now_ms)

    def find_access_token(self, token_hash: bytes) -> AccessToken | None:
        """See `Reader.find_access_token`."""
        row = self._row(_FIND_TOKEN, token_hash)
        return None if row is None else read_token(row)

    def is_spent(self, used: SpentId) -> bool:
        """See `Reader.is_spent`."""
        query = "SELECT 1 FROM used_ids WHERE issuer = ? AND id = ?"
        return self._row(query, used.issuer, used.id) is not None

    def find_oldest_change(self) -> ClientChange | None:
        """See `Reader.find_oldest_change`."""
        row = self._row(_OLDEST_CHANGE)
        return None if row is None else ClientChange(**dict(zip(_CHANGE_FIELDS, row, strict=True)))

    def insert_client(self, client: Client) -> None:
        """See `Transaction.insert_client`."""
        self._connection.execute(_INSERT_CLIENT, _write_client(client))

    def replace_client(self, client: Client) -> None:
        """See `Transaction.replace_client`."""
        self._connection.execute(_REPLACE_CLIENT, (*_write_client(client), client.client_id))

    def insert_access_token(self, token: AccessToken) -> None:
        """See `Transaction.insert_access_token`; a few expired rows leave at the same time."""
        fields = msgspec.structs.asdict(token) | {"scopes": " ".join(token.scopes)}
        self._connection.execute(_DELETE_EXPIRED["access_tokens"], (token.issued_at_ms,))
        self._connection.execute(_INSERT_TOKEN, tuple(fields.values()))

    def revoke_access_token(self, token_hash: bytes, now_ms: int) -> None:
        """See `Transaction.revoke_access_token`."""
        self._connection.execute(
            "UPDATE access_tokens SET revoked_at_ms = ? "
            "WHERE token_hash = ? AND revoked_at_ms IS NULL",
            (now_ms, token_hash),
        )

    def spend_id(self, used: SpentId, now_ms: int) -> bool:
        """See `Transaction.spend_id`. The primary key decides the race."""
        self._connection.execute(_DELETE_EXPIRED["used_ids"], (now_ms,))
        if self._number(_USED_SPAN) >= USED_IDS_MAX <= self._number(_USED_COUNT):
            raise StorageError("no more single-use ids can be remembered now", code="used_ids_full")
        added = self._connection.execute(
            "INSERT INTO used_ids (issuer, id, expires_at_ms) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (used.issuer, used.id, used.expires_at_ms),
        )
        return added.rowcount == 1

    def add_change(self, change: ClientChange) -> None:
        """See `Transaction.add_change`."""
        fields = msgspec.structs.asdict(change) | {"number": None}
        self._connection.execute(_INSERT_CHANGE, tuple(fields.values()))

    def remove_change(self, number: int) -> None:
        """See `Transaction.remove_change`."""
        self._connection.execute("DELETE FROM client_changes WHERE number = ?", (number,))
