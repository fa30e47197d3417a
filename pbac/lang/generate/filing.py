"""Filing: rules of a shape by one of their constants, so that a value finds those it concerns.

Theory. A leaf of a shape holds a value of the request against a constant of the rule. Turned round,
the value says for which constants the leaf is true, and finding those takes a lookup or two:

    leaf                     filed by                     found by
    x == c                   c                            x
    x in c                   each member of c             x
    x.startswith(c)          c, with all c it begins with the heads of x, longest first
    x.endswith(c)            likewise                     the tails of x
    x < c, x <= c, not x > c order of c                   bisection: those above x
    x > c, x >= c, not x < c order of c                   bisection: those below x

A file is a function of the value and of what to answer for nothing. It answers with the bits of the
rules where the leaf alone decides (`exact`), otherwise with the rules, to be asked one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import accumulate
from operator import itemgetter, or_
from typing import Any, TypeAlias

Entries: TypeAlias = Any
"""What is found: an integer of bits, or a tuple of rules."""
Found: TypeAlias = Callable[[Any, Entries], Entries]
"""Value and nothing → entries."""
Pair: TypeAlias = tuple[Any, Entries]
"""The constant of a rule and its entry."""
File: TypeAlias = Callable[[Sequence[Pair], bool], Found]
"""All rules, and whether entries are bits → what finds them."""


def _joined(entries: Iterable[Entries], exact: bool) -> Entries:  # noqa: FBT001 - see `File`
    return reduce(or_, entries, 0) if exact else tuple(entries)


def _by(keys: Iterable[Pair], exact: bool) -> dict[Any, Entries]:  # noqa: FBT001
    found: dict[Any, list[Entries]] = {}
    for key, entry in keys:
        found.setdefault(key, []).append(entry)
    return {key: _joined(entries, exact) for key, entries in found.items()}


def by_value(rules: Sequence[Pair], exact: bool) -> Found:  # noqa: FBT001
    """Where the leaf is an equality."""
    return _by(rules, exact).get


def by_member(rules: Sequence[Pair], exact: bool) -> Found:  # noqa: FBT001
    """Where the leaf asks for one of several."""
    members = ((member, entry) for constant, entry in rules for member in {*constant})
    return _by(members, exact).get


def by_head(rules: Sequence[Pair], exact: bool) -> Found:  # noqa: FBT001
    """Where the leaf asks how a text begins."""
    return _by_part(rules, exact, str.startswith, lambda text, size: text[:size])


def by_tail(rules: Sequence[Pair], exact: bool) -> Found:  # noqa: FBT001
    """Where the leaf asks how a text ends."""
    return _by_part(rules, exact, str.endswith, lambda text, size: text[len(text) - size :])


def _by_part(
    rules: Sequence[Pair],
    exact: bool,  # noqa: FBT001
    fits: Callable[[str, str], bool],
    part: Callable[[str, int], str],
) -> Found:
    """By the longest part that is filed: it has every shorter one."""
    own = _by(rules, exact)
    lengths = sorted({len(constant) for constant in own}, reverse=True)
    whole: dict[str, Entries] = {}
    for constant in own:
        parts = {part(constant, size) for size in lengths if size <= len(constant)}
        entries = [own[each] for each in own.keys() & parts if fits(constant, each)]
        whole[constant] = _joined(entries, exact) if exact else sum(entries, ())
    get = whole.get

    def found(text: str, nothing: Entries) -> Entries:
        size = len(text)
        for length in lengths:
            if length <= size:
                entries = get(part(text, length))
                if entries is not None:
                    return entries
        return nothing

    return found


def by_bound(*, above: bool, equal: bool, negated: bool) -> File:
    """Where the leaf compares: the constants above or below the value, or also those equal to it.

    What is in no order, not even with itself, is in none of them, so a negated leaf is true.
    """
    cut = bisect_left if above is equal else bisect_right

    def file(rules: Sequence[Pair], exact: bool) -> Found:  # noqa: FBT001
        ordered = sorted(rules, key=itemgetter(0))
        constants = [constant for constant, _ in ordered]
        entries = [entry for _, entry in ordered]
        every = _joined(entries, exact)
        if exact:
            bits = list(accumulate(reversed(entries) if above else entries, or_, initial=0))
            bits = bits[::-1] if above else bits

        def found(value: Any, nothing: Entries) -> Entries:
            if value != value:  # noqa: PLR0124 - NaN
                return every if negated else nothing
            place = cut(constants, value)
            if exact:
                return bits[place]
            return every[place:] if above else every[:place]

        return found

    return file
