"""The listener: every route behind every middleware, TLS, and how many may connect."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from aiohttp import web
from watchfiles import awatch

from pbac.app.assemble import Parts
from pbac.app.config import Config
from pbac.audit.storage import AuditUnavailable
from pbac.base.errors import PbacError
from pbac.base.limits import (
    CONNECTION_IDLE_SECONDS_MAX,
    HEADER_LINE_BYTES_MAX,
    HEADERS_SECONDS_MAX,
    REQUEST_BODY_BYTES_MAX,
    SHUTDOWN_SECONDS_MAX,
)
from pbac.web import authzen_routes, health_routes, mcp_routes, middleware, oauth_routes
from pbac.web.connection import Connection
from pbac.web.connections import Connections, connections_max
from pbac.web.peer import networks
from pbac.web.tls import TlsError, load_certificate, server_context

ACCEPT_BACKLOG: Final = 1_024
"""Connections the kernel may hold until we accept them: a burst is not refused."""

_CONNECTION: Final[dict[str, Any]] = {
    "access_log": None,
    "logger": logging.getLogger("pbac.http"),
    "auto_decompress": False,  # an encoded body is refused, never unpacked
    "keepalive_timeout": CONNECTION_IDLE_SECONDS_MAX,
    "max_line_size": HEADER_LINE_BYTES_MAX,
    "max_field_size": HEADER_LINE_BYTES_MAX,
}

_log = logging.getLogger("pbac")


@asynccontextmanager
async def listening(
    parts: Parts, start: Callable[[Coroutine[Any, Any, None]], None]
) -> AsyncIterator[None]:
    """Accept connections; at the end finish what is being answered, then close.

    `start` runs something beside the requests until the gateway stops.
    """
    config = parts.config
    host, port = config.listen_address
    count = parts.gateway.counters.refused
    connections = Connections(count, connections_max=connections_max())
    runner = web.AppRunner(
        application(parts, connections),
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS_MAX,
    )
    await runner.setup()
    listener: asyncio.Server | None = None
    try:
        context = None
        if config.tls is not None:
            context = server_context(
                config.path(config.tls.certificate), config.path(config.tls.key)
            )
            start(_keep_certificate(config, context))
        loop = asyncio.get_running_loop()
        assert runner.server is not None
        connect = partial(
            Connection, runner.server, loop=loop, count=count, lost=connections.lost, **_CONNECTION
        )
        try:
            listener = await loop.create_server(
                connections.accepting(connect),
                host,
                port,
                ssl=context,
                ssl_handshake_timeout=HEADERS_SECONDS_MAX if context is not None else None,
                backlog=ACCEPT_BACKLOG,
            )
        except OSError as error:
            raise PbacError(
                f"cannot listen on `{host}` port {port}: {os.strerror(error.errno or 0).lower()}",
                help="stop what listens there, or change `listen` and `public_url`",
            ) from None
        start(connections.keep_sweeping())
        yield
    finally:
        if listener is not None:
            listener.close()
        await runner.cleanup()


def application(parts: Parts, connections: Connections) -> web.Application:
    """Every route behind every middleware, outermost first."""
    config, gateway = parts.config, parts.gateway
    proxies = networks(config.trusted_proxies)
    routes = [
        *mcp_routes.routes(gateway, proxies),
        *oauth_routes.routes(parts.issuance, proxies),
        *authzen_routes.routes(parts.decision_point),
        *health_routes.routes(gateway, parts.metrics, _audit_is_well(parts)),
    ]
    listen = config.listen_address
    app = web.Application(
        client_max_size=REQUEST_BODY_BYTES_MAX,
        middlewares=[
            middleware.faults(gateway.counters.refused, connections),
            middleware.door(
                [
                    middleware.edge(route.path for route in routes),
                    middleware.host(middleware.own_hosts(config.public_url, listen)),
                    middleware.origin(
                        middleware.own_origins(config.public_url, listen, config.allowed_origins)
                    ),
                ],
                gateway.counters.refused,
            ),
        ],
    )
    app.add_routes(routes)
    return app


def _audit_is_well(parts: Parts) -> Callable[[], bool]:
    def is_well() -> bool:
        try:
            parts.audit.check()
        except AuditUnavailable:
            return False
        return True

    return is_well


async def _keep_certificate(config: Config, context: ssl.SSLContext) -> None:
    """Load certificate and key again whenever one of the files changes."""
    assert config.tls is not None
    certificate, key = config.path(config.tls.certificate), config.path(config.tls.key)
    pair = {str(certificate), str(key)}
    changes = awatch(
        certificate.parent,
        key.parent,
        debounce=50,
        step=10,
        # The folder may hold a log that grows with every line about a change in the folder.
        watch_filter=lambda _, path: path in pair,
    )
    async for _ in changes:
        try:
            load_certificate(context, certificate, key)
        except TlsError as error:
            _log.error("%s; the certificate loaded before serves on", error.message)
