"""What a test expects, as it is written: `deny by big_refunds unknown args.amount`.

Read from case files, and written for failures and suggestions; in `test` blocks the grammar says
the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pbac.base.suggest import did_you_mean
from pbac.model.request import FIELDS

DUTY_WORDS: Final = (
    "approval", "limit", "redact", "keep", "truncate", "cap", "set", "reauthenticate", "expire",
    "single", "notify", "record",
)  # fmt: skip
"""The first words of duties, as the grammar has them."""

_WORD: Final = re.compile(r"[^\s,]+|,")
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_CLAUSES: Final = {
    "permit": ("by", "with"),
    "deny": ("by", "unknown"),
    "shown": (),
    "hidden": (),
}
_OUTCOMES: Final = {
    "call": ("permit", "deny"),
    "issue": ("permit", "deny"),
    "list": ("shown", "hidden"),
}
_MEMBER: Final = {"by": "by", "with": "duties", "unknown": "unknown"}


class NotExpected(Exception):  # noqa: N818  # a message and a help for a diagnostic
    """A text that is no expectation."""

    def __init__(self, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.help = help_text


def write_expectation(
    outcome: str, by: Sequence[str] = (), duties: Sequence[str] = (), unknown: Sequence[str] = ()
) -> str:
    """An outcome as a test writes it."""
    parts = [outcome]
    for word, names in (("by", by), ("with", duties), ("unknown", unknown)):
        if names:
            parts.append(f"{word} {', '.join(names)}")
    return " ".join(parts)


def as_written(got: str) -> str:
    """What came of a test, so that it can be written in one: an index is written with a number."""
    return got.replace("[…]", "[0]")


def parse_expectation(text: str, what: str) -> dict[str, Any]:
    """The members of a `nodes.Expectation` about a `call`, a `list` or an `issue`.

    Raises:
        NotExpected: with what to write instead.
    """
    outcome, *words = _WORD.findall(text) or [""]
    outcomes = _OUTCOMES[what]
    if outcome not in outcomes:
        known = " or ".join(f"`{each}`" for each in outcomes)
        message = f"`{what}` ends in {known}, not in `{outcome}`"
        raise NotExpected(message, did_you_mean(outcome, outcomes))
    expected: dict[str, Any] = {"outcome": outcome, "by": (), "duties": (), "unknown": ()}
    clauses = list(_CLAUSES[outcome])
    while words:
        clause = words.pop(0)
        if clause not in clauses:
            raise NotExpected(f"`{clause}` may not stand here", _order(outcome))
        del clauses[: clauses.index(clause) + 1]
        names = _names(clause, words)
        _check(clause, names)
        # As paths are blamed: which item it was is not told.
        expected[_MEMBER[clause]] = tuple(_INDEX.sub("[…]", name) for name in names)
    return expected


def _order(outcome: str) -> str:
    clauses = "".join(f" [{clause} …]" for clause in _CLAUSES[outcome])
    return f"write `{outcome}{clauses}`"


def _names(clause: str, words: list[str]) -> tuple[str, ...]:
    """Takes `a, b, c` from the front of the words."""
    names: list[str] = []
    while not names or (words and words[0] == ","):
        if names:
            words.pop(0)
        if not words or words[0] == ",":
            raise NotExpected(f"a name is missing behind `{clause}`")
        names.append(words.pop(0))
    return tuple(names)


def _check(clause: str, names: tuple[str, ...]) -> None:
    for name in names:
        if clause == "with" and name not in DUTY_WORDS:
            help_ = did_you_mean(name, DUTY_WORDS) or "duties are " + ", ".join(DUTY_WORDS)
            raise NotExpected(f"there is no duty `{name}`", help_)
        root = name.partition(".")[0]
        if clause == "unknown" and (root.split("[")[0] not in FIELDS or name.endswith(".")):
            help_ = did_you_mean(root, FIELDS) or "write a path such as `args.amount`"
            raise NotExpected(f"`{name}` is no path of a request", help_)
