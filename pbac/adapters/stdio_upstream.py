"""An MCP server behind the gateway that is a child process, of either era.

Theory. A stdio server has no sessions and knows no principals, so one process serves a backend
and what keeps two callers apart is the request id: each call has its own, an answer goes to the
call that carries it and to no other. A message that names no call (a log line, a list change)
could be about anybody's, so it goes to nobody.

A process that ends fails the calls it had; whether they ran, nobody knows, so none is sent
again. The next call starts it anew, but not sooner than a pause that doubles with each failure.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final

import msgspec

from pbac.adapters import upstream_session as wire
from pbac.adapters.stdio_process import OnStderr, StdioProcess
from pbac.base import json
from pbac.base.limits import (
    UPSTREAM_CALL_SECONDS_MAX,
    UPSTREAM_CALLS_IN_FLIGHT_MAX,
    UPSTREAM_NOTIFICATIONS_QUEUED_MAX,
    UPSTREAM_PROBE_SECONDS_MAX,
    UPSTREAM_RESTART_SECONDS_MAX,
)
from pbac.catalog.backends import StdioTransport
from pbac.gateway.upstream import OnNotification, ServerFacts, UpstreamError, UpstreamFailure
from pbac.mcp.jsonrpc import Failure, Notification, Request, Success
from pbac.mcp.modern import ServerInfo
from pbac.mcp.versions import Era

_FIRST_PAUSE_SECONDS: Final = 0.5


class _Call(msgspec.Struct, eq=False):
    """One request in flight. Its notifications queue here, so a slow caller delays only itself."""

    inbox: asyncio.Queue[Notification | Success | Failure | UpstreamError]
    relay: wire.Relay | None


class StdioUpstream:
    """One backend over stdio. See `gateway.upstream.Upstream` for what is promised."""

    def __init__(
        self,
        transport: StdioTransport,
        identity: ServerInfo,
        *,
        on_stderr: OnStderr,
        call_seconds_max: float = UPSTREAM_CALL_SECONDS_MAX,
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._on_stderr = on_stderr
        self._call_seconds_max = call_seconds_max
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._process: StdioProcess | None = None
        self._reader: asyncio.Task[None] | None = None
        self._facts: ServerFacts | None = None
        self._starting = asyncio.Lock()
        self._failures = 0
        self._not_before = 0.0

    # --- the promises -----------------------------------------------------------------------

    async def start(self) -> ServerFacts:
        """Start the process unless it runs, and find out its era."""
        async with self._starting:
            if self._facts is not None:
                return self._facts
            now = asyncio.get_running_loop().time()
            if now < self._not_before:
                raise wire.unreachable(
                    f"the upstream process failed; it is started again in "
                    f"{self._not_before - now:.1f} s"
                )
            self._count_failure()
            process = await StdioProcess.spawn(self._transport, self._on_stderr)
            self._process = process
            self._reader = asyncio.create_task(self._read(process))
            try:
                self._facts = await self._shake_hands()
            except BaseException:
                await self._stop()
                raise
            return self._facts

    async def list_tools(self) -> list[dict[str, Any]]:
        """See `Upstream.list_tools`."""
        return await wire.list_all(lambda params: self._request("tools/list", params))

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        principal_key: str,  # noqa: ARG002  a stdio server knows no principals
        meta: dict[str, Any],
        on_notification: OnNotification | None = None,
    ) -> dict[str, Any]:
        """See `Upstream.call_tool`. All principals share the one process."""
        relay = wire.Relay(meta, next(self._ids), on_notification)
        params = wire.call_params(name, arguments, relay)
        return wire.check_result(await self._request("tools/call", params, relay))

    async def close(self) -> None:
        """End the process: input closed, then SIGTERM, then SIGKILL."""
        await self._stop()

    # --- life -------------------------------------------------------------------------------

    def _count_failure(self) -> None:
        """Count each start as a failure until a request succeeds: a crash loop slows down."""
        pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, UPSTREAM_RESTART_SECONDS_MAX)
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + pause

    async def _shake_hands(self) -> ServerFacts:
        """Ask like a modern client first. A server that does not answer that at all is legacy."""
        try:
            found = wire.read_discovery(
                await self._exchange(
                    "server/discover",
                    wire.with_modern_meta({}, self._identity),
                    seconds=UPSTREAM_PROBE_SECONDS_MAX,
                )
            )
        except UpstreamError as error:
            if error.failure not in (UpstreamFailure.RPC, UpstreamFailure.TIMEOUT):
                raise
            found = None
        if found is not None:
            return found
        facts = wire.read_handshake(
            await self._exchange("initialize", wire.initialize_params(self._identity))
        )
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return facts

    async def _stop(self) -> None:
        process, reader = self._process, self._reader
        self._process = self._reader = self._facts = None
        self._fail_all(wire.unreachable("the upstream process was stopped", executed=None))
        if process is not None:
            await process.stop()
        if reader is not None:
            # Without a process the reader is about to end it, and must come to that.
            if process is not None:
                reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, process: StdioProcess) -> None:
        """Sort everything the process says, until it ends; then fail what it left unanswered."""
        reason = wire.unreachable("the upstream process has ended", executed=None)
        try:
            async for line in process.lines():
                if line.strip():
                    await self._sort(line)
        except UpstreamError as error:
            reason = error
        if self._process is process:
            self._process = self._facts = None
            self._fail_all(reason)
            await process.stop()

    def _fail_all(self, reason: UpstreamError) -> None:
        for call in self._calls.values():
            call.inbox.put_nowait(reason)
        self._calls.clear()

    # --- messages ---------------------------------------------------------------------------

    async def _sort(self, line: bytes) -> None:
        try:
            message = wire.read_message(line)
        except UpstreamError as error:
            # Print statements on standard output are a common slip of servers: tell, go on.
            self._on_stderr(f"(not a message: {error.message})")
            return
        match message:
            case Request():
                await self._send(wire.peer_answer(message))
            case Notification():
                self._deliver(message)
            case Success() | Failure():
                self._settle(message)

    def _deliver(self, notification: Notification) -> None:
        token = notification.params.get("progressToken")
        for call in self._calls.values():
            if call.relay is not None and call.relay.own_token == token:
                # Progress may be lost, answers may not: a full queue drops what is newest.
                if call.inbox.qsize() < UPSTREAM_NOTIFICATIONS_QUEUED_MAX:
                    call.inbox.put_nowait(notification)
                return

    def _settle(self, answer: Success | Failure) -> None:
        """INVARIANT: an answer is only ever given to the call whose id it carries, once."""
        call = self._calls.pop(answer.id, None) if type(answer.id) is int else None
        if call is not None:
            call.inbox.put_nowait(answer)

    async def _request(
        self, method: str, params: dict[str, Any], relay: wire.Relay | None = None
    ) -> dict[str, Any]:
        facts = self._facts or await self.start()
        if facts.era is Era.MODERN:
            params = wire.with_modern_meta(params, self._identity)
        result = await self._exchange(method, params, relay)
        self._failures = 0
        return result

    async def _exchange(
        self,
        method: str,
        params: dict[str, Any],
        relay: wire.Relay | None = None,
        *,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        if len(self._calls) >= UPSTREAM_CALLS_IN_FLIGHT_MAX:
            raise wire.unreachable("the upstream has too many calls in flight")
        seconds = self._call_seconds_max if seconds is None else seconds
        request_id = next(self._ids)
        call = _Call(asyncio.Queue(), relay)
        self._calls[request_id] = call
        tree = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        try:
            async with asyncio.timeout(seconds):
                await self._send(tree)
                return await _answered(call)
        except TimeoutError:
            self._give_up(request_id)
            raise wire.timed_out(seconds) from None
        except asyncio.CancelledError:
            self._give_up(request_id)
            raise
        finally:
            self._calls.pop(request_id, None)

    async def _send(self, tree: dict[str, Any]) -> None:
        if self._process is None:
            raise wire.unreachable("the upstream process has ended")
        await self._process.write(json.encode(tree))

    def _give_up(self, request_id: int) -> None:
        """Say that nobody waits any more: on stdio that is the only way, in every revision."""
        params = {"requestId": request_id, "reason": "the caller gave up"}
        if self._process is not None:
            self._process.put(
                json.encode(
                    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
                )
            )


async def _answered(call: _Call) -> dict[str, Any]:
    """Wait for a call's answer, handing on its notifications meanwhile."""
    while True:
        match await call.inbox.get():
            case Notification() as notification:
                if call.relay is not None:
                    await call.relay.deliver(notification)
            case Success(result=result):
                return result
            case Failure() as failure:
                raise wire.rpc_failure(failure)
            case UpstreamError() as reason:
                # One reason fails many calls: each raises its own copy.
                raise UpstreamError(
                    reason.failure, reason.message, executed=reason.executed
                ) from reason
