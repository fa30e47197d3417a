"""How many calls are being carried out: few enough for everybody to get on.

Counted in calls and not in requests, so that revoking, registering and asking for health go on
whatever the agents do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pbac.base.limits import CALLS_IN_FLIGHT_MAX, CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX
from pbac.mcp.wire_errors import JsonRpcError, RequestId


class InFlight:
    """Calls by principal key. Lives on the event loop."""

    def __init__(
        self,
        *,
        calls_max: int = CALLS_IN_FLIGHT_MAX,
        per_principal_max: int = CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX,
    ) -> None:
        self._calls: dict[str, int] = {}
        self._total = 0
        self._calls_max = calls_max
        self._per_principal_max = per_principal_max

    @contextmanager
    def call(self, key: str, request_id: RequestId) -> Iterator[None]:
        """Carry out one call within.

        Raises:
            JsonRpcError: `rate_limited` for a caller with too many, `overloaded` when all are.
        """
        own = self._calls.get(key, 0)
        if own >= self._per_principal_max:
            raise JsonRpcError(
                "rate_limited",
                f"{own} calls of this agent are being carried out",
                help="wait for an answer before calling again",
                request_id=request_id,
            )
        if self._total >= self._calls_max:
            raise JsonRpcError(
                "overloaded",
                "the gateway carries out as many calls as it can",
                help="try again in a moment",
                request_id=request_id,
            )
        self._calls[key] = own + 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            if self._calls[key] == 1:
                del self._calls[key]
            else:
                self._calls[key] -= 1
