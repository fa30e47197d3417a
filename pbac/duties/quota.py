"""Counted calls: `limit N per D by …`.

Theory. At most N calls in *any* stretch of D, not in each calendar window (where 2N fit round a
boundary). Time is cut into slots of D/60; a bucket keeps how many calls fell into each slot, and a
slot counts until it is older than D as a whole. So the promise holds exactly, a used call comes
back at most D/60 late, and a bucket costs at most 61 small numbers however large N is.

Several limits of one call are consumed all or not at all. Buckets that hold no call any more are
dropped; there are at most `QUOTA_BUCKETS_MAX`, and when all of them are in use a call that needs a
new one is refused: forgetting a bucket would hand out its calls again.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from pbac.base.limits import QUOTA_BUCKETS_MAX

SLOTS: Final = 60
_DROPPED_PER_CALL_MAX: Final = 16


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One more call in one bucket.

    Attributes:
        key: which bucket; of fixed size (`limit.claim` makes it from rule and values).
        count: calls allowed in any `per_ms` milliseconds.
        rule: qualified name of the requirement, for the refusal.
    """

    key: bytes
    count: int
    per_ms: int
    rule: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The first claim that could not be met.

    `retry_after_ms` is when one more call fits; None when the store has no room for the bucket.
    """

    claim: Claim
    retry_after_ms: int | None


class _Bucket:
    """Calls by slot, oldest first. INVARIANT: `total` is their sum."""

    __slots__ = ("per_ms", "slots", "total", "width_ms")

    def __init__(self, per_ms: int) -> None:
        self.per_ms = per_ms
        self.width_ms = max(1, per_ms // SLOTS)
        self.slots: deque[list[int]] = deque()
        self.total = 0

    def forget(self, now_ms: int) -> None:
        while self.slots and self.gone_at(self.slots[0]) <= now_ms:
            self.total -= self.slots.popleft()[1]

    def gone_at(self, slot: list[int]) -> int:
        """When the youngest call that can be in this slot is `per_ms` old."""
        return slot[0] + self.width_ms + self.per_ms

    def expires_ms(self) -> int:
        return self.gone_at(self.slots[-1]) if self.slots else 0

    def retry_after_ms(self, count: int, now_ms: int) -> int:
        """How long until fewer than `count` calls are left."""
        left = self.total
        for slot in self.slots:
            left -= slot[1]
            if left < count:
                return self.gone_at(slot) - now_ms
        return self.per_ms

    def add(self, now_ms: int) -> None:
        start = now_ms - now_ms % self.width_ms
        # A clock that went back must not open an older slot: order is what `forget` relies on.
        if self.slots and self.slots[-1][0] >= start:
            self.slots[-1][1] += 1
        else:
            self.slots.append([start, 1])
        self.total += 1


class Quotas:
    """All buckets of one process, in memory: a restart begins anew."""

    def __init__(self, buckets_max: int = QUOTA_BUCKETS_MAX) -> None:
        self._buckets_max = buckets_max
        self._buckets: dict[bytes, _Bucket] = {}
        self._expiries: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        """Buckets in use."""
        return len(self._buckets)

    def consume(self, claims: Sequence[Claim], now_ms: int) -> Refused | None:
        """Count one call in every claim's bucket, or in none of them and say which refused.

        `now_ms` may be any clock; when it goes back, calls come back late, never early.
        """
        self._drop_expired(now_ms)
        unique: dict[bytes, Claim] = {}
        for claim in sorted(claims, key=lambda claim: -claim.count):
            unique[claim.key] = claim  # of two limits on one bucket the lower one holds
        fresh = sum(key not in self._buckets for key in unique)
        for claim in unique.values():
            bucket = self._buckets.get(claim.key)
            if bucket is None:
                if claim.count < 1 or len(self._buckets) + fresh > self._buckets_max:
                    retry = claim.per_ms if claim.count < 1 else None
                    return Refused(claim=claim, retry_after_ms=retry)
                continue
            bucket.forget(now_ms)
            if bucket.total >= claim.count:
                retry = bucket.retry_after_ms(claim.count, now_ms)
                return Refused(claim=claim, retry_after_ms=retry)
        for claim in unique.values():
            self._add(claim, now_ms)
        return None

    def _add(self, claim: Claim, now_ms: int) -> None:
        bucket = self._buckets.get(claim.key)
        if bucket is None:
            bucket = self._buckets[claim.key] = _Bucket(claim.per_ms)
            bucket.add(now_ms)
            heapq.heappush(self._expiries, (bucket.expires_ms(), claim.key))
        else:
            bucket.add(now_ms)

    def _drop_expired(self, now_ms: int) -> None:
        """A few at a time, so that no single call pays for all that expired at once."""
        for _ in range(_DROPPED_PER_CALL_MAX):
            if not self._expiries or self._expiries[0][0] > now_ms:
                return
            _, key = heapq.heappop(self._expiries)
            bucket = self._buckets[key]
            if bucket.expires_ms() > now_ms:  # used again since it was entered here
                heapq.heappush(self._expiries, (bucket.expires_ms(), key))
            else:
                del self._buckets[key]
