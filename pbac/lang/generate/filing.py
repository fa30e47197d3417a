"""Files: for which of many rules is a leaf true? Found by the value, not rule by rule.

Theory. Rules of a shape hold a value of the request against a constant each. Turned round, the
value says for which constants the leaf is true, and finding those takes a lookup or two:

    leaf                  filed by                           found by
    x == c                c                                  x
    x in c                each member of c                   x
    x.startswith(c)       c, with every c it begins with     the heads of x, longest first
    x.endswith(c)         c, with every c it ends with       the tails of x, longest first
    x < c, x <= c         the order of c                     bisection: those above x
    x > c, x >= c         the order of c                     bisection: those below x

A file is a function of the value, and of what to answer when there is nothing. It answers with an
integer, a bit for each rule.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import accumulate
from operator import itemgetter, or_
from typing import Any, TypeAlias

Found: TypeAlias = Callable[[Any, int], int]
"""Value, and what to answer for nothing → bits."""
Pair: TypeAlias = tuple[Any, int]
"""The constant of a rule, and its bit."""
File: TypeAlias = Callable[[Sequence[Pair]], Found]


def _by_key(pairs: Iterable[Pair]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for key, bit in pairs:
        found[key] = found.get(key, 0) | bit
    return found


def by_value(rules: Sequence[Pair]) -> Found:
    """For an equality."""
    return _by_key(rules).get


def by_member(rules: Sequence[Pair]) -> Found:
    """For being one of several."""
    return _by_key((member, bit) for members, bit in rules for member in members).get


def by_head(rules: Sequence[Pair]) -> Found:
    """For how a text begins."""
    return _by_part(rules, lambda text, size: text[:size])


def by_tail(rules: Sequence[Pair]) -> Found:
    """For how a text ends."""
    return _by_part(rules, lambda text, size: text[len(text) - size :])


def _by_part(rules: Sequence[Pair], part: Callable[[str, int], str]) -> Found:
    own = _by_key(rules)
    lengths = sorted({len(constant) for constant in own}, reverse=True)
    parts = {text: [part(text, n) for n in lengths if n <= len(text)] for text in own}
    whole = {text: reduce(or_, (own.get(each, 0) for each in parts[text])) for text in own}

    def found(text: str, nothing: int) -> int:
        size = len(text)
        for length in lengths:
            if length <= size and (bits := whole.get(part(text, length))) is not None:
                return bits  # the longest: it begins, or ends, with all others
        return nothing

    return found


def by_bound(*, above: bool, equal: bool) -> File:
    """For a comparison: the constants above or below the value, or also those equal to it."""
    cut = bisect_left if above is equal else bisect_right

    def file(rules: Sequence[Pair]) -> Found:
        ordered = sorted(rules, key=itemgetter(0), reverse=above)
        bits = list(accumulate((bit for _, bit in ordered), or_, initial=0))
        bits = bits[::-1] if above else bits
        constants = sorted(constant for constant, _ in rules)

        def found(value: Any, nothing: int) -> int:
            if value != value:  # noqa: PLR0124 - what is not even equal to itself has no order
                return nothing
            return bits[cut(constants, value)]

        return found

    return file
