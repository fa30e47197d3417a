"""The reader's automaton: characters to a bare tree, by the tables that Lark made of the grammar.

Lark analyses the grammar, once, and its tables are kept (`tables`); this loop runs on them. It does
what Lark's own would do, several times faster: one expression per state skips blanks and finds the
next word, words that mean nothing are never made into objects, and positions are integers.

It knows right from wrong and nothing more. Of a wrong text it says only that it is wrong; `parse`
then lets Lark, which knows what would have fitted, find the place.

INVARIANT: what is read here is what Lark reads; `tests/lang/test_tree.py` holds both together.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

from pbac.base.limits import EXPRESSION_DEPTH_MAX, PATTERN_CHARACTERS_MAX
from pbac.lang.syntax.tables import END, Tables, Words, grammar_text, kept_tables

TEXTS: Final = frozenset({"STRING", "RAW", "VERSION"})
"""Terminals that hold a text, and may be long."""

NESTING: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
"""Bracket → what it adds to the depth."""


class Token(str):
    """A word or sign as written; `type` is its terminal, `start` and `end` character offsets."""

    __slots__ = ("end", "start", "type")

    type: str
    start: int
    end: int


class Branch:
    """A rule of the grammar, by its alias or name, with what stands below it.

    `start` and `end` are those of what it was made from; `outer_start` and `outer_end` take in what
    was taken off when it was handed up: parentheses, `for`, `on`, `then`.
    """

    __slots__ = ("children", "data", "end", "outer_end", "outer_start", "start")

    def __init__(self, data: str, children: list[Part], start: int, end: int) -> None:
        self.data = data
        self.children = children
        self.start = self.outer_start = start
        self.end = self.outer_end = end


Part: TypeAlias = Branch | Token
_Symbol: TypeAlias = tuple["Part | list[Part] | None", str, int, int]
"""What stands on the stack: value, terminal, start and end. A helper rule's value is its parts; a
word has none before somebody asks for it."""


def read_tree(text: str, start: str, words: list[Token] | None = None) -> Branch | None:
    """The tree of a text that is a `start` of the grammar; None when there is a mistake in it.

    Every word, those that do not stand in the tree too, is added to `words`.
    """
    return _automaton().read(text, start, words)


@functools.cache
def _automaton() -> _Automaton:
    """Of the kept tables; of newly made ones where the grammar is another."""
    if (tables := kept_tables()) is None:
        # Lark takes a while to import.
        from pbac.lang.syntax.grammar import make_tables  # noqa: PLC0415

        tables = make_tables(grammar_text())
    return _Automaton(tables)


class _Scanner:
    """Finds the next word of a state. `words` are those that are no names there."""

    __slots__ = ("match", "words")

    def __init__(self, words: Words) -> None:
        self.match = re.compile(words.pattern).match
        self.words: Mapping[str, Mapping[str, str]] = {
            terminal: dict(spelt) for terminal, spelt in words.words
        }


class _Automaton:
    """The tables, and the expressions of the states that some text has come to."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._scanners: list[_Scanner | None] = [None] * len(tables.words)

    def read(self, text: str, start: str, words: list[Token] | None = None) -> Branch | None:
        """See `read_tree`."""
        tables, scanners = self._tables, self._scanners
        lexers, actions, last = tables.lexers, tables.states, tables.ends[start]
        states, symbols = [tables.starts[start]], list[_Symbol]()
        position = depth = 0
        while True:
            scanner = scanners[lexers[states[-1]]] or self._scanner(lexers[states[-1]])
            match = scanner.match(text, position)
            if match is None:
                return None
            if (terminal := match.lastgroup) is None:
                terminal, begin, end = END, len(text), len(text)
            else:
                begin, end = match.span(terminal)
                if terminal in scanner.words:
                    terminal = scanner.words[terminal].get(text[begin:end], terminal)
                depth += NESTING.get(text[begin], 0)
                if begin == position and _letters_meet(text, begin):
                    return None
                if end - begin > PATTERN_CHARACTERS_MAX and terminal not in TEXTS:
                    return None
                if depth > EXPRESSION_DEPTH_MAX:
                    return None
            while (action := actions[states[-1]].get(terminal, 0)) < 0:
                self._reduce(text, -action, states, symbols)
                if states[-1] == last and terminal == END:
                    return cast("Branch", symbols[0][0])
            if action == 0:
                return None
            if words is not None:
                words.append(_token(text, terminal, begin, end))
            states.append(action)
            symbols.append((None, terminal, begin, end))
            position = end

    def _scanner(self, number: int) -> _Scanner:
        made = self._scanners[number] = _Scanner(self._tables.words[number])
        return made

    def _reduce(self, text: str, rule: int, states: list[int], symbols: list[_Symbol]) -> None:
        """Put what the last symbols are together in their place."""
        size, origin, data, kept, single = self._tables.rules[rule]
        children: list[Part] = []
        begin = end = 0
        if size:
            parts = symbols[-size:]
            begin, end = parts[0][2], parts[-1][3]
            del states[-size:], symbols[-size:]
            for place in kept:
                value, terminal, start, behind = parts[place]
                if value is None:
                    children.append(_token(text, terminal, start, behind))
                elif isinstance(value, list):
                    children = children + value if children else value
                else:
                    children.append(value)
        symbol: Part | list[Part]
        if not data:
            symbol = children
        elif single and len(children) == 1:
            symbol = children[0]
            if isinstance(symbol, Branch):
                symbol.outer_start, symbol.outer_end = begin, end
        else:
            symbol = Branch(data, children, begin, end)
        states.append(self._tables.gotos[states[-1]][origin])
        symbols.append((symbol, "", begin, end))


def _token(text: str, terminal: str, start: int, end: int) -> Token:
    token = Token(text[start:end])
    token.type, token.start, token.end = terminal, start, end
    return token


def _letters_meet(text: str, place: int) -> bool:
    return place > 0 and is_letter(text[place - 1]) and begins_word(text[place])


def begins_word(character: str) -> bool:
    """Whether a letter may not touch it from the left: a letter, or the quote of a text."""
    return character == '"' or is_letter(character)


def is_letter(character: str) -> bool:
    """Whether two of these may not touch in neighbouring words."""
    return character.isalnum() or character == "_"
