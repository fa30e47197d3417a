"""Where the product answers otherwise than the catalogue, one line a case, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decided:
    """What replaces the catalogue's expectation; `errors` are words or numbers as text.

    `audit` is "" where the catalogue's own is found.
    """

    http: frozenset[int]
    errors: frozenset[str]
    why: str
    audit: str = ""


def answers(http: int | tuple[int, ...], errors: str, why: str, audit: str = "") -> Decided:
    """One row: statuses, and words or numbers with blanks between them."""
    statuses = (http,) if isinstance(http, int) else http
    return Decided(frozenset(statuses), frozenset(errors.split()), why, audit)


_LEGACY_200 = (
    "docs/reference/errors.md: legacy clients are answered with HTTP 200 wherever the envelope was "
    "sound, since some of them drop the body of a 4xx"
)

DECIDED = {
    "JSN-27": answers((200, 400, 404), "-32600 -32601", _LEGACY_200),
    "JSN-30": answers((200, 400), "-32602", _LEGACY_200),
    "MCP-39": answers(
        404,
        "session_not_found -32600",
        "2025-11-25 transports: a session that is not the caller's is answered as one that does "
        "not exist, or its thief would learn that it is live",
        audit="request.rejected",
    ),
    "MCP-40": answers(
        (200, 404),
        "-32601",
        "2026-07-28 transports: a method that is not served is 404 with -32601; no task of "
        "anybody can be asked for until tasks are served",
        audit="request.rejected",
    ),
    "MCP-41": answers(
        (200, 404),
        "-32601",
        "docs/reference/methods.md: what is not served is denied by default as an unknown method, "
        "and no rule can permit it; 2026-07-28 transports wants 404 with -32601 for that",
        audit="request.rejected",
    ),
}
