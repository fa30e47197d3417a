"""What the compiler hands to the decision point: rules that are ready to run.

The evaluation functions take a `DecisionRequest` and the policy set's `data` documents. Two
rails, so that three values need no third value at run time: `is_true` answers "the condition is
true", `is_not_false` answers "the condition is not false"; unknown is neither true nor false.
Law 2 in one line: a permit applies by `is_true`, a forbid and a require by `is_not_false`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pbac.lang import nodes
from pbac.model.decision import Duty
from pbac.model.request import DecisionRequest

Data: TypeAlias = Mapping[str, Any]
Applies: TypeAlias = Callable[[DecisionRequest, Data], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """One rule, resolved (definitions expanded) and compiled.

    Attributes:
        name: qualified, `package.rule`.
        node: the rule with every definition expanded; what `interpret` and `explain` walk.
        servers: the package's confinement; empty means every server.
        tools: the `on tool` clauses, each a (names, except) pair of glob texts, all of which
            must match; empty when no clause is about tools. The index reads these; `applies`
            does NOT test them, nor `servers`, nor `on any`, nor `on token`: it tests the `for`
            clauses, the other `on` clauses, `when` and `unless`.
        on_token: the rule is about issuance only.
        applies: `is_true` for a permit, `is_not_false` for a forbid or require.
        always: True when `applies` is constantly true (no clause left to test).
        certain: of a forbid or require, the same test by `is_true`: when it applies without
            being certain, something unknown made the difference. None on permits.
        duties: with the qualified rule name filled in.
        expires_ms: first instant at which a permit no longer applies, or None.
        shadow: evaluated and recorded, not enforced.
    """

    name: str
    effect: Literal["permit", "forbid", "require"]
    node: nodes.Rule
    servers: tuple[str, ...]
    tools: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    on_token: bool
    applies: Applies
    always: bool
    certain: Applies | None = None
    duties: tuple[Duty, ...] = ()
    expires_ms: int | None = None
    shadow: bool = False


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
