"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import revocation

ATTACKS = {
    **revocation.ATTACKS,
}
