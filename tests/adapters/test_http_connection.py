"""One HTTP connection on literal bytes, however they are cut: what is an answer, and what is none."""

import asyncio

import pytest

from pbac.adapters import http_connection
from pbac.adapters.http_connection import Exchange, HttpConnection
from pbac.base.limits import (
    UPSTREAM_DRAIN_BYTES_MAX,
    UPSTREAM_HEADERS_BYTES_MAX,
    UPSTREAM_INTERIM_ANSWERS_MAX,
    UPSTREAM_READ_AHEAD_BYTES_MAX,
)
from pbac.gateway.upstream import UpstreamError, UpstreamFailure

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
P, U = UpstreamFailure.PROTOCOL, UpstreamFailure.UNREACHABLE


async def body_of(exchange):
    whole = b""
    while chunk := await exchange.read():
        whole += chunk
    return whole


class FakeTransport:
    """Remembers what was done to it."""

    def __init__(self):
        self.sent, self.closing, self.paused, self.unsent = [], False, False, 0

    def write(self, data):
        self.sent.append(data)

    def is_closing(self):
        return self.closing

    def abort(self):
        self.closing = True

    def pause_reading(self):
        assert not self.paused
        self.paused = True

    def resume_reading(self):
        assert self.paused
        self.paused = False

    def get_write_buffer_size(self):
        return self.unsent


class FakeKeeper:
    def __init__(self):
        self.kept, self.dropped = [], []

    def keep(self, connection):
        self.kept.append(connection)

    def drop(self, connection):
        self.dropped.append(connection)


class Line:
    """One exchange over a connection without a socket."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.keeper, self.transport = FakeKeeper(), FakeTransport()
        self.connection = HttpConnection(loop, self.keeper)
        self.connection.connection_made(self.transport)
        self.exchange = self.ask()

    def ask(self):
        exchange = Exchange(asyncio.get_running_loop(), 60)
        assert self.connection.start(exchange, REQUEST)
        return exchange

    def feed(self, data, step=None):
        for at in range(0, len(data), step or len(data)):
            if not self.transport.closing:
                self.connection.data_received(data[at : at + (step or len(data))])

    async def answer(self):
        """(status, body), then what became of the connection."""
        await self.exchange.head()
        answer = self.exchange.status, await body_of(self.exchange)
        self.exchange.release()
        return answer


SOUND = {
    "a length": (ANSWER, (200, b"abc"), True),
    "chunks": (CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", (200, b"abc"), True),
    "chunks in capitals between blanks": (
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: \t Chunked \r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        (200, b"abc"),
        True,
    ),
    "extensions and trailers": (
        CHUNKED + b'3;a="b"\r\nabc\r\n0\r\nA: b\r\nContent-Type: c\r\n\r\n', (200, b"abc"), True,
    ),
    "a trailer about framing": (
        CHUNKED + b"3\r\nabc\r\n0\r\nTransfer-Encoding: x\r\n\r\n", (200, b"abc"), False,
    ),
    "no body": (b"HTTP/1.1 204 X\r\n\r\n", (204, b""), True),
    "a length of nothing": (b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n", (200, b""), True),
    "an interim answer": (b"HTTP/1.1 100 C\r\n\r\n" + ANSWER, (200, b"abc"), True),
    "early hints": (
        b"HTTP/1.1 103 E\r\nContent-Length: 9\r\nLink: x\r\n\r\n" + ANSWER, (200, b"abc"), True,
    ),
    "a last answer": (
        b"HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc"), False,
    ),
    "an old server": (b"HTTP/1.0 200 X\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc"), False),
    "an old server that keeps": (
        b"HTTP/1.0 200 X\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        (200, b"abc"),
        True,
    ),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", (404, b""), True),
    "an empty header": (
        b"HTTP/1.1 200 X\r\nA:\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc"), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("name", SOUND)
async def test_a_sound_answer_is_read_however_it_is_cut(name, step):
    data, expected, kept = SOUND[name]
    line = Line()
    line.feed(data, step)
    assert await line.answer() == expected
    assert (bool(line.keeper.kept), line.transport.closing) == (kept, not kept)


@pytest.mark.parametrize("step", [None, 1])
async def test_an_answer_may_end_with_the_connection(step):
    line = Line()
    line.feed(b"HTTP/1.1 200 X\r\n\r\nabc", step)
    assert not line.exchange.complete
    line.connection.connection_lost(None)
    assert await line.answer() == (200, b"abc")
    assert not line.keeper.kept


UNSOUND = {
    "both lengths": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "both, turned": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"Content-Length: -3\r\n\r\nabc",
    "an empty length": b"Content-Length:\r\n\r\nabc",
    "a length beyond 64 bits": b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "a space before the colon": b"Content-Length : 3\r\n\r\nabc",
    "a name with a space": b"A B: c\r\nContent-Length: 3\r\n\r\nabc",
    "a folded line": b"A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
    "a bare line feed": b"A: b\nContent-Length: 3\r\n\r\nabc",
    "a bare return": b"A: b\rContent-Length: 3\r\n\r\nabc",
    "a NUL": b"A: b\0c\r\nContent-Length: 3\r\n\r\nabc",
    "a chunk of no number": b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a chunk in C": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "chunks with bare line feeds": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "a line feed in an extension": b"Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n",
    "packed chunks": b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks, then packed": b"Transfer-Encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and a tab": b"Transfer-Encoding: chunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\nabc",
    "a long header": b"A: " + b"b" * UPSTREAM_HEADERS_BYTES_MAX + b"\r\n\r\n",
    "many headers": b"A: b\r\n" * UPSTREAM_HEADERS_BYTES_MAX + b"\r\n",
    "a header without end": b"A: " + b"b" * UPSTREAM_HEADERS_BYTES_MAX,
    "trailers without end": (
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * UPSTREAM_HEADERS_BYTES_MAX
    ),
}
UNSOUND = {name: b"HTTP/1.1 200 X\r\n" + data for name, data in UNSOUND.items()} | {
    "chunks of an old server": b"HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
    "switching unasked": b"HTTP/1.1 101 X\r\n\r\n" + ANSWER,
    "interim answers for ever": (
        b"HTTP/1.1 100 C\r\n\r\n" * (UPSTREAM_INTERIM_ANSWERS_MAX + 1) + ANSWER
    ),
    "HTTP/0.9": b"HTTP/0.9 200 X\r\n\r\nabc",
    "HTTP/2.0": b"HTTP/2.0 200 X\r\nContent-Length: 3\r\n\r\nabc",
    "no HTTP": b"ICY 200 X\r\n\r\nabc",
    "a status of nothing": b"HTTP/1.1 000 X\r\nContent-Length: 3\r\n\r\nabc",
    "a status of four digits": b"HTTP/1.1 2000 X\r\nContent-Length: 3\r\n\r\nabc",
    "bare line feeds": b"HTTP/1.1 200 X\nContent-Length: 3\n\nabc",
}


@pytest.mark.parametrize("step", [None, 1_000, 1])
@pytest.mark.parametrize("name", UNSOUND)
async def test_an_unsound_answer_is_refused_and_its_connection_closed(name, step):
    line = Line()
    line.feed(UNSOUND[name], step)
    assert line.transport.closing
    with pytest.raises(UpstreamError) as caught:
        await line.answer()
    assert (caught.value.failure, caught.value.executed) == (P, None)
    line.exchange.release()
    assert not line.keeper.kept


@pytest.mark.parametrize("step", [1_000, 1])
@pytest.mark.parametrize("start", [CHUNKED + b"1;", CHUNKED + b"0\r\nA: "])
async def test_bytes_that_bring_no_body_come_to_an_end(start, step):
    line = Line()
    line.feed(start + b"b" * (UPSTREAM_HEADERS_BYTES_MAX + step), step)
    assert line.transport.closing
    with pytest.raises(UpstreamError):
        await line.answer()


async def test_headers_are_known_by_lower_case_and_a_name_sent_twice_has_no_value():
    line = Line()
    line.feed(
        b"HTTP/1.1 103 X\r\nC: 0\r\n\r\nHTTP/1.1 200 X\r\nA: 1\r\nB: 2\r\na: 3\r\nContent-Length: 0\r\n\r\n"
    )
    assert line.exchange.headers == {b"a": None, b"b": b"2", b"content-length": b"0"}


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("after", [b"x", ANSWER, b"\0", b"HTTP/1.1 100 C\r\n\r\n"])
async def test_what_follows_an_answer_unasked_is_in_no_answer_and_closes(after, step):
    line = Line()
    line.feed(ANSWER + after, step)
    assert await line.answer() == (200, b"abc")
    assert line.transport.closing
    assert not line.keeper.kept


@pytest.mark.parametrize("after", [b"x", b"\r\n", ANSWER])
async def test_a_byte_on_an_idle_connection_closes_it(after):
    line = Line()
    line.feed(ANSWER)
    await line.answer()
    line.feed(after)
    assert line.transport.closing
    assert not line.connection.start(Exchange(asyncio.get_running_loop(), 1), REQUEST)
    assert line.transport.sent == [REQUEST]


async def test_exchanges_follow_one_another_and_each_has_its_own_bytes():
    line = Line()
    for number in range(3):
        line.feed(ANSWER.replace(b"abc", b"%03d" % number), 7)
        assert await line.answer() == (200, b"%03d" % number)
        old, line.exchange = line.exchange, line.ask()
        old.release()
        old.finish()
        assert line.connection is line.exchange.connection, "an old reader cannot end a new one"
    assert not line.transport.closing


async def test_an_answer_that_came_before_the_request_was_all_sent_ends_the_connection():
    line = Line()
    line.transport.unsent = 1
    line.feed(ANSWER)
    assert await line.answer() == (200, b"abc")
    assert line.transport.closing


async def test_a_connection_lost_before_within_or_after_an_answer():
    for data, error, expected in [
        (b"", None, (U, None)),
        (b"", ConnectionResetError(), (U, None)),
        (b"HTTP/1.1 200 X\r\nA: b\r\n", None, (U, None)),
        (ANSWER[:-1], None, (P, None)),
        (CHUNKED + b"3\r\nabc\r\n", None, (P, None)),
        (b"HTTP/1.1 200 X\r\n\r\nabc", ConnectionResetError(), (P, None)),
    ]:
        line = Line()
        if data:
            line.feed(data)
        line.connection.connection_lost(error)
        with pytest.raises(UpstreamError) as caught:
            await line.answer()
        assert (caught.value.failure, caught.value.executed) == expected
        assert caught.value.__cause__ is error
    line = Line()
    line.feed(ANSWER)
    line.connection.connection_lost(None)
    line.transport.closing = True
    assert await line.answer() == (200, b"abc")
    assert not line.keeper.kept


async def test_a_slow_reader_makes_the_upstream_wait_and_gets_every_byte():
    line = Line()
    line.feed(CHUNKED)
    piece = b"x" * 65_536
    while not line.transport.paused:
        line.feed(b"%x\r\n%s\r\n" % (len(piece), piece))
    assert (
        UPSTREAM_READ_AHEAD_BYTES_MAX
        < len(await line.exchange.read())
        <= (UPSTREAM_READ_AHEAD_BYTES_MAX + len(piece))
    )
    assert not line.transport.paused
    line.feed(b"1\r\ny\r\n0\r\n\r\n")
    assert await line.answer() == (200, b"y")
    assert line.keeper.kept


async def test_a_connection_is_not_kept_while_it_is_paused():
    line = Line()
    size = UPSTREAM_READ_AHEAD_BYTES_MAX + 1
    line.feed(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert line.transport.paused
    line.exchange.release()
    assert line.keeper.kept
    assert not line.transport.paused


@pytest.mark.parametrize("step", [None, 1])
async def test_the_short_end_of_a_stream_is_read_away_and_the_connection_kept(step):
    line = Line()
    line.feed(CHUNKED + b"3\r\nabc\r\n")
    assert await line.exchange.read() == b"abc"
    line.exchange.finish()
    line.exchange.release()
    assert (line.keeper.kept, line.transport.closing) == ([], False)
    line.feed(b"2\r\n:\n\r\n0\r\n\r\n", step)
    assert line.keeper.kept
    line.exchange = line.ask()
    line.feed(ANSWER)
    assert await line.answer() == (200, b"abc")


async def test_the_end_of_a_stream_that_is_long_or_late_or_unsound_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(http_connection, "UPSTREAM_DRAIN_SECONDS_MAX", 0.02)
    size = UPSTREAM_DRAIN_BYTES_MAX + 1
    for rest, at_once in [
        (b"%x\r\n" % size + b"x" * size, True),
        (b"zz\r\n", True),
        (b"1\r\n", False),
    ]:
        line = Line()
        line.feed(CHUNKED + b"3\r\nabc\r\n")
        await line.exchange.read()
        line.exchange.finish()
        line.feed(rest)
        assert line.transport.closing is at_once
        await asyncio.sleep(0.05)
        assert line.transport.closing
        assert not line.keeper.kept
        assert line.keeper.dropped
