"""Windows of local time, at their edges and where clocks jump; and whose clock it is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hostile.stage import NEWEST
from support.bad_input import META, both, eventually
from support.turned import TurnedWorld, environment

from pbac.base.source import Source
from pbac.lang.compile import compile_program

WINDOWS = """
package clocked on server shop

tiers read_only < developer < trusted

permit gap
  for tier >= read_only
  on  tool load0
  when env.now in daily 02:00-03:00 "America/New_York"

permit twice
  for tier >= read_only
  on  tool load1
  when env.now in daily 01:00-02:00 "America/New_York"

permit night
  for tier >= read_only
  on  tool load2
  when env.now in fri 22:00-06:00 "Europe/Berlin"

permit sunday
  for tier >= read_only
  on  tool load3
  when env.now in sun 00:00-24:00 "UTC"

permit hours
  for tier >= read_only
  on  tool load4
  when env.now in weekdays 09:00-17:00 "Europe/Berlin"

permit across_the_gap
  for tier >= read_only
  on  tool load5
  when env.now in sun 01:30-03:30 "America/New_York"

permit anything
  for tier >= read_only
  on  tool echo
"""

NEW_YORK, BERLIN, UTC = map(ZoneInfo, ("America/New_York", "Europe/Berlin", "UTC"))


def turned(stage) -> TurnedWorld:
    """The gateway of this area, started when it is first asked for."""
    if "turned" not in stage.others:
        clock = Path(stage.plain.gateway.directory).with_name("clock")
        gateway = stage.serve(
            backends=both(stage.upstream, stage.plain.frail),
            policy={"clocked.pbac": WINDOWS},
            edit=lambda text: text.replace('denials = "result"', 'denials = "403"'),
            **environment(clock),
        )
        world = TurnedWorld(gateway, stage.upstream, stage.plain.frail, token="", clock=clock)
        world.client = gateway.register("developer", "clocked")
        world.secrets.append(world.client["client_secret"])
        world.token = world.token_now()
        stage.others["turned"] = world
    return stage.others["turned"]


def at(text, zone, *, fold=0):
    """A moment by the clocks of a place."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def ask(stage, tool, moment, version, *, inside, seconds=0.0):
    """One call at a moment; what was answered when it is outside the window."""
    world = turned(stage)
    world.turn(moment, seconds=seconds)
    how = {"version": version, "world": world, "token": world.token_now()}
    if inside:
        return stage.honest(tool, **how)
    answer = stage.call(tool, **how)
    assert (answer.status, answer.error) == (403, "policy_denied"), (tool, moment, answer.body)
    return answer


# --- where clocks jump ----------------------------------------------------------------------------


def skipped_hour(stage, version):
    """02:00-03:00 on the day it does not exist: never. On other days, and around: as written."""
    spring = at("2026-03-08T06:59:59", UTC)  # 01:59:59 EST; a second later it is 03:00 EDT
    for seconds in (0.0, 1.0, 2.0, 1_800.0, 3_601.0):
        yield ask(stage, "load0", spring, version, inside=False, seconds=seconds)
    for day in ("2026-03-07", "2026-03-09"):
        ask(stage, "load0", at(f"{day}T02:30:00", NEW_YORK), version, inside=True)
        yield ask(stage, "load0", at(f"{day}T01:59:58", NEW_YORK), version, inside=False)
        yield ask(stage, "load0", at(f"{day}T03:00:00", NEW_YORK), version, inside=False)
    # A window that begins before the gap and ends behind it has one hour less.
    for seconds, inside in ((-1_802.0, False), (-1_798.0, True), (1.0, True), (1_802.0, False)):
        ask(stage, "load5", spring, version, inside=inside, seconds=seconds)
    # An hour that happens twice is inside twice, and the hour behind it not at all.
    autumn = at("2026-11-01T05:00:00", UTC)  # 01:00 EDT; 06:00 is 01:00 EST
    for seconds, inside in ((-2.0, False), (0.0, True), (3_598.0, True), (3_600.0, True)):
        ask(stage, "load1", autumn, version, inside=inside, seconds=seconds)
    yield ask(stage, "load1", autumn, version, inside=False, seconds=7_200.0)


# --- midnight and the end of the week ---------------------------------------------------------------

# (tool, local time, place, inside): each edge a little before and at it.
EDGES = (
    ("load2", "2026-07-10T21:59:58", BERLIN, False),  # Friday
    ("load2", "2026-07-10T22:00:00", BERLIN, True),
    ("load2", "2026-07-11T00:00:00", BERLIN, True),
    ("load2", "2026-07-11T03:00:00", BERLIN, True),  # Saturday, Friday's night
    ("load2", "2026-07-11T05:59:58", BERLIN, True),
    ("load2", "2026-07-11T06:00:00", BERLIN, False),
    ("load2", "2026-07-10T03:00:00", BERLIN, False),  # Thursday's night
    ("load2", "2026-07-11T22:30:00", BERLIN, False),  # Saturday's
    ("load2", "2026-10-24T23:30:00", BERLIN, False),  # Saturday's, when summer time ends
    ("load3", "2026-07-11T23:59:58", UTC, False),
    ("load3", "2026-07-12T00:00:00", UTC, True),
    ("load3", "2026-07-12T23:59:58", UTC, True),  # 24:00 is the end of Sunday
    ("load3", "2026-07-13T00:00:00", UTC, False),
    ("load3", "2026-07-13T01:00:00", BERLIN, True),  # Monday there, Sunday here
    ("load4", "2027-01-01T00:00:00", UTC, False),  # over the end of a year
    ("load4", "2028-02-29T16:59:58", BERLIN, True),
)


def midnight_and_week_end(stage, version):
    """A night belongs to the day it begins on; an end is not in its window; a week is a ring."""
    for tool, local, zone, inside in EDGES:
        answer = ask(stage, tool, at(local, zone), version, inside=inside)
        if inside:
            yield answer
    if version == NEWEST:
        monday = at("2026-07-06T12:00:00", BERLIN)
        for days in range(7):
            moment = monday + timedelta(days=days)
            ask(stage, "load4", moment, version, inside=moment.weekday() < 5)


# --- windows that are none ----------------------------------------------------------------------------

TIMES = (
    *("25:00-26:00", "24:00-25:00", "24:00-06:00", "09:00-24:01", "-1:00-06:00", "09:60-10:00"),
    *("9-17", "9:00-17:00", "09:00", "09:00-", "-17:00", "0900-1700", "09.00-17.00", "9.5-17"),
    *("1e9-17:00", '"9"-"17"', '"09:00"-"17:00"', "09:00-17:00:00", "09:00-17", "29:00-30:00"),
    *(
        "09:00-09:00",
        "00:00-00:00",
        "24:00-24:00",
        "09:00 to 17:00",
        "09:00–17:00",
        "args.a-args.b",
    ),
    *("\u0660\u0669:00-17:00", "09:00pm-10:00pm", "", "null-null", "true-false", "09:00-+17:00"),
)
DAYS = (
    "",
    "monday",
    "mon-fri",
    "Mon",
    "mon mon",
    "mon, mon",
    "everyday",
    '"mon"',
    "1",
    "args.days",
)
ZONES = (
    *(
        '"Mars/Olympus"',
        '"../../etc/passwd"',
        '""',
        '"Europe"',
        '"+01:00"',
        "",
        "args.zone",
        '"UTC "',
    ),
    *('"europe/berlin"', '"/etc/localtime"', '"posixrules\\u{2028}"', '"zone.tab"', '"tzdata.zi"'),
)


def rule(days="daily", times="09:00-17:00", zone='"UTC"'):
    return f"package p\n\npermit x\n  on tool *\n  when env.now in {days} {times} {zone}\n"


def not_a_window(stage):
    """What is no stretch of the day does not compile, and leaves the old set serving."""
    for times in ("09:00-17:00", "00:00-24:00", "22:00-06:00", "23:59-00:00"):
        assert problems(rule(times=times)) is None, times
    wrong = [
        *(rule(times=times) for times in TIMES),
        *(rule(days=days) for days in DAYS),
        *(rule(zone=zone) for zone in ZONES),
        rule().replace("env.now", "env.today"),
        rule().replace("env.now", '"2026-07-06T12:00:00Z"'),
        rule().replace("env.now", "agent.name"),
    ]
    for text in wrong:
        assert problems(text), text
    _the_old_set_serves(stage, wrong[0])
    yield from ()


def problems(text):
    """What the compiler complains of; None when it compiles."""
    compilation = compile_program([Source("p.pbac", text)], {})
    return compilation.diagnostics if compilation.program is None else None


def _the_old_set_serves(stage, text):
    world = stage.plain
    version, refused = world.gateway.version(), _refused_sets(world)
    path = world.gateway.directory / "policies/broken_clock.pbac"
    path.write_text(text)
    try:
        eventually(lambda: _refused_sets(world) > refused, "the refusal is not recorded")
        assert world.gateway.version() == version
        stage.honest("echo")
    finally:
        path.unlink()


def _refused_sets(world):
    logs = (world.gateway.directory / "state/audit").glob("log-*.jsonl")
    text = b"".join(path.read_bytes() for path in logs)
    return sum(
        b'"kind":"policy"' in line and b'"event":"refused"' in line for line in text.splitlines()
    )


# --- whose clock -----------------------------------------------------------------------------------------

NOON = "2026-07-08T12:00:00+02:00"
NOON_MS = 1_783_504_800_000
ARGUMENTS = (
    {"now": NOON},
    {"now": NOON_MS},
    {"env": {"now": NOON_MS}},
    {"env.now": NOON_MS},
    {"_meta": {"now": NOON_MS}},
    {"time": NOON, "date": "2026-07-08", "today": "2026-07-08", "tz": "Europe/Berlin"},
    {"$env": {"now": NOON_MS}},
    {"__proto__x": {"now": NOON_MS}},
)
HEADERS = (
    {"Date": "Wed, 08 Jul 2026 10:00:00 GMT"},
    {"X-Request-Time": NOON},
    {"X-Timestamp": str(NOON_MS)},
    {"X-Forwarded-Time": NOON},
    {"X-Now": NOON, "Now": NOON, "Time": NOON, "Age": "0", "Env-Now": str(NOON_MS)},
    {"Mcp-Param-Now": NOON, "Mcp-Time": NOON},
    {"Timezone": "Pacific/Kiritimati", "X-Timezone": "Pacific/Kiritimati", "TZ": "UTC+14"},
    {"If-Modified-Since": "Wed, 08 Jul 2026 10:00:00 GMT", "Last-Event-ID": str(NOON_MS)},
    {"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
)
METAS = ({"now": NOON_MS}, {"pbac/now": NOON_MS}, {"env": {"now": NOON_MS}}, {"time": NOON})


def callers_time(stage, version):
    """Only the gateway's clock counts: not an argument, a header, `_meta`, or a token's `iat`."""
    world = turned(stage)
    world.turn(at("2026-07-08T16:59:00", BERLIN))
    token = world.token_now()  # issued at work
    how = {"version": version, "world": world, "token": token}
    stage.honest("load4", **how)
    world.turn(at("2026-07-08T17:05:00", BERLIN))
    for arguments in ({}, *ARGUMENTS):
        yield stage.call("load4", arguments, **how)
    params = {"name": world.names["load4"], "arguments": {}}
    for meta in METAS:
        yield stage.ask("tools/call", params | {"_meta": meta}, **how)
    worn = stage.dress("tools/call", params["name"], version=version, world=world, token=token)
    if version == NEWEST:
        params["_meta"] = META
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    for headers in HEADERS:
        yield world.send(body.encode(), replace=worn | headers)
    world.turn(at("2026-07-08T16:58:00", BERLIN))  # the clock is set back: it counts again
    stage.honest("load4", **how)


ATTACKS = {
    "CLK-01": skipped_hour,
    "CLK-03": midnight_and_week_end,
    "CLK-04": not_a_window,
    "CLK-07": callers_time,
}
