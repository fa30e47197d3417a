"""Text to syntax tree, with every mistake of the file told in one run.

    characters → tree → nodes
    (refused)    (one item at a time after a mistake)

1. Characters that a reader cannot see are refused before anything else: an editor must not show
   another policy than the one that is read.
2. `tree` reads by the tables of `grammar/pbac.lark`, and only knows right from wrong.
3. In a text that is wrong, `mistake` finds the place and what to tell. Where it knows what was
   meant, that is read in its place; else the text up to the next top-level word is left out. So it
   goes on, `SYNTAX_ERRORS_MAX` times at most. `Reading` says where places are in the file.
4. `items` and its helpers turn trees into nodes and complain about what no grammar can say.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from msgspec import structs

from pbac.base.diagnostics import Diagnostic, PolicyError, in_order
from pbac.base.limits import POLICY_FILE_BYTES_MAX, REPAIRED_CHARACTERS_MAX, SYNTAX_ERRORS_MAX
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.syntax.items import package
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.resume import item_start, next_item
from pbac.lang.syntax.tree import Branch, Token, read_tree

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab, line feed, return
    "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # zero width and bidirectional
    "\u2028\u2029\ud800-\udfff]"  # other line ends, halves of surrogate pairs
    "|\r(?!\n)"
)

_OTHER_FORMS: Final = (
    (
        re.compile(r"(?:\A|(?<=\A\ufeff))(?:[^\0]\0|\0[^\0]){2}"),
        "this looks like UTF-16: every other byte is zero",
        "save the file as UTF-8",
    ),
    (
        re.compile(r"\A[^\n\r]*(\r)(?!\n)[^\n]*\Z"),
        "the lines of this file end as on old Macs, with a carriage return alone",
        "save the file with line feeds as line ends",
    ),
)
"""How a whole file seems to be written, what is told of it once, and what to do."""


_Item = TypeVar("_Item", nodes.Rule, nodes.Definition, nodes.Test)


def parse(source: Source) -> nodes.Package:
    """The syntax tree of one file.

    Raises:
        PolicyError: with every mistake found; no other exception, whatever the text.
    """
    found = read(source)
    if found.diagnostics or found.package is None:
        raise PolicyError(found.diagnostics)
    return found.package


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of one file.

    Attributes:
        package: without the items that have a mistake; None when its header has one.
        diagnostics: every mistake found.
    """

    package: nodes.Package | None
    diagnostics: tuple[Diagnostic, ...]


def read(source: Source) -> Read:
    """As much of a file as is sound, for whoever goes on to look for mistakes of another kind."""
    reading = Reading(source)
    _check_text(reading)
    pieces = [] if reading.diagnostics else _pieces(reading)
    mistakes = in_order(reading.diagnostics)
    wrong = [mistake.span.start for mistake in mistakes]
    return Read(_together(pieces, wrong) if pieces and pieces[0].name else None, mistakes)


def _together(pieces: Sequence[nodes.Package], wrong: Sequence[int]) -> nodes.Package:
    """One package of what was read in pieces, without the items at these places."""
    if not wrong:
        return pieces[0]

    def sound(items: Iterable[_Item]) -> tuple[_Item, ...]:
        return tuple(
            item
            for item in items
            if not any(item.span.start <= place < item.span.end for place in wrong)
        )

    return structs.replace(
        pieces[0],
        rules=sound(rule for piece in pieces for rule in piece.rules),
        definitions=sound(each for piece in pieces for each in piece.definitions),
        tests=sound(test for piece in pieces for test in piece.tests),
    )


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
    for seems, message, help_ in _OTHER_FORMS:
        if found := seems.search(text):
            reading.complain(
                "unseen-character",
                message,
                reading.span_at(*found.span(found.lastindex or 0)),
                help=help_,
            )
            return
    for match in itertools.islice(_UNSEEN.finditer(text), SYNTAX_ERRORS_MAX):
        reading.complain(
            "unseen-character",
            f"the character U+{ord(match.group()):04X} cannot be seen",
            reading.span_at(*match.span()),
            help=r"remove it; a text can hold it as `\u{…}`",
        )


def _pieces(reading: Reading) -> list[nodes.Package]:
    """The package; after a syntax error the parts around it, the first with the header if any."""
    text, start, begin, last = reading.source.text, "file", 0, -1
    pieces: list[nodes.Package] = []
    for _ in range(SYNTAX_ERRORS_MAX):
        tree = read_tree(_from(text, begin), start)
        if tree is not None:
            return [*pieces, package(reading, tree)]
        # Only now: to import and build Lark takes longer than to read a thousand rules.
        from pbac.lang.syntax.mistake import find_mistake  # noqa: PLC0415

        mistake = find_mistake(reading, text, begin, start)
        goes_on, last = mistake.offset > last, mistake.offset
        if goes_on:
            reading.diagnostics.append(mistake.diagnostic)
        repair = mistake.repair if goes_on else None
        whole = item_start(text, min(mistake.at, repair.start) if repair else mistake.at, begin)
        if mistake.at - (whole or begin) > REPAIRED_CHARACTERS_MAX:
            repair = None
        if whole is not None and whole > begin:
            tree = read_tree(_from(text[:whole], begin), start)
            if tree is not None:  # nothing is wrong with it but what only nodes show
                pieces.append(package(reading, tree))
                begin, start = whole, "rest"
        if repair:
            text = repair.made(text)
            reading.repairs.append(repair)
            continue
        following = next_item(text, mistake.at)
        if following is None:
            break
        begin, start = following, "rest"
    return pieces


def _from(text: str, begin: int) -> str:
    """The text with nothing in front of a place, so that offsets hold."""
    return " " * begin + text[begin:]
