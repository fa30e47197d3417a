"""What goes back over HTTP, before any web framework sees it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pbac.base.json import encode

JSON: Final = ("Content-Type", "application/json")
RETRY_SOON: Final = ("Retry-After", "1")
UNCACHED: Final = (("Cache-Control", "no-store"), ("Vary", "Authorization"))
"""RFC 9111 5.2.2.5 forbids keeping it at all; a cache told to keep things anyway (many CDNs can be)
is told by `Vary` that what it kept was somebody's answer."""
SERVER: Final = ("Server", "pbac")
"""Nobody needs to know which version of what answers (RFC 9110 10.2.4)."""
ALWAYS: Final = (SERVER, *UNCACHED)
"""The headers of every answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer. `message` is the JSON-RPC message in `body`, for answers on a stream."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    message: dict[str, Any] | None = None


def json_answer(message: dict[str, Any], status: int = 200, *headers: tuple[str, str]) -> Answer:
    """A JSON-RPC message as an HTTP answer that no cache may keep."""
    return Answer(
        status=status,
        body=encode(message),
        headers=(JSON, *ALWAYS, *headers),
        message=message,
    )


def with_header(answer: Answer, name: str, value: str) -> Answer:
    """The same answer with one more header."""
    return msgspec.structs.replace(answer, headers=(*answer.headers, (name, value)))


ACCEPTED: Final = Answer(status=202, headers=ALWAYS)
"""To a notification: an empty 202."""

ENDED: Final = Answer(status=204, headers=ALWAYS)
"""To a DELETE of a session."""
