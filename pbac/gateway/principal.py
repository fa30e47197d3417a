"""Who is asking: the agent, the user it acts for, and the chain between them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from pbac.base.limits import PRINCIPALS_CACHED_MAX
from pbac.oauth.model import PrincipalRecord, describe_agent


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
        token: members of the decision request's `token` root that do not change with time.
        scopes: what was consented, as stored with the token. What is effective is decided anew
            on each call: consented ∩ policy now.
    """

    key: str
    agent: dict[str, Any]
    user: dict[str, Any] | None
    chain: dict[str, Any]
    token_id: str
    token: dict[str, Any]
    scopes: frozenset[str]
    issued_at_ms: int


def principal_of(record: PrincipalRecord) -> Principal:
    """The caller a live token stands for. Agents act for themselves until users can sign in."""
    token = record.access_token
    return Principal(
        key=token.client_id,
        agent=describe_agent(record.client),
        user=None,
        chain=acting_alone(),
        token_id=token.token_id,
        token={
            "scopes": sorted(token.scopes),
            "grant": token.grant_type,
            "issued_at": token.issued_at_ms,
            "expires_at": token.expires_at_ms,
        },
        scopes=frozenset(token.scopes),
        issued_at_ms=token.issued_at_ms,
    )


class Principals:
    """Principals made of records, kept while the record in force is the very same object.

    Records are frozen and their keeper makes a new one whenever anything about them may have
    changed, so nothing about a caller outlives a change.
    """

    def __init__(self, kept_max: int = PRINCIPALS_CACHED_MAX) -> None:
        self._kept: OrderedDict[bytes, tuple[PrincipalRecord, Principal]] = OrderedDict()
        self._kept_max = kept_max

    def of(self, record: PrincipalRecord) -> Principal:
        """The principal of a record that may be used now."""
        key = record.access_token.token_hash
        kept = self._kept.get(key)
        if kept is not None and kept[0] is record:
            return kept[1]
        principal = principal_of(record)
        self._kept[key] = record, principal
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return principal
