"""Second readers, slow and plain, and what a connection needs of the world."""

from __future__ import annotations

import io
import re

import h11

from pbac.mcp.event_stream import Event


def events(data: bytes, cap: int):
    """WHATWG HTML 9.2.6 as it is written, on the whole stream; the code of an error if it ends in
    one. An event is too large when its fields, or one line of a comment behind them, exceed `cap`.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    *lines, rest = re.split(rb"\r\n|\r|\n", data)
    found, fields, size = [], [], 0
    for line in lines:
        if size + len(line) > cap:
            return "event_too_large"
        if not line:
            if (event := _dispatched(fields)) is not None:
                found.append(event)
            fields, size = [], 0
        elif not line.startswith(b":"):
            size += len(line)
            try:
                name, _, value = line.decode().partition(":")
            except UnicodeDecodeError:
                return "event_stream_error"
            fields.append((name, value.removeprefix(" ")))
    return "event_too_large" if size + len(rest) > cap else found


def _dispatched(fields: list[tuple[str, str]]) -> Event | None:
    data = [value for name, value in fields if name == "data"]
    if not data:
        return None
    kinds = [value for name, value in fields if name == "event"]
    ids = [value for name, value in fields if name == "id" and "\0" not in value]
    retries = [v for name, v in fields if name == "retry" and re.fullmatch("[0-9]{1,9}", v)]
    return Event(
        "\n".join(data),
        (kinds or [""])[-1] or "message",
        ids[-1] if ids else None,
        int(retries[-1]) if retries else None,
    )


def h11_answer(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of the first answer as h11 reads it, or None where it will not."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, body = 0, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, body
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None


def lines(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


class Transport:
    """What a connection asks of its socket."""

    def __init__(self) -> None:
        self.closing = False

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Keeper:
    """Who lends the connection out."""

    def keep(self, connection) -> None:
        pass

    def drop(self, connection) -> None:
        pass
