"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import clock, dcr, introspection, jwt, revocation

ATTACKS = {
    **clock.ATTACKS,
    **dcr.ATTACKS,
    **introspection.ATTACKS,
    **jwt.ATTACKS,
    **revocation.ATTACKS,
}
