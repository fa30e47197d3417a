"""What OAuth needs of a store, and what the store promises.

A rule that changes state is one synchronous function over a `Transaction`. The store runs the
whole function alone (no other writer in between, in this process or another), commits, waits
until the commit is durable, and only then returns: so an answer that was sent is never undone
by a crash, and two racing rules see each other. When the function raises, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pbac.base.errors import PbacError
from pbac.oauth.model import AccessToken, Client, ClientChange, PrincipalRecord, SpentId

Result = TypeVar("Result")


class StorageError(PbacError):
    """State that cannot be read or durably written now: every caller refuses (503)."""

    code = "storage_unavailable"


class Reader(Protocol):
    """One consistent view of the state."""

    def find_client(self, client_id: str) -> Client | None:
        """The client, active or suspended."""
        ...

    def find_client_named_like(self, skeleton: str) -> Client | None:
        """One client whose `client_metadata.skeleton(client_name)` is `skeleton`."""
        ...

    def is_name_suspended(self, skeleton: str) -> bool:
        """Whether some client with this skeleton is suspended: it must not come back anew."""
        ...

    def list_clients(self) -> Sequence[Client]:
        """All clients in order of registration."""
        ...

    def count_clients(self) -> int:
        """How many clients are registered."""
        ...

    def count_access_tokens(self, client_id: str, now_ms: int) -> int:
        """How many access tokens of a client are neither expired nor revoked."""
        ...

    def find_access_token(self, token_hash: bytes) -> AccessToken | None:
        """The token, revoked or not, until it is deleted some time after it expired."""
        ...

    def is_spent(self, used: SpentId) -> bool:
        """True when this id of this issuer has been spent."""
        ...

    def find_oldest_change(self) -> ClientChange | None:
        """The first change by an operator that is not known to stand in the record."""
        ...


class Transaction(Reader, Protocol):
    """A view that no other writer changes, and the changes to it."""

    def insert_client(self, client: Client) -> None:
        """Remember a new client. Its id must be unused."""
        ...

    def replace_client(self, client: Client) -> None:
        """Change everything about a client but its id."""
        ...

    def insert_access_token(self, token: AccessToken) -> None:
        """Remember a new access token of a known client."""
        ...

    def revoke_access_token(self, token_hash: bytes, now_ms: int) -> None:
        """Make the token useless for ever. Revoking twice keeps the first time."""
        ...

    def spend_id(self, used: SpentId, now_ms: int) -> bool:
        """Spend a single-use id; False when it was spent before. Exactly one racer gets True.

        Raises:
            StorageError: when no more ids can be remembered; then nothing may be accepted.
        """
        ...

    def add_change(self, change: ClientChange) -> None:
        """Keep a change until `remove_change`; the store numbers it, whatever `number` says."""
        ...

    def remove_change(self, number: int) -> None:
        """Forget a change that is durably recorded. Removing twice is allowed."""
        ...


class Storage(Protocol):
    """A store of OAuth state."""

    async def transact(self, rule: Callable[[Transaction], Result]) -> Result:
        """Run `rule` alone; return when its changes are durable. See the module's promise.

        Raises:
            StorageError: nothing was written, or nobody can say whether it was.
        """
        ...

    def read(self, rule: Callable[[Reader], Result]) -> Result:
        """Run `rule` over what is committed now. Raises `StorageError`."""
        ...

    def find_principal_record(self, token_hash: bytes) -> PrincipalRecord | None:
        """The token and its client as committed now, by whichever process. Made for each call.

        Raises:
            StorageError: never answer from memory what the store cannot confirm.
        """
        ...
