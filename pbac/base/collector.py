"""Python's cycle collector, in commands that end soon.

Reading a policy set makes objects by the million and hardly a cycle among them; walked as often as
Python does by itself, they cost a fifth of the time of a large check.
"""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 100_000
"""More of them than were freed, before the collector looks; Python's own figure is 700."""


def collect_seldom() -> None:
    """For this process, until it ends: bounded still, but rarely."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
