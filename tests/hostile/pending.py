"""Cases of areas in force that cannot be tried yet: what has to be built first."""

from __future__ import annotations

PENDING: dict[str, str] = {}
