"""Plain JSON when the answer comes first; a stream when something has to be said before it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, web

from pbac.gateway.answer import json_answer
from pbac.mcp.event_stream import KEEP_ALIVE
from pbac.web.answer_stream import AnswerStream, Silence

ANSWER = json_answer({"jsonrpc": "2.0", "id": 1, "result": {}}, 200, ("Pbac-Decision", "d_1"))


@pytest.fixture
async def ask():
    """Serves one handler of (stream, silence) and gives the whole answer to one request."""

    async def ask(before):
        silence = Silence(seconds=0.05)

        async def handler(request):
            stream = AnswerStream(request)
            silence.begin(stream)
            try:
                await before(stream)
            finally:
                silence.end(stream)
            return await stream.finish(ANSWER)

        app = web.Application()
        app.router.add_post("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with ClientSession() as client, client.post(f"http://127.0.0.1:{port}/") as response:
            return response.content_type, response.headers, await response.read()

    runners = []
    yield ask
    for runner in runners:
        await runner.cleanup()


async def test_an_answer_that_comes_first_is_plain_json(ask):
    async def nothing(_stream):
        return

    kind, headers, body = await ask(nothing)
    assert kind == "application/json"
    assert headers["Pbac-Decision"] == "d_1"
    assert headers["Cache-Control"] == "no-store"
    assert body == ANSWER.body


async def test_a_notification_makes_it_a_stream(ask):
    kind, headers, body = await ask(lambda stream: stream.notify({"jsonrpc": "2.0", "method": "n"}))
    assert kind == "text/event-stream"
    assert "no-store" in headers["Cache-Control"]
    assert headers["Vary"] == "Authorization"
    first, last = body.strip().split(b"\n\n")
    assert b'"method":"n"' in first
    assert ANSWER.body in last


async def test_a_long_silence_is_broken_by_comments(ask):
    async def slow(_stream):
        await asyncio.sleep(0.3)

    kind, _, body = await ask(slow)
    assert kind == "text/event-stream"
    assert body.count(KEEP_ALIVE) >= 3
    assert body.startswith(KEEP_ALIVE)
    assert ANSWER.body in body


async def test_a_short_silence_is_not(ask):
    async def quick(_stream):
        await asyncio.sleep(0.03)

    kind, _, _ = await ask(quick)
    assert kind == "application/json"


async def test_what_is_said_behind_the_answer_is_not_sent(ask):
    """A comment on its way when the answer comes must not begin a second response."""
    late = []

    async def comment_on_its_way(stream):
        late.append(asyncio.create_task(stream.write(KEEP_ALIVE)))
        streams.append(stream)

    streams = []
    kind, _, body = await ask(comment_on_its_way)
    await asyncio.gather(*late)
    assert streams[0]._response is None
    assert kind == "application/json"
    assert body == ANSWER.body
