"""Sessions with one legacy HTTP upstream: one a principal, bounded, opened when first needed.

Theory. What one caller's calls leave behind in a session must never meet another's, so sessions
are kept by principal, and the least recently used is ended when there are too many. A session
the upstream has forgotten is opened anew and the request sent again, once. That is safe because
the answer proves that nothing ran: 404 is the specified one (2025-11-25 transports, session
management), and the reference servers answer 400 with an error for no request of ours.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from pbac.adapters import upstream_session as wire
from pbac.adapters.http_wire import HttpWire, RefusalError
from pbac.base.limits import SHUTDOWN_SECONDS_MAX, UPSTREAM_SESSIONS_MAX
from pbac.gateway.upstream import ServerFacts, UpstreamError, UpstreamFailure
from pbac.mcp import headers as mcp_headers
from pbac.mcp.jsonrpc import Request
from pbac.mcp.modern import ServerInfo

_FORGOTTEN_NUMBERS: Final = frozenset({-32000, -32600})
_FIRST_WITH_VERSION_HEADER: Final = "2025-06-18"


class HttpSession(msgspec.Struct, eq=False):
    """A live session; `id` is None for a server that keeps none."""

    id: str | None
    facts: ServerFacts
    calls: int = 0


class ForgottenError(UpstreamError):
    """The upstream no longer knows the session, so it did not carry out the request."""

    def __init__(self) -> None:
        super().__init__(
            UpstreamFailure.PROTOCOL, "the upstream forgets its sessions", executed=False
        )


class HttpSessions:
    """The sessions of one upstream, by principal key."""

    def __init__(
        self,
        http: HttpWire,
        identity: ServerInfo,
        next_id: Callable[[], int],
        *,
        sessions_max: int = UPSTREAM_SESSIONS_MAX,
    ) -> None:
        self._http = http
        self._identity = identity
        self._next_id = next_id
        self._sessions_max = sessions_max
        self._live: OrderedDict[str, HttpSession] = OrderedDict()
        self._opening: dict[str, asyncio.Task[HttpSession]] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        principal_key: str,
        method: str,
        params: dict[str, Any],
        relay: wire.Relay | None = None,
    ) -> dict[str, Any]:
        """The result of one request in the principal's session. Raises `UpstreamError`."""
        try:
            return await self._ask_once(principal_key, method, params, relay)
        except ForgottenError:
            pass
        return await self._ask_once(principal_key, method, params, relay)

    async def session(self, principal_key: str) -> HttpSession:
        """The live session of a principal; concurrent callers share one handshake."""
        if session := self._live.get(principal_key):
            self._live.move_to_end(principal_key)
            return session
        opening = self._opening.get(principal_key)
        if opening is None:
            opening = asyncio.create_task(self._open())
            self._opening[principal_key] = opening
            opening.add_done_callback(lambda task: self._opened(principal_key, task))
        # One caller that gives up must not take the handshake from the others.
        return await asyncio.shield(opening)

    async def close(self) -> None:
        """End every session, in bounded time."""
        for opening in self._opening.values():
            opening.cancel()
        for session in self._live.values():
            self._end(session)
        self._live.clear()
        if self._farewells:
            _, late = await asyncio.wait(self._farewells, timeout=SHUTDOWN_SECONDS_MAX)
            for task in late:
                task.cancel()

    async def _ask_once(
        self, principal_key: str, method: str, params: dict[str, Any], relay: wire.Relay | None
    ) -> dict[str, Any]:
        session = await self.session(principal_key)
        request = Request(id=self._next_id(), method=method, params=params)
        session.calls += 1
        try:
            reply = await self._http.ask(
                _headers(session),
                request,
                relay=relay,
                answer_peer=lambda asked: self._answer_peer(session, asked),
            )
        except asyncio.CancelledError:
            self._give_up(session, request)
            raise
        except UpstreamError as error:
            if error.failure is UpstreamFailure.TIMEOUT:
                self._give_up(session, request)
            if not _is_forgotten(error, session):
                raise
            # Another call may have replaced it already.
            if self._live.get(principal_key) is session:
                del self._live[principal_key]
            raise ForgottenError from error
        finally:
            session.calls -= 1
        return reply.result

    async def _open(self) -> HttpSession:
        request = Request(
            id=self._next_id(),
            method="initialize",
            params=wire.initialize_params(self._identity),
        )
        reply = await self._http.ask({}, request, relay=None, answer_peer=_refuse_peer)
        session = HttpSession(reply.session_id, wire.read_handshake(reply.result))
        await self._notify(session, "notifications/initialized", {})
        return session

    def _opened(self, principal_key: str, opening: asyncio.Task[HttpSession]) -> None:
        del self._opening[principal_key]
        if opening.cancelled() or opening.exception() is not None:
            return
        self._live[principal_key] = opening.result()
        while len(self._live) > self._sessions_max:
            _, oldest = self._live.popitem(last=False)
            self._end(oldest)

    async def _answer_peer(self, session: HttpSession, asked: Request) -> None:
        await self._http.tell(_headers(session), wire.peer_answer(asked))

    async def _notify(self, session: HttpSession, method: str, params: dict[str, Any]) -> None:
        tree = {"jsonrpc": "2.0", "method": method, "params": params}
        await self._http.tell(_headers(session), tree)

    def _give_up(self, session: HttpSession, request: Request) -> None:
        """Say that nobody waits any more.

        2025-11-25 transports: a disconnection "SHOULD NOT be interpreted as the client
        cancelling its request", so it has to be said.
        """
        params = {"requestId": request.id, "reason": "the caller gave up"}
        self._say(self._notify(session, "notifications/cancelled", params))

    def _end(self, session: HttpSession) -> None:
        """Tell the upstream, unless a call still runs in the session: that would kill it."""
        if session.id is not None and session.calls == 0:
            self._say(self._http.delete(_headers(session)))

    def _say(self, farewell: Coroutine[Any, Any, None]) -> None:
        """Send a last word without keeping anybody waiting. Failing at it harms nobody."""

        async def quietly() -> None:
            try:
                await farewell
            except UpstreamError:
                return

        task = asyncio.create_task(quietly())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


async def _refuse_peer(asked: Request) -> None:
    raise wire.protocol_error(f"it sent a request (`{asked.method}`)", executed=None)


def _headers(session: HttpSession) -> dict[str, str]:
    sent = {}
    if session.id is not None:
        sent[mcp_headers.SESSION_ID] = session.id
    # 2025-06-18 brought the header: "the client MUST include" it on all later requests.
    if session.facts.version >= _FIRST_WITH_VERSION_HEADER:
        sent[mcp_headers.PROTOCOL_VERSION] = session.facts.version
    return sent


def _is_forgotten(error: UpstreamError, session: HttpSession) -> bool:
    """Whether a refusal says that there is no such session."""
    if not isinstance(error, RefusalError) or session.id is None:
        return False
    stray = error.stray
    return error.status == 404 or (
        error.status == 400 and stray is not None and stray.number in _FORGOTTEN_NUMBERS
    )
