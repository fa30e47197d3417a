"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import dos, json_bodies, json_forwarded, json_names, json_schemas, revocation

ATTACKS = {
    **dos.ATTACKS,
    **json_bodies.ATTACKS,
    **json_forwarded.ATTACKS,
    **json_names.ATTACKS,
    **json_schemas.ATTACKS,
    **revocation.ATTACKS,
}
