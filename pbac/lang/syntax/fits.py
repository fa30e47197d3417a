"""No slip recognised: what was found, and what would have fitted, the many told as kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pbac.base.suggest import near_misses
from pbac.lang.syntax.stop import NAME, Stop, Told
from pbac.lang.syntax.words import CLAUSE_WORDS, DAY_WORDS, DAYS, DUTY_WORDS, ITEM_WORDS, RESERVED

_SHOWN_MAX: Final = 5

_VALUES: Final = frozenset({
    "NAME", "STRING", "RAW", "NUMBER", "DURATION", "DATE", "DATETIME", "VERSION", "true", "false",
    "null", "LSQB", "LBRACE",
})  # fmt: skip

_KINDS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("a value or a condition", frozenset({*_VALUES, "not", "has", "any", "all"})),
    ("a value", _VALUES),
    ("a comparison", frozenset({
        "ORDER", "<", "in", "is", "like", "matches", "starts", "ends", "contains", "within",
        "intersects", "subset",
    })),
    ("another clause", frozenset({*CLAUSE_WORDS, "@"})),
    ("another rule, definition or test", frozenset(ITEM_WORDS)),
    ("the kind of a duty", frozenset(DUTY_WORDS)),
    ("what a test is given or expects", frozenset({
        "agent", "user", "chain", "token", "args", "facts", "session", "env", "data", "now", "tool",
        "no", "call", "list", "issue",
    })),
    ("days", frozenset({*DAYS, *DAY_WORDS})),
)  # fmt: skip
"""What is told instead of many words and signs; the larger kind first."""

_PART_OF_KIND_MIN: Final = 4

_NAMES: Final = {
    "NAME": "a name",
    "PATTERN": "a name or pattern",
    "STRING": 'a text in `"…"`',
    "RAW": 'a pattern in `r"…"`',
    "NUMBER": "a number",
    "DURATION": "a duration such as `15m`",
    "DATETIME": "a moment such as `2026-07-06T09:00:00Z`",
    "DATE": "a date",
    "TIMES": "times such as `09:00-17:00`",
    "VERSION": 'a version such as `v"2.1"`',
    "RESULT_PATH": "a path such as `result.content`",
    "ORDER": "a comparison",
    "TIER_ORDER": "`>=`",
    "LSQB": "`[`",
    "LBRACE": "`{`",
    "SIZE": "a size such as `64KiB`",
    "WORD": "a word",
}


def plain(stop: Stop) -> Told:
    """What does not fit, and what would."""
    wanted = _wanted(stop)
    close = near_misses(stop.found, stop.fits, most=1) if NAME.fullmatch(stop.found) else []
    same = stop.found.lower() if stop.found.lower() in close else None
    help_: str | None
    only_text = stop.kinds <= {"STRING", "RAW"} and NAME.fullmatch(stop.found)
    if only_text and stop.found not in RESERVED:
        message = f"`{stop.found}` does not fit here"
        quoted = f'"{stop.found}"'
        help_ = f"a text is written in quotes: `{quoted}`"
        return Told(code="syntax", message=message, help=help_, instead=quoted)
    if close:
        help_ = f"did you mean `{close[0]}`?"
    elif not stop.found.isascii():
        help_ = "only texts and comments hold characters like this one"
    else:
        help_ = f"what fits here: {', '.join(wanted)}" if wanted else None
    if not stop.found:
        return Told(code="syntax", message="the file ends in the middle of something", help=help_)
    message = f"`{stop.found}` does not fit here"
    return Told(code="syntax", message=message, help=help_, instead=same)


def _wanted(stop: Stop) -> list[str]:
    """Every word and sign that fits, or their kinds where these are more than a few."""
    known = {kind for kind in stop.kinds if kind in _NAMES}
    fits = known | {text for text in stop.fits if text not in "()[]{}.,"}
    shown = list(_shown(fits))
    if len(shown) <= _SHOWN_MAX:
        return shown
    kinds = []
    for name, members in _KINDS:
        if len(fits & members) >= _PART_OF_KIND_MIN:
            kinds.append(name)
            fits = fits - members
    return [*kinds, *_shown(fits)]


def _shown(fits: set[str]) -> Iterator[str]:
    names = sorted({_NAMES[kind] for kind in fits if kind in _NAMES})
    yield from names
    yield from sorted(f"`{text}`" for text in fits if text not in _NAMES)
