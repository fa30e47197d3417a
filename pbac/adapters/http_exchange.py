"""One request to an upstream and the messages that answer it, bounded in bytes and time.

A general HTTP client is made for a browser's work: it follows a redirect and posts the body again
to the new host, inflates 200 kB to 200 MB, keeps cookies of one caller for the next and honours
proxy variables. Nothing of that exists here. The request is built from nothing but the operator's
headers and ours, and everything that is the same in every request is rendered once.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from pbac.adapters import upstream_session as wire
from pbac.adapters.http_connection import Exchange
from pbac.adapters.http_pool import DEFAULT_PORTS, HttpPool
from pbac.base import json
from pbac.base.limits import RESPONSE_BODY_BYTES_MAX, SSE_EVENT_BYTES_MAX
from pbac.catalog.backends import BackendError
from pbac.mcp.event_stream import Event, EventStreamError, EventStreamReader
from pbac.mcp.jsonrpc import Message

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_KINDS: Final = {b"application/json": _JSON, b"text/event-stream": _EVENTS}
_FIXED: Final[dict[str, dict[str, str]]] = {
    "POST": {
        "Content-Type": _JSON,
        "Accept": f"{_JSON}, {_EVENTS}",
        "Accept-Encoding": "identity",
        "User-Agent": "pbac-gateway",
    },
    "DELETE": {"Accept-Encoding": "identity", "User-Agent": "pbac-gateway"},
}
_SAFE: Final = "/%:@!$&'()*+,;=~?"
# RFC 9110 5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
_HEADER_LINE: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*")
_HEADER_SETS_CACHED_MAX: Final = 256


class Endpoint:
    """One URL, and the bytes with which every request to it begins.

    Raises:
        BackendError: when no request can be made of the URL or a header.
    """

    def __init__(
        self, pool: HttpPool, url: str, headers: Mapping[str, str], *, seconds: float
    ) -> None:
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").encode("idna").decode()
            self._origin = pool.origin(parts.scheme, host, parts.port)
            self._heads = {
                verb: _head(verb, parts, host, {**own, **headers}) for verb, own in _FIXED.items()
            }
        except ValueError as error:
            raise BackendError(f"the upstream cannot be called: {error}") from None
        self._seconds = seconds

    async def post(self, sent: Mapping[str, str], tree: dict[str, Any]) -> Answer:
        """Send one message and wait for the head of its answer. Raises `UpstreamError`."""
        body = json.encode(tree)
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return await self._exchange(self._heads["POST"], sent, length + body)

    async def delete(self, sent: Mapping[str, str]) -> Answer:
        """Ask that something end, and wait for the head of the answer. Raises `UpstreamError`."""
        return await self._exchange(self._heads["DELETE"], sent, b"\r\n")

    async def _exchange(self, head: bytes, sent: Mapping[str, str], rest: bytes) -> Answer:
        try:
            request = head + _render(sent) + rest
        except ValueError as error:
            # What is sent holds names that the upstream chose: its session, its parameters.
            raise wire.protocol_error(str(error), executed=False) from None
        return Answer(await self._origin.exchange(request, self._seconds))


class Answer:
    """An answer whose body is read as it is asked for. To be released in any case."""

    __slots__ = ("_events", "_exchange", "_kind", "_reader", "status")

    def __init__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self._exchange = exchange
        self._kind: str | None = None
        self._reader: EventStreamReader | None = None
        self._events: deque[Event] = deque()

    def header(self, name: str) -> str | None:
        """The value of a header (named in lower case) that was sent exactly once, or None."""
        found = self._exchange.headers.get(name.encode())
        return None if found is None else found.strip().decode("latin-1")

    async def message(self) -> Message | None:
        """The next message of the body: one of JSON, any number of an event stream, then None.

        Raises:
            UpstreamError: for a body that is too large, compressed, or of another kind.
        """
        if self._kind is None:
            self._kind = self._read_kind()
            if self._kind == _JSON:
                return wire.read_message(await self._body())
        while not self._events:
            chunk = b"" if self._kind == _JSON else await self._exchange.read()
            if not chunk:
                return None
            self._feed(chunk)
        return wire.read_message(self._events.popleft().data.encode())

    def finish(self) -> None:
        """What was wanted has been read; the end of the body need not be waited for."""
        self._exchange.finish()

    def release(self) -> None:
        """Give the connection back if all of the answer is there, else close it."""
        self._exchange.release()

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Bound what is done between two messages by what is left of the exchange's time."""
        try:
            async with asyncio.timeout_at(self._exchange.deadline):
                yield
        except TimeoutError:
            raise wire.timed_out(self._exchange.seconds) from None

    def _read_kind(self) -> str:
        coding = self._exchange.headers.get(b"content-encoding", b"identity")
        if coding is None or coding.strip().lower() != b"identity":
            raise wire.protocol_error("it sent a compressed body unasked", executed=None)
        sent = self._exchange.headers.get(b"content-type") or b""
        kind = _KINDS.get(sent.partition(b";")[0].strip().lower())
        if kind is None:
            raise wire.protocol_error(
                f"HTTP {self.status} with a body that is neither JSON nor events", executed=None
            )
        return kind

    async def _body(self) -> bytes:
        kept: list[bytes] = []
        size = 0
        while chunk := await self._exchange.read():
            kept.append(chunk)
            size += len(chunk)
            if size > RESPONSE_BODY_BYTES_MAX:
                raise wire.too_large(
                    f"its answer is larger than {RESPONSE_BODY_BYTES_MAX} bytes", executed=None
                )
        return b"".join(kept)

    def _feed(self, chunk: bytes) -> None:
        if self._reader is None:
            self._reader = EventStreamReader(SSE_EVENT_BYTES_MAX)
        try:
            events = self._reader.feed(chunk)
        except EventStreamError as error:
            fault = wire.too_large if error.code == "event_too_large" else wire.protocol_error
            raise fault(error.message, executed=None) from None
        # Other types are of transports long gone; without data it is a priming event.
        self._events.extend(e for e in events if e.event == "message" and e.data)


def _head(verb: str, parts: SplitResult, host: str, headers: Mapping[str, str]) -> bytes:
    """The first lines of a request, to which headers and a body are added."""
    target = quote(parts.path or "/", _SAFE)
    if parts.query:
        target += "?" + quote(parts.query, _SAFE)
    authority = f"[{host}]" if ":" in host else host
    if parts.port is not None and parts.port != DEFAULT_PORTS[parts.scheme]:
        authority += f":{parts.port}"
    # The operator's spelling of a name replaces ours, whatever its case.
    own = {name.lower(): (name, value) for name, value in headers.items()}
    lines = _render({"Host": authority, **dict(own.values())})
    return f"{verb} {target} HTTP/1.1\r\n".encode() + lines


def _render(headers: Mapping[str, str]) -> bytes:
    """Header lines. Raises `ValueError` for what could end its line or hide in it."""
    return _lines(tuple(headers.items()))


@lru_cache(maxsize=_HEADER_SETS_CACHED_MAX)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = ""
    for name, value in headers:
        line = f"{name}: {value}"
        if not _HEADER_LINE.fullmatch(line):
            raise ValueError(f"the header `{ascii(name)[1:-1]}` cannot be sent")
        lines += f"{line}\r\n"
    return lines.encode("latin-1")
