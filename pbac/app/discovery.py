"""Finding out what backends offer, in the background: one slow backend delays nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from pbac.catalog.backends import Backend
from pbac.catalog.tools import read_tools
from pbac.gateway.offer import Offer, with_toolset
from pbac.gateway.ports import Published
from pbac.gateway.upstream import Upstream, UpstreamError
from pbac.mcp.parameter_headers import annotation_problem

REFRESH_SECONDS: Final = 60.0
RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits after the first, second, … failure; the last one repeats."""

_log = logging.getLogger("pbac.discovery")


async def keep_discovering(
    backend: Backend, upstream: Upstream, offered: Published[Offer], found: asyncio.Event
) -> None:
    """Publish the backend's tools, again and again. Sets `found` after the first time.

    A backend that does not answer keeps the tools it had: a call of one says that it is
    unreachable, which is more help than an unknown tool.
    """
    failures = 0
    while True:
        try:
            await upstream.start()
            definitions = await upstream.list_tools()
        except UpstreamError as error:
            wait = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
            failures += 1
            told = f"{error.message}; {error.help}" if error.help else error.message
            _log.warning("backend `%s` does not list its tools: %s", backend.name, told)
        else:
            wait, failures = REFRESH_SECONDS, 0
            _publish(backend, definitions, offered)
            found.set()
        await asyncio.sleep(wait)


def _publish(backend: Backend, definitions: Sequence[object], offered: Published[Offer]) -> None:
    toolset = read_tools(backend, definitions, objection=annotation_problem)
    before = offered.current.registry.toolsets.get(backend.name)
    known = set(before.quarantined) if before else set()
    for tool in toolset.quarantined:
        if tool not in known:
            _log.warning(
                "tool `%s` of `%s` is not offered: %s", tool.name, backend.name, tool.reason
            )
    offered.current = with_toolset(offered.current, toolset)
