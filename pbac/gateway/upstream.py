"""What the enforcement point asks of a server behind it, whatever the transport.

An `Upstream` is one configured backend. Implementations are in `adapters`; they know nothing of
policy and nothing of the caller but an opaque key by which its calls are kept apart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import msgspec

from pbac.base.errors import PbacError
from pbac.mcp.versions import Era

OnNotification: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
"""Takes one server notification of a call as a JSON-RPC tree: progress or a log message."""


class UpstreamFailure(StrEnum):
    """What went wrong. The value is a word of `mcp.wire_errors.WIRE_ERRORS`, except for `rpc`."""

    UNREACHABLE = "upstream_unavailable"  # no connection, no process, or no room for the call
    TIMEOUT = "upstream_timeout"
    PROTOCOL = "upstream_error"  # it answered what no MCP server may answer
    TOO_LARGE = "upstream_response_too_large"
    AUTH = "upstream_auth_failed"  # it refused the *gateway's* credential; not the caller's fault
    RPC = "rpc"  # a sound JSON-RPC error, to be relayed


class UpstreamError(PbacError):
    """A call that has no result.

    Attributes:
        failure: which kind; `code` is its value.
        executed: False when the upstream cannot have run the call; None when nobody knows, in
            which case the outcome is recorded as unknown and the call must not be repeated.
        number, data: of the JSON-RPC error when `failure` is `RPC`.
    """

    def __init__(
        self,
        failure: UpstreamFailure,
        message: str,
        *,
        executed: bool | None,
        number: int = 0,
        data: Any = None,
        help: str | None = None,
    ) -> None:
        super().__init__(message, code=failure.value, help=help)
        self.failure = failure
        self.executed = executed
        self.number = number
        self.data = data


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend says of itself. Names and texts are its own claims."""

    era: Era
    version: str
    name: str
    server_version: str
    capabilities: dict[str, Any]
    instructions: str = ""


class Upstream(Protocol):
    """One backend. Every method may be called concurrently once `start` has returned."""

    async def start(self) -> ServerFacts:
        """Connect and agree on a revision; call again after a failure.

        Raises:
            UpstreamError: with `executed=False`.
        """
        ...

    async def list_tools(self) -> list[dict[str, Any]]:
        """Every page of `tools/list`, as definitions exactly as given, in the server's order.

        Raises:
            UpstreamError: also when there are more pages or tools than the limits allow.
        """
        ...

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        principal_key: str,
        meta: dict[str, Any],
        on_notification: OnNotification | None = None,
    ) -> dict[str, Any]:
        """Run one tool and return its result tree, `isError` results included.

        Calls of two principals never share an upstream session over HTTP; a stdio server is one
        process that knows no principals. `meta` may hold the caller's
        `progressToken` and trace context; progress comes back under that same token. Cancelling
        the task that awaits this tells the upstream to stop.

        Raises:
            UpstreamError: never retried unless the call cannot have been executed.
        """
        ...

    async def close(self) -> None:
        """End sessions and processes; bounded in time, callable twice."""
        ...
