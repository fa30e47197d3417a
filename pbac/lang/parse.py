"""Text to syntax tree, with every mistake of the file told in one run.

    characters → tokens → LALR tree → nodes
    (refused)    (joints)  (one item at a time after a mistake)

1. Characters that a reader cannot see are refused before anything else: an editor must not show
   another policy than the one that is read.
2. Lark lexes and parses by `grammar/pbac.lark`. Between the two, `_Joints` looks at neighbours:
   the contextual lexer would read `fortier` as `for tier`, so letters may not meet letters; and it
   counts brackets, so that no text nests deeper than the tree is allowed to be.
3. After a syntax error the text up to the next top-level word is blanked out (so offsets
   hold) and the rest is parsed, `SYNTAX_ERRORS_MAX` times at most.
4. `read_items` and its helpers turn trees into nodes and complain about what no grammar can say.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lark import Lark, Token, UnexpectedInput
from lark.lexer import PatternStr

from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import (
    EXPRESSION_DEPTH_MAX,
    PATTERN_CHARACTERS_MAX,
    POLICY_FILE_BYTES_MAX,
    SYNTAX_ERRORS_MAX,
)
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.read_items import package
from pbac.lang.reading import Branch, Reading
from pbac.lang.syntax_errors import explain

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab, line feed, return
    "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # zero width and bidirectional
    "\u2028\u2029\ud800-\udfff]"  # other line ends, halves of surrogate pairs
    "|\r(?!\n)"
)
_NEXT_ITEM: Final = re.compile(r"^[ \t]*(?:permit|forbid|require|define|test)\b", re.MULTILINE)
_NESTING: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_TEXTS: Final = frozenset({"STRING", "RAW", "VERSION"})
_GRAMMAR_FILE: Final = "pbac.lark"


def parse(source: Source) -> nodes.Package:
    """The syntax tree of one file.

    Raises:
        PolicyError: with every mistake found; no other exception, whatever the text.
    """
    reading = Reading(source)
    _check_text(reading)
    if reading.diagnostics:
        raise PolicyError(reading.diagnostics)
    found = _package(reading)
    if found is None or reading.diagnostics:
        raise PolicyError(reading.diagnostics)
    return found


@dataclass(frozen=True, slots=True)
class Syntax:
    """A file with all that was read of it: the package, the tree it is made from, every token."""

    package: nodes.Package
    tree: Branch
    tokens: tuple[Token, ...]


def parse_syntax(source: Source) -> Syntax:
    """The syntax tree of one file with what a layout needs beside it.

    Raises:
        PolicyError: as `parse`.
    """
    reading = Reading(source)
    _check_text(reading)
    if reading.diagnostics:
        raise PolicyError(reading.diagnostics)
    parser = _parser().parse_interactive(source.text, start="file")
    try:
        tokens = tuple(parser.iter_parse())
        tree = parser.feed_eof(tokens[-1] if tokens else None)  # type: ignore[no-untyped-call]
    except (UnexpectedInput, _Refused):
        parse(source)  # which tells every mistake, and goes on below each
        raise
    found = package(reading, tree)
    if reading.diagnostics:
        raise PolicyError(reading.diagnostics)
    return Syntax(found, tree, tokens)


def grammar_text() -> str:
    """The grammar: inside the package in a wheel, beside it in a checkout."""
    inside = importlib.resources.files("pbac").joinpath("grammar", _GRAMMAR_FILE)
    if inside.is_file():
        return inside.read_text("utf-8")
    beside = importlib.resources.files("pbac").joinpath("..", "grammar", _GRAMMAR_FILE)
    return beside.read_text("utf-8")


@functools.cache
def _parser() -> Lark:
    """Built once, on first use: it takes half a second."""
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=["file", "rest"],
        propagate_positions=True,
        maybe_placeholders=False,
        postlex=_Joints(),
    )


@functools.cache
def _spellings() -> dict[str, str]:
    """Terminal → how it is written, for those that are written in one way only."""
    fixed = (t for t in _parser().terminals if isinstance(t.pattern, PatternStr))
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
            if len(token) > PATTERN_CHARACTERS_MAX and token.type not in _TEXTS:
                raise _endless(token)
            depth += _NESTING.get(token, 0)
            if depth > EXPRESSION_DEPTH_MAX:
                raise _too_deep(token)
            last = token
            yield token


def _touching(left: Token, right: Token) -> _Refused:
    message = f"`{left}{right}` is two words without a blank between them"
    return _Refused("tokens-touch", message, f"write `{left} {right}`", left, right)


def _endless(token: Token) -> _Refused:
    message = f"`{token[:24]}…` has more than {PATTERN_CHARACTERS_MAX} characters"
    return _Refused("word-too-long", message, "choose a shorter name", token, token)


def _too_deep(token: Token) -> _Refused:
    message = f"brackets are nested deeper than {EXPRESSION_DEPTH_MAX} levels"
    help_ = "name parts of it with `define`, or flatten it"
    return _Refused("expression-too-deep", message, help_, token, token)


def _letters_meet(left: Token, right: Token) -> bool:
    before, after = left[-1:], right[:1]
    return (before.isalnum() or before == "_") and (after.isalnum() or after == "_")


def _check_text(reading: Reading) -> None:
    text = reading.source.text
    size = len(text) if len(text) > POLICY_FILE_BYTES_MAX else len(text.encode("utf-8", "replace"))
    if size > POLICY_FILE_BYTES_MAX:
        reading.complain(
            "file-too-large",
            f"this file has more than {POLICY_FILE_BYTES_MAX} bytes",
            reading.span_at(0, 0),
            help="split it into several files of the same package",
        )
        return
    for number, match in enumerate(_UNSEEN.finditer(text)):
        if number == SYNTAX_ERRORS_MAX:
            break
        reading.complain(
            "unseen-character",
            f"the character U+{ord(match.group()):04X} cannot be seen",
            reading.span_at(*match.span()),
            help=r"remove it; a text can hold it as `\u{…}`",
        )


def _package(reading: Reading) -> nodes.Package | None:
    """The package, or None after a syntax error; what stands below one is read as well."""
    text, start = reading.source.text, "file"
    whole: nodes.Package | None = None
    for _ in range(SYNTAX_ERRORS_MAX):
        try:
            tree = _parser().parse(text, start=start)
        except UnexpectedInput as error:
            reading.diagnostics.append(explain(reading, error, _spellings()))
            at = error.pos_in_stream if error.pos_in_stream is not None else len(text)
        except _Refused as refused:
            reading.diagnostics.append(_diagnostic(reading, refused))
            at = refused.last.start_pos or 0
        else:
            found = package(reading, tree)
            return found if start == "file" else whole
        following = _NEXT_ITEM.search(text, _end_of_line(text, at))
        if following is None:
            return None
        text = " " * following.start() + text[following.start() :]
        start = "rest"
    return None


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _diagnostic(reading: Reading, refused: _Refused) -> Diagnostic:
    span = reading.span(refused.first).to(reading.span(refused.last))
    return Diagnostic(code=refused.code, message=refused.message, span=span, help=refused.help)
