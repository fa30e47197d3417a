"""Windows of local wall time: `env.now in weekdays 09:00-17:00 "Europe/Berlin"`.

The zone's own clock decides, whatever the host's says; daylight saving therefore needs no rule: an
hour that happens twice is inside twice, an hour that is skipped is never seen. Zones are read from
the `tzdata` package alone and never from the host, since a version's digest names that package and
a replayed decision must come out the same (Laws 5 and 7).

Asking a zone takes longer than all the rest of a decision. What a zone is ahead of UTC changes a
few times a year, so it is kept for the hours that were asked about: an hour whose first and last
second are alike has no change in it, since no zone changes twice within an hour (the tests look at
all of them). What is kept is what would be computed, so no decision can tell.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from pbac.base.limits import ZONE_HOURS_KEPT_MAX
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.values import Value

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY: Final = 24 * 60
HOUR_MS: Final = 3_600_000

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * HOUR_MS
_THURSDAY: Final = DAYS.index("thu")  # 1970-01-01
_EVERY_DAY: Final = frozenset(range(7))
# One day of room for any zone, before 9999-12-31, and the end of an hour.
_MOMENT_MS_MAX: Final = 253_402_128_000_000 - 1
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """A zone's clock.

    `kept`: hours since 1970 → ms ahead of UTC, of hours without a change. Only this changes.
    """

    zone: ZoneInfo
    kept: dict[int, int] = field(default_factory=dict)

    def ahead_ms(self, moment: int) -> int:
        """How far the zone is ahead of UTC at this moment, a count of ms since 1970."""
        hour = moment // HOUR_MS
        first, last = self._ahead_ms(hour * 3600), self._ahead_ms(hour * 3600 + 3599)
        if first != last:
            return self._ahead_ms(moment // 1000)
        if len(self.kept) >= ZONE_HOURS_KEPT_MAX:
            self.kept.clear()
        self.kept[hour] = first
        return first

    def _ahead_ms(self, seconds: int) -> int:
        ahead = datetime.fromtimestamp(seconds, UTC).astimezone(self.zone).utcoffset()
        assert ahead is not None
        return ahead // timedelta(milliseconds=1)


def local_time(name: Value) -> LocalTime:
    """The clock of the named zone of the IANA database; one for all who ask.

    Raises:
        ValueError: when there is no such zone.
    """
    if type(name) is not str or not _ZONE_NAME.fullmatch(name):
        raise ValueError("a time zone is written like `Europe/Berlin`")
    return _read_zone(name)


@cache  # as many as there are zones: a name that is none raises
def _read_zone(name: str) -> LocalTime:
    resource = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    try:
        with resource.open("rb") as file:
            return LocalTime(zone=ZoneInfo.from_file(file, key=name))
    except (OSError, ValueError):
        raise ValueError(f"there is no time zone `{name}`") from None


def _days(text: Value) -> frozenset[int]:
    """`mon,tue` → {0, 1}.

    Raises:
        ValueError: for anything else.
    """
    names = text.split(",") if type(text) is str else []
    if not names or not set(names) <= set(DAYS):
        raise ValueError("days are written like `mon,tue`")
    return frozenset(map(DAYS.index, names))


def in_window(days: Value, start: Value, end: Value, name: Value) -> Callable[[Value], Value]:
    """Prepares `moment in <days> <start>-<end> "<zone>"`.

    `start` and `end` are minutes of the day, `end` exclusive and at most 1440. A window whose end
    is before its start is a night; it belongs to the day it begins on.

    Raises:
        ValueError: when days, minutes or zone cannot be used, or the window is empty.
    """
    wanted, local = _days(days), local_time(name)
    if type(start) is not int or type(end) is not int:
        raise ValueError("a window begins and ends at whole minutes")
    if not (0 <= start < MINUTES_A_DAY and 0 <= end <= MINUTES_A_DAY) or start == end:
        raise ValueError("a window is written like `09:00-17:00` and must not be empty")

    begin, close, kept = start * _MINUTE_MS, end * _MINUTE_MS, local.kept.get
    daily = wanted == _EVERY_DAY

    def inside(moment: Value) -> Value:
        # Hours that are kept are hours of moments that can be used: the ordinary case, told first.
        ahead = kept(moment // HOUR_MS) if type(moment) is int else None
        if ahead is None:
            if type(moment) is not int or not 0 <= moment <= _MOMENT_MS_MAX:
                return UNKNOWN
            ahead = local.ahead_ms(moment)
        here = (moment + ahead) % _DAY_MS
        if daily:
            return begin <= here < close or (close < begin and not close <= here < begin)
        today = ((moment + ahead) // _DAY_MS + _THURSDAY) % 7
        if begin < close:
            return today in wanted and begin <= here < close
        return (here >= begin and today in wanted) or (here < close and (today - 1) % 7 in wanted)

    return inside
