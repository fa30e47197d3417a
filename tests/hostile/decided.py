"""Where the product answers otherwise than the catalogue, one line a case, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decided:
    """What replaces the catalogue's expectation; `errors` are words or numbers as text.

    `audit` is what must be found afterwards instead; None leaves that to the catalogue.
    """

    http: frozenset[int]
    errors: frozenset[str]
    why: str
    audit: str | None = None


def answers(
    http: int | tuple[int, ...], errors: str, why: str, audit: str | None = None
) -> Decided:
    """One row: statuses, and words or numbers with blanks between them."""
    statuses = (http,) if isinstance(http, int) else http
    return Decided(frozenset(statuses), frozenset(errors.split()), why, audit)


DECIDED = {
    "MCP-39": answers(
        404,
        "session_not_found -32600",
        "2025-11-25 transports: a session that is not the caller's is answered as one that does not "
        "exist, or its thief would learn that it is live",
    ),
    "POL-07": answers(
        403,
        "policy_denied",
        "Law 3: null, missing and other kinds never pass `!=`; an empty text, `PROD` and `prod ` "
        "are texts other than `prod`, so a rule that means a closed set has to name it",
    ),
    "POL-14": answers(
        403,
        "policy_denied",
        "a glob reads a text: `acme/*` fits `acme/` and `acme/x?ref=..` too, and the reference "
        "says to use `matches` or `within` where somebody else takes the text apart; those refuse "
        "all five",
    ),
    "POL-15": answers(
        403,
        "policy_denied",
        "POSIX 4.13: `/data//x` is `/data/x`, which is within; a symlink is on the upstream's "
        "disk, where no text can show it",
    ),
    "CON-09": answers(
        (),
        "",
        "nothing listens before everything is sound, nor once a stop began: a refused connection, "
        "which balancers and clients try elsewhere at once; calls under way are finished",
        audit="none",
    ),
}
