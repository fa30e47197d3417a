"""The information point: what the gateway knows beside the call itself.

`session` is of (agent, user, grant) over a window, never of a transport session: opening a new
connection does not make an agent forget what it did.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from pbac.base.limits import CLIENTS_MAX

WINDOW_MS: Final = 24 * 3_600 * 1_000
"""How long a session lasts from its first call."""


class Sessions:
    """Counts what each principal did in its window. There is room for one of every client.

    Lives on the event loop; no method awaits, so no call sees a half-made change.
    """

    def __init__(self, windows_max: int = CLIENTS_MAX) -> None:
        self._windows: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._windows_max = windows_max

    def describe(self, key: str, now_ms: int) -> dict[str, Any]:
        """The `session` root before this call is counted. The caller must not change it."""
        window = self._windows.get(key)
        if window is None or now_ms - window["started_at"] >= WINDOW_MS:
            return _empty(now_ms)
        return window

    def count(self, key: str, now_ms: int, *, server: str, tool: str) -> None:
        """Count one call that is about to be forwarded.

        The window is replaced, not changed: decisions and records keep the one they read.
        """
        window = self.describe(key, now_ms)
        self._windows[key] = {
            **window,
            "calls": window["calls"] + 1,
            "tools": _with(window["tools"], tool),
            "servers": _with(window["servers"], server),
        }
        if len(self._windows) > self._windows_max:
            self._windows.popitem(last=False)


def _empty(now_ms: int) -> dict[str, Any]:
    return {"started_at": now_ms, "calls": 0, "tools": [], "servers": [], "labels": []}


def _with(items: list[str], item: str) -> list[str]:
    return items if item in items else [*items, item]
