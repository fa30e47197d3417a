"""A policy set that is ready to decide: immutable, replaced as a whole, never changed."""

from __future__ import annotations

from functools import cached_property

from pbac.lang.program import CompiledRule, Data, Program
from pbac.pdp.index import Index


class PolicySet:
    """A compiled program with its index.

    Attributes:
        version: the digest every decision names.
        tiers: lowest first.
        data: the operator's documents by name.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.version = program.version
        self.tiers = program.tiers
        self.data: Data = program.data
        self.index = Index(self.rules)

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """Every rule of every package, in order of their names."""
        every = [rule for package in self.program.packages for rule in package.rules]
        return tuple(sorted(every, key=lambda rule: rule.name))

    @property
    def rule_count(self) -> int:
        """How many rules are in force."""
        return len(self.rules)
