"""Two middlewares: `faults` around everything, and the `door`, a row of checks before any route.

aiohttp's defaults are not a gateway's: it decodes paths, accepts HTTP/1.0, repeated security
headers and any Content-Encoding. What is refused here never reaches a route.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from pbac.web.connections import Connections
from pbac.web.refused import Refused, problem

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
"""Headers that two readers must not read differently: refused when sent twice or not in ASCII."""

_CREDENTIAL: Final = b"authorization"
_OF_MCP: Final = b"mcp-"

_log = logging.getLogger("pbac.web")


def faults(count: Callable[[str], None], connections: Connections) -> Middleware:
    """The last resort: an unexpected error is logged here and told nobody else.

    `count` receives a symbolic code: why the server refused, or the one that has to stay zero.
    Being around everything, this is also where `connections` learn which of them are busy.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        connections.begin(request)
        try:
            return await handler(request)
        except web.HTTPException as raised:
            allow = {"Allow": raised.headers["Allow"]} if "Allow" in raised.headers else {}
            code = (raised.reason or "error").lower().replace(" ", "_")
            return Refused(raised.status, code, f"{raised.reason}".lower()).answer(count, **allow)
        except Exception:  # noqa: BLE001 (logged, counted, answered)
            count("internal_error")
            _log.exception("unexpected error at %s", request.path)
            return problem(500, "internal_error", "the gateway met an unexpected error")
        finally:
            connections.end(request)

    return middleware


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
                response = refused.answer(count)
                if refused.status == 400:
                    # Where this message ends is what two readers may disagree on as well.
                    response.force_close()
                return response
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
        # `gzip, chunked` is a coding within a coding, and `identity` no longer exists (RFC 9112 7).
        if headers.get(hdrs.TRANSFER_ENCODING, "chunked").lower() != "chunked":
            return Refused(400, "unsupported_transfer_coding", "send plain chunks, or a length")
        return ambiguous(request.raw_headers)

    return check


def ambiguous(raw_headers: Iterable[tuple[bytes, bytes]]) -> Refused | None:
    """Why the first header that two readers could read differently is refused.

    Those of MCP are refused in its words: 2026-07-28 transports, -32020 for all that is wrong with
    a mirrored header. A credential beyond ASCII is left to those who answer credentials.
    """
    sent = tuple(raw_headers)
    if len({name.lower() for name, _ in sent}) == len(sent) and _is_ascii(sent):
        return None
    seen: set[bytes] = set()
    for name, value in sent:
        lowered = name.lower()
        if lowered not in SENT_ONCE:
            continue
        word, of_mcp = lowered.decode("ascii"), lowered.startswith(_OF_MCP)
        if lowered in seen:
            twice = Refused(400, "duplicate_header", f"the header `{word}` is sent twice")
            return twice._replace(code="header_mismatch") if of_mcp else twice
        if not value.isascii() and lowered != _CREDENTIAL:
            odd = Refused(400, "header_not_ascii", f"the header `{word}` is not in ASCII")
            return odd._replace(code="header_mismatch") if of_mcp else odd
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
