"""A policy set that is ready to decide: immutable, replaced as a whole, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pbac.lang.program import CompiledRule, Data, Program
from pbac.pdp.index import Index


class PolicySet:
    """A compiled program with its index. A request keeps the set it began with.

    Attributes:
        version: the digest every decision names.
        tiers: lowest first.
        data: the operator's documents by name.
        texts: source name → text, for those who explain; may be empty.
    """

    def __init__(self, program: Program, texts: Mapping[str, str] | None = None) -> None:
        self.program = program
        self.version = program.version
        self.tiers = program.tiers
        self.data: Data = program.data
        self.texts = texts or {}
        self.index = Index(self.rules, self.tiers, self.data)

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """Every rule of every package, in order of their names."""
        every = [rule for package in self.program.packages for rule in package.rules]
        return tuple(sorted(every, key=lambda rule: rule.name))

    @property
    def sealed(self) -> frozenset[str]:
        """The names of the sealed packages."""
        return frozenset(package.name for package in self.program.packages if package.sealed)

    @property
    def rule_count(self) -> int:
        """How many rules are in force."""
        return len(self.rules)
