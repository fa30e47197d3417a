"""What to tell about text that does not parse: recognised slips first, the bare facts last.

Lark says where it stopped and which terminals would have fitted there. A slip is recognised from
these facts and the words around the place (`stop`); `_SLIPS` is tried from the top, so the special
stands before the general. `_plain` always has an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from lark import UnexpectedInput

from pbac.base.diagnostics import Diagnostic
from pbac.base.suggest import near_misses
from pbac.lang.syntax.foreign import foreign_construct, foreign_sign, trailing_comma
from pbac.lang.syntax.letters import looks_like, named
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.slips import (
    clause_order,
    missing_clause_word,
    missing_comma,
    missing_operand,
    missing_package,
    quotes,
    two_values,
    unknown_item,
)
from pbac.lang.syntax.stop import NAME, Stop, Told, stop_at

_EXPECTED_SHOWN_MAX: Final = 12
_ABOUT_WORD_BEFORE: Final = frozenset({"trailing-comma"})
_ANY_WORD: Final = re.compile(r"\w{1,64}")


def explain(reading: Reading, error: UnexpectedInput, spellings: Mapping[str, str]) -> Diagnostic:
    """The one diagnostic for a syntax error."""
    stop = stop_at(reading.source.text, error, spellings)
    told = (slip(stop) for slip in _SLIPS)
    letter = _lookalike(reading, stop)
    if letter is not None:
        return letter
    code, message, help_ = next((words for words in told if words), None) or _plain(stop)
    at, word = stop.at, stop.found
    if code in _ABOUT_WORD_BEFORE:
        at, word = reading.source.text.rindex(stop.before, 0, at), stop.before
    span = reading.span_at(at, min(at + len(word), len(reading.source.text)))
    return Diagnostic(code=code, message=message, span=span, help=help_)


def _lookalike(reading: Reading, stop: Stop) -> Diagnostic | None:
    """A letter of another script within the word where reading stopped, underlined alone."""
    text = reading.source.text
    match = _ANY_WORD.match(text, stop.at)
    for at in range(stop.at, match.end() if match else stop.at + 1):
        letter = looks_like(text[at : at + 1]) if not text[at : at + 1].isascii() else None
        if letter is not None:
            return Diagnostic(
                code="lookalike-letter",
                message=f"`{text[at]}` is {named(text[at])} and only looks like `{letter}`",
                span=reading.span_at(at, at + 1),
                help=f"type `{letter}`; names and keywords are ASCII",
            )
    return None


_SLIPS: Final[tuple[Callable[[Stop], Told | None], ...]] = (
    missing_package,
    quotes,
    foreign_construct,
    foreign_sign,
    trailing_comma,
    missing_operand,
    missing_clause_word,
    clause_order,
    missing_comma,
    two_values,
    unknown_item,
)

_KIND_NAMES: Final = {
    "NAME": "a name",
    "PATTERN": "a name or pattern",
    "STRING": 'a text in `"…"`',
    "RAW": 'a pattern in `r"…"`',
    "NUMBER": "a number",
    "DURATION": "a duration such as `15m`",
    "DATETIME": "a moment such as `2026-07-06T09:00:00Z`",
    "DATE": "a date",
    "TIMES": "times such as `09:00-17:00`",
    "RESULT_PATH": "a path such as `result.content`",
    "ORDER": "a comparison",
    "TIER_ORDER": "`>=`",
    "LSQB": "`[`",
    "LBRACE": "`{`",
    "SIZE": "a size such as `64KiB`",
    "WORD": "a word",
}


def _plain(stop: Stop) -> Told:
    """No slip recognised: what was found, and what would have fitted."""
    named = {text for kind, text in _KIND_NAMES.items() if kind in stop.kinds}
    fits = sorted(named) + sorted(f"`{text}`" for text in stop.fits if text not in "()[]{}.,")
    wanted = ", ".join(dict.fromkeys(fits[:_EXPECTED_SHOWN_MAX]))
    close = near_misses(stop.found, stop.fits, most=1) if NAME.fullmatch(stop.found) else []
    if close:
        help_: str | None = f"did you mean `{close[0]}`?"
    elif not stop.found.isascii():
        help_ = "only texts and comments hold characters like this one"
    else:
        help_ = f"what fits here: {wanted}" if wanted else None
    if not stop.found:
        return ("syntax", "the file ends in the middle of something", help_)
    return ("syntax", f"`{stop.found}` does not fit here", help_)
