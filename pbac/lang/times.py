"""Windows of local wall time: `env.now in weekdays 09:00-17:00 "Europe/Berlin"`.

The zone's own clock decides, whatever the host's says; daylight saving therefore needs no rule: an
hour that happens twice is inside twice, an hour that is skipped is never seen. Zones are read from
the `tzdata` package alone and never from the host, since a version's digest names that package and
a replayed decision must come out the same (Laws 5 and 7).
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pbac.lang.truth import UNKNOWN
from pbac.model.values import Value

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY: Final = 24 * 60

_MOMENT_MS_MAX: Final = 253_402_128_000_000  # 9999-12-30: one day of room for any zone
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


def zone(name: Value) -> ZoneInfo:
    """The named zone of the IANA database.

    Raises:
        ValueError: when there is no such zone.
    """
    if type(name) is not str or not _ZONE_NAME.fullmatch(name):
        raise ValueError("a time zone is written like `Europe/Berlin`")
    resource = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    try:
        with resource.open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
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
    wanted, local = _days(days), zone(name)
    if type(start) is not int or type(end) is not int:
        raise ValueError("a window begins and ends at whole minutes")
    if not (0 <= start < MINUTES_A_DAY and 0 <= end <= MINUTES_A_DAY) or start == end:
        raise ValueError("a window is written like `09:00-17:00` and must not be empty")

    def inside(moment: Value) -> Value:
        if type(moment) is not int or not 0 <= moment <= _MOMENT_MS_MAX:
            return UNKNOWN
        here = datetime.fromtimestamp(moment // 1000, local)
        minute, today = here.hour * 60 + here.minute, here.weekday()
        if start < end:
            return today in wanted and start <= minute < end
        return (minute >= start and today in wanted) or (minute < end and (today - 1) % 7 in wanted)

    return inside
