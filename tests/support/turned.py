"""A gateway whose wall clock a test turns, to any moment, while it runs."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from support.bad_input import World

FOLDER = Path(__file__).with_name("turned_clock")
NS = 1_000_000_000


def environment(clock: Path) -> dict[str, str]:
    """What a process needs to live by the clock in this file."""
    clock.write_bytes(bytes(8))
    return {"PYTHONPATH": str(FOLDER), "TURNED_CLOCK": str(clock)}


@dataclass
class TurnedWorld(World):
    """A world with a clock, and one client that signs in at every moment anew."""

    clock: Path | None = None
    client: dict = field(default_factory=dict)

    def turn(self, moment: datetime, *, seconds: float = 0.0) -> None:
        """It is now this moment, a little later, and time goes on from there."""
        assert moment.tzinfo is not None
        wanted = int(moment.astimezone(UTC).timestamp() * NS) + int(seconds * NS)
        with self.clock.open("r+b") as file:
            file.write(struct.pack("<q", wanted - time.time_ns()))

    def token_now(self) -> str:
        """A token that is issued at this very moment."""
        token = self.sign_in(self.client)
        self.secrets.append(token)
        return token
