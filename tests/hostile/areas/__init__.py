"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import dos, revocation

ATTACKS = {
    **dos.ATTACKS,
    **revocation.ATTACKS,
}
