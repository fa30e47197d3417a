"""What a command that was run left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    """Exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)
