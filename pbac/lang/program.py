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

import msgspec

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


class Clause(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`on tool` or `on server` of a target: any of the names, but none of `without`."""

    what: Literal["tool", "server"]
    names: tuple[str, ...]
    without: tuple[str, ...]


class Target(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The part of a rule that an index answers, so that its function does not ask it.

    Attributes:
        servers: the package's confinement; empty means every server.
        clauses: about tools and servers, all of which must match; names are globs.
        on_token: the rule is about issuance only.
        never: it is about issuance and about calls, which nothing is.
    """

    servers: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    on_token: bool = False
    never: bool = False

    def exact_tools(self) -> tuple[str, ...] | None:
        """The only tools that it can match, or None when it is not that simple."""
        for clause in self.clauses:
            if clause.what == "tool" and not any("*" in name for name in clause.names):
                return clause.names
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledRule:
    """One rule, resolved (definitions expanded) and compiled.

    Attributes:
        name: qualified, `package.rule`.
        target: what `ask` does not test; it tests the `for` clauses, the other `on` clauses,
            `when`, `unless` and `expires_ms`.
        written: gives `node`. Of a set that was stored it is read when somebody wants it: most
            rules are never looked at.
        ask: does this rule apply?
        materials: for a function that asks it together with others.
        expires_ms: first instant at which a permit no longer applies, or None.
        shadow: evaluated and recorded, not enforced.
        steps: the most that asking it can take (`cost`).
        internal: it tells operators something.
    """

    name: str
    effect: Literal["permit", "forbid", "require"]
    target: Target
    written: Callable[[], nodes.Rule]
    ask: Ask
    materials: Materials
    expires_ms: int | None = None
    shadow: bool = False
    steps: int = 0
    internal: bool = False

    @property
    def node(self) -> nodes.Rule:
        """The rule with every definition expanded; what `interpret` and `explain` walk."""
        return self.written()

    @property
    def servers(self) -> tuple[str, ...]:
        """The package's confinement; empty means every server."""
        return self.target.servers

    @property
    def on_token(self) -> bool:
        """The rule is about issuance only."""
        return self.target.on_token

    @property
    def duties(self) -> tuple[Duty, ...]:
        """With the qualified rule name filled in."""
        return tuple(
            Duty(kind=duty.kind, rule=self.name, parameters=dict(duty.parameters))
            for duty in self.node.duties
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledPackage:
    """All files of one package name. `tests` are left out of a set that was stored: it passed."""

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
