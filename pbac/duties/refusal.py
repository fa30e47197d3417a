"""How a duty says that it is not met. The enforcement point turns both into a denial."""

from __future__ import annotations

import msgspec


class DutyConflict(msgspec.Struct, frozen=True, kw_only=True):
    """Duties that cannot be carried out together, or at all: the call is refused.

    `rules` are the qualified names of the requirements they came from.
    """

    message: str
    rules: tuple[str, ...]


class DutyRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """A duty that was tried and not met.

    `code` is the symbolic word of the answer: `approval_unavailable`, `quota_exceeded`. `message`
    and `help` may be shown to the agent.
    """

    code: str
    message: str
    help: str
    rules: tuple[str, ...]
