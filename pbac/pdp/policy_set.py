"""A policy set that is ready to decide: immutable, replaced as a whole, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pbac.lang import nodes
from pbac.lang.compile import Compilation
from pbac.lang.program import CompiledRule, Data, Program
from pbac.pdp.index import Index


class PolicySet:
    """A compiled program with its index. A request keeps the set it began with.

    Attributes:
        version: the digest every decision names.
        tiers: lowest first.
        data: the operator's documents by name.
        previous: a set that held some of the same packages; only ever saves work.
        texts, trees: source name → text, and → what was parsed from it, for those who explain;
            may be empty.
    """

    def __init__(
        self,
        program: Program,
        texts: Mapping[str, str] | None = None,
        trees: Mapping[str, nodes.Package] | None = None,
        *,
        previous: PolicySet | None = None,
    ) -> None:
        self.program = program
        self.version = program.version
        self.tiers = program.tiers
        self.data: Data = program.data
        self.texts = texts or {}
        self.trees = trees or {}
        kept = previous.index if previous else None
        self.index: Index = Index(program.packages, self.tiers, self.data, kept)

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """Every rule of every package, in order of their names."""
        every = [rule for package in self.program.packages for rule in package.rules]
        return tuple(sorted(every, key=lambda rule: rule.name))

    @cached_property
    def by_name(self) -> Mapping[str, CompiledRule]:
        """Every rule by its qualified name."""
        return {rule.name: rule for rule in self.rules}

    @cached_property
    def with_internal(self) -> frozenset[str]:
        """The names of rules that tell operators something."""
        return frozenset(rule.name for rule in self.rules if rule.internal)

    @property
    def sealed(self) -> frozenset[str]:
        """The names of the sealed packages."""
        return frozenset(package.name for package in self.program.packages if package.sealed)

    @property
    def rule_count(self) -> int:
        """How many rules are in force."""
        return sum(len(package.rules) for package in self.program.packages)


def policy_set_of(compilation: Compilation, previous: PolicySet | None = None) -> PolicySet | None:
    """The set that was compiled, with its sources, or None when there was an error.

    `previous`: as of `PolicySet`.
    """
    if compilation.program is None:
        return None
    return PolicySet(
        compilation.program,
        {source.name: source.text for source in compilation.sources},
        {source.name: tree for source, tree in compilation.trees.items()},
        previous=previous,
    )
