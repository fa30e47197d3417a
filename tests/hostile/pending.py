"""Cases of areas in force that cannot be tried yet: what has to be built first."""

from __future__ import annotations

PENDING: dict[str, str] = {
    "DOS-13": "limits are counted in this process; there is no store of them that could be down",
}
