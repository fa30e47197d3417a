"""The kind of every path: the built-in request, and what a vocabulary adds to it.

`args`, `facts` and `data` are open until somebody describes them: every path below is of any kind.
Vocabularies describe `args` and `facts` by tool, and so for each rule by the tools it can be about
(`check.tools`); `data` stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pbac.lang.kinds.kinds import ANY, Kind, record_of
from pbac.lang.kinds.vocabulary import Vocabulary
from pbac.model.request import FIELDS, OPEN_ROOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What the checker knows about requests.

    Attributes:
        roots: root → kind; `ANY` for an open one.
        servers: server → what its tools are; a server that is not in it has unknown tools.
    """

    roots: Mapping[str, Kind]
    servers: Mapping[str, Vocabulary] = field(default_factory=dict)

    def fields(self, root: str) -> Mapping[str, Kind] | None:
        """The fields of a root; None when it holds anything."""
        return self.roots[root].fields

    def typed(self, arguments: Kind, facts: Kind) -> Schema:
        """The same where these are the arguments and facts."""
        return replace(self, roots={**self.roots, "args": arguments, "facts": facts})


BUILT_IN: Final = Schema(
    roots={
        root: ANY if root in OPEN_ROOTS else record_of(fields) for root, fields in FIELDS.items()
    }
)
"""The request that every gateway builds, `args`, `facts` and `data` open."""
