"""The mistake in a text that cannot be read: where it stands and what to tell about it.

`tree` has refused the text, so speed is no matter here. Lark reads it once more by the same grammar
and says where it stops and what would have fitted. Between its lexer and its parser `_Joints` looks
at neighbours: the contextual lexer would read `fortier` as `for tier`, so a letter may not meet a
letter or a quote; and it counts brackets, so that no text nests deeper than the tree is allowed to
be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from lark import Lark, Token, UnexpectedInput
from lark.lexer import PatternStr

from pbac.base.limits import EXPRESSION_DEPTH_MAX, PATTERN_CHARACTERS_MAX
from pbac.lang.syntax.foreign import foreign_word
from pbac.lang.syntax.grammar import make_lark
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.stop import Told, stop_at
from pbac.lang.syntax.syntax_errors import Mistake, explain, mistake
from pbac.lang.syntax.tables import grammar_text
from pbac.lang.syntax.tree import NESTING, TEXTS, begins_word, is_letter
from pbac.lang.syntax.words import ITEM_WORDS, RESERVED, TARGET_WORDS

_ENDINGS: Final = frozenset({"ted", "ing", "den", "ded", "ting", "ding", "ment"})
_STRAY_LETTERS_MAX: Final = 2
"""So few letters behind a word of the language are a slip and no second word: `permitt`."""


def find_mistake(reading: Reading, text: str, begin: int, start: str) -> Mistake:
    """What is wrong with a text that, from `begin` on, is no `start` of the grammar."""
    parser: Any = _lark().parse_interactive(" " * begin + text[begin:], start=start)
    try:
        read = parser.exhaust_lexer()
        parser.feed_eof(read[-1] if read else None)
    except UnexpectedInput as error:
        # More exact than what the error says: states of the automaton share their words.
        fits = frozenset(map(str, parser.accepts()))
        return explain(reading, stop_at(text, error, fits, _spellings()))
    except _Refused as refused:
        return mistake(reading, refused.told, refused.at)
    raise AssertionError("Lark reads what our own loop over its tables refused")


@functools.cache
def _lark() -> Lark:
    """Built once, on first use: it takes half a second."""
    return make_lark(grammar_text(), postlex=_Joints())


@functools.cache
def _spellings() -> dict[str, str]:
    """Terminal → how it is written, for those that are written in one way only."""
    fixed = (t for t in _lark().terminals if isinstance(t.pattern, PatternStr))
    return {terminal.name: terminal.pattern.value for terminal in fixed}


class _Refused(Exception):  # noqa: N818  # never leaves this module
    """A mistake found between lexer and parser."""

    def __init__(self, told: Told, first: Token, last: Token) -> None:
        super().__init__(told.message)
        self.at = last.start_pos or 0
        self.told = replace(told, under=(first.start_pos or 0, last.end_pos or 0))


class _Joints:
    """Lark's hook between lexer and parser. Keeps nothing between two texts."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The same tokens, unless two touch, one is endless, or brackets nest too deep."""
        last = Token("", "", start_pos=-1, end_pos=-1)
        depth = 0
        for token in stream:
            if token.start_pos == last.end_pos and _letters_meet(last, token):
                raise _touching(last, token)
            if len(token) > PATTERN_CHARACTERS_MAX and token.type not in TEXTS:
                raise _endless(token)
            depth += NESTING.get(token, 0)
            if depth > EXPRESSION_DEPTH_MAX:
                raise _too_deep(token)
            last = token
            yield token


def _touching(left: Token, right: Token) -> _Refused:
    """Two words that met: a word with a slip at its end, one of another language, or two."""
    shown = '"…"' if right[0] == '"' else right
    word = f"{left}{shown}"
    told = foreign_word(word) or _plural(left, right)
    if told is None:
        ending = len(right) <= _STRAY_LETTERS_MAX or (left in ITEM_WORDS and right in _ENDINGS)
        few = ending and left in RESERVED and right[0] != '"'
        parted = right[0] == '"' or (left.type != "NAME" and left not in ITEM_WORDS)
        help_ = f"did you mean `{left}`?" if few else f"write `{left} {shown}`"
        message = f"`{word}` is two words without a blank between them"
        instead = left if few else f"{left} {right}" if parted else None
        told = Told(code="tokens-touch", message=message, help=help_, instead=instead)
    return _Refused(told, left, right)


def _plural(left: Token, right: Token) -> Told | None:
    """`on tools x`."""
    if left not in TARGET_WORDS or right.rstrip(":") not in ("s", "es"):
        return None
    message = f"`{left}{right}` is no word here"
    return Told(code="tokens-touch", message=message, help=f"write `{left}`", instead=left)


def _endless(token: Token) -> _Refused:
    message = f"`{token[:24]}…` has more than {PATTERN_CHARACTERS_MAX} characters"
    told = Told(code="word-too-long", message=message, help="choose a shorter name")
    return _Refused(told, token, token)


def _too_deep(token: Token) -> _Refused:
    message = f"brackets are nested deeper than {EXPRESSION_DEPTH_MAX} levels"
    help_ = "name parts of it with `define`, or flatten it"
    told = Told(code="expression-too-deep", message=message, help=help_)
    return _Refused(told, token, token)


def _letters_meet(left: Token, right: Token) -> bool:
    return bool(left and right) and is_letter(left[-1]) and begins_word(right[0])
