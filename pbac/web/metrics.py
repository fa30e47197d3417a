"""What operators watch, in Prometheus' own library, in a registry of this gateway's own."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pbac.gateway.refusals import RefusalWindow

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120)


class Metrics:
    """Counters of one gateway; implements `gateway.ports.Counters`.

    Refusals are counted twice: for the scraper, and for the record's own window.
    """

    def __init__(self, window: RefusalWindow) -> None:
        self._window = window
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "pbac_decisions_total", "Decisions on calls", ["effect", "code"], registry=self.registry
        )
        self._refusals = Counter(
            "pbac_refusals_total",
            "Requests refused before they became a call",
            ["code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "pbac_call_seconds",
            "Forwarded calls, upstream included",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rules = Gauge("pbac_policy_rules", "Rules in force", registry=self.registry)
        # Looking up a labelled child costs more than counting: the common one is kept.
        self._permitted = self._decisions.labels("permit", "")

    def decided(self, effect: str, code: str) -> None:
        """See `Counters.decided`."""
        if effect == "permit":
            self._permitted.inc()
        else:
            self._decisions.labels(effect, code).inc()

    def refused(self, code: str) -> None:
        """See `Counters.refused`."""
        self._refusals.labels(code).inc()
        self._window.count(code)

    def answered(self, seconds: float) -> None:
        """See `Counters.answered`."""
        self._seconds.observe(seconds)

    def published(self, rules: int) -> None:
        """A policy set with so many rules is in force."""
        self._rules.set(rules)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
