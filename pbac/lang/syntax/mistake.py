"""The mistake in a text that cannot be read: where it stands and what to tell about it.

`tree` has refused the text, so speed is no matter here. Lark reads it once more by the same grammar
and says where it stops and what would have fitted. Between its lexer and its parser `_Joints` looks
at neighbours: the contextual lexer would read `fortier` as `for tier`, so letters may not meet
letters; and it counts brackets, so that no text nests deeper than the tree is allowed to be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from lark import Lark, Token, UnexpectedInput
from lark.lexer import PatternStr

from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import EXPRESSION_DEPTH_MAX, PATTERN_CHARACTERS_MAX
from pbac.lang.syntax.grammar import make_lark
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.syntax_errors import explain
from pbac.lang.syntax.tables import grammar_text
from pbac.lang.syntax.tree import NESTING, TEXTS, is_letter
from pbac.lang.syntax.words import RESERVED

_STRAY_LETTERS_MAX: Final = 2
"""So few letters behind a word of the language are a slip and no second word: `permitt`."""


def find_mistake(reading: Reading, text: str, start: str) -> tuple[Diagnostic, int]:
    """What is wrong with a text that is no `start` of the grammar, and the offset to go on from."""
    try:
        _lark().parse(text, start=start)
    except UnexpectedInput as error:
        at = error.pos_in_stream
        return explain(reading, error, _spellings()), len(text) if at is None else at
    except _Refused as refused:
        return _diagnostic(reading, refused), refused.last.start_pos or 0
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

    def __init__(self, code: str, message: str, help_: str, first: Token, last: Token) -> None:
        super().__init__(message)
        self.code, self.help = code, help_
        self.message, self.first, self.last = message, first, last


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
    message = f"`{left}{right}` is two words without a blank between them"
    few = len(right) <= _STRAY_LETTERS_MAX and left in RESERVED
    help_ = f"did you mean `{left}`?" if few else f"write `{left} {right}`"
    return _Refused("tokens-touch", message, help_, left, right)


def _endless(token: Token) -> _Refused:
    message = f"`{token[:24]}…` has more than {PATTERN_CHARACTERS_MAX} characters"
    return _Refused("word-too-long", message, "choose a shorter name", token, token)


def _too_deep(token: Token) -> _Refused:
    message = f"brackets are nested deeper than {EXPRESSION_DEPTH_MAX} levels"
    help_ = "name parts of it with `define`, or flatten it"
    return _Refused("expression-too-deep", message, help_, token, token)


def _letters_meet(left: Token, right: Token) -> bool:
    return bool(left and right) and is_letter(left[-1]) and is_letter(right[0])


def _diagnostic(reading: Reading, refused: _Refused) -> Diagnostic:
    span = reading.span_at(refused.first.start_pos or 0, refused.last.end_pos or 0)
    return Diagnostic(code=refused.code, message=refused.message, span=span, help=refused.help)
