"""Who holds sockets open keeps nobody out, on real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiohttp import web

from pbac.web import connections as module
from pbac.web.connection import Connection
from pbac.web.connections import Connections
from pbac.web.middleware import faults

BRIEF = {"headers_seconds_max": 0.2}
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Listener:
    """A listener of three connections whose one handler answers when it may."""

    def __init__(self, **options):
        self.codes = Counter()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = 0
        self.connections = Connections(self.count, connections_max=3, **options)

    def count(self, code):
        self.codes[code] += 1

    async def answer(self, _request):
        self.asked += 1
        await self.may_answer.wait()
        return web.Response(text="ok")

    async def connect(self, data=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer


async def status(connection):
    line = await asyncio.wait_for(connection[0].readline(), 5)
    return int(line.split()[1]) if line else None


async def closed(connection):
    return await asyncio.wait_for(connection[0].read(), 5)


@pytest.fixture
def listen(monkeypatch):
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.02)

    @asynccontextmanager
    async def listen(tls=None, **options):
        listener = Listener(**options)
        app = web.Application(middlewares=[faults(listener.count, listener.connections)])
        app.router.add_get("/", listener.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        loop = asyncio.get_running_loop()
        lost = listener.connections.lost
        connect = partial(Connection, runner.server, loop=loop, count=listener.count, lost=lost)
        listener.accept = accept = listener.connections.accepting(connect)
        server = await loop.create_server(accept, "127.0.0.1", 0, ssl=tls)
        listener.port = server.sockets[0].getsockname()[1]
        sweeping = asyncio.create_task(listener.connections.keep_sweeping())
        yield listener
        sweeping.cancel()
        listener.may_answer.set()
        server.close()
        await runner.cleanup()

    return listen


async def test_a_head_that_never_ends_is_answered_408_and_closed(listen):
    async with listen(headers_seconds_max=0.1) as listener:
        dripping = await listener.connect(b"GET / HTTP/1.1\r\nX-Slow: ")
        silent = await listener.connect()
        assert await status(dripping) == 408
        assert await status(silent) == 408
        assert listener.codes["request_timeout"] == 2
        assert listener.asked == 0


async def test_a_drip_does_not_win_time(listen):
    async with listen(headers_seconds_max=0.15) as listener:
        reader, writer = await listener.connect(b"GET / HTTP/1.1\r\n")

        async def drip():
            while True:
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await status((reader, writer)) == 408
        dripping.cancel()


async def test_who_has_asked_once_may_stay_silent(listen):
    async with listen(headers_seconds_max=0.1) as listener:
        reader, writer = await listener.connect(ASK)
        assert await status((reader, writer)) == 200
        await asyncio.sleep(0.3)
        await reader.readuntil(b"ok")
        writer.write(ASK)
        assert await status((reader, writer)) == 200


async def test_silent_connections_make_room_for_the_next_the_oldest_first(listen):
    async with listen() as listener:
        silent = [await listener.connect() for _ in range(3)]
        await asyncio.sleep(0.05)
        honest = []  # kept: each takes a place
        for number in range(3):
            honest.append(await listener.connect(ASK))
            assert await status(honest[-1]) == 200
            assert await closed(silent[number]) == b""
        assert listener.codes["connection_evicted"] == 3
        assert listener.codes["overloaded"] == 0


async def test_a_connection_that_has_just_asked_is_not_the_one_that_makes_room(listen):
    async with listen() as listener:
        first, second, _ = [await listener.connect() for _ in range(3)]
        await asyncio.sleep(0.05)
        asking = next(iter(listener.connections._idle))
        asking.data_received(ASK)  # it has arrived, and nobody has begun to answer it
        listener.accept()
        assert await status(first) == 200
        assert await closed(second) == b""


async def test_a_busy_connection_is_never_cut_and_the_next_is_told_503(listen):
    async with listen() as listener:
        listener.may_answer.clear()
        busy = [await listener.connect(ASK) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert listener.asked == 3
        assert await status(await listener.connect(ASK)) == 503
        assert listener.codes == {"overloaded": 1}
        listener.may_answer.set()
        assert [await status(each) for each in busy] == [200, 200, 200]
        assert await status(await listener.connect(ASK)) == 200


async def test_connections_that_went_away_take_no_room(listen):
    async with listen() as listener:
        for _ in range(10):
            _, writer = await listener.connect(ASK)
            writer.close()
        await asyncio.sleep(0.1)
        last = await listener.connect(ASK)
        assert await status(last) == 200
        await asyncio.sleep(0.1)
        assert len(listener.connections._idle) == 1
        assert listener.connections._busy == 0
        assert not listener.connections._silent


async def test_a_handshake_that_never_ends_counts_until_its_time_is_up(listen):
    """Under TLS there is no transport before it: what is accepted is counted all the same."""
    async with listen(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), **BRIEF) as listener:
        held = [await listener.connect(b"\x16\x03\x01") for _ in range(3)]
        await asyncio.sleep(0.05)
        assert len(listener.connections._idle) == 3
        refused = await listener.connect()
        await asyncio.sleep(0.05)
        assert listener.codes["overloaded"] == 1, "none of them can be closed for the next"
        await asyncio.sleep(0.3)
        assert listener.codes["request_timeout"] == 3
        assert not listener.connections._idle
        for _, writer in (*held, refused):
            writer.close()


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (1_024, 1_048_576, 9_216, 8_192),  # raised as far as needed
        (20_000, 20_000, 20_000, 8_192),
        (3_000, 3_000, 3_000, 1_976),
        (256, 1_024, 1_024, 512),  # at least half are for callers
    ],
)
def test_files_are_kept_free_for_other_things(monkeypatch, soft, hard, raised, connections):
    import resource

    limits = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.__setitem__(0, wanted[0]))
    assert module.connections_max() == connections
    assert limits[0] == raised
