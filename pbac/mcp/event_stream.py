"""Server-sent events, both ways (WHATWG HTML 9.2.6, "Interpreting an event stream").

The reader takes bytes as they come, split anywhere, and bounds what it keeps: aiohttp's own line
reader stops at 512 KiB, and a tool result may be larger. It is stricter than a browser in two
things: bytes that are not UTF-8 end the stream, and so does an event above the cap.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import SSE_EVENT_BYTES_MAX

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_LINE_END_TEXT: Final = re.compile(r"\r\n|\r|\n")
_RETRY_DIGITS_MAX: Final = 9


class EventStreamError(PbacError):
    """A stream that cannot be read on. `code` is `event_stream_error` or `event_too_large`."""

    code = "event_stream_error"


class Event(msgspec.Struct, frozen=True):
    """One dispatched event. `data` is "" for the priming event of 2025-11-25 (id, no data)."""

    data: str
    event: str = "message"
    id: str | None = None
    retry_ms: int | None = None


class EventStreamReader:
    """Bytes in, events out. An event that is not ended by a blank line is never dispatched."""

    def __init__(self, event_bytes_max: int = SSE_EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._buffer = bytearray()
        self._searched = 0
        self._at_start = True
        self._after_cr = False
        self._fresh_event()

    def _fresh_event(self) -> None:
        self._data: list[str] = []
        self._event = ""
        self._id: str | None = None
        self._retry_ms: int | None = None
        self._kept_bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises:
            EventStreamError: the reader is of no further use then.
        """
        self._buffer += chunk
        if self._at_start and not self._past_byte_order_mark():
            return []
        self._drop_split_line_feed()
        events = []
        start = 0
        while match := _LINE_END.search(self._buffer, max(start, self._searched)):
            if event := self._line(bytes(self._buffer[start : match.start()])):
                events.append(event)
            start = match.end()
            # A CR ends the line at once; if it was half of a CRLF, the LF is still to come.
            self._after_cr = start == len(self._buffer) and match[0] == b"\r"
        del self._buffer[:start]
        self._searched = len(self._buffer)
        self._check_size(len(self._buffer))
        return events

    def _past_byte_order_mark(self) -> bool:
        """Drop one leading mark; False while it cannot be told yet."""
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        elif _BOM.startswith(self._buffer):
            return False
        self._at_start = False
        return True

    def _drop_split_line_feed(self) -> None:
        if self._after_cr and self._buffer:
            if self._buffer.startswith(b"\n"):
                del self._buffer[:1]
            self._after_cr = False

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        # A comment counts while it lasts, or how it came in pieces would decide whether it fits.
        self._check_size(len(line))
        if line.startswith(b":"):
            return None
        self._kept_bytes += len(line)
        try:
            name, _, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise EventStreamError("the event stream is not UTF-8") from None
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        """9.2.6: field names are compared literally; any other field is ignored."""
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif (
            name == "retry"
            and value.isascii()
            and value.isdigit()
            and len(value) <= _RETRY_DIGITS_MAX
        ):
            self._retry_ms = int(value)

    def _dispatch(self) -> Event | None:
        """9.2.6: without any data line nothing is dispatched."""
        event = None
        if self._data:
            event = Event("\n".join(self._data), self._event or "message", self._id, self._retry_ms)
        self._fresh_event()
        return event

    def _check_size(self, pending: int) -> None:
        if self._kept_bytes + pending > self._event_bytes_max:
            raise EventStreamError(
                f"an event is larger than {self._event_bytes_max} bytes", code="event_too_large"
            )


def encode(data: str, *, event: str = "message") -> bytes:
    """One event. Line breaks in `data` become further data lines, so no field can be injected.

    Raises:
        ValueError: when `event` holds a line break.
    """
    if _LINE_END_TEXT.search(event):
        raise ValueError("the type of an event is one line")
    lines = "".join(f"data: {line}\n" for line in _LINE_END_TEXT.split(data))
    return f"event: {event}\n{lines}\n".encode()


def encode_message(tree: dict[str, Any]) -> bytes:
    """One JSON-RPC message as an event. Encoded JSON never holds a line break."""
    return b"event: message\ndata: " + json.encode(tree) + b"\n\n"


KEEP_ALIVE: Final = b":\n\n"
"""A comment, which every reader skips: keeps proxies from closing a silent stream."""
