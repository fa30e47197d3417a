"""Who is asking: the agent, the user it acts for, and the chain between them."""

from __future__ import annotations

from typing import Any

import msgspec


def acting_alone() -> dict[str, Any]:
    """The `chain` root of an agent that nobody has sent: known to be empty, not unknown."""
    return {"depth": 0, "actors": []}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated caller, as a live access token proves it.

    Attributes:
        key: what sessions, quotas and upstream connections are kept by; two principals with
            equal keys are the same caller. Never shown to anyone.
        agent, user, chain: roots of every decision request of this caller.
        token_id: names the access token in records; the token itself is never kept.
        scopes: what was consented, as stored with the token. What is effective is decided anew
            on each call: consented ∩ policy now.
    """

    key: str
    agent: dict[str, Any]
    user: dict[str, Any] | None
    chain: dict[str, Any]
    token_id: str
    scopes: frozenset[str]
    grant: str
    issued_at_ms: int
    expires_at_ms: int
