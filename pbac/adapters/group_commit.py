"""Many callers, one sync: the asyncio front of the audit log.

The loop owns everything: the queue, the log, the time. One thread does nothing but wait for the
disk, one job at a time, because every step of Python it takes it has to wrest from the busy loop.

    queue ──(idle, something ripe)──> batch rendered, job given ──> disk ──> callers woken ──> again

While a batch is on its way the next one gathers by itself, so the busier the gateway, the larger
the batches. A caller never waits for a timer. Records nobody waits for (outcomes) travel with the
next batch: a sync of their own would hold up the next call. If no call comes, they are written
after `UNAWAITED_SECONDS`.

A caller waits at most `AUDIT_COMMIT_SECONDS_MAX` and then has `AuditUnavailable`: a disk that
hangs is worse than one that fails. Its record may still be written when the disk comes back, which
is harmless: it says that a call was about to be forwarded, and no outcome follows. Until then the
log counts as out of use and new callers are refused at once.

INVARIANT: between giving a job and its end, the log is the thread's; otherwise it is the loop's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

import msgspec

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
UNAWAITED_SECONDS: Final = 0.05
"""How long a record that nobody waits for may wait for company."""
_WATCHES_PER_DEADLINE: Final = 20

_Job: TypeAlias = Callable[[], None]
_Ended: TypeAlias = Callable[[BaseException | None], None]


class _Item(msgspec.Struct, frozen=True, eq=False):
    """A queued record; `waiter` is None when nobody waits for it."""

    record: Record
    waiter: asyncio.Future[int] | None
    since: float


class _Fault(msgspec.Struct):
    """What could not be recorded while the log was out of room, to be recorded afterwards."""

    why: str = ""
    refused: int = 0
    lost: int = 0


class GroupCommit:
    """Durable appends for one event loop. Make it inside that loop; `close` it before the loop.

    All methods are for the loop's thread.
    """

    def __init__(
        self, log: AuditLog, *, commit_seconds_max: float = AUDIT_COMMIT_SECONDS_MAX
    ) -> None:
        self._log = log
        self._deadline = commit_seconds_max
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Item] = []
        self._in_flight: list[_Item] = []
        self._busy_since: float | None = None  # since when a job is with the thread
        self._retry_at = 0.0
        self._closing = False
        self._failure: AuditUnavailable | None = None
        self._fault = _Fault()
        self._next: asyncio.Handle | None = None  # when the queue is looked at again
        self._watch: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._disk = _DiskThread(self._loop)

    @property
    def queued(self) -> int:
        """Records that are not durable yet."""
        return len(self._queue) + len(self._in_flight)

    def check(self) -> None:
        """Whether an append would be admitted now.

        Raises:
            AuditUnavailable: why not.
        """
        self._admit(_AWAITED_RECORDS_MAX)

    async def append(self, record: Record) -> int:
        """Make a record durable; its sequence.

        Raises:
            AuditUnavailable: it is not known to be durable. `AuditFull`: it is not there.
        """
        self._admit(_AWAITED_RECORDS_MAX)
        waiter: asyncio.Future[int] = self._loop.create_future()
        first = not self._queue or self._queue[-1].waiter is None
        self._queue.append(_Item(record, waiter, self._loop.time()))
        if first and self._busy_since is None:
            self._retry_at = 0.0
            self._look_again(0.0)  # after whoever else calls in this round of the loop
        if self._watch is None:
            self._watch = self._loop.call_later(self._watch_seconds, self._find_overdue)
        return await waiter

    def enqueue(self, record: Record) -> None:
        """Add a record that nobody waits for, in its order: what has already happened.

        Raises:
            AuditUnavailable: the log is out of use; the record is lost.
        """
        self._admit(AUDIT_QUEUE_RECORDS_MAX, hanging_matters=False)
        self._queue.append(_Item(record, None, self._loop.time()))
        if len(self._queue) == 1 and self._busy_since is None:
            self._look_again(UNAWAITED_SECONDS)  # instead of when the next checkpoint is due

    async def close(self) -> None:
        """Write what is queued, sign it, and release the log.

        Raises:
            AuditUnavailable: the end of the log could not be signed, or the disk hangs.
        """
        self._closing = True
        if self._busy_since is None:
            self._look_again(0.0)
        try:
            async with asyncio.timeout(self._deadline):
                await asyncio.shield(self._closed)
        except TimeoutError:
            failure = AuditUnavailable("the disk of the audit log does not answer")
            _refuse([*self._in_flight, *self._queue], failure)
            raise failure from None
        finally:
            if self._watch is not None:
                self._watch.cancel()
        if self._failure is not None:
            raise _copy(self._failure)

    def _admit(self, records_max: int, *, hanging_matters: bool = True) -> None:
        if self._failure is not None:
            raise _copy(self._failure)
        if self._closing:
            raise AuditUnavailable("the audit log is being closed")
        if len(self._queue) >= records_max:
            raise AuditUnavailable(f"{records_max} records already wait for the disk")
        if hanging_matters and self._busy_since is not None:
            busy = self._loop.time() - self._busy_since
            if busy > self._deadline:
                raise AuditUnavailable(
                    f"the disk of the audit log has not answered for {busy:.0f} s"
                )

    # --- one job after another -------------------------------------------------------------

    def _look_again(self, seconds: float) -> None:
        """Look at the queue after so many seconds instead of when it was planned."""
        self._cancel_look()
        if seconds > 0:
            self._next = self._loop.call_later(seconds, self._look)
        else:
            self._next = self._loop.call_soon(self._look)

    def _cancel_look(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        """Give the thread what is due, or plan when to look again."""
        self._cancel_look()
        if self._closed.done():
            return
        due_in = self._log.checkpoint_due_in()
        if due_in is not None and due_in <= 0:
            self._give(self._log.sign, self._signed)
            return
        ripe_in = self._ripe_in()
        if ripe_in is not None and ripe_in <= 0:
            self._commit()
        elif self._closing and not self._queue:
            self._give(self._log.close, self._released)
        elif times := [seconds for seconds in (due_in, ripe_in) if seconds is not None]:
            self._look_again(min(times))

    def _ripe_in(self) -> float | None:
        """Seconds until the queue has to be written; None while it is empty."""
        if not self._queue:
            return None
        if self._closing:
            return 0.0
        now, oldest = self._loop.time(), self._queue[0]
        waits = any(item.waiter is not None for item in self._queue)
        return max(self._retry_at, 0.0 if waits else oldest.since + UNAWAITED_SECONDS) - now

    def _commit(self) -> None:
        """Begin to make everything queued durable."""
        items = self._queue[:AUDIT_BATCH_RECORDS_MAX]
        del self._queue[:AUDIT_BATCH_RECORDS_MAX]
        try:
            batch = self._log.prepare([item.record for item in items])
        except Exception as defect:  # noqa: BLE001 - nobody may be left waiting
            self._give_up(items, defect)
            return
        self._in_flight = items
        self._give(partial(self._log.commit, batch), partial(self._committed, batch.first))

    def _give(self, job: _Job, ended: _Ended) -> None:
        self._busy_since = self._loop.time()
        self._disk.give(job, partial(self._ended, ended))

    def _ended(self, ended: _Ended, error: BaseException | None) -> None:
        """The thread is free: what follows from its job, then the next one."""
        self._busy_since = None
        ended(error)
        if self._busy_since is None:
            self._look()

    def _committed(self, first: int, error: BaseException | None) -> None:
        items, self._in_flight = self._in_flight, []
        if error is None:
            _wake(items, first)
            if self._fault.why:
                self._tell_fault()
        elif isinstance(error, AuditFull):
            _refuse(items, error)
            self._keep(items, error)
        else:
            self._give_up(items, error)

    def _signed(self, error: BaseException | None) -> None:
        # Without room it is tried again in a second: the records themselves are durable.
        if error is not None and not isinstance(error, AuditFull):
            self._give_up([], error)

    def _released(self, error: BaseException | None) -> None:
        if error is not None and self._failure is None:
            self._failure = _unavailable(error)
        self._disk.stop()
        if not self._closed.done():
            self._closed.set_result(None)

    # --- what goes wrong -------------------------------------------------------------------

    def _keep(self, items: list[_Item], full: AuditFull) -> None:
        """No room: whoever waits was refused, what has happened waits for room."""
        kept = [item for item in items if item.waiter is None]
        self._fault.why = full.message
        self._fault.refused += len(items) - len(kept)
        if self._closing:
            self._fault.lost += len(kept)
        else:
            self._queue[:0] = kept
            self._retry_at = self._loop.time() + _RETRY_SECONDS

    def _tell_fault(self) -> None:
        """There is room again: record that for a while there was none."""
        fault, self._fault = self._fault, _Fault()
        detail = {"why": fault.why, "refused": fault.refused, "lost": fault.lost}
        record = GatewayRecord(event="fault", detail=detail)
        self._queue.insert(0, _Item(record, None, self._loop.time()))

    def _give_up(self, items: list[_Item], error: BaseException) -> None:
        """Out of use for good: refuse everyone who waits and everyone who comes."""
        self._failure = _unavailable(error)
        queued, self._queue = self._queue, []
        _refuse([*items, *queued], self._failure)
        self._give(self._log.close, self._released)

    # --- deadlines -------------------------------------------------------------------------

    @property
    def _watch_seconds(self) -> float:
        return self._deadline / _WATCHES_PER_DEADLINE

    def _find_overdue(self) -> None:
        """One timer for all waiters: refuse those whose time is up, look again while some wait."""
        before = self._loop.time() - self._deadline
        overdue = [i for i in self._in_flight + self._queue if i.waiter and i.since < before]
        # What the thread has not been given yet is withdrawn: it will not be recorded.
        self._queue = [i for i in self._queue if not (i.waiter and i.since < before)]
        _refuse(overdue, AuditUnavailable(f"the record was not durable after {self._deadline:g} s"))
        self._watch = None
        if any(item.waiter for item in self._in_flight + self._queue):
            self._watch = self._loop.call_later(self._watch_seconds, self._find_overdue)


class _DiskThread:
    """Runs one job at a time where waiting harms nobody. A daemon: a disk may hang for ever."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[tuple[_Job, _Ended] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="audit-disk", daemon=True).start()

    def give(self, job: _Job, ended: _Ended) -> None:
        """Run `job` there; then call `ended` here, with what it raised or None."""
        self._jobs.put((job, ended))

    def stop(self) -> None:
        """End the thread once it is free."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, ended = given
            error = None
            try:
                job()
            except BaseException as raised:  # noqa: BLE001 - a silent death would hang its callers
                error = raised
            with suppress(RuntimeError):  # the loop was closed without closing the log first
                self._loop.call_soon_threadsafe(ended, error)


def _wake(items: list[_Item], first: int) -> None:
    for sequence, item in enumerate(items, first):
        if item.waiter is not None and not item.waiter.done():
            item.waiter.set_result(sequence)


def _refuse(items: list[_Item], failure: AuditUnavailable) -> None:
    for item in items:
        if item.waiter is not None and not item.waiter.done():
            item.waiter.set_exception(_copy(failure))


def _unavailable(error: BaseException) -> AuditUnavailable:
    if isinstance(error, AuditUnavailable):
        return error
    return AuditUnavailable(f"the audit writer failed: {error!r}")


def _copy(failure: AuditUnavailable) -> AuditUnavailable:
    """One exception for each caller: a shared one would collect all their tracebacks."""
    return type(failure)(failure.message, help=failure.help)
