"""Globs and regular expressions that cannot be made slow.

Theory. Neither matcher ever backtracks, so no text, however chosen, costs more than time linear in
its length, and no pattern costs more to load than the named limits allow.

*Globs* have three parts: plain characters, `*` (any characters but separators) and `**` (any
characters). A glob is a row of states joined by its plain characters; a star is a loop on the state
it stands at. The set of states a text can be in is the bits of one integer, moved one step for each
character (the Shift-And algorithm), so choices are followed side by side. Exact names, prefixes and
suffixes skip that. A pattern that is one lone `*` or `**` means everything.

*Regular expressions* are the part of RE2's syntax that every engine reads alike (`regex_syntax`).
Each character of the pattern is a *position* with a set of characters; `follow` says which
positions may come next (Glushkov's automaton, which has no empty moves). Loading makes it
deterministic and complete: characters that no position tells apart form one class, and the table
has a row for each state and a column for each class. A pattern that needs more than
`AUTOMATON_STATES_MAX` states is refused, which is the fate of the patterns made to be slow. A match
is one table look-up a character.

Matching means the whole text. `Automaton.finditer` is the one exception, for redaction.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from pbac.base.limits import AUTOMATON_NODES_MAX, AUTOMATON_STATES_MAX, PATTERN_CHARACTERS_MAX
from pbac.lang.evaluate import regex_syntax
from pbac.lang.evaluate.regex_syntax import CODE_POINT_MAX, Alternatives, Repeat, Set

Matcher: TypeAlias = Callable[[str], bool]

PatternError = regex_syntax.PatternError

_SMALLER = (
    'look for the plain part with `contains "…"`, repeat less (`{4,}` for `{16}`), or split it '
    "into several patterns joined by `or`"
)

# --- globs ---------------------------------------------------------------------------------


def glob(text: str, separators: str) -> Matcher:
    """The matcher of a glob whose segments end at any of `separators`.

    Raises:
        PatternError: when the pattern is longer than `PATTERN_CHARACTERS_MAX`.
    """
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise PatternError(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters", 0)
    stars = text.count("*")
    if stars == 0:
        return partial(operator.eq, text)
    if text in ("*", "**"):
        return _everything
    plain = text.strip("*")
    crossing = "**" in text or not separators
    if stars == len(text) - len(plain) and (stars == 1 or crossing):
        if text.startswith(plain):
            return _prefix(plain, "" if crossing else separators)
        if text.endswith(plain):
            return _suffix(plain, "" if crossing else separators)
    return _shift_and(text, separators)


def _everything(_text: str) -> bool:
    return True


def _prefix(plain: str, separators: str) -> Matcher:
    """`get_*`: the rest of the text stays in its segment; `get_**`: it need not."""
    starts, length = operator.methodcaller("startswith", plain), len(plain)
    if not separators:
        return starts
    return lambda text: (
        starts(text) and not any(text.find(separator, length) >= 0 for separator in separators)
    )


def _suffix(plain: str, separators: str) -> Matcher:
    """`*_issue`: the beginning of the text stays in its segment; `**_issue`: it need not."""
    ends, length = operator.methodcaller("endswith", plain), len(plain)
    if not separators:
        return ends
    return lambda text: (
        ends(text)
        and not any(text.find(separator, 0, len(text) - length) >= 0 for separator in separators)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Glob:
    """Bit n of every mask is the state after n plain characters.

    `steps[c]`: the states that the character c leaves. `within`: states with any star, `across`:
    states with a `**`. `last`: the state after all plain characters.
    """

    steps: dict[str, int]
    within: int
    across: int
    last: int
    separators: str

    def __call__(self, text: str) -> bool:
        steps, states = self.steps, 1
        for character in text:
            loops = self.across if character in self.separators else self.within
            states = (states & steps.get(character, 0)) << 1 | states & loops
            if not states:
                return False
        return bool(states & self.last)


def _shift_and(text: str, separators: str) -> _Glob:
    steps: dict[str, int] = {}
    within = across = 0
    state, place = 1, 0
    while place < len(text):
        if text.startswith("**", place):
            across |= state
            place += 1
        if text[place] == "*":
            within |= state
        else:
            steps[text[place]] = steps.get(text[place], 0) | state
            state <<= 1
        place += 1
    return _Glob(steps=steps, within=within, across=across, last=state, separators=separators)


# --- regular expressions -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Automaton:
    """A complete deterministic automaton over classes of characters. State 0 is the start.

    Attributes:
        starts: first code points of the intervals in which all characters are alike.
        classes: the class of each interval.
        ascii: the class of each of the first 128 characters.
        table: the same for `bytes.translate`; empty when there are more classes than it can hold.
        rows: the next state, by state and class.
        accepting: which states end a match.
        dead: the state that nothing leaves, or -1.
    """

    starts: tuple[int, ...]
    classes: tuple[int, ...]
    ascii: tuple[int, ...]
    table: bytes
    rows: tuple[tuple[int, ...], ...]
    accepting: tuple[bool, ...]
    dead: int

    def __call__(self, text: str) -> bool:
        """True when the whole text matches."""
        rows, state, dead = self.rows, 0, self.dead
        for kind in self._classes_of(text):
            state = rows[state][kind]
            if state == dead:
                return False
        return self.accepting[state]

    def _classes_of(self, text: str) -> Sequence[int]:
        """The class of each character; of ASCII, the ordinary case, all at once."""
        if text.isascii() and self.table:
            return text.encode("ascii").translate(self.table)
        return [self._class_of(ord(character)) for character in text]

    def _class_of(self, code: int) -> int:
        return self.ascii[code] if code < 128 else self.classes[bisect_right(self.starts, code) - 1]

    def finditer(self, text: str) -> Iterator[tuple[int, int]]:
        """(start, end) of every match from left to right: each the longest, none empty.

        Linear in the text. Running on past the last accepted end in search of a longer match is
        what makes scanners quadratic, so places where that was in vain are remembered (T. Reps,
        Maximal-munch tokenization in linear time, 1998); short overruns are cheaper repeated.
        """
        codes = self._classes_of(text)
        barren: set[tuple[int, int]] = set()
        start = 0
        while start < len(codes):
            end = self._longest(codes, start, barren)
            if end > start:
                yield start, end
            start = max(end, start + 1)

    def _longest(self, codes: Sequence[int], start: int, barren: set[tuple[int, int]]) -> int:
        """The end of the longest match that begins at `start`, or `start`."""
        rows, state, end, place = self.rows, 0, start, start
        overrun: list[tuple[int, int]] = []
        while place < len(codes):
            state = rows[state][codes[place]]
            place += 1
            if state == self.dead or (barren and (state, place) in barren):
                break
            overrun.append((state, place))
            if self.accepting[state]:
                end = place
                overrun.clear()
        if len(overrun) > OVERRUN_REMEMBERED_MIN:
            barren.update(overrun)
        return end


OVERRUN_REMEMBERED_MIN: Final = 32
"""Characters read in vain after which the places are worth remembering."""


def regex(text: str) -> Automaton:
    """The automaton of a regular expression.

    Raises:
        PatternError: for syntax outside the common subset, or above a limit.
    """
    positions = _Positions()
    whole = positions.walk(regex_syntax.parse(text))
    positions.follow[0] = whole.first
    return _determined(positions, whole.last | (1 if whole.nullable else 0))


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the pattern: may it be empty, where can it begin and end (as bits)?"""

    nullable: bool
    first: int
    last: int

    def then(self, other: _Part, follow: list[int]) -> _Part:
        """This piece, then the other; records what follows what."""
        for position in _bits(self.last):
            follow[position] |= other.first
        first = self.first | other.first if self.nullable else self.first
        last = self.last | other.last if other.nullable else other.last
        return _Part(self.nullable and other.nullable, first, last)

    def again(self, follow: list[int]) -> _Part:
        """This piece any number of times, none included."""
        for position in _bits(self.last):
            follow[position] |= self.first
        return self.maybe()

    def maybe(self) -> _Part:
        """This piece or nothing."""
        return _Part(True, self.first, self.last)


_EMPTY: Final = _Part(True, 0, 0)


class _Positions:
    """Numbers the positions of a pattern; a counted repetition visits its item again.

    Position 0 is the start and has no characters. `visits` bounds the work, not only the
    positions: `(?:(?:){999}){999}` has none.
    """

    def __init__(self) -> None:
        self.sets: list[regex_syntax.Ranges] = [()]
        self.follow: list[int] = [0]
        self.visits = 0

    def walk(self, node: regex_syntax.Pattern) -> _Part:
        """The piece for one node of the pattern's syntax."""
        self.visits += 1
        if self.visits > AUTOMATON_NODES_MAX:
            raise PatternError(
                "the pattern is too large once its repetitions are written out", 0, _SMALLER
            )
        match node:
            case Set():
                bit = 1 << len(self.sets)
                self.sets.append(node.ranges)
                self.follow.append(0)
                return _Part(False, bit, bit)
            case regex_syntax.Sequence():
                part = _EMPTY
                for item in node.items:
                    part = part.then(self.walk(item), self.follow)
                return part
            case Alternatives():
                return self._alternatives(node)
            case Repeat():
                return self._repeat(node)

    def _alternatives(self, node: Alternatives) -> _Part:
        nullable, first, last = False, 0, 0
        for item in node.items:
            part = self.walk(item)
            nullable, first, last = nullable or part.nullable, first | part.first, last | part.last
        return _Part(nullable, first, last)

    def _repeat(self, node: Repeat) -> _Part:
        part = _EMPTY
        for _ in range(node.least):
            part = part.then(self.walk(node.item), self.follow)
        if node.most is None:
            return part.then(self.walk(node.item).again(self.follow), self.follow)
        for _ in range(node.most - node.least):
            part = part.then(self.walk(node.item).maybe(), self.follow)
        return part


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1


def _alike(sets: list[regex_syntax.Ranges]) -> dict[int, int]:
    """First code point of each interval → the positions that accept its characters, as bits."""
    edges = {0}
    for ranges in sets:
        edges |= {low for low, _ in ranges} | {high + 1 for _, high in ranges}
    accepted = dict.fromkeys(sorted(edges - {CODE_POINT_MAX + 1}), 0)
    for position, ranges in enumerate(sets):
        for low, high in ranges:
            for start in accepted:
                if low <= start <= high:
                    accepted[start] |= 1 << position
    return accepted


def _determined(positions: _Positions, accepting: int) -> Automaton:
    """Subset construction, breadth first, so that equal patterns give equal tables."""
    alike = _alike(positions.sets)
    class_masks = list(dict.fromkeys(alike.values()))
    numbers: dict[int, int] = {1: 0}
    rows: list[tuple[int, ...]] = []
    for subset in (queue := [1]):
        reach = 0
        for position in _bits(subset):
            reach |= positions.follow[position]
        row = []
        for mask in class_masks:
            if (target := reach & mask) not in numbers:
                numbers[target] = len(queue)
                queue.append(target)
            row.append(numbers[target])
        rows.append(tuple(row))
        if len(queue) > AUTOMATON_STATES_MAX:
            raise PatternError(
                f"the pattern needs more than {AUTOMATON_STATES_MAX} states", 0, _SMALLER
            )
    starts = tuple(alike)
    classes = tuple(class_masks.index(mask) for mask in alike.values())
    ascii_ = tuple(classes[bisect_right(starts, code) - 1] for code in range(128))
    return Automaton(
        starts=starts,
        classes=classes,
        ascii=ascii_,
        table=bytes(ascii_ * 2) if max(ascii_) < 256 else b"",
        rows=tuple(rows),
        accepting=tuple(bool(subset & accepting) for subset in queue),
        dead=numbers.get(0, -1),
    )
