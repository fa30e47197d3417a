"""Durations and moments as people write them, in the milliseconds that requests hold."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from pbac.base.limits import JSON_INTEGER_MAX

_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION: Final = re.compile(r"([0-9]{1,12})([smhdw])")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z")
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


def parse_duration(text: str) -> int | None:
    """`15m` in milliseconds; None for anything else."""
    found = _DURATION.fullmatch(text)
    value = int(found[1]) * _UNIT_MS[found[2]] if found else JSON_INTEGER_MAX + 1
    return value if value <= JSON_INTEGER_MAX else None


def parse_moment(text: str) -> int | None:
    """`2026-07-01T09:00:00Z` in milliseconds since the epoch; None for anything else."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        return None
