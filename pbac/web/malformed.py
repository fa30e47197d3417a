"""Requests that are not HTTP: the parser answers 400 before any middleware of ours is asked.

aiohttp logs each with its stack, which lets anyone who can connect fill the operator's log.
Here they are counted instead; everything else the server has to say is passed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp.http import HttpProcessingError


class _Counted(logging.Filter):
    """Drops what the sender got wrong, after counting it."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count = count

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        self._count("malformed_http")
        return False


def server_logger(count: Callable[[str], None]) -> logging.Logger:
    """What the HTTP server of one gateway logs to; `count` receives a symbolic code."""
    # Not registered by its name: two gateways in one process must not share a filter.
    logger = logging.Logger("pbac.http")  # noqa: LOG001
    logger.parent = logging.getLogger("pbac")
    logger.addFilter(_Counted(count))
    return logger
