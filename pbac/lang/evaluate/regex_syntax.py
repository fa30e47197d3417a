r"""Regular expressions: the part of RE2's syntax that every common engine reads alike.

    alternatives := sequence ("|" sequence)*
    sequence     := (atom repetition?)*
    repetition   := "*" | "+" | "?" | "{n}" | "{n,}" | "{n,m}"
    atom         := "." | class | escape | "(" alternatives ")" | "(?:" alternatives ")" | character

`(?i)` may stand at the very beginning and folds ASCII letters. `.` is anything but a newline;
`\d \w \s` and their opposites are ASCII. A match is always whole, so `^` and `$` are refused
rather than ignored. Look-around, back-references, lazy and possessive repetition, `\b`, `\p` and
named groups are refused: they need backtracking, or mean different things in different engines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from pbac.base.limits import EXPRESSION_DEPTH_MAX, PATTERN_CHARACTERS_MAX

CODE_POINT_MAX: Final = 0x10FFFF

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Sorted, disjoint, inclusive ranges of code points."""


class PatternError(ValueError):
    """A pattern that cannot be used. `position` is a character offset into the pattern."""

    def __init__(self, message: str, position: int, help_text: str | None = None) -> None:
        super().__init__(message)
        self.help = help_text
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Set:
    """One character out of the ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; empty matches the empty text."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Any one of the items."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The item `least` to `most` times; None is without end."""

    item: Pattern
    least: int
    most: int | None


Pattern: TypeAlias = Set | Sequence | Alternatives | Repeat


def _normal(ranges: list[tuple[int, int]]) -> Ranges:
    """Sorted and merged."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _others(ranges: Ranges) -> Ranges:
    """Every code point that is not in the ranges."""
    gaps, low = [], 0
    for start, end in ranges:
        if low < start:
            gaps.append((low, start - 1))
        low = end + 1
    return tuple(gaps if low > CODE_POINT_MAX else [*gaps, (low, CODE_POINT_MAX)])


def _folded(ranges: Ranges) -> Ranges:
    """The ranges with the other case of their ASCII letters."""
    more = list(ranges)
    for first, shift in (("A", 32), ("a", -32)):
        alphabet = (ord(first), ord(first) + 25)
        for low, high in ranges:
            inner = max(low, alphabet[0]), min(high, alphabet[1])
            if inner[0] <= inner[1]:
                more.append((inner[0] + shift, inner[1] + shift))
    return _normal(more)


_DIGITS: Final[Ranges] = ((48, 57),)
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[Ranges] = ((9, 10), (12, 13), (32, 32))  # RE2's: no vertical tab
_ANY: Final[Ranges] = _others(((10, 10),))
_NAMED: Final[dict[str, Ranges]] = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": _others(_DIGITS),
    "W": _others(_WORD),
    "S": _others(_SPACE),
}
_CONTROL: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7}
_HEX: Final = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_COUNTS: Final = re.compile(r"\{([0-9]{1,4})(,([0-9]{0,4}))?\}")


def parse(text: str) -> Pattern:
    """The syntax of a regular expression.

    Raises:
        PatternError: for anything outside the subset, with the place and what to write instead.
    """
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise PatternError(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters", 0)
    reader = _Reader(text)
    pattern = reader.alternatives(0)
    if reader.place < len(text):
        raise PatternError("this `)` closes nothing: write `\\)` for the character", reader.place)
    return pattern


class _Reader:
    """Recursive descent with one character of look-ahead; `place` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fold = text.startswith("(?i)")
        self.place = 4 if self.fold else 0

    def peek(self) -> str:
        """The next character, or "" at the end."""
        return self.text[self.place : self.place + 1]

    def alternatives(self, depth: int) -> Pattern:
        """Up to the end or an unmatched `)`."""
        if depth > EXPRESSION_DEPTH_MAX:
            raise PatternError(f"groups nest at most {EXPRESSION_DEPTH_MAX} deep", self.place)
        items = [self.sequence(depth)]
        while self.peek() == "|":
            self.place += 1
            items.append(self.sequence(depth))
        return items[0] if len(items) == 1 else Alternatives(tuple(items))

    def sequence(self, depth: int) -> Pattern:
        """Atoms with their repetitions, up to `|`, `)` or the end."""
        items: list[Pattern] = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.repeated(self.atom(depth)))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, item: Pattern) -> Pattern:
        """The item with the repetition that follows it, if any; at most one."""
        start = self.place
        least, most = self.counts()
        if self.place == start:
            return item
        if self.peek() and self.peek() in "*+?{":
            raise PatternError("one repetition at a time: lazy ones do not exist here", self.place)
        return Repeat(item, least, most)

    def counts(self) -> tuple[int, int | None]:
        """(least, most) of `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`; reads nothing for others."""
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self.peek() in simple:
            self.place += 1
            return simple[self.text[self.place - 1]]
        found = _COUNTS.match(self.text, self.place)
        if found is None:
            return 1, 1
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if most is not None and most < least:
            raise PatternError("a repetition counts upwards", self.place)
        self.place = found.end()
        return least, most

    def atom(self, depth: int) -> Pattern:
        """One group, class, escape or character."""
        start, character = self.place, self.peek()
        self.place += 1
        match character:
            case "(":
                return self.group(start, depth)
            case "[":
                return self.set_of(self.bracket(start))
            case ".":
                return self.set_of(_ANY)
            case "\\":
                return self.set_of(self.escape(start))
            case "^" | "$":
                raise PatternError(f"a match is always whole: leave out `{character}`", start)
            case "*" | "+" | "?":
                raise PatternError(f"`{character}` has nothing to repeat", start)
            case "{" | "}" | "]":
                raise PatternError(f"write `\\{character}` for the character", start)
        return self.set_of(((ord(character), ord(character)),))

    def set_of(self, ranges: Ranges) -> Set:
        """One character of the ranges, in both cases under `(?i)`."""
        return Set(_folded(ranges) if self.fold else ranges)

    def group(self, start: int, depth: int) -> Pattern:
        """`(…)` or `(?:…)`; the parenthesis is read already."""
        if self.peek() == "?":
            if not self.text.startswith("?:", self.place):
                raise PatternError(
                    "of the `(?…)` forms only `(?:…)` exists here, and `(?i)` at the beginning",
                    start,
                )
            self.place += 2
        inner = self.alternatives(depth + 1)
        if self.peek() != ")":
            raise PatternError("this `(` is never closed", start)
        self.place += 1
        return inner

    def escape(self, start: int) -> Ranges:
        r"""What follows a backslash: `\d`, `\n`, `\x41`, `\x{1f600}` or punctuation."""
        found = _HEX.match(self.text, self.place)
        if found is not None and (code := int(found[1] or found[2], 16)) <= CODE_POINT_MAX:
            self.place = found.end()
            return ((code, code),)
        character = self.peek()
        self.place += 1
        if character in _NAMED:
            return _NAMED[character]
        if character in _CONTROL:
            return ((_CONTROL[character], _CONTROL[character]),)
        if character == "" or not character.isascii() or character.isalnum():
            raise PatternError(f"`\\{character}` does not exist here", start)
        return ((ord(character), ord(character)),)

    def bracket(self, start: int) -> Ranges:
        """`[a-z_]` or `[^…]`; the bracket is read already."""
        negated = self.peek() == "^"
        self.place += negated
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            ranges += self.bracket_item(start)
        if not ranges:
            raise PatternError("an empty `[]`: write `\\]` for the character", start)
        self.place += 1
        normal = _normal(ranges)
        if not negated:
            return normal
        # Folded before it is turned round: `(?i)[^a]` is neither `a` nor `A`.
        return _others(_folded(normal) if self.fold else normal)

    def bracket_item(self, start: int) -> Ranges:
        """One character, escape or range within brackets."""
        low = self.bracket_character(start)
        if self.peek() != "-" or self.text.startswith("-]", self.place):
            return low
        self.place += 1
        high = self.bracket_character(start)
        ends = low[0][0], high[0][0]
        if len(low) > 1 or len(high) > 1 or low[0][1] != ends[0] or high[0][1] != ends[1]:
            raise PatternError("a range goes from one character to another", self.place)
        if ends[0] > ends[1]:
            raise PatternError("a range counts upwards", self.place)
        return (ends,)

    def bracket_character(self, start: int) -> Ranges:
        """One character or escape within brackets."""
        place, character = self.place, self.peek()
        if character == "":
            raise PatternError("this `[` is never closed", start)
        self.place += 1
        if character == "\\":
            return self.escape(place)
        if character == "[":
            raise PatternError("write `\\[` for the character", place)
        return ((ord(character), ord(character)),)
