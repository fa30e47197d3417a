"""The OAuth endpoints over HTTP: one table of endpoints, one way in, one way out.

Credentials are read from the body and the `Authorization` header only: a query string ends up in
access logs (RFC 6749 2.3.1), so one is refused outright.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from aiohttp import hdrs, web

from pbac.audit.storage import AuditUnavailable
from pbac.base.json import encode
from pbac.base.limits import OAUTH_BODY_BYTES_MAX, REQUEST_BODY_SECONDS_MAX
from pbac.gateway.issuance import (
    Issuance,
    OAuthRequest,
    introspect_token,
    issue_token,
    register_client,
    revoke_token,
)
from pbac.oauth import metadata
from pbac.oauth.errors import OAuthError, render_error
from pbac.oauth.storage import StorageError
from pbac.web.peer import Network, address_of
from pbac.web.refused import NO_STORE

Action: TypeAlias = Callable[[Issuance, OAuthRequest], Awaitable[dict[str, Any] | None]]


class Endpoint(NamedTuple):
    """A path, what it does, the media type it takes, the status of success."""

    path: str
    action: Action
    media_type: str
    status: int


ENDPOINTS: Final = (
    Endpoint("/register", register_client, "application/json", 201),
    Endpoint("/token", issue_token, "application/x-www-form-urlencoded", 200),
    Endpoint("/introspect", introspect_token, "application/x-www-form-urlencoded", 200),
    Endpoint("/revoke", revoke_token, "application/x-www-form-urlencoded", 200),
)

AUTHORIZE: Final = "/authorize"
AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"

PATHS: Final = (
    *(endpoint.path for endpoint in ENDPOINTS),
    AUTHORIZE,
    AUTHORIZATION_SERVER,
    PROTECTED_RESOURCE,
    f"{PROTECTED_RESOURCE}/mcp",
)
"""Every path served here, for the middleware that refuses all others."""

_UTF_8: Final = re.compile(r'[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?', re.IGNORECASE)
_CHALLENGE: Final = 'Basic realm="pbac", charset="UTF-8"'


def routes(service: Issuance, trusted_proxies: tuple[Network, ...]) -> list[web.RouteDef]:
    """The routes of the token service and of discovery."""

    async def authorization_server(_request: web.Request) -> web.Response:
        return document(metadata.authorization_server(service.issuer, service.known_scopes()))

    async def protected_resource(_request: web.Request) -> web.Response:
        return document(
            metadata.protected_resource(service.resource, service.issuer, service.known_scopes())
        )

    async def authorize(_request: web.Request) -> web.Response:
        # RFC 6749 4.1.2.1: not redirected anywhere, because no redirect URI is registered.
        return _refusal(OAuthError("unsupported_response_type"))

    return [
        web.get(AUTHORIZE, authorize),
        *(web.post(e.path, _handler(service, e, trusted_proxies)) for e in ENDPOINTS),
        web.get(AUTHORIZATION_SERVER, authorization_server),
        web.get(PROTECTED_RESOURCE, protected_resource),
        web.get(f"{PROTECTED_RESOURCE}/mcp", protected_resource),
    ]


def _handler(
    service: Issuance, endpoint: Endpoint, trusted_proxies: tuple[Network, ...]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            answer = await endpoint.action(
                service,
                OAuthRequest(
                    body=await read_body(request, endpoint.media_type, OAUTH_BODY_BYTES_MAX),
                    authorization=authorization_of(request),
                    ip=address_of(request, trusted_proxies),
                ),
            )
        except OAuthError as error:
            return _refusal(error)
        except (StorageError, AuditUnavailable) as error:
            # RFC 7009 2.2.1: 503 means "the token still exists"; never say 200 on a guess.
            service.counters.refused(error.code)
            return _refusal(OAuthError("temporarily_unavailable"))
        body = b"" if answer is None else encode(answer)
        return _response(endpoint.status, body)

    return handle


async def read_body(request: web.Request, media_type: str, bytes_max: int) -> bytes:
    """The body, of this media type in UTF-8, within its bounds of bytes and seconds."""
    if request.query_string:
        raise OAuthError("invalid_request", "send parameters in the body, not in the address")
    sent = request.headers.get(hdrs.CONTENT_TYPE, "")
    own, rest = sent[: len(media_type)].lower(), sent[len(media_type) :]
    if own != media_type or _UTF_8.fullmatch(rest) is None:
        raise OAuthError("media_type", f"send `{media_type}` in UTF-8")
    body = bytearray()
    try:
        async with asyncio.timeout(REQUEST_BODY_SECONDS_MAX):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > bytes_max:
                    raise OAuthError("body_too_large", f"more than {bytes_max} bytes")
    except TimeoutError:
        raise OAuthError("body_too_slow") from None
    return bytes(body)


def authorization_of(request: web.Request) -> str | None:
    """The one `Authorization` header; two would let two readers authenticate two clients."""
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(values) > 1:
        raise OAuthError("invalid_request", "the `Authorization` header is sent twice")
    return values[0] if values else None


def document(value: Mapping[str, Any]) -> web.Response:
    """What anybody may read about this server, and should ask for again."""
    response = _response(200, encode(value))
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"  # the scopes follow the tools
    return response


def _refusal(error: OAuthError) -> web.Response:
    return challenged(_response(error.wire.status, encode(render_error(error))))


def challenged(response: web.Response) -> web.Response:
    """The same refusal with what its status asks for: a challenge, or a time to come again."""
    if response.status == 401:  # RFC 6749 5.2, RFC 9110 15.5.2
        response.headers[hdrs.WWW_AUTHENTICATE] = _CHALLENGE
    elif response.status in (429, 503):
        response.headers[hdrs.RETRY_AFTER] = "1"
    return response


def _response(status: int, body: bytes) -> web.Response:
    """RFC 6749 5.1: `Cache-Control: no-store` on everything that holds or refuses a credential."""
    return web.Response(status=status, body=body, content_type="application/json", headers=NO_STORE)
