"""What the compiler hands to the decision point: rules that are ready to run.

Functions take a `DecisionRequest` and the policy set's `data` documents and answer with bits, so
that three values need no third value at run time: a rule applies or does not (Law 2: a permit when
its condition is true, a forbid and a require when it is not false), and `DOUBT` says that one of
the latter applies although its condition is not true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pbac.lang import nodes
from pbac.lang.places import Places
from pbac.model.decision import Duty
from pbac.model.request import DecisionRequest

Data: TypeAlias = Mapping[str, Any]
Ask: TypeAlias = Callable[[DecisionRequest, Data], int]
"""Asks one rule or many: `bit_of` those that apply, and `DOUBT` when one is not certain."""

DOUBT: Final = 1


def bit_of(number: int) -> int:
    """The bit of rule `number`, from 0, among the rules that are asked together."""
    return 2 << number


class Prepared:
    """What constants of policies become (matchers, networks, windows), each made once.

    Made when rules are checked, at load, so that a function can be written at any time after that
    without making one, or finding one unusable. `made` only grows, by what its keys say.
    """

    def __init__(self) -> None:
        self.made: dict[tuple[object, ...], object] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], object]) -> object:
        """What `make` returns, the first time for this key."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """What the functions of a package are made with, beside its rules.

    Attributes:
        tiers: the policy set's tiers, lowest first.
        places: of the package's sources.
        prepared: what the constants of its rules became.
    """

    tiers: tuple[str, ...] = ()
    places: Places = field(default_factory=Places)
    prepared: Prepared = field(default_factory=Prepared)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """One rule, resolved (definitions expanded) and compiled.

    Attributes:
        name: qualified, `package.rule`.
        node: the rule with every definition expanded; what `interpret` and `explain` walk.
        servers: the package's confinement; empty means every server.
        tools: the `on tool` clauses, each a (names, except) pair of glob texts, all of which
            must match; empty when no clause is about tools. The index reads these; `ask` does
            NOT test them, nor `servers`, nor `on server`, `on any` and `on token`: it tests the
            `for` clauses, the other `on` clauses, `when`, `unless` and `expires_ms`.
        on_token: the rule is about issuance only.
        ask: does this rule apply?
        materials: for a function that asks it together with others.
        duties: with the qualified rule name filled in.
        expires_ms: first instant at which a permit no longer applies, or None.
        shadow: evaluated and recorded, not enforced.
        steps: the most that asking it can take (`cost`).
    """

    name: str
    effect: Literal["permit", "forbid", "require"]
    node: nodes.Rule
    servers: tuple[str, ...]
    tools: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    on_token: bool
    ask: Ask
    materials: Materials
    duties: tuple[Duty, ...] = ()
    expires_ms: int | None = None
    shadow: bool = False
    steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPackage:
    """All files of one package name."""

    name: str
    sealed: bool
    digest: str
    rules: tuple[CompiledRule, ...]
    tests: tuple[nodes.Test, ...]
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A whole compiled policy set, before it is indexed.

    Attributes:
        version: digest of sources (independent of file order), data, tzdata and engine version.
        tiers: lowest first; empty when none are declared.
        data: the operator's documents by name, frozen by convention: nobody writes to them.
    """

    version: str
    tiers: tuple[str, ...]
    packages: tuple[CompiledPackage, ...]
    data: Data = field(default_factory=dict)
