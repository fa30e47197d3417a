"""Two middlewares: `faults` around everything, and the `door`, a row of checks before any route.

aiohttp's defaults are not a gateway's: it decodes paths, accepts HTTP/1.0, repeated security
headers and any Content-Encoding. What is refused here never reaches a route.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from pbac.base.json import encode
from pbac.gateway.answer import UNCACHED

SENT_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"dpop",
        b"host",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"origin",
    }
)
"""Headers that two readers must not read differently: refused when sent twice."""

_log = logging.getLogger("pbac.web")


def problem(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An error body outside of JSON-RPC: `{"error": code, "message": text}`."""
    body = encode({"error": code, "message": message})
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status, body=body, content_type="application/json", headers=NO_STORE | sent
    )


NO_STORE: Final = {**dict(UNCACHED), "X-Content-Type-Options": "nosniff"}


def faults(count: Callable[[str], None]) -> Middleware:
    """The last resort: an unexpected error is logged here and told nobody else.

    `count` receives a symbolic code, for the metric that has to stay zero.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            code = (error.reason or "error").lower().replace(" ", "_")
            return problem(error.status, code, f"{error.reason}".lower(), **allow)
        except Exception:  # noqa: BLE001 (logged, counted, answered)
            count("internal_error")
            _log.exception("unexpected error at %s", request.path)
            return problem(500, "internal_error", "the gateway met an unexpected error")

    return middleware


class Refused(NamedTuple):
    """Why a request does not pass the door: HTTP status, symbolic code, text for the sender."""

    status: int
    code: str
    message: str


Check: TypeAlias = Callable[[web.Request], Refused | None]
"""Looks at one request and says why it is refused, or None."""


def door(checks: Iterable[Check], count: Callable[[str], None]) -> Middleware:
    """Ask every check in turn, before any route; the first refusal is counted and answers."""
    asked = tuple(checks)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        for check in asked:
            refused = check(request)
            if refused is not None:
                count(refused.code)
                return problem(*refused)
        return await handler(request)

    return middleware


def edge(paths: Iterable[str]) -> Check:
    """Refuse what is not plain HTTP/1.1 to a path spelled exactly as we publish it."""
    known = frozenset(paths)

    def check(request: web.Request) -> Refused | None:
        # `//mcp`, `/%6Dcp` and `/mcp/` are other spellings that a proxy may read otherwise.
        if request.raw_path.partition("?")[0] not in known:
            return Refused(404, "not_found", "there is nothing at this path")
        if request.version != (1, 1):
            return Refused(400, "http_version", "speak HTTP/1.1")
        headers = request.headers
        if hdrs.UPGRADE in headers:
            return Refused(400, "upgrade_refused", "this connection is not upgraded")
        if headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            return Refused(415, "unsupported_content_encoding", "send the body unencoded")
        if twice := repeated(request.raw_headers):
            return Refused(400, "duplicate_header", f"the header `{twice}` is sent twice")
        return None

    return check


def repeated(raw_headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The first security header that appears more than once, or that is not ASCII."""
    sent = tuple(raw_headers)
    if len({name.lower() for name, _ in sent}) == len(sent) and _is_ascii(sent):
        return None
    seen: set[bytes] = set()
    for name, value in sent:
        lowered = name.lower()
        if lowered in SENT_ONCE:
            if lowered in seen or not value.isascii():
                return lowered.decode("ascii")
            seen.add(lowered)
    return None


def _is_ascii(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return b"".join([value for _, value in headers]).isascii()


def host(allowed: Iterable[str]) -> Check:
    """Only our own names: a rebound DNS name must not reach a gateway on loopback."""
    known = frozenset(name.lower() for name in allowed)

    def check(request: web.Request) -> Refused | None:
        if request.headers.get(hdrs.HOST, "").lower() not in known:
            return Refused(403, "host_refused", "this gateway does not answer to that host name")
        return None

    return check


def origin(allowed: Iterable[str]) -> Check:
    """Browsers say where a request comes from; only allowed origins may go on.

    MCP 2026-07-28, transports: servers MUST validate Origin and answer 403.
    """
    known = frozenset(allowed)

    def check(request: web.Request) -> Refused | None:
        sent = request.headers.get(hdrs.ORIGIN)
        if sent is not None and sent not in known:
            return Refused(403, "origin_refused", "requests from that origin are not accepted")
        return None

    return check


def own_hosts(public_url: str, listen: tuple[str, int]) -> frozenset[str]:
    """The Host values this gateway answers to: its public name, and its loopback names."""
    names = {urlsplit(public_url).netloc}
    if listen[0] in _LOOPBACK:
        names |= {f"{name}:{listen[1]}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return frozenset(names)


def own_origins(public_url: str, listen: tuple[str, int], more: Iterable[str]) -> frozenset[str]:
    """The Origin values that are ours, and those the configuration adds."""
    origins = {public_url, *more}
    if listen[0] in _LOOPBACK:
        origins |= {f"http://{host_name}" for host_name in own_hosts(public_url, listen)}
    return frozenset(origins)


_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
