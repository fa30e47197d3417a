"""Every method of every revision: what it is, who speaks it, what policy is asked about it.

A method that is not in this table, or not served, is answered `method_not_found`; nothing is
forwarded because nobody thought of it. `docs/reference/methods.md` is generated from the table.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pbac.mcp.versions import LEGACY_VERSIONS, MODERN_VERSIONS, Era, Wire
from pbac.mcp.wire_errors import JsonRpcError, RequestId

_ALL: Final = (*LEGACY_VERSIONS, *MODERN_VERSIONS)
_NEWEST_LEGACY: Final = LEGACY_VERSIONS[-1:]


class Method(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        versions: the revisions in which a caller may send it.
        action: what policy is asked about: `call`, `list`, `read`, `complete`, `task`,
            `subscribe`, or "" for the protocol's own housekeeping.
        resource: the parameter that names what is acted on, or "".
        served: False is denied by default, until its decision has been built.
        notification: True when it carries no id.
        named_by_header: True when a modern caller mirrors `resource` in `Mcp-Name`.
    """

    versions: tuple[str, ...]
    action: str = ""
    resource: str = ""
    served: bool = False
    notification: bool = False
    named_by_header: bool = False


METHODS: Final[dict[str, Method]] = {
    # The protocol itself.
    "initialize": Method(LEGACY_VERSIONS, served=True),
    "ping": Method(LEGACY_VERSIONS, served=True),
    "server/discover": Method(MODERN_VERSIONS, served=True),
    "subscriptions/listen": Method(MODERN_VERSIONS, "subscribe"),
    "logging/setLevel": Method(LEGACY_VERSIONS),
    # Tools.
    "tools/list": Method(_ALL, "list", served=True),
    "tools/call": Method(_ALL, "call", "name", served=True, named_by_header=True),
    # Resources, prompts, completion.
    "resources/list": Method(_ALL, "list"),
    "resources/templates/list": Method(_ALL, "list"),
    "resources/read": Method(_ALL, "read", "uri", named_by_header=True),
    "resources/subscribe": Method(LEGACY_VERSIONS, "subscribe", "uri"),
    "resources/unsubscribe": Method(LEGACY_VERSIONS, "subscribe", "uri"),
    "prompts/list": Method(_ALL, "list"),
    "prompts/get": Method(_ALL, "read", "name", named_by_header=True),
    "completion/complete": Method(_ALL, "complete", "ref"),
    # Tasks: experimental in the core of 2025-11-25, an extension since.
    "tasks/list": Method(_NEWEST_LEGACY, "task"),
    "tasks/result": Method(_NEWEST_LEGACY, "task", "taskId"),
    "tasks/get": Method(
        (*_NEWEST_LEGACY, *MODERN_VERSIONS), "task", "taskId", named_by_header=True
    ),
    "tasks/cancel": Method(
        (*_NEWEST_LEGACY, *MODERN_VERSIONS), "task", "taskId", named_by_header=True
    ),
    "tasks/update": Method(MODERN_VERSIONS, "task", "taskId", named_by_header=True),
    # What a caller may notify. A modern caller has none over HTTP: it is answered 202 and dropped.
    "notifications/initialized": Method(LEGACY_VERSIONS, served=True, notification=True),
    "notifications/cancelled": Method(_ALL, served=True, notification=True),
    "notifications/progress": Method(LEGACY_VERSIONS, served=True, notification=True),
    "notifications/roots/list_changed": Method(LEGACY_VERSIONS, served=True, notification=True),
    "notifications/tasks/status": Method(_NEWEST_LEGACY, served=True, notification=True),
}
"""Method name → row. Names are compared exactly: no trimming, no folding."""


def require_method(name: str, wire: Wire, request_id: RequestId | None) -> Method:
    """The row of a request's method.

    Raises:
        JsonRpcError: `method_not_found` when it is unknown, of another revision, not served, or
            a notification's name sent with an id.
    """
    method = METHODS.get(name)
    if (
        method is None
        or not method.served
        or method.notification
        or wire.version not in method.versions
    ):
        raise JsonRpcError(
            "method_not_found",
            f"`{name}` is not served in {wire.version}",
            help=_elsewhere(method, wire),
            request_id=request_id,
        )
    return method


def require_notification(name: str) -> None:
    """Refuse a request's method that was sent without an id.

    A `tools/call` nobody waits for would be a side effect without an answer. Unknown
    notifications pass: JSON-RPC says to ignore them, and they are never forwarded.

    Raises:
        JsonRpcError: `invalid_request`.
    """
    method = METHODS.get(name)
    if method is not None and not method.notification:
        raise JsonRpcError(
            "invalid_request", f"`{name}` needs an `id`", help="send it as a request"
        )


def _elsewhere(method: Method | None, wire: Wire) -> str | None:
    """2026-07-28: an answer to a removed method should name the versions that are supported."""
    if method is None or not method.served or wire.era is not Era.MODERN:
        return None
    return "supported versions: " + ", ".join(_ALL)
