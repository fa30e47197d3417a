"""One HTTP/1.1 connection to an upstream, and the exchanges that go over it one after another.

Theory. A connection is idle, in an exchange, or closed, and only its keeper lends it out:

    idle ── start ──> exchange ── answer complete, kept alive ──> idle
      │                  │ failure, time, a reader that leaves
      └── any byte ──────┴──────────────> closed

httptools reads the bytes; this file decides what they mean. llhttp is strict by itself (both
lengths, two lengths, bad chunk sizes, bare line ends, folded lines: refused, see the tests) and
lenient where RFC 9112 wants more, so the framing of every answer is checked again here. What
follows an answer unasked closes the connection, because it could be taken for the next answer.

INVARIANT: bytes that came for one exchange are only ever in the `Exchange` made for it. A reader
keeps that object and never the connection, so two callers cannot meet in one.

The reader of an answer waits on one future that says "something happened" and then looks. An
answer that comes in one piece costs one future, one timer and no task.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from pbac.adapters import upstream_session as wire
from pbac.base.limits import (
    UPSTREAM_DRAIN_BYTES_MAX,
    UPSTREAM_DRAIN_SECONDS_MAX,
    UPSTREAM_HEADERS_BYTES_MAX,
    UPSTREAM_INTERIM_ANSWERS_MAX,
    UPSTREAM_READ_AHEAD_BYTES_MAX,
)
from pbac.gateway.upstream import UpstreamError

_VERSIONS: Final = ("1.1", "1.0")
_WITHOUT_BODY: Final = frozenset({204, 304})
_CODING: Final = b"transfer-encoding"
_LENGTH: Final = b"content-length"
_TIMER_SECONDS_OFF_MAX: Final = 0.002


class UnsoundError(Exception):
    """An answer that httptools would accept and we do not. Ends the parsing from a callback."""


class Keeper(Protocol):
    """Who lends connections out."""

    def keep(self, connection: HttpConnection) -> None:
        """Take back a connection that can carry another exchange."""

    def drop(self, connection: HttpConnection) -> None:
        """Forget a connection that can not. May be told twice, or of one never kept."""


class Exchange:
    """One request and the answer to it, in the order in which it arrives.

    Attributes:
        status: of the answer; 0 until all of its header lines are there.
        headers: lower-case name to value; None for a name that was sent more than once.
        complete: whether the whole answer has arrived.
        seconds, deadline: how long it may take, and until when in the time of the loop.
    """

    __slots__ = (
        "_loop", "_unread", "_unread_bytes", "_waiter", "complete", "connection", "deadline",
        "drained_bytes", "failure", "headers", "seconds", "status",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.seconds = seconds
        self.deadline = loop.time() + seconds
        self.status = 0
        self.headers: dict[bytes, bytes | None] = {}
        self.complete = False
        self.failure: UpstreamError | None = None
        self.connection: HttpConnection | None = None
        self.drained_bytes: int | None = None
        self._loop = loop
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait for status and headers. Raises `UpstreamError`."""
        while not self.status:
            if self.failure is not None:
                raise self.failure
            await self._something()

    async def read(self) -> bytes:
        """The next bytes of the body as they came, or b"" at its end. Raises `UpstreamError`."""
        while not self._unread:
            if self.failure is not None:
                raise self.failure
            if self.complete:
                return b""
            await self._something()
        chunks = self._unread
        self._unread = []
        self._unread_bytes = 0
        if self.connection is not None:
            self.connection.resume()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def finish(self) -> None:
        """The reader has what it wanted; what little may follow is read away unseen."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.drain()

    def release(self) -> None:
        """The reader leaves: the connection is kept if the answer is complete, else closed."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.finish()

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body; whether the reader is so far behind that more must wait."""
        if self.drained_bytes is not None:
            self.drained_bytes += len(chunk)
            if self.drained_bytes > UPSTREAM_DRAIN_BYTES_MAX:
                raise UnsoundError("too much behind the answer")
            return False
        self._unread.append(chunk)
        self._unread_bytes += len(chunk)
        return self._unread_bytes > UPSTREAM_READ_AHEAD_BYTES_MAX

    def wake(self) -> None:
        """Let the reader look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _something(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter


class HttpConnection(asyncio.Protocol):
    """A transport with its parser. Not to be used before `connection_made`."""

    __slots__ = (
        "_barren_bytes", "_deadline", "_exchange", "_header_bytes", "_interim", "_keeper", "_loop",
        "_parser", "_paused", "_reusable", "_timer", "_transport", "_until_close", "lost",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, keeper: Keeper) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._keeper = keeper
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._paused = False
        self._fresh_answer()

    def _fresh_answer(self) -> None:
        self._until_close = self._reusable = False
        self._header_bytes = self._barren_bytes = self._interim = 0

    def is_open(self) -> bool:
        """Whether an exchange can be started."""
        return self._transport is not None and not self._transport.is_closing()

    def start(self, exchange: Exchange, request: bytes) -> bool:
        """Send a whole request. False when not one byte of it was sent: the peer has closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._exchange = exchange
        exchange.connection = self
        self._fresh_answer()
        self._expire_at(exchange.deadline)
        transport.write(request)
        return True

    def finish(self) -> None:
        """End the exchange, and the connection too if the answer was not read to its end."""
        exchange, self._exchange = self._exchange, None
        transport = self._transport
        if (
            self._reusable
            and exchange is not None
            and exchange.complete
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()  # answered before it was all asked
        ):
            self.resume()
            self._keeper.keep(self)
        else:
            self.abort()

    def drain(self) -> None:
        """Read the rest of an answer nobody waits for, if it is short and comes soon."""
        exchange = self._exchange
        if exchange is None or exchange.complete or not self.is_open():
            self.finish()
            return
        exchange.drained_bytes = 0
        self._expire_at(self._loop.time() + UPSTREAM_DRAIN_SECONDS_MAX)
        self.resume()

    def resume(self) -> None:
        """Let the upstream go on sending."""
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once. Nothing is sent or read any more, so no answer becomes complete."""
        self._until_close = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keeper.drop(self)
        if self._transport is not None:
            self._transport.abort()

    # --- what the event loop tells --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        exchange = self._exchange
        if exchange is None:
            self.abort()  # nothing was asked, so this could only pass for an answer to come
            return
        self._barren_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(_unsound(), error)
            return
        if self._barren_bytes > UPSTREAM_HEADERS_BYTES_MAX and not exchange.complete:
            self._fail(_unsound(), None)
            return
        if exchange.complete and exchange.drained_bytes is not None:
            self.finish()
        exchange.wake()

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        exchange = self._exchange
        if exchange is not None and self._until_close and error is None:
            exchange.complete = True
        if exchange is not None and exchange.status:
            failure = wire.protocol_error("its answer ends too early", executed=None)
        else:
            failure = wire.unreachable("the upstream closed the connection", executed=None)
        self._fail(failure, error)
        self.lost.set_result(None)

    # --- what the parser tells ------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._exchange is None or self._exchange.complete:
            raise UnsoundError("more than was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line, or one trailer: those are counted and forgotten."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > UPSTREAM_HEADERS_BYTES_MAX:
            raise UnsoundError("too many header bytes")
        exchange = self._exchange
        assert exchange is not None
        if not exchange.status:
            name = name.lower()
            exchange.headers[name] = None if name in exchange.headers else value

    def on_headers_complete(self) -> None:
        """Status and headers are there. An interim answer is passed over (RFC 9110 15.2)."""
        exchange, parser = self._exchange, self._parser
        assert exchange is not None
        status, version = parser.get_status_code(), parser.get_http_version()
        # 101 would end HTTP on this connection, and nobody asked for that.
        if status < 100 or status == 101 or version not in _VERSIONS:
            raise UnsoundError("no answer to HTTP/1.1")
        if status < 200:
            self._interim += 1
            exchange.headers.clear()
            if self._interim > UPSTREAM_INTERIM_ANSWERS_MAX:
                raise UnsoundError("too many interim answers")
            return
        self._until_close = _ends_with_the_connection(status, version, exchange.headers)
        self._barren_bytes = 0
        exchange.status = status

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        exchange, transport = self._exchange, self._transport
        assert exchange is not None
        assert transport is not None
        self._barren_bytes = 0
        if exchange.take(chunk) and not self._paused:
            self._paused = True
            transport.pause_reading()

    def on_message_complete(self) -> None:
        """The end of an answer; of an interim one if there is no status yet."""
        exchange = self._exchange
        assert exchange is not None
        exchange.complete = exchange.status != 0
        self._reusable = self._parser.should_keep_alive()  # not to be asked later

    # --- ends -----------------------------------------------------------------------------

    def _expire_at(self, deadline: float) -> None:
        """Time the exchange. A timer that rings too early looks again, so few are ever set."""
        self._deadline = deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        exchange = self._exchange
        if exchange is None:
            return
        if self._deadline - self._loop.time() > _TIMER_SECONDS_OFF_MAX:
            self._expire_at(self._deadline)
        else:
            self._fail(wire.timed_out(exchange.seconds), None)

    def _fail(self, failure: UpstreamError, cause: Exception | None) -> None:
        """Close, and say why to a reader whose answer is not complete."""
        exchange = self._exchange
        self.abort()
        if exchange is None:
            return
        if not exchange.complete and exchange.failure is None:
            failure.__cause__ = cause
            exchange.failure = failure
        exchange.wake()


def _unsound() -> UpstreamError:
    return wire.protocol_error("its answer is not sound HTTP", executed=None)


def _ends_with_the_connection(
    status: int, version: str, headers: dict[bytes, bytes | None]
) -> bool:
    """How the body is framed (RFC 9112 6.3): by nothing but the end of the connection?

    Raises:
        UnsoundError: for a coding other than `chunked`, which is the only one we could undo.
    """
    if _CODING in headers:
        # RFC 9112 6.1: in an HTTP/1.0 message it means that "the framing is faulty". Behind the
        # word llhttp passes over spaces and nothing else; then it reads something else than we.
        coding = (headers[_CODING] or b"").rstrip(b" ").lower()
        if version != "1.1" or coding != b"chunked":
            raise UnsoundError("a transfer coding other than `chunked`")
        return False
    return _LENGTH not in headers and status not in _WITHOUT_BODY
