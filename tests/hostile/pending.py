"""Cases of areas in force that cannot be tried yet: what has to be built first."""

from __future__ import annotations

PENDING: dict[str, str] = {
    "MCP-37": "approvals asked for by `input_required`: until then no `requestState` is issued, and "
    "one that is sent is dropped (JSN-07 sends it)",
}
