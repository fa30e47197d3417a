"""What operators watch, in Prometheus' own library, in a registry of this gateway's own.

Counting is on the way of every call, so it is one addition here; the library's own objects are
made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pbac.gateway.refusals import RefusalWindow

_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
    30.0,
    120.0,
)
_BOUNDS: Final = (*map(str, _SECONDS), "+Inf")


class Metrics(Collector):
    """Counters of one gateway; implements `gateway.ports.Counters`.

    Refusals are counted twice: for the scraper, and for the record's own window.
    """

    def __init__(self, window: RefusalWindow) -> None:
        self._window = window
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[str] = Counter()
        self._calls = [0] * len(_BOUNDS)  # by bucket
        self._seconds = 0.0
        self._rules = 0
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def decided(self, effect: str, code: str) -> None:
        """See `Counters.decided`."""
        self._decisions[effect, code] += 1

    def refused(self, code: str) -> None:
        """See `Counters.refused`."""
        self._refusals[code] += 1
        self._window.count(code)

    def answered(self, seconds: float) -> None:
        """See `Counters.answered`."""
        self._calls[bisect_left(_SECONDS, seconds)] += 1
        self._seconds += seconds

    def published(self, rules: int) -> None:
        """A policy set with so many rules is in force."""
        self._rules = rules

    def collect(self) -> Iterator[Metric]:
        """Everything counted so far, for one scrape."""
        decisions = CounterMetricFamily(
            "pbac_decisions", "Decisions on calls", labels=["effect", "code"]
        )
        for labels, count in sorted(self._decisions.items()):
            decisions.add_metric(labels, count)
        refusals = CounterMetricFamily(
            "pbac_refusals", "Requests refused before they became a call", labels=["code"]
        )
        for code, count in sorted(self._refusals.items()):
            refusals.add_metric([code], count)
        calls = HistogramMetricFamily("pbac_call_seconds", "Forwarded calls, upstream included")
        buckets = list(zip(_BOUNDS, accumulate(self._calls), strict=True))
        calls.add_metric([], buckets, self._seconds)
        rules = GaugeMetricFamily("pbac_policy_rules", "Rules in force", value=self._rules)
        yield from (decisions, refusals, calls, rules)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
