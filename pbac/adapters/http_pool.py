"""Connections to HTTP upstreams, kept between calls: few, fresh, and lent to one call at a time.

Theory. An origin (scheme, host, port) owns a number of *slots*. A slot is being connected, lent
or idle; when none is left, callers queue for the next. It is given back by hand: a connection
that becomes free goes straight to the caller who has waited longest, and a slot that becomes free
goes to them as the right to connect. So nobody overtakes, and a caller who gives up at the very
moment passes on what it was given.

A request is sent again only if not one byte of it was sent: an idle connection that its peer has
closed is found out before the write (`HttpConnection.start`) and another one is taken. Closing by
the peer that has not reached us yet cannot be known, so connections are kept for less time than
servers keep theirs, and a request that meets such an end has an outcome nobody knows.

There are no redirects, proxies, cookies or credentials from the environment in here, because
nothing in here could do them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from contextlib import suppress
from typing import Final, TypeAlias

from pbac.adapters import upstream_session as wire
from pbac.adapters.http_connection import Exchange, HttpConnection
from pbac.base.limits import (
    SHUTDOWN_SECONDS_MAX,
    UPSTREAM_CONNECT_SECONDS_MAX,
    UPSTREAM_CONNECTIONS_MAX,
    UPSTREAM_KEEPALIVE_SECONDS_MAX,
)

_Offer: TypeAlias = "asyncio.Future[HttpConnection | None]"
"""What a caller in the queue waits for: a connection, or None for the right to make one."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""The schemes that can be called, and the ports nobody has to write."""


class HttpOrigin:
    """The connections to one scheme, host and port."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        connections_max: int,
    ) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._tls = tls
        self._connections_max = connections_max
        self._slots = 0
        self._open: set[HttpConnection] = set()
        self._idle: dict[HttpConnection, float] = {}  # since when; the last one is the freshest
        self._queue: deque[_Offer] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def exchange(self, request: bytes, seconds: float) -> Exchange:
        """Send one request and wait for the head of its answer; release the exchange afterwards.

        Args:
            request: everything, head and body.
            seconds: for the whole exchange, with whatever is read of the body later.

        Raises:
            UpstreamError: with `executed=False` when nothing was sent.
        """
        exchange = Exchange(self._loop, seconds)
        if not self._start_on_idle(exchange, request):
            connection = await self._obtain_in_time(seconds)
            if not connection.start(exchange, request):
                connection.abort()
                raise wire.unreachable("the upstream closed the connection")
        try:
            await exchange.head()
        except BaseException:
            exchange.release()
            raise
        return exchange

    def keep(self, connection: HttpConnection) -> None:
        """See `http_connection.Keeper`."""
        if self._closed:
            connection.abort()
        elif not self._offer(connection):
            self._idle[connection] = self._loop.time()
            if self._sweeper is None:
                self._sweep()

    def drop(self, connection: HttpConnection) -> None:
        """See `http_connection.Keeper`."""
        if connection in self._open:
            self._open.remove(connection)
            self._idle.pop(connection, None)
            self._free_slot()

    async def close(self) -> None:
        """Close every connection, in bounded time."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        going = [connection.lost for connection in self._open]
        for connection in tuple(self._open):
            connection.abort()
        if going:
            await asyncio.wait(going, timeout=SHUTDOWN_SECONDS_MAX)

    def _start_on_idle(self, exchange: Exchange, request: bytes) -> bool:
        oldest = self._loop.time() - UPSTREAM_KEEPALIVE_SECONDS_MAX
        while self._idle:
            connection, since = self._idle.popitem()
            if since > oldest and connection.start(exchange, request):
                return True
            connection.abort()
        return False

    async def _obtain_in_time(self, seconds: float) -> HttpConnection:
        try:
            async with asyncio.timeout(min(seconds, UPSTREAM_CONNECT_SECONDS_MAX)):
                return await self._obtain()
        except OSError as error:  # TLS and time are among them
            raise wire.unreachable("the upstream cannot be reached") from error

    async def _obtain(self) -> HttpConnection:
        """A connection of one's own: a new one, or the next that becomes free."""
        while self._slots >= self._connections_max:
            offered = await self._wait_for_offer()
            if offered is None:
                return await self._fill_slot()
            if offered.is_open():
                return offered
        self._slots += 1
        return await self._fill_slot()

    async def _wait_for_offer(self) -> HttpConnection | None:
        offer: _Offer = self._loop.create_future()
        self._queue.append(offer)
        try:
            return await offer
        except asyncio.CancelledError:
            if offer.cancelled():
                with suppress(ValueError):
                    self._queue.remove(offer)
            elif (offered := offer.result()) is None:
                self._free_slot()
            else:
                self.keep(offered)
            raise

    def _offer(self, offered: HttpConnection | None) -> bool:
        while self._queue:
            offer = self._queue.popleft()
            if not offer.done():
                offer.set_result(offered)
                return True
        return False

    def _free_slot(self) -> None:
        if not self._offer(None):
            self._slots -= 1

    async def _fill_slot(self) -> HttpConnection:
        try:
            connection = await self._connect()
        except BaseException:
            self._free_slot()
            raise
        self._open.add(connection)
        if self._closed:
            connection.abort()
        return connection

    async def _connect(self) -> HttpConnection:
        """Try the addresses of the host in order, each for its share of the time."""
        if self._closed:
            raise ConnectionAbortedError("the pool is closed")
        until = self._loop.time() + UPSTREAM_CONNECT_SECONDS_MAX
        addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failures: list[OSError] = []
        for left, (family, _, _, _, address) in zip(
            range(len(addresses), 0, -1), addresses, strict=True
        ):
            share = (until - self._loop.time()) / left
            try:
                async with asyncio.timeout(share):
                    _, connection = await self._loop.create_connection(
                        lambda: HttpConnection(self._loop, self),
                        str(address[0]),
                        self._port,
                        family=family,
                        ssl=self._tls,
                        server_hostname=self._host if self._tls is not None else None,
                    )
                    return connection
            except OSError as error:
                failures.append(error)
        raise failures[-1] if failures else OSError("the host has no address")

    def _sweep(self) -> None:
        """Close what has been idle too long, and look again when the next will have been."""
        self._sweeper = None
        oldest = self._loop.time() - UPSTREAM_KEEPALIVE_SECONDS_MAX
        for connection, since in tuple(self._idle.items()):
            if since > oldest:
                when = since + UPSTREAM_KEEPALIVE_SECONDS_MAX
                self._sweeper = self._loop.call_at(when, self._sweep)
                return
            connection.abort()


class HttpPool:
    """The connections of one process to all its HTTP upstreams. Make it within the event loop.

    Calls of all principals share connections, one after another, and nothing else.
    """

    def __init__(self, *, connections_max: int = UPSTREAM_CONNECTIONS_MAX) -> None:
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLContext | None = None
        self._connections_max = connections_max
        self._origins: dict[tuple[str, str, int], HttpOrigin] = {}

    def origin(self, scheme: str, host: str, port: int | None) -> HttpOrigin:
        """The connections to one origin, which all its users share. Raises `ValueError`."""
        if not host or scheme not in DEFAULT_PORTS:
            raise ValueError("its url has no host, or begins with neither http:// nor https://")
        port = port or DEFAULT_PORTS[scheme]
        key = (scheme, host, port)
        if key not in self._origins:
            self._origins[key] = HttpOrigin(
                self._loop,
                host,
                port,
                tls=self._context() if scheme == "https" else None,
                connections_max=self._connections_max,
            )
        return self._origins[key]

    async def close(self) -> None:
        """Close every connection, in bounded time. Exchanges under way fail."""
        await asyncio.gather(*(origin.close() for origin in self._origins.values()))

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls
