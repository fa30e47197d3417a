"""Requests to one HTTP upstream: sent once, answered once, every status understood."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from pbac.adapters import upstream_session as wire
from pbac.adapters.http_exchange import Answer, Endpoint
from pbac.adapters.http_pool import HttpPool
from pbac.base.limits import UPSTREAM_CALL_SECONDS_MAX, UPSTREAM_PEER_REQUESTS_MAX
from pbac.gateway.upstream import UpstreamError, UpstreamFailure
from pbac.mcp import headers as mcp_headers
from pbac.mcp.jsonrpc import Failure, Notification, Request, Response, Success

AnswerPeer: TypeAlias = Callable[[Request], Awaitable[None]]
"""What to do with a request the upstream sends in the middle of an answer."""


class Reply(msgspec.Struct, frozen=True):
    """A result, and the session header it came with (`initialize` only)."""

    result: dict[str, Any]
    session_id: str | None


class RefusalError(UpstreamError):
    """An HTTP status other than success.

    Attributes:
        status: the HTTP status.
        stray: the JSON-RPC error in the body, when there was one that was not for our id.
    """

    def __init__(self, error: UpstreamError, status: int, stray: Failure | None) -> None:
        super().__init__(
            error.failure,
            error.message,
            executed=error.executed,
            number=error.number,
            data=error.data,
        )
        self.status = status
        self.stray = stray


class HttpWire:
    """One endpoint and the operator's headers for it. Nothing of a caller is ever in them."""

    def __init__(
        self,
        pool: HttpPool,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        call_seconds_max: float = UPSTREAM_CALL_SECONDS_MAX,
    ) -> None:
        self._endpoint = Endpoint(pool, url, headers or {}, seconds=call_seconds_max)

    async def ask(
        self,
        sent: Mapping[str, str],
        request: Request,
        *,
        relay: wire.Relay | None,
        answer_peer: AnswerPeer,
    ) -> Reply:
        """Send one request and read until its answer.

        Raises:
            UpstreamError: `RefusalError` for an HTTP status other than success.
        """
        tree = {
            "jsonrpc": "2.0",
            "id": request.id,
            "method": request.method,
            "params": request.params,
        }
        answer = await self._endpoint.post(sent, tree)
        try:
            if not 200 <= answer.status < 300:
                raise await _refusal(answer, request)
            result = await _read(answer, request, relay, answer_peer)
            answer.finish()
            return Reply(result, answer.header(mcp_headers.SESSION_ID))
        finally:
            answer.release()

    async def tell(self, sent: Mapping[str, str], tree: dict[str, Any]) -> None:
        """Send what wants no answer. Raises `UpstreamError`."""
        answer = await self._endpoint.post(sent, tree)
        answer.finish()
        if not 200 <= answer.status < 300:
            raise _status_error(answer.status)

    async def delete(self, sent: Mapping[str, str]) -> None:
        """End a session; a server may answer 405 and keep it. Raises `UpstreamError`."""
        (await self._endpoint.delete(sent)).finish()


async def _read(
    answer: Answer, request: Request, relay: wire.Relay | None, answer_peer: AnswerPeer
) -> dict[str, Any]:
    """Read messages up to the answer; what follows it is never read."""
    asked = 0
    while (message := await answer.message()) is not None:
        if isinstance(message, Request):
            asked += 1
            if asked > UPSTREAM_PEER_REQUESTS_MAX:
                raise wire.protocol_error("it asks too much within one call", executed=None)
            async with answer.in_time():
                await answer_peer(message)
        elif isinstance(message, Notification):
            if relay is not None:
                async with answer.in_time():
                    await relay.deliver(message)
        else:
            return _result(message, request)
    raise wire.protocol_error("it ended its answer without answering", executed=None)


def _result(message: Response, request: Request) -> dict[str, Any]:
    """INVARIANT: an answer is only ever given to the request whose id it carries."""
    if message.id != request.id or type(message.id) is not type(request.id):
        raise wire.protocol_error("it answered another request than ours", executed=None)
    if isinstance(message, Success):
        return message.result
    raise wire.rpc_failure(message)


async def _refusal(answer: Answer, request: Request) -> RefusalError:
    """What a status other than 2xx means; a JSON-RPC error for our id is the better word."""
    failure = await _failure_in(answer)
    if failure is not None and failure.id == request.id and answer.status != 401:
        return RefusalError(wire.rpc_failure(failure), answer.status, None)
    return RefusalError(_status_error(answer.status), answer.status, failure)


async def _failure_in(answer: Answer) -> Failure | None:
    """The JSON-RPC error in a refusal, if its body is one."""
    try:
        message = await answer.message()
    except UpstreamError:
        return None
    return message if isinstance(message, Failure) else None


def _status_error(status: int) -> UpstreamError:
    """An HTTP status in our words.

    A 4xx says that the request was not carried out. 401 and 403 are about the gateway's own
    credential, and must never reach a caller as if they were about theirs.
    """
    if status in (401, 403):
        return UpstreamError(
            UpstreamFailure.AUTH, "the upstream refused the gateway's credential", executed=False
        )
    note = ", a redirect, which is never followed" if 300 <= status < 400 else ""
    return wire.protocol_error(f"HTTP {status}{note}", executed=False if status < 500 else None)
