"""What a decision is made of: one typed table, one frozen value.

`FIELDS` is the built-in schema the checker reads; `DecisionRequest` carries the values. The
reference page `docs/reference/request.md` is generated from the table.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

FIELDS: Final[dict[str, dict[str, str]]] = {
    "agent": {
        "id": "string",
        "name": "string",
        "tier": "tier",
        "kind": "string",
        "provider": "string",
        "model": "string",
        "software_id": "string",
        "software_version": "version",
        "publisher": "string",
        "verified": "boolean",
        "owner": "string",
        "registered_at": "datetime",
        "tags": "list of string",
    },
    "user": {
        "id": "string",
        "login": "string",
        "email": "string",
        "groups": "list of string",
        "idp": "string",
        "auth_time": "datetime",
    },
    "chain": {"depth": "number", "actors": "list of actor"},
    "token": {
        "scopes": "list of string",
        "grant": "string",
        "issued_at": "datetime",
        "expires_at": "datetime",
        "age": "duration",
    },
    "call": {
        "method": "string",
        "tool": "string",
        "server": "string",
        "scope": "string",
        "tags": "list of string",
        "read_only": "boolean",
        "destructive": "boolean",
        "pinned": "boolean",
    },
    "args": {},
    "facts": {},
    "session": {
        "started_at": "datetime",
        "calls": "number",
        "tools": "list of string",
        "servers": "list of string",
        "labels": "list of string",
    },
    "env": {
        "now": "datetime",
        "today": "date",
        "ip": "address",
        "client": "string",
        "environment": "string",
    },
    "data": {},
}
"""Root → field → kind. `args`, `facts` and `data` are open: their fields come from schemas."""

ACTOR_FIELDS: Final[dict[str, str]] = {
    "id": "string",
    "kind": "string",
    "tier": "tier",
    "provider": "string",
    "verified": "boolean",
}
"""Fields of one element of `chain.actors`, outermost first."""

OPEN_ROOTS: Final = frozenset({"args", "facts", "data"})

UNDETERMINED_WHEN_LISTING: Final = frozenset(
    {"args", "facts", "session", "env", "token.age", "token.grant", "token.expires_at"}
)
"""Law 6: what is not yet known when tools are listed (undetermined, which is not missing).

Scopes are granted by the same sets of outcomes (Law 9), before anybody knows how long a token will
live: so `token.expires_at` is among them.
"""

ISSUE: Final = "token/issue"
"""`call.method` of a request about issuing a scope: `call` is this, `scope`, and the server."""


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one decision may depend on, beside the policy-set version (Law 5).

    Each root is a plain JSON record with the fields of `FIELDS`; a field nobody verified is left
    out, never null. `user` is None when the agent acts for itself. `data` is not here: it
    belongs to the policy set.
    """

    agent: dict[str, Any]
    call: dict[str, Any]
    user: dict[str, Any] | None = None
    chain: dict[str, Any] = {}
    token: dict[str, Any] = {}
    args: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    session: dict[str, Any] = {}
    env: dict[str, Any] = {}
