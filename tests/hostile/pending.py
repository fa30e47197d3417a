"""Cases of areas in force that cannot be tried yet: what has to be built first."""

from __future__ import annotations

PENDING: dict[str, str] = {
    "CON-06": "approvals that somebody can give; the race for a limited call is tried in CON-01",
    "POL-29": "the Rego export: until then two engines of our own are held to each other",
}
