"""Watching a policy folder (or one file) for changes that are complete.

The system's notifications make a change act at once, but they get lost: on network file systems,
when the folder itself is replaced, when a link is swapped. So the folder is also compared with what
was seen, every `WATCH_SECONDS`. A file that is still being written may parse, and mean something
else: a change is told when two looks in a row have seen the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeAlias

from watchfiles import awatch

from pbac.adapters.policy_files import real
from pbac.adapters.policy_listing import listed
from pbac.base.limits import POLICY_FILES_MAX

WATCH_SECONDS: Final = 1.0
WATCH_DEBOUNCE_MS: Final = 50
WATCH_STEP_MS: Final = 5
SETTLE_SECONDS: Final = 0.03
SETTLE_LOOKS_MAX: Final = 30

_Print: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, modification time, size and inode of every file that would be read."""


async def changes(path: Path) -> AsyncGenerator[None]:
    """Once at the beginning, and then whenever what is at the path has changed. Never ends."""
    seen: _Print | None = None
    async with aclosing(_ticks(path)) as ticks:
        async for _ in ticks:
            now = await asyncio.to_thread(_print, path)
            if now != seen:
                seen = await _settled(path, now)
                yield


async def _ticks(path: Path) -> AsyncGenerator[None]:
    """Whenever something may have changed, at the latest every `WATCH_SECONDS`."""
    while True:
        yield
        noticed = awatch(
            path,
            debounce=WATCH_DEBOUNCE_MS,
            step=WATCH_STEP_MS,
            rust_timeout=int(WATCH_SECONDS * 1000),
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        try:
            async with aclosing(noticed):
                async for _ in noticed:
                    yield
        except OSError:  # there is no folder, or no more watches to be had
            await asyncio.sleep(WATCH_SECONDS)


async def _settled(path: Path, seen: _Print) -> _Print:
    """What it looks like once nobody is writing in it, or after `SETTLE_LOOKS_MAX`."""
    for _ in range(SETTLE_LOOKS_MAX):
        await asyncio.sleep(SETTLE_SECONDS)
        now = await asyncio.to_thread(_print, path)
        if now == seen:
            break
        seen = now
    return seen


def _print(path: Path) -> _Print:
    """Never raises: what cannot be looked at is left out, and told when it is read."""
    root = real(path)
    found = []
    try:
        for file in _watched(root):
            stat = file.stat()
            at_ns = max(stat.st_mtime_ns, stat.st_ctime_ns)  # the former can be set back
            found.append((str(file), at_ns, stat.st_size, stat.st_ino))
    except OSError:
        found.append((str(path), -1, -1, -1))
    return tuple(found)


def _watched(root: Path) -> list[Path]:
    if root.is_file():
        beside = (
            listed(root.parent, f"{folder}/*.json", POLICY_FILES_MAX, deep=False)
            for folder in ("data", "tools")
        )
        return [root, *(path for found in beside for path in found)]
    return [
        *listed(root, "*.pbac", POLICY_FILES_MAX),
        *listed(root, "*.json", POLICY_FILES_MAX),
    ]
