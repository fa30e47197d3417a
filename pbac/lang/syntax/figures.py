"""Numbers, durations, dates and addresses as other places write them, each with ours.

What is written there is a run of characters without a blank around the place where reading
stopped, or two with blanks between them. `_ROWS` is tried from the top.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from pbac.lang.syntax.stop import Place, Stop, Told
from pbac.lang.syntax.words import DAYS

_RUN: Final = re.compile(r"[\w.:,/%+-]+")
_RUN_BEFORE: Final = re.compile(r"[\w.:,/%+-]+\Z")
_TWO_BEFORE: Final = re.compile(r"[\w.:-]+\s+\Z")
_PARTS: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ \t]+[0-9][\w.:+-]*"
    r"|[\w.:]+(?:[ \t]*[-–][ \t]*|[ \t]+to[ \t]+|[ \t]+)[\w.:+-]+"
)
_DIGITS_MAX: Final = 15
_CHARACTERS_MAX: Final = 64


class Written(NamedTuple):
    """The same in our language: what it is, how to write it, what is read in its place."""

    message: str
    help: str
    instead: str


def figure(stop: Stop) -> Told | None:
    """A number, duration, date, time or address that is not written as here."""
    kinds = stop.kinds | ({_DURATION_ONLY} if stop.kinds == {"DURATION"} else set())
    for place in _places(stop):
        if not place[0] <= stop.at < place[1] <= place[0] + _CHARACTERS_MAX:
            continue
        written = stop.text[slice(*place)]
        for row in _ROWS:
            found = row.pattern.fullmatch(written)
            if found and (not row.where or row.where & kinds):
                ours = row.ours(found, stop)
                return Told(
                    code="syntax",
                    message=ours.message,
                    help=ours.help,
                    under=place,
                    instead=f" {ours.instead} ",
                )
    return None


_TIMES_BEFORE: Final = re.compile(r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}\s*\Z")


def missing_zone(stop: Stop) -> Told | None:
    """`weekdays 09:00-17:00`, and nothing behind it."""
    times = _TIMES_BEFORE.search(stop.lead)
    if times is None or "STRING" not in stop.kinds:
        return None
    start, end = stop.lead_place(times)
    return Told(
        code="syntax",
        message="times are those of a place",
        help=f'name its time zone: `{times.group().strip()} "Europe/Berlin"`',
        under=(start, start + len(times.group().strip())),
        instead=' "UTC" ',
        over=(end, end),
    )


def _places(stop: Stop) -> Iterator[Place]:
    """Where it may be written, the longer first."""
    lead = stop.text[max(0, stop.at - 64) : stop.at]
    before = _RUN_BEFORE.search(lead)
    start = stop.at - len(before.group()) if before else stop.at
    two = _TWO_BEFORE.search(lead)
    for begin in (stop.at - len(two.group()) if two else None, start):
        parts = None if begin is None else _PARTS.match(stop.text, begin)
        if parts:
            yield parts.span()
    run = _RUN.match(stop.text, start)
    if run is None:
        return
    word = run.group().rstrip(",.:/")
    yield start, start + len(word)
    comma = word.rfind(",") + 1
    if 0 < comma <= stop.at - start:
        yield start + comma, start + len(word)


# --- durations and sizes -------------------------------------------------------------------------

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNIT_WORDS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks"), "w"),
}
_A_UNIT: Final = "|".join(sorted(_UNIT_WORDS, key=len, reverse=True))
_DURATION: Final = "a whole number and `s`, `m`, `h`, `d` or `w`"


def _duration(found: re.Match[str], _stop: Stop) -> Written:
    """`15min`, `15 minutes`."""
    ours = f"{int(found[1]) or 1}{_UNIT_WORDS[found[2].lower()]}"
    return Written(f"`{found.group()}` is no duration here", f"write `{ours}`: {_DURATION}", ours)


def _shortest(found: re.Match[str], _stop: Stop) -> Written:
    return Written(f"`{found.group()}` is no time at all", "the shortest duration is `1s`", "1s")


def _one_unit(found: re.Match[str], _stop: Stop) -> Written:
    """`1h30m`, `1.5h`."""
    seconds = sum(
        Decimal(number) * _SECONDS[unit]
        for number, unit in re.findall(r"([0-9.]+)([smhdw])", found.group())
    )
    unit = next((u for u in "wdhms" if seconds and seconds % _SECONDS[u] == 0), None)
    ours = f"{int(seconds / _SECONDS[unit])}{unit}" if unit else "1s"
    message = "a duration is one whole number with one unit"
    return Written(message, f"write `{ours}`" if unit else f"write {_DURATION}", ours)


def _no_number(found: re.Match[str], _stop: Stop) -> Written:
    """`per minute`."""
    ours = f"1{_UNIT_WORDS[found.group()]}"
    return Written(f"`{found.group()}` is no duration here", f"write `{ours}`", ours)


def _no_unit(found: re.Match[str], _stop: Stop) -> Written:
    """`per 60`."""
    number = int(found.group()) or 1
    help_ = f"write `{number}s`, `{number}m`, `{number}h`, `{number}d` or `{number}w`"
    return Written("a duration has a unit", help_, f"{number}s")


def _size(found: re.Match[str], _stop: Stop) -> Written:
    """`64KB`."""
    ours = f"{int(found[1]) or 1}{found[2].upper()}iB"
    return Written(f"`{found.group()}` is no size here", f"write `{ours}`: `KiB` or `MiB`", ours)


# --- numbers -------------------------------------------------------------------------------------


def _number(ours: Callable[[str], str]) -> Callable[[re.Match[str], Stop], Written]:
    """A row about numbers, by how one is written here."""

    def written(found: re.Match[str], _stop: Stop) -> Written:
        number = ours(found.group())
        return Written(f"`{found.group()}` is no number here", f"write `{number}`", number)

    return written


def _all_digits(written: str) -> str:
    """`1e6`."""
    value = Decimal(written)
    if abs(value.adjusted()) > _DIGITS_MAX:
        return "1000000"
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _without_zeros(written: str) -> str:
    """`007`, `00.5`."""
    sign = "-" if written.startswith("-") else ""
    digits = written.removeprefix("-").lstrip("0")
    return sign + (digits if digits[:1].isdigit() else f"0{digits}")


# --- dates and times -----------------------------------------------------------------------------

_A_DATE: Final = "dates are written year, month, day: `2026-01-31`"


def _date(found: re.Match[str], _stop: Stop) -> Written:
    """`2026-1-1`, `2026/01/01`."""
    ours = f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
    return Written(f"`{found.group()}` is no date here", f"write `{ours}`", ours)


def _turned_date(found: re.Match[str], _stop: Stop) -> Written:
    """`01/02/2027`: nobody knows which of them is the day."""
    return Written(f"`{found.group()}` is no date here", _A_DATE, f"{found[1]}-01-01")


def _moment(found: re.Match[str], stop: Stop) -> Written:
    """`2026-01-01T10:00:00`, `2026-01-01 10:00Z`, a moment where a date belongs."""
    day, hour, minute, second, zone = found.groups()
    if re.search(r"@\w+\s+[\w.:-]*\Z", stop.text[max(0, stop.at - 64) : stop.at]):
        return Written("a date belongs here, and no moment", f"write `{day}`", day)
    clock = f"{day}T{int(hour):02}:{minute}:{second or '00'}"
    if not zone:
        help_ = f"write `{clock}Z`, or an offset such as `{clock}+02:00`"
        return Written("a moment says its offset from UTC", help_, f"{clock}Z")
    at = zone.upper() if len(zone) == 1 else f"{zone[:3]}:{zone[-2:]}"
    ours = f"{clock}{at}"
    return Written(f"`{found.group()}` is no moment here", f"write `{ours}`", ours)


def _day_range(found: re.Match[str], _stop: Stop) -> Written:
    """`mon-fri`."""
    first, last = DAYS.index(found[1].lower()), DAYS.index(found[2].lower())
    days = DAYS[first : last + 1] if first <= last else DAYS[first:] + DAYS[: last + 1]
    ours = ", ".join(days)
    word = {(0, 4): "weekdays", (5, 6): "weekends", (0, 6): "daily"}.get((first, last), ours)
    return Written("days are named one by one", f"write `{word}`", ours)


def _times(found: re.Match[str], _stop: Stop) -> Written:
    """`9:00-17:00`, `9-17`, `9am - 5pm`."""
    start, end = _clock(*found.group(1, 2, 3)), _clock(*found.group(4, 5, 6))
    ours = f"{start}-{end}"
    message = f"`{found.group()}` is no stretch of the day here"
    return Written(message, f"write `{ours}`", ours)


def _no_days(found: re.Match[str], _stop: Stop) -> Written:
    """`in 09:00-17:00`."""
    ours = f"daily {found.group()}"
    help_ = f"write `{ours}`, or `weekdays`, `weekends`, `mon, tue`"
    return Written("times are those of days", help_, ours)


def _clock(hour: str, minute: str | None, half: str | None) -> str:
    hours = int(hour) if half is None else int(hour) % 12 + 12 * (half.lower() == "pm")
    return f"{min(hours, 24):02}:{minute or '00'}"


# --- what belongs in quotes ----------------------------------------------------------------------


def _version(found: re.Match[str], _stop: Stop) -> Written:
    """`2.1.3`, `v2.1`."""
    ours = f'v"{found.group().removeprefix("v")}"'
    return Written("a version is written in quotes", f"write `{ours}`", ours)


def _address(found: re.Match[str], stop: Stop) -> Written:
    """`10.0.0.0/8`, `10.0.0.1`: what a caller comes from is always asked by its network."""
    quoted = f'"{found.group()}"'
    before = stop.text[max(0, stop.at - 64) : stop.at]
    network = "/" in found.group() and not re.search(r"\bcidr\s+[\w.:/]*\Z", before)
    if not network and not re.search(r"\benv\.ip\s*(?:[=!]=|in)\s*[\w.:]*\Z", before):
        return Written("an address is written in quotes", f"write `{quoted}`", quoted)
    length = "" if "/" in quoted else "/128" if ":" in quoted else "/32"
    help_ = f'write `in cidr "{found.group()}{length}"`'
    return Written("an address is written in quotes, behind `in cidr`", help_, quoted)


class _Row(NamedTuple):
    """What may be written, where (terminals that fit; empty: anywhere), and how it is here."""

    pattern: re.Pattern[str]
    ours: Callable[[re.Match[str], Stop], Written]
    where: frozenset[str] = frozenset()


_DURATION_ONLY: Final = "only DURATION"
_N: Final = "([0-9]{1,9})"
_DAY: Final = "(mon|tue|wed|thu|fri|sat|sun)"
_HOUR: Final = r"([0-9]{1,2})(?::([0-9]{2}))?\s*([ap]m)?"
_MOMENT: Final = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]+([0-9]{1,2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_ROWS: Final = tuple(
    _Row(re.compile(pattern, re.IGNORECASE), ours, frozenset(where))
    for pattern, ours, where in (
        (r"0+[smhdw]", _shortest, ()),
        (r"(?:[0-9]{1,6}[wdhms]){2,5}|[0-9]{1,6}\.[0-9]{1,4}[wdhms]", _one_unit, ()),
        (rf"{_N}\s*({_A_UNIT})", _duration, ()),
        (_A_UNIT, _no_number, (_DURATION_ONLY,)),
        (rf"{_N}\s*([KM])i?B?", _size, ("SIZE", "ITEMS")),
        (rf"{_HOUR}\s*(?:-|–|to)\s*{_HOUR}", _times, ("TIMES",)),
        (rf"{_DAY}\w*\s*(?:-|–|to)\s*{_DAY}\w*", _day_range, ()),
        (
            _MOMENT,
            _moment,
            (),
        ),
        (r"([0-9]{4})[/.-]([0-9]{1,2})[/.-]([0-9]{1,2})", _date, ()),
        (r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-]([0-9]{4})", _turned_date, ()),
        (r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}", _no_days, ("LPAR",)),
        (r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?", _address, ()),
        (r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:/[0-9]{1,3})?", _address, ()),
        (r"v?[0-9]+(?:\.[0-9]+){2,5}|v[0-9]+(?:\.[0-9]+)+", _version, ()),
        (r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?e[+-]?[0-9]{1,3}", _number(_all_digits), ()),
        (r"-?[0-9]{1,3}(?:,[0-9]{3})+", _number(lambda n: n.replace(",", "_")), ()),
        (r"-?\.[0-9]+", _number(lambda n: n.replace(".", "0.")), ()),
        (r"-?0[0-9]+(?:\.[0-9]+)?", _number(_without_zeros), ()),
        (r"0[xbo][0-9a-f]{1,12}", _number(lambda n: str(int(n, 0))), ()),
        (r"-?[0-9]+(?:\.[0-9]+)?%", _number(lambda n: n.removesuffix("%")), ()),
        (r"[0-9]{1,9}", _no_unit, (_DURATION_ONLY,)),
    )
)
