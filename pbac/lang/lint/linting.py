"""What one run of lint carries along, shared by all that looks for something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.kinds.schema import Schema
from pbac.lang.lint.rivals import Claimed
from pbac.lang.program import Data
from pbac.lang.resolve.resolve import Resolved


class Finding(NamedTuple):
    """One finding before it has a code and a level; the help is its fix."""

    message: str
    span: Span
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linting:
    """What lint knows.

    Attributes:
        rules: every rule with its claims, by package and in the order written; empty for a set
            with errors, whose claims nobody can rely on.
        barren: those of them that no request ever makes apply.
        now_ms: the clock, in milliseconds.
        data: the operator's documents by name; None where nobody knows them.
        sound: no error was found, so what is nowhere in the set really is nowhere.
    """

    resolved: Resolved
    schema: Schema
    now_ms: int
    sound: bool
    rules: tuple[Claimed, ...] = ()
    barren: frozenset[Claimed] = frozenset()
    data: Data | None = None


def rules_of(linting: Linting, *effects: str) -> Iterator[nodes.Rule]:
    """Every rule with one of these effects, sound or not."""
    for package in linting.resolved.packages:
        yield from (rule for rule in package.rules if rule.effect in effects)
