"""Near misses: "did you mean" from the names that would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CANDIDATES_MAX = 5_000


def near_misses(word: str, candidates: Iterable[str], most: int = 3) -> list[str]:
    """The candidates most like `word`, best first; deterministic for equal inputs."""
    known = sorted(set(candidates))[:CANDIDATES_MAX]
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lowered, n=most, cutoff=0.6)
    return [lowered[name] for name in close]


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """`did you mean `x`?`, or None when nothing is near."""
    close = near_misses(word, candidates, most=2)
    return "did you mean " + " or ".join(f"`{name}`" for name in close) + "?" if close else None
