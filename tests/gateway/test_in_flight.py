"""One agent cannot take all calls, and all agents together not more than there are."""

from __future__ import annotations

import asyncio

import pytest

from pbac.gateway.in_flight import InFlight
from pbac.mcp.wire_errors import JsonRpcError


def code_of(in_flight, key):
    with pytest.raises(JsonRpcError) as caught, in_flight.call(key, 7):
        pass
    assert caught.value.request_id == 7
    return caught.value.code


def test_an_agent_has_its_own_share_and_gets_it_back():
    in_flight = InFlight(calls_max=10, per_principal_max=2)
    with in_flight.call("a", 1), in_flight.call("a", 2):
        assert code_of(in_flight, "a") == "rate_limited"
        with in_flight.call("b", 1):
            pass
    with in_flight.call("a", 3):
        pass
    assert in_flight._calls == {}
    assert in_flight._total == 0


def test_all_agents_together_have_a_bound():
    in_flight = InFlight(calls_max=2, per_principal_max=2)
    with in_flight.call("a", 1), in_flight.call("b", 1):
        assert code_of(in_flight, "c") == "overloaded"
    with in_flight.call("c", 1):
        pass


def test_a_call_that_fails_gives_its_place_back():
    in_flight = InFlight(per_principal_max=1)
    with pytest.raises(ValueError, match="x"), in_flight.call("a", 1):
        raise ValueError("x")
    with in_flight.call("a", 1):
        pass


async def test_too_many_calls_of_one_agent_are_answered_429_and_nothing_is_recorded(
    world, monkeypatch
):
    release = asyncio.Event()
    world.upstream.before_answer = release.wait
    monkeypatch.setattr(world.gateway.in_flight, "_per_principal_max", 3)
    running = [asyncio.create_task(world.call("get_price")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert len(world.upstream.calls) == 3
    decided = len(world.audit.records)
    answer, body = await world.call("get_price")
    assert (answer.status, body["error"]["data"]["code"]) == (429, "rate_limited")
    assert dict(answer.headers)["Retry-After"] == "1"
    assert len(world.audit.records) == decided
    assert world.counters.refusals == ["rate_limited"]
    release.set()
    assert all(told.status == 200 for told, _ in await asyncio.gather(*running))
    answer, _ = await world.call("get_price")
    assert answer.status == 200
