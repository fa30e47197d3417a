"""What another version of policies changes: rules, tiers, seals, documents.

Rules are compared by name and meaning: where a rule stands, in which file and in which layout makes
no difference. A changed definition changes the rules that use it, for rules are compared with their
definitions expanded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pbac.base.source import Span
from pbac.lang.layout.format import same_meaning
from pbac.lang.program import CompiledPackage, CompiledRule
from pbac.pdp.policy_set import PolicySet

Kind: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        name: of the rule (`package.rule`), or of the document.
        before, after: where the rule stands; None where it does not, and for documents.
    """

    kind: Kind
    name: str
    before: Span | None = None
    after: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything another version changes; `tiers` and `sealed` are (before, after) if they do."""

    rules: tuple[Change, ...] = ()
    documents: tuple[Change, ...] = ()
    tiers: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    sealed: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def __bool__(self) -> bool:
        return bool(self.rules or self.documents or self.tiers or self.sealed)


def difference(before: PolicySet, after: PolicySet) -> Difference:
    """What `after` changes, in order of names."""
    sealed = tuple(sorted(before.sealed)), tuple(sorted(after.sealed))
    tiers = before.tiers, after.tiers
    return Difference(
        rules=tuple(_rules(before, after)),
        documents=tuple(_documents(before.data, after.data)),
        tiers=None if tiers[0] == tiers[1] else tiers,
        sealed=None if sealed[0] == sealed[1] else sealed,
    )


def _rules(before: PolicySet, after: PolicySet) -> Iterator[Change]:
    same = {_key(each) for each in before.program.packages}
    same &= {_key(each) for each in after.program.packages}
    old, new = _changed(before, same), _changed(after, same)
    for name in sorted({*old, *new}):
        was, is_ = old.get(name), new.get(name)
        if was is None or is_ is None or not _equal(was, is_):
            yield Change(
                kind="changed" if was and is_ else "added" if is_ else "removed",
                name=name,
                before=was.node.span if was else None,
                after=is_.node.span if is_ else None,
            )


def _key(package: CompiledPackage) -> tuple[str, str]:
    return package.name, package.digest


def _changed(policy_set: PolicySet, same: set[tuple[str, str]]) -> dict[str, CompiledRule]:
    """The rules of packages that are not the same on both sides."""
    packages = (each for each in policy_set.program.packages if _key(each) not in same)
    return {rule.name: rule for package in packages for rule in package.rules}


def _equal(was: CompiledRule, is_: CompiledRule) -> bool:
    return was.servers == is_.servers and same_meaning(was.node, is_.node)


def _documents(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(kind="added", name=name)
        elif name not in after:
            yield Change(kind="removed", name=name)
        elif before[name] != after[name]:
            yield Change(kind="changed", name=name)
