"""A gateway's life: open what has to be sound, serve, watch, and stop in the right order.

Opened in the order in which they are needed, closed in reverse: policies (a broken set does not
start), the record, the state, upstreams, the listener. The record is closed last but one, so that
every outcome of a call that was still running is in it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from pbac import __version__
from pbac.adapters.http_pool import HttpPool
from pbac.adapters.sqlite_state import open_state
from pbac.app.assemble import Parts, assemble, open_audit, undeclared_ceilings
from pbac.app.config import Config
from pbac.app.discovery import keep_discovering
from pbac.app.listen import listening
from pbac.app.outbox import keep_recording_changes
from pbac.app.policies import (
    keep_up_with_commands,
    keep_up_with_source,
    open_policies,
    record_missed,
    say_serving,
)
from pbac.audit.record import GatewayRecord, PolicyRecord
from pbac.audit.storage import AuditUnavailable
from pbac.base.clock import SystemClock
from pbac.pdp.policy_set import PolicySet

RECORD_RETRY_SECONDS: Final = 1.0
"""Between two tries to record a policy change when the record has no room."""

REFUSALS_SECONDS: Final = 10.0
"""How often refusals are summed up into one row of the record."""

FIRST_TOOLS_SECONDS_MAX: Final = 5.0
"""How long the start waits for backends to list their tools before serving without them."""

SWITCH_SECONDS: Final = 0.0005
"""How long the busy event loop may keep the interpreter from the writer of the record, at each of
the writer's steps."""

_log = logging.getLogger("pbac")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Raises `PbacError` when the gateway must not start."""
    sys.setswitchinterval(SWITCH_SECONDS)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if sys.platform == "win32":
        asyncio.run(_until_stopped(config))
    else:
        import uvloop  # noqa: PLC0415 (not on Windows)

        uvloop.run(_until_stopped(config))


async def _until_stopped(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(config) as parts:
        host, port = config.listen_address
        _log.info("listening on %s port %s as %s/mcp", host, port, parts.config.public_url)
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Parts]:
    """A gateway that answers requests, from the first one to the last."""
    async with AsyncExitStack() as stack:
        policies, policy_set = await open_policies(config, SystemClock())
        stack.push_async_callback(policies.close)
        audit, audit_keys = open_audit(config)
        stack.push_async_callback(audit.close)
        state = open_state(config.state_directory, SystemClock().now_ms())
        stack.callback(state.close)
        http = HttpPool()
        stack.push_async_callback(http.close)
        parts = assemble(
            config,
            policy_set=policy_set,
            state=state,
            audit=audit,
            audit_keys=audit_keys,
            http=http,
        )
        _warn(undeclared_ceilings(config, policy_set))
        await audit.append(_started(parts))
        stack.push_async_callback(_record_stop, parts)
        for upstream in parts.upstreams.values():
            stack.push_async_callback(upstream.close)
        tasks = _Tasks()
        stack.push_async_callback(tasks.cancel)
        await _discover(parts, tasks)
        put, tell = partial(_publish, parts), partial(_tell_change, parts)
        await record_missed(policies, tell)
        await say_serving(policies)
        parts.metrics.published(policy_set.rule_count)
        tasks.start(keep_up_with_source(policies, put, tell))
        tasks.start(keep_up_with_commands(policies, put, tell))
        tasks.start(_keep_refusals(parts))
        tasks.start(keep_recording_changes(state, audit))
        await stack.enter_async_context(listening(parts, tasks.start))
        _settle_memory()
        yield parts


class _Tasks:
    """Background work of one gateway: kept, watched, cancelled together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until `cancel`; a task that ends by an error is logged with its stack."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self) -> None:
        """Cancel everything and wait for it."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background work ended", exc_info=error)


# --- what runs beside the requests ------------------------------------------------------------


async def _discover(parts: Parts, tasks: _Tasks) -> None:
    """Start asking every backend for its tools; wait a little, so that clients see them."""
    events = []
    for backend in parts.backends:
        found = asyncio.Event()
        upstream = parts.upstreams[backend.name]
        tasks.start(keep_discovering(backend, upstream, parts.gateway.offer, found))
        events.append(found.wait())
    if events:
        await asyncio.wait(map(asyncio.ensure_future, events), timeout=FIRST_TOOLS_SECONDS_MAX)


def _settle_memory() -> None:
    """Free what is gone, and let the collector look no more at what has come to stay.

    Else it walks all policies and modules several times a second under load, for tens of
    milliseconds each time.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _warn(complaints: Sequence[str]) -> None:
    for complaint in complaints:
        _log.warning("%s", complaint)


def _publish(parts: Parts, policy_set: PolicySet) -> None:
    parts.gateway.policies.current = policy_set
    parts.metrics.published(policy_set.rule_count)
    _warn(undeclared_ceilings(parts.config, policy_set))


async def _tell_change(parts: Parts, record: PolicyRecord) -> None:
    """Return once the change is recorded: it is not published before, and not forgotten either."""
    while True:
        try:
            await parts.audit.append(record)
        except AuditUnavailable:
            _log.error("the policy change cannot be recorded yet, so it is not published yet")
            await asyncio.sleep(RECORD_RETRY_SECONDS)
        else:
            return


async def _keep_refusals(parts: Parts) -> None:
    """One row for all refusals of a window."""
    while True:
        await asyncio.sleep(REFUSALS_SECONDS)
        _record_refusals(parts)


def _record_refusals(parts: Parts) -> None:
    record = parts.window.drain(parts.gateway.clock.now_ms())
    if record is not None:
        try:
            parts.audit.enqueue(record)
        except AuditUnavailable:
            _log.error("refusals could not be recorded: %s", record.counts)


def _started(parts: Parts) -> GatewayRecord:
    detail = {
        "version": __version__,
        "policy_version": parts.gateway.policies.current.version,
        "backends": [backend.name for backend in parts.backends],
    }
    return GatewayRecord(event="started", detail=detail)


async def _record_stop(parts: Parts) -> None:
    _record_refusals(parts)
    try:
        parts.audit.enqueue(GatewayRecord(event="stopped"))
    except AuditUnavailable:
        _log.error("the stop could not be recorded")
