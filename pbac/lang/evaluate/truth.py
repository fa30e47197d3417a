"""Three truths and the logic over them (Law 2). Everything else in the language builds on this.

`UNKNOWN` is also the *value* of an expression that has none: a wrong kind, an undefined result.
`MISSING` (see `model.values`) differs from it: `has` and `default` ask about missing only.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from pbac.model.values import Value


class Truth(Enum):
    """The outcome of a condition in strong Kleene logic."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return self.name


UNKNOWN: Final = Truth.UNKNOWN

_NEGATED: Final = {
    Truth.TRUE: Truth.FALSE,
    Truth.FALSE: Truth.TRUE,
    Truth.UNKNOWN: Truth.UNKNOWN,
}


def truth_of(value: Value) -> Truth:
    """The truth of a value: only `true` and `false` have one; there is no truthiness (Law 3)."""
    if value is True:
        return Truth.TRUE
    return Truth.FALSE if value is False else Truth.UNKNOWN


def value_of(truth: Truth) -> Value:
    """The inverse of `truth_of`: True, False or `UNKNOWN`."""
    return UNKNOWN if truth is Truth.UNKNOWN else truth is Truth.TRUE


def negation(truth: Truth) -> Truth:
    """`not`: swaps true and false, keeps unknown."""
    return _NEGATED[truth]


def conjunction(truths: Iterable[Truth]) -> Truth:
    """`and`: false when any is false, else unknown when any is unknown, else true.

    >>> conjunction([Truth.UNKNOWN, Truth.FALSE])
    FALSE
    """
    found = set(truths)
    if Truth.FALSE in found:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.TRUE


def disjunction(truths: Iterable[Truth]) -> Truth:
    """`or`: true when any is true, else unknown when any is unknown, else false."""
    return negation(conjunction(map(negation, truths)))
