r"""Names that a laxer reader would take for another: the parser differential, in one place.

Go's `encoding/json` takes `"Name"` for `name`; a C reader ends `"name\u0000x"` at the NUL. A
member that could be read as one we know, without being it, is refused where it matters.
"""

from __future__ import annotations

from collections.abc import Iterable


def folded(name: str) -> str:
    """A name as the laxest of readers sees it: no case, no controls, no blanks at the ends.

    `casefold` covers what Go folds beyond ASCII: the long s to `s`, the Kelvin sign to `k`.
    """
    return "".join(c for c in name.partition("\0")[0] if c.isprintable()).strip().casefold()


def lookalike(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` could be taken for without being it, or None."""
    lax = folded(name)
    return next((k for k in known if k != name and folded(k) == lax), None)
