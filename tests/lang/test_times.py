"""Local time is held to `zoneinfo`, above all near the moments at which clocks change."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, _common

from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.lang.evaluate import times
from pbac.lang.evaluate.truth import UNKNOWN

FILES = importlib.resources.files("tzdata")
NAMES = (FILES / "zones").read_text("utf-8").split()
LAST = 253_402_127_999_999  # the last millisecond before 9999-12-30T00:00:00Z
ODD = ["Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "America/Caracas", "Asia/Kathmandu"]


def opened(name):
    return FILES.joinpath("zoneinfo", *name.split("/")).open("rb")


def changes(name):
    """Seconds since 1970 at which the zone's offset from UTC may change, as its file lists them."""
    with opened(name) as file:
        return _common.load_data(file)[1]


CHANGES = {name: [c for c in changes(name) if c > 0] for name in NAMES}
CHANGING = [name for name in NAMES if CHANGES[name]]


def ahead(name, seconds):
    with opened(name) as file:
        zone = ZoneInfo.from_file(file)
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset() // timedelta(
        milliseconds=1
    )


def test_no_zone_changes_twice_within_an_hour():
    """What `LocalTime` keeps for an hour rests on this."""
    assert len(NAMES) > 300
    for name in NAMES:
        assert all(later - earlier > 3600 for earlier, later in pairwise(CHANGES[name])), name


@st.composite
def moments(draw):
    """A zone and moments near its changes, in any order, some of them twice."""
    name = draw(st.sampled_from([name for name in ODD if CHANGES[name]] + CHANGING))
    near = st.builds(
        lambda change, ms: max(0, change * 1000 + ms),
        st.sampled_from(CHANGES[name]),
        st.integers(-7_300_000, 7_300_000) | st.sampled_from([-1, 0, 1]),
    )
    anything = st.integers(0, LAST)
    return name, draw(st.lists(near | anything, min_size=1, max_size=8))


@settings(deadline=None, max_examples=200, derandomize=True, database=None)
@given(moments())
def test_what_a_zone_is_ahead_is_what_zoneinfo_says(given_):
    name, asked = given_
    clock = times.local_time(name)
    for moment in [*asked, *reversed(asked)]:
        kept = clock.kept.get(moment // times.HOUR_MS)
        assert (clock.ahead_ms(moment) if kept is None else kept) == ahead(name, moment // 1000)


@settings(deadline=None, max_examples=200, derandomize=True, database=None)
@given(
    moments(),
    st.sets(st.sampled_from(times.DAYS), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1440),
)
def test_a_window_is_what_the_local_clock_says(given_, days, start, end):
    name, asked = given_
    if start == end:
        return
    inside = times.in_window(",".join(sorted(days)), start, end, name)
    for moment in asked:
        local = moment // 1000 + ahead(name, moment // 1000) // 1000
        here = datetime.fromtimestamp(local, UTC)
        minute, today = here.hour * 60 + here.minute, times.DAYS[here.weekday()]
        before = times.DAYS[here.weekday() - 1]
        day = today in days and start <= minute < end
        night = (today in days and minute >= start) or (before in days and minute < end)
        assert inside(moment) is (day if start < end else night)


def test_what_a_zone_keeps_has_a_bound(monkeypatch):
    monkeypatch.setattr(times, "ZONE_HOURS_KEPT_MAX", 10)
    clock = times.LocalTime(zone=ZoneInfo("Europe/Berlin"))
    for hour in range(100):
        clock.ahead_ms(hour * times.HOUR_MS)
        assert len(clock.kept) <= 10


def test_all_windows_of_a_zone_share_its_clock():
    assert times.local_time("Europe/Berlin") is times.local_time("Europe/Berlin")


def test_moments_without_a_date_are_unknown_whatever_is_kept():
    inside = times.in_window("mon,tue,wed,thu,fri,sat,sun", 0, 1440, "Europe/Berlin")
    for _ in range(2):
        assert (inside(0), inside(LAST)) == (True, True)
        assert inside(-1) is inside(LAST + 1) is inside(True) is inside(0.0) is UNKNOWN
