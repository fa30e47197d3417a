"""What to tell about text that does not parse: recognised slips first, the bare facts last.

Lark says where it stopped and which terminals would have fitted there. A slip is recognised from
these facts and the words around the place (`stop`); `_SLIPS` is tried from the top, so the special
stands before the general. `plain` always has an answer. Where it is plain what was meant, reading
goes on as if it had been written (`Told.instead`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pbac.base.diagnostics import Diagnostic
from pbac.lang.syntax.beginnings import (
    early_annotation,
    missing_package,
    nameless,
    second_tiers,
    unknown_item,
)
from pbac.lang.syntax.figures import figure, missing_zone
from pbac.lang.syntax.fits import plain
from pbac.lang.syntax.foreign import comment_mark, foreign_construct, foreign_sign
from pbac.lang.syntax.idioms import idiom
from pbac.lang.syntax.letters import looks_like, named
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.resume import Repair
from pbac.lang.syntax.slips import (
    clause_order,
    joined_clause,
    missing_clause_word,
    missing_comma,
    missing_operand,
    missing_then,
    other_approvers,
    other_conjunction,
    quotes,
    second_duty,
    stray_bracket,
    trailing_comma,
    two_values,
    unclosed,
)
from pbac.lang.syntax.stop import Stop, Told

_ANY_WORD: Final = re.compile(r"\w{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in a text.

    Attributes:
        at: where reading stopped, in the text that was read; `offset` the same in the file.
        repair: what to read in its place, or None.
    """

    diagnostic: Diagnostic
    at: int
    offset: int
    repair: Repair | None


def explain(reading: Reading, stop: Stop) -> Mistake:
    """The one mistake at the place where reading stopped."""
    letter = _lookalike(stop)
    if letter is not None:
        return mistake(reading, letter, stop.at)
    told = next((told for slip in _SLIPS if (told := slip(stop))), None) or plain(stop)
    return mistake(reading, told, stop.at, min(stop.end, len(stop.text)))


def mistake(reading: Reading, told: Told, at: int, end: int | None = None) -> Mistake:
    """A mistake by what is told of it and where reading stopped."""
    under = told.under or (at, at if end is None else end)
    return Mistake(
        diagnostic=Diagnostic(
            code=told.code, message=told.message, span=reading.span_at(*under), help=told.help
        ),
        at=at,
        offset=reading.offset(at),
        repair=None if told.instead is None else Repair.of(*(told.over or under), told.instead),
    )


def _lookalike(stop: Stop) -> Told | None:
    """A letter of another script within the word where reading stopped, underlined alone."""
    match = _ANY_WORD.match(stop.text, stop.at)
    word = match.group() if match else stop.text[stop.at : stop.at + 1]
    plain_word = "".join(looks_like(letter) or letter for letter in word)
    for at, letter in enumerate(word, stop.at):
        alike = None if letter.isascii() else looks_like(letter)
        if alike is not None:
            return Told(
                code="lookalike-letter",
                message=f"`{letter}` is {named(letter)} and only looks like `{alike}`",
                help=f"type `{alike}`; names and keywords are ASCII",
                under=(at, at + 1),
                instead=plain_word if plain_word.isascii() else None,
                over=(stop.at, stop.at + len(word)),
            )
    return None


_SLIPS: Final[tuple[Callable[[Stop], Told | None], ...]] = (
    comment_mark,
    missing_package,
    nameless,
    second_tiers,
    quotes,
    joined_clause,
    second_duty,
    missing_zone,
    figure,
    trailing_comma,
    unclosed,
    idiom,
    foreign_construct,
    other_conjunction,
    other_approvers,
    foreign_sign,
    stray_bracket,
    missing_operand,
    missing_clause_word,
    early_annotation,
    clause_order,
    missing_then,
    missing_comma,
    two_values,
    unknown_item,
)
