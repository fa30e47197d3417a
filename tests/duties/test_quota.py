"""Limits: at most N in any stretch of D, whatever the order, and all or nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.duties.quota import SLOTS, Claim, Quotas


def claim(key="a", count=2, per_ms=60_000, rule="p.r"):
    return Claim(key=key.encode(), count=count, per_ms=per_ms, rule=rule)


def test_calls_fit_until_they_do_not_and_come_back():
    quotas = Quotas()
    assert quotas.consume([claim()], 0) is None
    assert quotas.consume([claim()], 30_000) is None
    refused = quotas.consume([claim()], 59_000)
    assert refused.claim.rule == "p.r"
    assert quotas.consume([claim()], 59_000 + refused.retry_after_ms) is None
    assert quotas.consume([claim()], 59_001 + refused.retry_after_ms) is not None


def test_a_window_boundary_does_not_double_the_limit():
    quotas = Quotas()
    assert quotas.consume([claim(count=1)], 59_999) is None
    assert quotas.consume([claim(count=1)], 60_001) is not None


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=120),
    st.integers(1, 7),
    st.sampled_from([1, 7, 60, 100, 6_000]),
)
def test_no_stretch_of_d_ever_holds_more_than_n(gaps, count, per_ms):
    quotas, now, passed = Quotas(), 1_000_000, []
    for gap in gaps:
        now += gap
        before = [t for t in passed if now - t < per_ms]
        allowed = quotas.consume([claim(count=count, per_ms=per_ms)], now) is None
        if allowed:
            assert len(before) < count, "one too many in this stretch"
            passed.append(now)
        else:
            late = per_ms + max(1, per_ms // SLOTS)
            assert sum(now - t <= late for t in passed) >= count, "refused without need"


def test_refused_calls_consume_nothing_anywhere():
    quotas = Quotas()
    narrow, wide = claim("n", count=1), claim("w", count=2)
    assert quotas.consume([narrow, wide], 0) is None
    for _ in range(5):
        assert quotas.consume([wide, narrow], 0).claim is narrow
    assert quotas.consume([wide], 0) is None, "the refused ones left room here"
    assert quotas.consume([wide], 0) is not None


def test_the_lower_of_two_limits_on_one_bucket_holds():
    quotas = Quotas()
    for both in ([claim(count=1), claim(count=9)], [claim(count=9), claim(count=1)]):
        quotas = Quotas()
        assert quotas.consume(both, 0) is None
        assert quotas.consume(both, 0) is not None


def test_a_full_store_refuses_new_callers_and_forgets_nobody():
    quotas = Quotas(buckets_max=3)
    for name in "abc":
        assert quotas.consume([claim(name, count=1)], 0) is None
    refused = quotas.consume([claim("d")], 1)
    assert refused.retry_after_ms is None
    for name in "abc":
        assert quotas.consume([claim(name, count=1)], 2) is not None, "still counted"
    assert quotas.consume([claim("d")], 62_000) is None, "the old ones expired"
    assert len(quotas) == 1


def test_a_bucket_in_use_is_not_dropped_when_its_first_expiry_comes():
    quotas = Quotas()
    assert quotas.consume([claim(count=2)], 0) is None
    assert quotas.consume([claim(count=2)], 59_000) is None
    assert quotas.consume([claim(count=2)], 62_000) is None
    assert quotas.consume([claim(count=2)], 62_000) is not None


def test_a_clock_that_goes_back_gives_nothing_back():
    quotas = Quotas()
    assert quotas.consume([claim(count=1)], 10_000_000) is None
    assert quotas.consume([claim(count=1)], 5_000_000) is not None
    assert quotas.consume([claim(count=1)], 10_000_000 + 61_001) is None


def test_a_bucket_stays_small_however_many_calls_it_counts():
    quotas = Quotas()
    for now in range(0, 60_000, 5):
        assert quotas.consume([claim(count=100_000)], now) is None
    assert len(quotas._buckets[b"a"].slots) <= SLOTS + 1
