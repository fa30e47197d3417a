"""Python's cycle collector, where objects are made by the million and hardly a cycle among them.

Walked as often as Python does by itself, they cost a large part of the time of a large check,
and of reading compiled policies.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEW_OBJECTS: Final = 100_000
"""More of them than were freed, before the collector looks; Python's own figure is 700."""


def collect_seldom() -> None:
    """For this process, until it ends: bounded still, but rarely."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def collect_afterwards() -> Iterator[None]:
    """Not meanwhile, in any thread: for what takes a fraction of a second."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
