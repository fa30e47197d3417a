"""The kind of every path: the built-in request, and what a vocabulary adds to it.

`args`, `facts` and `data` are open until somebody describes them: every path below is of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pbac.lang.kinds import ANY, Kind, record_of
from pbac.model.request import FIELDS, OPEN_ROOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What the checker knows about requests.

    Attributes:
        roots: root → kind; `ANY` for an open one.
    """

    roots: Mapping[str, Kind]

    def fields(self, root: str) -> Mapping[str, Kind] | None:
        """The fields of a root; None when it holds anything."""
        return self.roots[root].fields


BUILT_IN: Final = Schema(
    roots={
        root: ANY if root in OPEN_ROOTS else record_of(fields) for root, fields in FIELDS.items()
    }
)
"""The request that every gateway builds, `args`, `facts` and `data` open."""
