"""Where reading goes on behind a mistake, and what it reads there."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pbac.lang.syntax.words import ITEM_WORDS

_ITEM: Final = re.compile(rf"^[ \t]*(?:{'|'.join(ITEM_WORDS)})\b", re.MULTILINE)


class Repair(NamedTuple):
    """What is read in place of a stretch of the text. It is never shorter."""

    start: int
    end: int
    instead: str

    @classmethod
    def of(cls, start: int, end: int, instead: str) -> Repair:
        """Blanks fill up what is too short, so that offsets hold."""
        return cls(start, end, instead.ljust(end - start))

    @property
    def grown(self) -> int:
        """By how much the text is longer from `end` on."""
        return len(self.instead) - (self.end - self.start)

    def made(self, text: str) -> str:
        """The text with the repair in it."""
        return text[: self.start] + self.instead + text[self.end :]


def item_start(text: str, before: int, begin: int = 0) -> int | None:
    """The offset of the last line in front of a place that begins like an item."""
    last = None
    for match in _ITEM.finditer(text, begin, before):
        last = match.start()
    return last


def next_item(text: str, at: int) -> int | None:
    """The offset of the next such line: that of the place, if an item begins there."""
    line = text.rfind("\n", 0, at) + 1
    if not text[line:at].strip() and (begins := _ITEM.match(text, line)) and begins.end() > at:
        return line
    end = text.find("\n", at)
    found = _ITEM.search(text, len(text) if end < 0 else end)
    return found.start() if found else None
