"""Many callers, one sync: the asyncio front of the audit log.

One thread owns the log. It takes everything that is queued as one batch, makes it durable, and
wakes all callers of the batch with one call into the loop. While it syncs, the next batch gathers
by itself, so the busier the gateway, the larger the batches. In a crowd the writer also rests for
`GATHER_SECONDS` between batches: each of its steps has to take the interpreter from the busy loop,
and fewer, larger batches cost all callers less than that. A caller alone never waits for a timer.
Records nobody waits for (outcomes) travel with the next batch: a sync of their own would hold up
the next call. If no call comes, they are written after `UNAWAITED_SECONDS`.

A caller waits at most `AUDIT_COMMIT_SECONDS_MAX` and then has `AuditUnavailable`: a disk that
hangs is worse than one that fails. Its record may still be written when the disk comes back, which
is harmless: it says that a call was about to be forwarded, and no outcome follows. Until then the
log counts as out of use and new callers are refused at once.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pbac.audit.log import AuditLog
from pbac.audit.record import GatewayRecord, Record
from pbac.audit.storage import AuditFull, AuditUnavailable
from pbac.base.limits import (
    AUDIT_BATCH_RECORDS_MAX,
    AUDIT_COMMIT_SECONDS_MAX,
    AUDIT_QUEUE_RECORDS_MAX,
)

# What already happened (outcomes) must find room when new calls find none any more.
_AWAITED_RECORDS_MAX: Final = AUDIT_QUEUE_RECORDS_MAX // 2
_RETRY_SECONDS: Final = 0.25
CROWD: Final = 4
"""So many callers in one batch are a crowd."""
GATHER_SECONDS: Final = 0.001
UNAWAITED_SECONDS: Final = 0.05
"""How long a record that nobody waits for may wait for company."""
_WATCHES_PER_DEADLINE: Final = 20


@dataclass(slots=True)
class _Item:
    """A queued record; `waiter` is None when nobody waits for it."""

    record: Record
    waiter: asyncio.Future[int] | None
    since: float


@dataclass(slots=True)
class _Fault:
    """What could not be recorded while the log was out of room, to be recorded afterwards."""

    why: str = ""
    refused: int = 0
    lost: int = 0


class GroupCommit:
    """Durable appends for one event loop. Make it inside that loop; `close` it before the loop.

    All methods are for the loop's thread. `_lock` guards every attribute the writer thread shares.
    """

    def __init__(
        self, log: AuditLog, *, commit_seconds_max: float = AUDIT_COMMIT_SECONDS_MAX
    ) -> None:
        self._log = log
        self._deadline = commit_seconds_max
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue: list[_Item] = []
        self._in_flight: list[_Item] = []
        self._busy_since = 0.0
        self._retry_at = 0.0
        self._looks_at = 0.0  # when the writer looks at the queue unasked
        self._closing = False
        self._failure: AuditUnavailable | None = None
        self._fault = _Fault()
        self._watch: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Records that are not durable yet."""
        with self._lock:
            return len(self._queue) + len(self._in_flight)

    def check(self) -> None:
        """Whether an append would be admitted now.

        Raises:
            AuditUnavailable: why not.
        """
        with self._lock:
            self._admit(_AWAITED_RECORDS_MAX)

    async def append(self, record: Record) -> int:
        """Make a record durable; its sequence.

        Raises:
            AuditUnavailable: it is not known to be durable. `AuditFull`: it is not there.
        """
        waiter: asyncio.Future[int] = self._loop.create_future()
        with self._lock:
            self._admit(_AWAITED_RECORDS_MAX)
            self._queue.append(_Item(record, waiter, time.monotonic()))
            self._retry_at = 0.0
            self._wake.notify()
        if self._watch is None:
            self._watch = self._loop.call_later(self._watch_seconds, self._find_overdue)
        return await waiter

    def enqueue(self, record: Record) -> None:
        """Add a record that nobody waits for, in its order: what has already happened.

        Raises:
            AuditUnavailable: the log is out of use; the record is lost.
        """
        with self._lock:
            self._admit(AUDIT_QUEUE_RECORDS_MAX, hanging_matters=False)
            now = time.monotonic()
            self._queue.append(_Item(record, None, now))
            if self._looks_at > now + UNAWAITED_SECONDS:
                self._wake.notify()

    async def close(self) -> None:
        """Write what is queued, sign it, and release the log.

        Raises:
            AuditUnavailable: the end of the log could not be signed, or the disk hangs.
        """
        with self._lock:
            self._closing = True
            self._wake.notify()
        try:
            async with asyncio.timeout(self._deadline):
                await asyncio.shield(self._done)
        except TimeoutError:
            raise AuditUnavailable("the disk of the audit log does not answer") from None
        finally:
            if self._watch is not None:
                self._watch.cancel()
        self._thread.join()
        if self._failure is not None:
            raise _copy(self._failure)

    def _admit(self, records_max: int, *, hanging_matters: bool = True) -> None:
        if self._failure is not None:
            raise _copy(self._failure)
        if self._closing:
            raise AuditUnavailable("the audit log is being closed")
        if len(self._queue) >= records_max:
            raise AuditUnavailable(f"{records_max} records already wait for the disk")
        if hanging_matters and self._in_flight:
            busy = time.monotonic() - self._busy_since
            if busy > self._deadline:
                raise AuditUnavailable(
                    f"the disk of the audit log has not answered for {busy:.0f} s"
                )

    # --- deadlines, in the loop's thread ---------------------------------------------------

    @property
    def _watch_seconds(self) -> float:
        return self._deadline / _WATCHES_PER_DEADLINE

    def _find_overdue(self) -> None:
        """One timer for all waiters: refuse those whose time is up, look again while some wait."""
        before = time.monotonic() - self._deadline
        with self._lock:
            overdue = [i for i in self._in_flight + self._queue if i.waiter and i.since < before]
            # What the writer has not taken yet is withdrawn: it will not be recorded.
            self._queue = [i for i in self._queue if not (i.waiter and i.since < before)]
            waiting = any(i.waiter for i in self._in_flight) or any(i.waiter for i in self._queue)
        for item in overdue:
            if item.waiter is not None and not item.waiter.done():
                item.waiter.set_exception(
                    AuditUnavailable(f"the record was not durable after {self._deadline:g} s")
                )
        self._watch = None
        if waiting:
            self._watch = self._loop.call_later(self._watch_seconds, self._find_overdue)

    def _settle(self, items: list[_Item], first: int, failure: AuditUnavailable | None) -> None:
        """Wake the callers of one batch."""
        for sequence, item in enumerate(items, first):
            if item.waiter is None or item.waiter.done():
                continue
            if failure is None:
                item.waiter.set_result(sequence)
            else:
                item.waiter.set_exception(_copy(failure))

    # --- the writer thread -----------------------------------------------------------------

    def _run(self) -> None:
        callers = 0
        try:
            while not self._is_over():
                self._sign_if_due()
                if callers >= CROWD:
                    time.sleep(GATHER_SECONDS)
                items = self._take()
                callers = sum(item.waiter is not None for item in items)
                if items:
                    self._commit(items)
            self._log.close()
        except AuditUnavailable as failure:
            self._give_up(failure)
        except BaseException as error:  # noqa: BLE001 - a silent death would hang its callers
            self._give_up(AuditUnavailable(f"the audit writer failed: {error!r}"))
        with suppress(RuntimeError):  # the loop was closed without closing the log first
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _is_over(self) -> bool:
        with self._lock:
            return self._closing and not self._queue

    def _sign_if_due(self) -> None:
        due_in = self._log.checkpoint_due_in()
        if due_in is not None and due_in <= 0:
            with suppress(AuditFull):  # tried again in a second; the records are durable
                self._log.sign()

    def _take(self) -> list[_Item]:
        """Everything queued, or nothing when a checkpoint is due first."""
        with self._lock:
            if not self._is_ready():
                patience = self._patience()
                self._looks_at = math.inf if patience is None else time.monotonic() + patience
                self._wake.wait(patience)
            if not self._is_ready():
                return []
            items = self._queue[:AUDIT_BATCH_RECORDS_MAX]
            del self._queue[:AUDIT_BATCH_RECORDS_MAX]
            self._in_flight, self._busy_since = items, time.monotonic()
            return items

    def _is_ready(self) -> bool:
        if self._closing or not self._queue:
            return bool(self._queue)
        return time.monotonic() >= max(self._retry_at, self._ripens_at())

    def _ripens_at(self) -> float:
        """When the oldest of the queue may not wait any longer; at once when somebody waits."""
        if any(item.waiter is not None for item in self._queue):
            return 0.0
        return self._queue[0].since + UNAWAITED_SECONDS

    def _patience(self) -> float | None:
        """Seconds until there is something to do although nobody calls."""
        if self._closing:
            return 0.0
        now = time.monotonic()
        times = [self._log.checkpoint_due_in()]
        if times[0] is not None:
            # There has just been a call, so an outcome is to be expected: it need not knock.
            times.append(UNAWAITED_SECONDS)
        if self._queue:
            times.append(max(0.0, self._retry_at - now, self._ripens_at() - now))
        return min((seconds for seconds in times if seconds is not None), default=None)

    def _commit(self, items: list[_Item]) -> None:
        """Make one batch durable and tell its callers, whatever happens."""
        first, failure = 0, None
        try:
            first = self._log.append([item.record for item in items])
        except AuditFull as full:
            failure = full
            self._keep(items, full)
        except AuditUnavailable as gone:
            self._settle_from_here(items, first, gone)
            raise
        except BaseException:
            self._settle_from_here(items, first, AuditUnavailable("the audit writer failed"))
            raise
        self._settle_from_here(items, first, failure)
        if failure is None and self._fault.why:
            self._tell_fault()

    def _settle_from_here(
        self, items: list[_Item], first: int, failure: AuditUnavailable | None
    ) -> None:
        with self._lock:
            self._in_flight = []
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, items, first, failure)

    def _keep(self, items: list[_Item], full: AuditFull) -> None:
        """No room: whoever waits is refused, what has happened waits for room."""
        kept = [item for item in items if item.waiter is None]
        self._fault.why = full.message
        self._fault.refused += len(items) - len(kept)
        with self._lock:
            if self._closing:
                self._fault.lost += len(kept)
            else:
                self._queue[:0] = kept
                self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _tell_fault(self) -> None:
        """There is room again: record that for a while there was none."""
        fault, self._fault = self._fault, _Fault()
        detail = {"why": fault.why, "refused": fault.refused, "lost": fault.lost}
        record = GatewayRecord(event="fault", detail=detail)
        with self._lock:
            self._queue.insert(0, _Item(record, None, time.monotonic()))

    def _give_up(self, failure: AuditUnavailable) -> None:
        """Out of use for good: refuse everyone who waits and everyone who comes."""
        with self._lock:
            self._failure = failure
            items, self._queue, self._in_flight = self._queue, [], []
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, items, 0, failure)
        with suppress(AuditUnavailable):
            self._log.close()


def _copy(failure: AuditUnavailable) -> AuditUnavailable:
    """One exception for each caller: a shared one would collect all their tracebacks."""
    return type(failure)(failure.message, help=failure.help)
