"""Where the product answers otherwise than the catalogue, one line a case, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decided:
    """What replaces the catalogue's expectation; `errors` are words or numbers as text."""

    http: frozenset[int]
    errors: frozenset[str]
    why: str


def answers(http: int | tuple[int, ...], errors: str, why: str) -> Decided:
    """One row: statuses, and words or numbers with blanks between them."""
    statuses = (http,) if isinstance(http, int) else http
    return Decided(frozenset(statuses), frozenset(errors.split()), why)


DECIDED = {
    "JSN-29": answers(
        (200, 400),
        "",
        "docs/decisions/prototype_name.md: readers in JavaScript drop `__proto__` or inherit from "
        "it, so that one name is refused; all others are plain keys",
    ),
    "MCP-39": answers(
        404,
        "session_not_found -32600",
        "2025-11-25 transports: a session that is not the caller's is answered as one that does not "
        "exist, or its thief would learn that it is live",
    ),
}
