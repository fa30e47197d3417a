"""Near misses in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pbac.base.json import encode
from pbac.pdp.near_misses import Change, NearMiss


def told(miss: NearMiss, reading: Callable[[Change], str]) -> str:
    """The whole sentence; `reading` tells a path and its value."""
    if miss.outcome == "untried":
        needs = listed(miss.needs) or "something"
        return f"`{miss.rule}` asks for {needs}; whether it would permit this call was not tried"
    shown = ", ".join(map(reading, _worth_telling(miss)))
    return ", and ".join(_promises(miss)) + (f" (tried: {shown})" if shown else "")


def _promises(miss: NearMiss) -> Iterator[str]:
    needs = listed(miss.needs)
    first = f"`{miss.rule}` permits it" if miss.avoided else f"`{miss.rule}` would permit it"
    if needs:
        first = f"`{miss.rule}` would permit it if {needs}"
    if miss.forbidden_by:
        first += f", but {listed(miss.forbidden_by)} would then forbid it"
    yield first
    for each in miss.avoided:
        yield f"`{each.rule}` would not forbid it if {listed(each.needs)}"


def listed(texts: Sequence[str]) -> str:
    """`a` and `b`."""
    return " and ".join(f"`{text}`" for text in texts)


def _worth_telling(miss: NearMiss) -> Iterator[Change]:
    """What the needs leave open: not what they say themselves."""
    needs = {*miss.needs, *(need for each in miss.avoided for need in each.needs)}
    for change in miss.changes:
        if change.state == "missing" and f"not has {change.path}" in needs:
            continue
        if change.state == "value" and f"{change.path} == {encode(change.value).decode()}" in needs:
            continue
        yield change
