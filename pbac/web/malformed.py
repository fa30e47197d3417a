"""Requests that are not HTTP: the parser answers 400 before any middleware of ours is asked.

aiohttp logs each with its stack, which lets anyone who can connect fill the operator's log, and
tells the sender which bytes it stumbled over: a credential, if that was the line. Here they are
counted and told what they are, nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from pbac.web.middleware import Refused


class _Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_count",)

    def __init__(
        self, manager: web.Server, *, count: Callable[[str], None], **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._count = count

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


class Runner(web.AppRunner):
    """Serves an application over connections of the kind above.

    `count` receives a symbolic code; `options` are those of `web.RequestHandler`.
    """

    __slots__ = ("_connect",)

    def __init__(
        self,
        app: web.Application,
        *,
        count: Callable[[str], None],
        shutdown_timeout: float,
        **options: Any,
    ) -> None:
        super().__init__(app, handler_cancellation=True, shutdown_timeout=shutdown_timeout)
        self._connect = partial(_Connection, count=count, **options)

    @property
    def server(self) -> Any:
        """What a site calls for each new connection."""
        server = super().server
        if server is None:
            return None
        return partial(self._connect, server, loop=asyncio.get_running_loop())
