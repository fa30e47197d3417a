r"""Names that a laxer reader would take for another: the parser differential, in one place.

Go's `encoding/json` takes `"Name"` for `name`; a C reader ends `"name\u0000x"` at the NUL. A
member that could be read as one we know, without being it, is refused where it matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

NamesPath: TypeAlias = tuple[str | None, ...]
"""The way to a value: a name for each step into an object, `EACH` for one into a list."""

EACH: Final = None


def folded(name: str) -> str:
    """A name as the laxest of readers sees it: no case, no controls, no blanks at the ends.

    `casefold` covers what Go folds beyond ASCII: the long s to `s`, the Kelvin sign to `k`.
    """
    if name.isascii() and name.isprintable():
        return name.strip().lower()
    return "".join(c for c in name.partition("\0")[0] if c.isprintable()).strip().casefold()


def lookalike(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` could be taken for without being it, or None."""
    lax = folded(name)
    return next((k for k in known if k != name and folded(k) == lax), None)


class Names:
    """The names somebody knows of an object, and of the values within it.

    Attributes:
        within: of an object: what is known of the member of each name.
        each: of a list: what is known of every item; None when nothing is.
    """

    __slots__ = ("_folded", "each", "within")

    def __init__(self, within: Mapping[str, Names], each: Names | None = None) -> None:
        self.within = within
        self.each = each
        self._folded = {folded(name): name for name in within}

    def lookalike(self, name: str) -> str | None:
        """The known name that `name`, which is not known, could be taken for, or None."""
        return self._folded.get(folded(name))


NO_NAMES: Final = Names({})


def names_of(paths: Iterable[NamesPath]) -> Names:
    """The names that paths into a value go by."""
    heads: dict[str | None, list[NamesPath]] = {}
    for first, *rest in filter(None, paths):
        heads.setdefault(first, []).append(tuple(rest))
    if not heads:
        return NO_NAMES
    each = names_of(heads.pop(EACH)) if EACH in heads else None
    return Names({first: names_of(rests) for first, rests in heads.items() if first}, each)
