"""`/mcp` over HTTP: token before body, media types, deadlines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from aiohttp import hdrs, web

from pbac.audit.storage import AuditUnavailable
from pbac.base.limits import REQUEST_BODY_BYTES_MAX, REQUEST_BODY_SECONDS_MAX
from pbac.gateway.answer import RETRY_SOON, Answer, json_answer
from pbac.gateway.authenticate import AuthenticationError, authenticate, challenge
from pbac.gateway.endpoint import HttpRequest, end_session, serve
from pbac.gateway.gateway import Gateway
from pbac.gateway.principal import Principal
from pbac.mcp.headers import PROTOCOL_VERSION
from pbac.mcp.versions import MODERN_VERSIONS
from pbac.mcp.wire_errors import error
from pbac.oauth.storage import StorageError
from pbac.web.answer_stream import AnswerStream, Silence, plain_response
from pbac.web.peer import Network, address_of
from pbac.web.refused import Refused, problem

_JSON: Final = re.compile(
    r'application/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?', re.IGNORECASE
)

TOO_LARGE: Final = Refused(413, "payload_too_large", "the body is larger than the gateway takes")
NO_SESSIONS: Final = Refused(405, "method_not_allowed", "this revision has no sessions")
UNEXPECTED: Final = Refused(417, "expectation_failed", "expect nothing but `100-continue`")


def routes(gateway: Gateway, trusted_proxies: tuple[Network, ...]) -> list[web.RouteDef]:
    """The routes of the MCP endpoint."""
    silence = Silence()

    async def post(request: web.Request) -> web.StreamResponse:
        principal = _admit(gateway, request)
        if isinstance(principal, web.Response):
            return principal
        if (refused := _media_types(request) or _too_large(request)) is not None:
            return refused.answer(gateway.counters.refused)
        late = not request.content.is_eof()
        body = await _read_body(request)
        if body is None:
            return TOO_LARGE.answer(gateway.counters.refused)
        if late:
            # Revoked, or of another tier, while the body was still on its way.
            principal = _admit(gateway, request)
            if isinstance(principal, web.Response):
                return principal
        http = HttpRequest(
            headers=request.headers,
            body=body,
            ip=address_of(request, trusted_proxies),
        )
        return await _serve(gateway, principal, http, request, silence)

    async def delete(request: web.Request) -> web.StreamResponse:
        if request.headers.get(PROTOCOL_VERSION) in MODERN_VERSIONS:
            return NO_SESSIONS.answer(gateway.counters.refused, Allow="POST")
        principal = _admit(gateway, request)
        if isinstance(principal, web.Response):
            return principal
        return plain_response(end_session(gateway, principal, request.headers))

    async def expectation(request: web.Request) -> web.Response | None:
        # aiohttp would promise to read the body here, before the door and the token were asked;
        # `_read_body` does once they were (RFC 9110 10.1.1).
        expected = request.headers[hdrs.EXPECT].lower()
        return None if expected == "100-continue" else UNEXPECTED.answer(gateway.counters.refused)

    return [
        web.post("/mcp", post, expect_handler=expectation),
        web.delete("/mcp", delete),
    ]


async def _serve(
    gateway: Gateway,
    principal: Principal,
    http: HttpRequest,
    request: web.Request,
    silence: Silence,
) -> web.StreamResponse:
    """Run the call, and keep a stream open that stays silent for long."""
    stream = AnswerStream(request)
    silence.begin(stream)
    try:
        answer = await _uncancelled(request, _answer(gateway, principal, http, stream))
    finally:
        silence.end(stream)
    return await stream.finish(answer)


def _uncancelled(request: web.Request, answering: Coroutine[Any, Any, Answer]) -> Awaitable[Answer]:
    """What to await: a legacy client's disconnect does not end its call, a modern one's does.

    2025-11-25 transports: "Disconnection SHOULD NOT be interpreted as the client cancelling";
    2026-07-28: closing the stream is the cancellation.
    """
    if request.headers.get(PROTOCOL_VERSION) in MODERN_VERSIONS:
        return answering
    return asyncio.shield(asyncio.ensure_future(answering))


async def _answer(
    gateway: Gateway, principal: Principal, http: HttpRequest, stream: AnswerStream
) -> Answer:
    try:
        return await serve(gateway, principal, http, stream.notify)
    except AuditUnavailable:
        # No record, no call. The cause is in the log and the metric, not in the answer.
        gateway.counters.refused("audit_unavailable")
        message = "the record cannot be written, so nothing was forwarded"
        return json_answer(error(None, "audit_unavailable", message), 503, RETRY_SOON)


def _admit(gateway: Gateway, request: web.Request) -> Principal | web.Response:
    """The caller a request's token proves now, or the answer it gets instead."""
    try:
        record = authenticate(
            request.headers.get(hdrs.AUTHORIZATION),
            gateway.find_principal,
            resource=gateway.settings.resource,
            now_ms=gateway.clock.now_ms(),
        )
    except AuthenticationError as refusal:
        return _unauthenticated(gateway, refusal)
    except StorageError:
        gateway.counters.refused("authn_unavailable")
        return problem(503, "authn_unavailable", "access tokens cannot be checked now")
    return gateway.principals.of(record)


def _unauthenticated(gateway: Gateway, refusal: AuthenticationError) -> web.Response:
    gateway.counters.refused(f"invalid_token_{refusal.fault}")
    header = challenge(gateway.settings.resource_metadata, presented=refusal.presented)
    response = problem(401, refusal.code, refusal.message)
    response.headers.add(*header)
    return response


def _media_types(request: web.Request) -> Refused | None:
    """415 and 406. A charset other than UTF-8 would let the caller choose how we read."""
    media = request.headers.get(hdrs.CONTENT_TYPE, "")
    if media != "application/json" and not _JSON.fullmatch(media):
        return Refused(415, "unsupported_media_type", "send `application/json` in UTF-8")
    # RFC 9110 5.3: a list may be sent over several lines.
    accepted = ",".join(request.headers.getall(hdrs.ACCEPT, ())).lower()
    if "*/*" in accepted or ("application/json" in accepted and "text/event-stream" in accepted):
        return None
    return Refused(406, "not_acceptable", "accept both `application/json` and `text/event-stream`")


def _too_large(request: web.Request) -> Refused | None:
    return TOO_LARGE if (request.content_length or 0) > REQUEST_BODY_BYTES_MAX else None


async def _read_body(request: web.Request) -> bytes | None:
    """The body within its bounds of bytes and seconds; None when it is too large."""
    try:
        # Nearly every body came along with its headers; a timer would cost more than reading it.
        if request.content.is_eof():
            body = request.content.read_nowait()
            return body if len(body) <= REQUEST_BODY_BYTES_MAX else None
        async with asyncio.timeout(REQUEST_BODY_SECONDS_MAX):
            if hdrs.EXPECT in request.headers:
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # the answer itself has not begun
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
