"""Text to syntax tree, with every mistake of the file told in one run.

    characters → tree → nodes
    (refused)    (one item at a time after a mistake)

1. Characters that a reader cannot see are refused before anything else: an editor must not show
   another policy than the one that is read.
2. `tree` reads by the tables of `grammar/pbac.lark`, and only knows right from wrong.
3. In a text that is wrong, `mistake` finds the place and what to tell. Then the text up to the next
   top-level word is blanked out (so offsets hold) and the rest is read, `SYNTAX_ERRORS_MAX` times
   at most.
4. `items` and its helpers turn trees into nodes and complain about what no grammar can say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import POLICY_FILE_BYTES_MAX, SYNTAX_ERRORS_MAX
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.syntax.items import package
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tree import Branch, Token, read_tree

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab, line feed, return
    "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # zero width and bidirectional
    "\u2028\u2029\ud800-\udfff]"  # other line ends, halves of surrogate pairs
    "|\r(?!\n)"
)
_NEXT_ITEM: Final = re.compile(r"^[ \t]*(?:permit|forbid|require|define|test)\b", re.MULTILINE)


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
    """A file with all that was read of it: the package, the tree it is made from, every word."""

    package: nodes.Package
    tree: Branch
    tokens: tuple[Token, ...]


def parse_syntax(source: Source) -> Syntax:
    """The syntax tree of one file with what a layout needs beside it.

    Raises:
        PolicyError: as `parse`.
    """
    found = parse(source)
    words: list[Token] = []
    tree = read_tree(source.text, "file", words)
    assert tree is not None  # it has just been read
    return Syntax(found, tree, tuple(words))


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
    for _ in range(SYNTAX_ERRORS_MAX):
        tree = read_tree(text, start)
        if tree is not None:
            found = package(reading, tree)
            return found if start == "file" else None
        # Only now: to import and build Lark takes longer than to read a thousand rules.
        from pbac.lang.syntax.mistake import find_mistake  # noqa: PLC0415

        diagnostic, at = find_mistake(reading, text, start)
        reading.diagnostics.append(diagnostic)
        following = _NEXT_ITEM.search(text, _end_of_line(text, at))
        if following is None:
            return None
        text = " " * following.start() + text[following.start() :]
        start = "rest"
    return None


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
