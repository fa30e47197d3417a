"""What somebody is told whose request goes no further, in JSON and in no cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from pbac.base.json import encode
from pbac.gateway.answer import ALWAYS
from pbac.mcp.wire_errors import WIRE_ERRORS, error

NO_STORE: Final = {**dict(ALWAYS), "X-Content-Type-Options": "nosniff"}


def problem(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An error body outside of JSON-RPC: `{"error": code, "message": text}`."""
    return _json(status, {"error": code, "message": message}, headers)


def _json(status: int, tree: dict[str, Any], headers: dict[str, str]) -> web.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status, body=encode(tree), content_type="application/json", headers=NO_STORE | sent
    )


class Refused(NamedTuple):
    """Why a request goes no further: HTTP status, symbolic code, text for the sender."""

    status: int
    code: str
    message: str

    def answer(self, count: Callable[[str], None], **headers: str) -> web.Response:
        """What the sender is told, once `count` was. A word of MCP is told in MCP's own form."""
        count(self.code)
        if self.code in WIRE_ERRORS:
            return _json(self.status, error(None, self.code, self.message), headers)
        return problem(self.status, self.code, self.message, **headers)
