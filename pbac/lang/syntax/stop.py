"""Where reading stopped: the facts from which a slip is recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lark import UnexpectedInput

_WORD: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}|[0-9][A-Za-z0-9_.:-]{0,63}|&&|\|\||===?|!==?|<>|=>|->|:=|\?\?|."
)
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAST_WORD: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[=!<>]+|[^\s])\s*\Z")
_LOOK_BACK_CHARACTERS: Final = 400
_REST_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where reading stopped.

    Attributes:
        at: character offset; `found` is the word or sign there, "" at the end of the file.
        before: the word or sign in front of it, "" at the start of the file.
        fits: spellings of the words and signs that would have fitted.
        kinds: names of the terminals that would have fitted.
        starts_line: nothing but blanks stands in front of it on its line.
        lead: the text in front of it, without comments, as far as one looks back.
        rest: what follows on its line.
    """

    at: int
    found: str
    before: str
    fits: frozenset[str]
    kinds: frozenset[str]
    starts_line: bool
    lead: str
    rest: str

    @property
    def wants_value(self) -> bool:
        """An expression has to begin here."""
        return {"NAME", "LPAR", "NUMBER"} <= self.kinds

    @property
    def after_value(self) -> bool:
        """An expression may end here, or go on with an operator."""
        return "ORDER" in self.kinds or "and" in self.fits


Told: TypeAlias = tuple[str, str, str | None]
"""Code, message, help."""


def stop_at(text: str, error: UnexpectedInput, spellings: Mapping[str, str]) -> Stop:
    """What Lark says of the place, and the words around it."""
    kinds = frozenset(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    at = error.pos_in_stream
    ended = at is None or at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended or at is None else at
    found = _WORD.match(text, at)
    lead = _without_comments(text[max(0, at - _LOOK_BACK_CHARACTERS) : at])
    before = _LAST_WORD.search(lead)
    line_end = text.find("\n", at)
    after = at + (len(found.group()) if found else 0)
    return Stop(
        at=at,
        found="" if ended or found is None else found.group(),
        before=before.group(1) if before else "",
        fits=frozenset(spellings[kind] for kind in kinds if kind in spellings),
        kinds=kinds,
        lead=lead,
        rest=text[after : after + _REST_CHARACTERS_MAX if line_end < 0 else line_end].rstrip(),
        starts_line=not text[text.rfind("\n", 0, at) + 1 : at].strip(),
    )


def _without_comments(text: str) -> str:
    """Good enough to find the last word: a `#` within a text costs a worse message only."""
    return re.sub(r"(?m)(^|\s)#[^\n]*", "", text)
