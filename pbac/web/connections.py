"""Open connections: bounded in number, and in the time they may take to ask something.

Theory. A connection is *idle* (no complete request has arrived yet, or the last one is answered)
or *busy*. Idle ones are in order of since when, so the ones to close are always at the front:

    accept ──> idle ──(request begins)──> busy ──(answered)──> idle
                │ first request not whole within HEADERS_SECONDS_MAX, handshake included: 408
                │ too many connections, and idle the longest: closed for the next
                └ idle longer than CONNECTION_IDLE_SECONDS_MAX: closed by the server library

Under TLS a connection has no transport before its handshake is done: it counts, and the handshake
has the same time. Where every connection is busy, the next one is told 503 and closed: whoever
holds sockets open without asking anything can therefore never keep others out, and whoever asks is
told at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from pbac.base.limits import CONNECTIONS_MAX, FILES_RESERVED, HEADERS_SECONDS_MAX

if TYPE_CHECKING:
    from pbac.web.connection import Connection

SWEEP_SECONDS: Final = 1.0

_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_OVERLOADED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Connections:
    """All connections of one listener. Lives on the event loop.

    `count` receives a symbolic code for each connection that is closed before its time.
    """

    def __init__(
        self,
        count: Callable[[str], None],
        *,
        connections_max: int = CONNECTIONS_MAX,
        headers_seconds_max: float = HEADERS_SECONDS_MAX,
    ) -> None:
        self._count = count
        self._connections_max = connections_max
        self._headers_seconds_max = headers_seconds_max
        self._idle: dict[Connection, float] = {}
        self._silent: set[Connection] = set()  # those that never asked anything
        self._busy = 0

    def accepting(self, server: Callable[[], Connection]) -> Callable[[], asyncio.Protocol]:
        """What makes a protocol of every accepted connection; `server` makes those we take."""
        loop = asyncio.get_running_loop()

        def accept() -> asyncio.Protocol:
            if len(self._idle) + self._busy >= self._connections_max and not self._make_room():
                self._count("overloaded")
                return _Refusal()
            handler = server()
            self._idle[handler] = loop.time()
            self._silent.add(handler)
            return handler

        return accept

    def begin(self, request: web.Request) -> None:
        """A whole request head has arrived."""
        handler = cast("Connection", request.protocol)
        self._idle.pop(handler, None)
        self._silent.discard(handler)
        self._busy += 1

    def end(self, request: web.Request) -> None:
        """The request is answered."""
        handler = cast("Connection", request.protocol)
        self._busy -= 1
        if handler.transport is not None:
            self._idle[handler] = asyncio.get_running_loop().time()

    def lost(self, handler: Connection) -> None:
        """The connection has gone."""
        self._idle.pop(handler, None)
        self._silent.discard(handler)

    async def keep_sweeping(self) -> None:
        """Close, until cancelled, what takes too long to ask its first question."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sweep(loop.time() - self._headers_seconds_max)

    def _sweep(self, before: float) -> None:
        for handler, since in tuple(self._idle.items()):
            if since > before or handler not in self._silent:
                continue
            self._count("request_timeout")
            self.lost(handler)
            if handler.transport is not None:  # else its handshake has just been given up
                handler.transport.write(_TIMEOUT)
                handler.force_close()

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest, if there is one."""
        oldest = next((each for each in self._idle if _is_quiet(each)), None)
        if oldest is None:
            return False
        self._count("connection_evicted")
        self.lost(oldest)
        oldest.force_close()
        return True


def _is_quiet(handler: Connection) -> bool:
    """Nothing has arrived that is still to be answered, and its handshake is done."""
    return handler.transport is not None and not handler.has_asked


class _Refusal(asyncio.Protocol):
    """Says 503 to a connection there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        writing = cast("asyncio.Transport", transport)
        writing.write(_OVERLOADED)
        writing.close()


def connections_max() -> int:
    """How many connections this process can hold: files are needed for other things too."""
    if sys.platform == "win32":
        return CONNECTIONS_MAX
    import resource  # noqa: PLC0415 (not on Windows)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_RESERVED
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS_MAX, max(soft // 2, soft - FILES_RESERVED))
