"""Values of the policy language, as plain JSON values, and the two that JSON lacks.

Datetimes are integers (milliseconds since the epoch, UTC), durations integers (milliseconds),
dates strings (`2026-07-06`), networks and versions strings. Which is which is known from the
request's table and the checker, never guessed from the value: so a request is JSON and a
record can be replayed bit for bit.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

Value: TypeAlias = Any
"""None, bool, int, float, str, list or dict with str keys, nested."""


class Absent(Enum):
    """`MISSING`: the path leads nowhere. Not null, not false, not unknown."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Absent.MISSING

_KIND_OF: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    tuple: "list",
    dict: "record",
}


def kind_of(value: Value) -> str:
    """`null`, `boolean`, `number`, `string`, `list` or `record`; a bool is never a number.

    Raises:
        KeyError: for anything that is not a JSON value.
    """
    return _KIND_OF[type(value)]
