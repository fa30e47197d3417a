"""The smallest request that still shows a difference, as a case to be kept in `found.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostile.smuggling.arena import Arena
from hostile.smuggling.corpus import sized
from hostile.smuggling.mutations import Mutation

TRIES_MAX = 400


def minimised(arena: Arena, mutation: Mutation) -> str | None:
    """A line for `found.FOUND`, or None when the difference does not show again."""
    if not arena.tried(mutation.data, framed=mutation.framed).differences:
        return None
    tries = iter(range(TRIES_MAX))

    def shows(data: bytes) -> bool:
        try:
            found = arena.tried(data, framed=mutation.framed)
        except OSError:
            return False
        return next(tries, None) is not None and bool(found.differences)

    if mutation.framed:
        head, _, body = mutation.data.partition(b"\r\n\r\n")
        lines = [x for x in head.split(b"\r\n") if not x.lower().startswith(b"content-length")]

        def whole(kept: Sequence[bytes], text: bytes) -> bytes:
            return sized(b"".join(line + b"\r\n" for line in kept), text)

        body = shortest(body, lambda text: shows(whole(lines, text)))
        kept = [lines[0], *shortest(lines[1:], lambda some: shows(whole([lines[0], *some], body)))]
        data = whole(kept, body)
    else:
        data = shortest(mutation.data, shows)
    return f"    ({arena.blanked(data)!r}, {mutation.framed}),"


def shortest(items, shows: Callable):
    """Drop pieces of halving sizes for as long as the rest still `shows` it."""
    size = max(1, len(items) // 2)
    while size:
        at = 0
        while at < len(items):
            less = items[:at] + items[at + size :]
            if shows(less):
                items = less
            else:
                at += size
        size //= 2
    return items
