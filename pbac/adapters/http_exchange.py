"""One POST to an upstream and the messages that answer it, bounded in bytes.

aiohttp's defaults are a browser's, not a gateway's: it follows a redirect and posts the body
again to the new host, inflates 200 kB to 200 MB, keeps cookies of one caller for the next and
honours proxy variables. Each is switched off here; headers are built from nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import hdrs

from pbac.adapters import upstream_session as wire
from pbac.base import json
from pbac.base.limits import (
    RESPONSE_BODY_BYTES_MAX,
    SSE_EVENT_BYTES_MAX,
    UPSTREAM_CONNECT_SECONDS_MAX,
    UPSTREAM_CONNECTIONS_MAX,
    UPSTREAM_KEEPALIVE_SECONDS_MAX,
)
from pbac.mcp.event_stream import EventStreamError, EventStreamReader
from pbac.mcp.jsonrpc import Message

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_FIXED: Final[dict[str, str]] = {
    hdrs.CONTENT_TYPE: _JSON,
    hdrs.ACCEPT: f"{_JSON}, {_EVENTS}",
    hdrs.ACCEPT_ENCODING: "identity",
    hdrs.USER_AGENT: "pbac-gateway",
}
_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None, connect=UPSTREAM_CONNECT_SECONDS_MAX, sock_connect=UPSTREAM_CONNECT_SECONDS_MAX
)


def open_http_client() -> aiohttp.ClientSession:
    """The one client session of a process. Calls of all principals share its connections only."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=UPSTREAM_CONNECTIONS_MAX, keepalive_timeout=UPSTREAM_KEEPALIVE_SECONDS_MAX
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=_TIMEOUT,
    )


class Answer:
    """A response whose body has not been read yet."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        """The value of a header that was sent exactly once, or None."""
        found = self._response.headers.getall(name, [])
        return found[0] if len(found) == 1 else None

    async def messages(self) -> AsyncIterator[Message]:
        """The messages of the body: one of JSON, any number of an event stream.

        Raises:
            UpstreamError: for a body that is too large, compressed, or of another kind.
        """
        if self._response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise wire.protocol_error("it sent a compressed body unasked", executed=None)
        kind = self._response.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
        if kind == _EVENTS:
            async for message in self._events():
                yield message
        elif kind == _JSON:
            yield wire.read_message(await self._body())
        else:
            raise wire.protocol_error(
                f"HTTP {self.status} with a body that is neither JSON nor events", executed=None
            )

    async def _body(self) -> bytes:
        kept = bytearray()
        async for chunk in self._response.content.iter_any():
            kept += chunk
            if len(kept) > RESPONSE_BODY_BYTES_MAX:
                raise wire.too_large(
                    f"its answer is larger than {RESPONSE_BODY_BYTES_MAX} bytes", executed=None
                )
        return bytes(kept)

    async def _events(self) -> AsyncIterator[Message]:
        reader = EventStreamReader(SSE_EVENT_BYTES_MAX)
        async for chunk in self._response.content.iter_any():
            try:
                events = reader.feed(chunk)
            except EventStreamError as error:
                fault = wire.too_large if error.code == "event_too_large" else wire.protocol_error
                raise fault(error.message, executed=None) from None
            for event in events:
                # Other types are of transports long gone; without data it is a priming event.
                if event.event == "message" and event.data:
                    yield wire.read_message(event.data.encode())


@asynccontextmanager
async def post(
    client: aiohttp.ClientSession, url: str, headers: Mapping[str, str], tree: dict[str, Any]
) -> AsyncIterator[Answer]:
    """Send one message. Leaving the block closes an unread stream.

    Raises:
        UpstreamError: when there is no connection, or it breaks within the block.
    """
    async with faults():
        response = await client.post(
            url, data=json.encode(tree), headers=_FIXED | dict(headers), allow_redirects=False
        )
        try:
            yield Answer(response)
        finally:
            # Gives the connection back when the body was read to its end, else closes it.
            response.release()


@asynccontextmanager
async def faults() -> AsyncIterator[None]:
    """Errors of aiohttp in our words. Its own texts name addresses, so they stay on the chain."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise wire.unreachable("the upstream cannot be reached") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise wire.unreachable("the upstream closed the connection", executed=None) from error
    except aiohttp.ClientPayloadError as error:
        raise wire.protocol_error("its answer ends too early", executed=None) from error
    except aiohttp.ClientError as error:
        raise wire.protocol_error("its answer is not sound HTTP", executed=None) from error


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Bound the time of a block; running out of it is `UpstreamFailure.TIMEOUT`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise wire.timed_out(seconds) from None
