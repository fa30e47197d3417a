"""One connection of a client, and what is told to bytes that are not HTTP.

The parser answers those with 400 before any middleware of ours is asked. aiohttp logs each with
its stack, which lets anyone who can connect fill the operator's log, and tells the sender which
bytes it stumbled over: a credential, if that was the line. Here they are counted and told what they
are, nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from pbac.web.refused import Refused


class Connection(web.RequestHandler):
    """One connection of a client.

    `count` receives a symbolic code, `lost` the connection at its end; `options` are aiohttp's.
    """

    __slots__ = ("_count", "_lost")

    def __init__(
        self,
        manager: web.Server,
        *,
        count: Callable[[str], None],
        lost: Callable[[Connection], None],
        **options: Any,
    ) -> None:
        super().__init__(manager, **options)
        self._count = count
        self._lost = lost

    @property
    def has_asked(self) -> bool:
        """A request has arrived that its handler has not been told of yet."""
        return bool(self._messages)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_lost(exc)
        self._lost(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the sender got wrong is counted and answered; everything else is aiohttp's."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        refused = Refused(400, "malformed_http", "this is not a sound request of HTTP/1.1")
        response = refused.answer(self._count)
        response.force_close()
        return response
