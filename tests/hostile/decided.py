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


_LEGACY_200 = (
    "docs/reference/errors.md: legacy clients are answered with HTTP 200 wherever the envelope was "
    "sound, since some of them drop the body of a 4xx"
)

_NO_HEADER = (
    "what cannot stand in one header line of at most 8 KiB (a line break, 8 MB) is refused by the "
    "HTTP parser before anybody reads a token; everything shorter is 401"
)

DECIDED = {
    "DOS-06": answers(
        415,
        "unsupported_content_encoding",
        "a body in any coding is refused before a byte of it is unpacked",
    ),
    "DOS-17": answers(
        503,
        "overloaded upstream_unavailable",
        "each server has a bound of its own, reached long before the bound of all calls",
    ),
    "JSN-27": answers((200, 400, 404), "-32600 -32601", _LEGACY_200),
    "JSN-30": answers((200, 400), "-32602", _LEGACY_200),
    "DCR-10": answers(
        (404, 405),
        "not_found method_not_allowed",
        "RFC 7592 management is not offered: no registration access token exists, and there is "
        "nothing at the path for anybody's token",
    ),
    "INT-03": answers(
        (200, 413), "", "a form beyond 64 KiB is refused by its length, whatever is in it"
    ),
    "INT-06": answers(
        (401, 403),
        "invalid_token insufficient_scope",
        "product.md, answers to a call: a scope not consented is 403 with an insufficient_scope "
        "challenge; the cache is the gateway's own, for it introspects nowhere",
    ),
    "JWT-25": answers((400, 401), "invalid_token malformed_http duplicate_header", _NO_HEADER),
    "JWT-26": answers((400, 401), "invalid_token malformed_http", _NO_HEADER),
    "JSN-29": answers(
        (200, 400),
        "",
        "docs/decisions/prototype_name.md: readers in JavaScript drop `__proto__` or inherit from "
        "it, so that one name is refused; all others are plain keys",
    ),
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
    "PUP-07": answers(
        (),
        "",
        "policies are published by a command, not over HTTP: exit code 1, and the word "
        "`version_conflict` in the record",
    ),
    "PUP-11": answers(
        (),
        "",
        "published by a command or the folder: exit code 1, and `permits-everything` in the record",
    ),
    "PUP-12": answers(
        (),
        "",
        "compiled in a child process, and refused there: `too-many` in the record; no request is "
        "involved that could be answered",
        audit="none",
    ),
    "PUP-13": answers(
        (400, 404, 405),
        "not_found method_not_allowed invalid_scope",
        "no route takes policies, whatever the token: there is nothing at such a path, no such "
        "scope, and only who may write the gateway's own files changes them",
        audit="request.rejected",
    ),
    "CON-09": answers(
        (),
        "",
        "nothing listens before everything is sound, nor once a stop began: a refused connection, "
        "which balancers and clients try elsewhere at once; calls under way are finished",
        audit="none",
    ),
}
