"""A call is cancelled at every point at which it waits, one point after another.

Whatever the point: nothing was forwarded that is not in the record, what was forwarded has an
outcome, and the gateway holds nothing of the call any more.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from support.in_memory import make_world

from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import open_audit_keys
from pbac.adapters.audit_reader import read_segments
from pbac.adapters.group_commit import GroupCommit
from pbac.audit.log import AuditLog
from pbac.audit.verify import verify_log
from pbac.base.clock import SystemClock

POINTS_MAX = 60
"""More points than a call has to wait at; the test says how many it found."""


class CancelledAt:
    """Runs a coroutine and throws into it when it waits for the n-th time."""

    def __init__(self, coroutine, point):
        self.coroutine, self.point, self.waits = coroutine, point, 0

    def __await__(self):
        running = self.coroutine.__await__()
        send, value = running.send, None
        while True:
            try:
                waited_for = send(value)
            except StopIteration as done:
                return done.value
            self.waits += 1
            if self.waits == self.point:
                send, value = running.throw, asyncio.CancelledError()
                if waited_for is not None:
                    waited_for._asyncio_future_blocking = False
                continue
            send, value = running.send, (yield waited_for)


class WaitingUpstream:
    """Lets go of the loop before, within and after the call, and tells of its progress."""

    def __init__(self, upstream):
        self.upstream = upstream

    async def call_tool(self, *call, **how):
        await asyncio.sleep(0)
        result = await self.upstream.call_tool(*call, **how)
        await asyncio.sleep(0)
        return result


@pytest.fixture
def place(tmp_path):
    """A gateway in memory whose record is on a real disk."""
    world = make_world()
    keys = open_audit_keys(tmp_path / "keys", "gateway.example/audit")

    def begin():
        files, state = open_audit_files(tmp_path / "audit", keys.verifier)
        log = AuditLog(files, state, keys.signer, SystemClock())
        log.start()
        commit = GroupCommit(log)
        object.__setattr__(world.gateway, "audit", commit)
        world.gateway.upstreams["shop"] = WaitingUpstream(world.upstream)
        world.upstream.notifications = [{"method": "notifications/progress", "params": {}}]
        return world, commit

    def verify():
        found = verify_log(read_segments(tmp_path / "audit"), keys.verifier)
        assert found.ok, found.problems

    def records():
        import orjson

        lines = b"".join(p.read_bytes() for p in sorted((tmp_path / "audit").glob("*.jsonl")))
        return [orjson.loads(line[65:]) for line in lines.splitlines()]

    return begin, records, verify


async def called_until(world, point):
    """One permitted call, cancelled at this point; how often it waited."""
    calling = CancelledAt(world.call("get_price"), point)
    outcome = "answered"
    try:
        await calling
    except asyncio.CancelledError:
        outcome = "cancelled"
    return outcome, calling.waits


async def test_a_call_cancelled_at_any_point_leaves_nothing_behind(place):
    begin, records, verify = place
    world, commit = begin()
    cancelled = 0
    for point in range(1, POINTS_MAX):
        before = len(world.upstream.calls)
        outcome, waits = await called_until(world, point)
        forwarded = len(world.upstream.calls) - before
        assert world.gateway.in_flight._calls == {}
        if outcome == "answered":
            assert waits < point
            break
        cancelled += 1
        assert forwarded in (0, 1)
    assert cancelled >= 3, "it waits for the record, and twice in the upstream"
    answer, _ = await world.call("get_price")
    assert answer.status == 200
    await commit.close()
    verify()
    kept = records()
    decided = [r["decision_id"] for r in kept if r["kind"] == "decision"]
    ended = [r["decision_id"] for r in kept if r["kind"] == "outcome"]
    assert len(world.upstream.calls) <= len(decided), "forwarded without a record"
    assert set(ended) <= set(decided)
    assert len(ended) == len(set(ended)), "two outcomes of one call"
    assert len(ended) >= len(world.upstream.calls), "what was forwarded has no outcome"
    assert sum(r.get("outcome") == "cancelled" for r in kept) >= 2


@pytest.mark.parametrize("seed", range(8))
async def test_calls_cancelled_among_others_do_not_touch_them(place, seed):
    """Twenty calls at once, some of them cancelled at random points."""
    begin, records, verify = place
    chance = random.Random(seed)
    world, commit = begin()
    points = [chance.choice([0, 0, *range(1, 8)]) for _ in range(20)]

    async def one(number, point):
        calling = CancelledAt(world.call("get_price", {"n": number}), point)
        try:
            answer, _ = await calling
        except asyncio.CancelledError:
            return None
        return answer

    answers = await asyncio.gather(*(one(*each) for each in enumerate(points)))
    for point, answer in zip(points, answers, strict=True):
        assert point or (answer is not None and answer.status == 200)
    assert world.gateway.in_flight._calls == {}
    await commit.close()
    verify()
    decided = [r for r in records() if r["kind"] == "decision"]
    told = {dict(answer.headers)["Pbac-Decision"] for answer in answers if answer is not None}
    assert told <= {r["decision_id"] for r in decided}
    assert len(world.upstream.calls) <= len(decided)
