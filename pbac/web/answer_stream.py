"""The answer to one POST: plain JSON, unless something has to be said before it.

A request's status line is held back until its first notification, its answer, or
`KEEP_ALIVE_SECONDS`: an answer that comes first goes out as plain JSON with its own status.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

from pbac.gateway.answer import SERVER, Answer
from pbac.mcp.event_stream import KEEP_ALIVE, encode_message

KEEP_ALIVE_SECONDS: Final = 15.0
"""After which a silent request becomes a stream and is kept open with comments."""

_LOOKS_PER_SILENCE: Final = 5
_STREAM_HEADERS: Final = {
    SERVER[0]: SERVER[1],
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, no-transform",
    "Vary": "Authorization",
    "X-Accel-Buffering": "no",
}


class AnswerStream:
    """Where the messages of one answer go."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        self._writing = asyncio.Lock()
        self._finished = False

    async def notify(self, message: dict[str, Any]) -> None:
        """Send one message now; commits to a stream. Nobody listening is no fault of the call."""
        await self.write(encode_message(message))

    async def write(self, data: bytes) -> None:
        """Send a piece of the stream, which begins with the first. Behind the answer: nothing."""
        async with self._writing:
            if self._finished:
                return
            with suppress(ConnectionError):
                if self._response is None:
                    self._response = web.StreamResponse(headers=_STREAM_HEADERS)
                    await self._response.prepare(self._request)
                await self._response.write(data)

    async def finish(self, answer: Answer) -> web.StreamResponse:
        """Send the answer, as the whole response or as the stream's last event."""
        async with self._writing:
            self._finished = True
            if self._response is None:
                return plain_response(answer)
            with suppress(ConnectionError):
                if answer.message is not None:
                    await self._response.write(encode_message(answer.message))
                await self._response.write_eof()
            return self._response


class Silence:
    """Keeps the streams of slow calls open: a comment in each, every `seconds`.

    One timer looks after all of them, so that a call that is answered at once costs none.
    """

    def __init__(self, seconds: float = KEEP_ALIVE_SECONDS) -> None:
        self._seconds = seconds
        self._since: dict[AnswerStream, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._comments: set[asyncio.Task[None]] = set()

    def begin(self, stream: AnswerStream) -> None:
        """From now on the stream is silent."""
        loop = asyncio.get_running_loop()
        self._since[stream] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / _LOOKS_PER_SILENCE, self._look)

    def end(self, stream: AnswerStream) -> None:
        """The answer is there."""
        del self._since[stream]

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for stream, since in self._since.items():
            if now - since >= self._seconds:
                self._since[stream] = now
                comment = loop.create_task(stream.write(KEEP_ALIVE))
                self._comments.add(comment)
                comment.add_done_callback(self._comments.discard)
        if self._since:
            self._timer = loop.call_later(self._seconds / _LOOKS_PER_SILENCE, self._look)


def plain_response(answer: Answer) -> web.Response:
    """The answer as one response."""
    return web.Response(status=answer.status, body=answer.body, headers=CIMultiDict(answer.headers))
