"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import jwt, revocation

ATTACKS = {
    **jwt.ATTACKS,
    **revocation.ATTACKS,
}
