"""Scope lists (RFC 6749 3.3) and the patterns that bound them.

A pattern is a scope, or a prefix that ends in `*` (stays within its segment; segments end at
`:`) or `**` (crosses segments). A lone `*` or `**` is everything. Matching is one comparison of
prefixes, so a ceiling costs nothing and is easy to reason about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from pbac.base.limits import SCOPE_CHARACTERS_MAX, SCOPES_PER_REQUEST_MAX
from pbac.oauth.errors import OAuthError

# RFC 6749 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ); `*` is kept for patterns.
_SCOPE: Final = re.compile(r"[!#-)+-\[\]-~]+")
_PATTERN: Final = re.compile(r"[!#-)+-\[\]-~]*\*{0,2}")


class _Reach(Enum):
    EXACT = 0
    SEGMENT = 1
    CROSSING = 2


def parse_scopes(text: str) -> tuple[str, ...]:
    """The scopes of a request, each once, in order. Raises `OAuthError` (`invalid_scope`)."""
    return _parse(text, _SCOPE, "invalid_scope")


def parse_patterns(text: str, *, code: str = "invalid_client_metadata") -> tuple[str, ...]:
    """The patterns of a ceiling, each once, in order. Raises `OAuthError` with `code`."""
    return _parse(text, _PATTERN, code)


def _parse(text: str, form: re.Pattern[str], code: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(text.split(" ")))
    if len(words) > SCOPES_PER_REQUEST_MAX:
        raise OAuthError(code, f"more than {SCOPES_PER_REQUEST_MAX} scopes")
    for word in words:
        if not word or len(word) > SCOPE_CHARACTERS_MAX or form.fullmatch(word) is None:
            raise OAuthError(code, f"`{word[:40]}` is not a scope; separate scopes by one space")
    return words


def admits(ceiling: Iterable[str], scope: str) -> bool:
    """True when one pattern of `ceiling` covers `scope`, which may be a pattern itself."""
    return any(_covers(pattern, scope) for pattern in ceiling)


def narrow(patterns: Sequence[str], bound: Sequence[str]) -> tuple[str, ...]:
    """What `patterns` and `bound` both cover, as patterns, without repeats."""
    common = (_intersect(pattern, limit) for pattern in patterns for limit in bound)
    return tuple(dict.fromkeys(pattern for pattern in common if pattern is not None))


def _split(pattern: str) -> tuple[str, _Reach]:
    if pattern.endswith("**") or pattern == "*":
        return pattern.rstrip("*"), _Reach.CROSSING
    if pattern.endswith("*"):
        return pattern[:-1], _Reach.SEGMENT
    return pattern, _Reach.EXACT


def _covers(outer: str, inner: str) -> bool:
    prefix, reach = _split(outer)
    text, inner_reach = _split(inner)
    if reach is _Reach.EXACT or inner_reach.value > reach.value:
        return outer == inner
    stays = reach is _Reach.CROSSING or ":" not in text[len(prefix) :]
    return text.startswith(prefix) and stays


def _intersect(one: str, other: str) -> str | None:
    if _covers(one, other):
        return other
    if _covers(other, one):
        return one
    # Left over: `a*` and `ab**`, which share `ab*`.
    (short, reach), (long, _) = sorted((_split(one), _split(other)), key=lambda part: len(part[0]))
    if reach is _Reach.SEGMENT and _covers(f"{short}*", f"{long}*"):
        return f"{long}*"
    return None
