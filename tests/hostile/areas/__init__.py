"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import cache, concurrency, policy_language, revocation

ATTACKS = {
    **cache.ATTACKS,
    **concurrency.ATTACKS,
    **policy_language.ATTACKS,
    **revocation.ATTACKS,
}
