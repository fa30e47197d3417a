"""One row of the rules that are attacked, and short ways to write what may pass it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ruled:
    """One tool. `rail` permits when the condition holds, or forbids when it does."""

    name: str
    rail: str
    condition: str
    permits: Callable[[dict[str, Any]], bool]
    fits: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, Any], ...]

    @property
    def tool(self) -> str:
        return f"ruled_{self.name}"

    @property
    def text(self) -> str:
        who = f"for tier >= read_only\n  on  tool {self.tool}"
        if self.rail == "permit":
            return f"permit {self.name}\n  {who}\n  when {self.condition}\n"
        return (
            f"permit {self.name}_open\n  {who}\n"
            f"forbid {self.name}\n  on tool {self.tool}\n  {self.rail} {self.condition}\n"
        )


def of(member, test, kinds):
    """`permits`: the member is there, of exactly one of these kinds, and passes the test."""

    def permits(arguments):
        value = arguments.get(member, permits)
        return type(value) in kinds and test(value)

    return permits


def each(member, *values, **more):
    """One set of arguments for each value; the member is left out of one more."""
    return (*({member: value, **more} for value in values), dict(more))


def texts(member, test):
    return of(member, test, (str,))


def numbers(member, test):
    return of(member, test, (int, float))


def whole(member, pattern):
    return texts(member, lambda text: re.fullmatch(pattern, text, re.ASCII) is not None)


def lists(member, test):
    return of(member, test, (list,))


ODD_REPOS = (["safe", "prod"], {"name": "safe"}, [["safe"]], ["safe"], {"safe": "safe"}, [], 5)
SAFE = ({"repo": "safe"},)
IS_SAFE = texts("repo", lambda repo: repo == "safe")
SPARES = ", ".join(f'"spare{n}"' for n in range(12))


def repo(name, rail, condition, permits=IS_SAFE, *more):
    return Ruled(name, rail, condition, permits, SAFE, each("repo", *ODD_REPOS, None, *more))
