"""Where reading stopped: the facts from which a slip is recognised, and what is told of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lark import UnexpectedInput

from pbac.lang.syntax.resume import item_start
from pbac.lang.syntax.words import CLAUSE_WORDS, ITEM_WORDS

_WORD: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}|[0-9][A-Za-z0-9_.:-]{0,63}"
    r"|&&|\|\||===?|!==?|<>|[<>]=|=[>~<]|!~|->|--|//|/\*|:=|\?\?|."
)
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAST_WORD: Final = re.compile(r"([A-Za-z0-9_]+|[=!<>]+|[^\s])\s*\Z")
_NO_CODE: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*', re.DOTALL
)
_LOOK_BACK_CHARACTERS: Final = 400
_LOOK_AHEAD_CHARACTERS: Final = 2_000
_REST_CHARACTERS_MAX: Final = 200
_CLOSED_BY: Final = {"(": ")", "[": "]", "{": "}"}

Place: TypeAlias = tuple[int, int]
"""Offsets of the first character and behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where reading stopped.

    Attributes:
        text: what was read, as a whole.
        at: character offset; `found` is the word or sign there, "" at the end of the file.
        before: the word or sign in front of it, "" at the start; `before_at` is its offset.
        fits: spellings of the words and signs that would have fitted.
        kinds: names of the terminals that would have fitted.
        starts_line: nothing but blanks stands in front of it on its line.
        lead: the text in front of it, comments blanked, as far as one looks back.
        rest: what follows on its line.
    """

    text: str
    at: int
    found: str
    before: str
    before_at: int
    fits: frozenset[str]
    kinds: frozenset[str]
    starts_line: bool
    lead: str
    rest: str

    @property
    def end(self) -> int:
        """The offset behind what was found."""
        return self.at + len(self.found)

    @property
    def before_end(self) -> int:
        """The offset behind the word in front of it."""
        return self.before_at + len(self.before)

    @property
    def wants_value(self) -> bool:
        """An expression has to begin here."""
        return {"NAME", "LPAR", "NUMBER"} <= self.kinds

    @property
    def after_value(self) -> bool:
        """An expression may end here, or go on with an operator."""
        return "ORDER" in self.kinds or "and" in self.fits

    @property
    def names_end(self) -> bool:
        """The names of a target may end here, or go on with a comma."""
        return {"except", ","} <= self.fits

    @property
    def breaks_off(self) -> int | None:
        """The offset of what begins a clause or an item where something is not finished yet.

        Such a word can be taken for a name, so that reading stopped one word later.
        """
        if self.found in _BEGINNINGS:
            return self.at
        field = self.lead.rstrip().removesuffix(self.before).endswith(".")
        return self.before_at if self.before in _BEGINNINGS - {""} and not field else None

    def lead_place(self, match: re.Match[str], group: int = 0) -> Place:
        """Where a part of `lead` stands in the text."""
        shift = self.at - len(self.lead)
        return match.start(group) + shift, match.end(group) + shift


_BEGINNINGS: Final = frozenset({"", *CLAUSE_WORDS, *ITEM_WORDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What to tell of a mistake.

    Attributes:
        under: what to underline; None for the word or sign that was found.
        instead: what is read in place of it, so that reading goes on; None where nobody can know.
        over: what `instead` stands for, where that is not what is underlined.
    """

    code: str
    message: str
    help: str | None = None
    under: Place | None = None
    instead: str | None = None
    over: Place | None = None


def habit(
    message: str,
    help_: str,
    instead: str | None = None,
    under: Place | None = None,
    over: Place | None = None,
    *,
    code: str = "foreign-syntax",
) -> Told:
    """What to tell of a habit of another language."""
    return Told(code=code, message=message, help=help_, instead=instead, under=under, over=over)


def stop_at(
    text: str, error: UnexpectedInput, kinds: frozenset[str], spellings: Mapping[str, str]
) -> Stop:
    """The place, and the words around it. `kinds` are the terminals that would have fitted."""
    at = error.pos_in_stream
    ended = at is None or at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended or at is None else at
    found = _WORD.match(text, at)
    lead = _without_comments(text[max(0, at - _LOOK_BACK_CHARACTERS) : at])
    before = _LAST_WORD.search(lead)
    line_end = text.find("\n", at)
    after = at + (len(found.group()) if found else 0)
    return Stop(
        text=text,
        at=at,
        found="" if ended or found is None else found.group(),
        before=before.group(1) if before else "",
        before_at=before.start() + at - len(lead) if before else at,
        fits=frozenset(spellings[kind] for kind in kinds if kind in spellings),
        kinds=kinds,
        lead=lead,
        rest=text[after : after + _REST_CHARACTERS_MAX if line_end < 0 else line_end].rstrip(),
        starts_line=not text[text.rfind("\n", 0, at) + 1 : at].strip(),
    )


def _without_comments(text: str) -> str:
    """Good enough to find the last word: a `#` within a text costs a worse message only."""
    return re.sub(r"(?m)(?<![^\s])#[^\n]*", _blank, text)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


# --- brackets ------------------------------------------------------------------------------------


def open_bracket(stop: Stop) -> int | None:
    """The offset of the innermost bracket that is open where something should have ended."""
    end = stop.at if stop.breaks_off is None else stop.breaks_off
    begin = item_start(stop.text, end) or 0
    opened: list[int] = []
    for at, sign in enumerate(_NO_CODE.sub(_blank, stop.text[begin:end]), begin):
        if sign in _CLOSED_BY:
            opened.append(at)
        elif sign in _CLOSED_BY.values() and opened:
            opened.pop()
    return opened[-1] if opened else None


def closing_bracket(stop: Stop, opener: int) -> int | None:
    """The offset of the bracket that closes the one at `opener`."""
    depth = 0
    ahead = stop.text[opener : opener + _LOOK_AHEAD_CHARACTERS]
    for at, sign in enumerate(_NO_CODE.sub(_blank, ahead), opener):
        depth += (sign in _CLOSED_BY) - (sign in _CLOSED_BY.values())
        if depth == 0:
            return at
    return None


def closes(bracket: str) -> str:
    """The bracket that belongs to an opening one."""
    return _CLOSED_BY[bracket]
