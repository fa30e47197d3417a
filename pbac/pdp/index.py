"""Which rules can concern a call: found by server and tool, once, then looked up.

Theory. A rule is skipped only when its target is certainly false for this server and tool, so an
indexed decision equals a scan of all rules (a property in the tests). What the index reads is what
`CompiledRule.applies` leaves out: the package's confinement, `on tool`, and calls or issuance.

Names come from callers, so the table of answers is bounded: past the bound an answer is computed
and not kept. INVARIANT: the table only ever maps a key to the value `_find` gives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pbac.base.limits import INDEX_KEYS_MAX
from pbac.lang.program import CompiledRule
from pbac.lang.targets import names_matcher

Rules: TypeAlias = tuple[CompiledRule, ...]
Matcher: TypeAlias = Callable[[str], bool]

ISSUE: Final = "token/issue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The rules that may apply, each kind in name order; `shadow` is evaluated, not enforced."""

    forbids: Rules
    permits: Rules
    requires: Rules
    shadow: Rules


@dataclass(frozen=True, slots=True)
class _Entry:
    """One rule with the tests the index answers for it."""

    rule: CompiledRule
    server: Matcher | None
    tools: tuple[Matcher, ...]


class Index:
    """All rules of a policy set, by what they can concern."""

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        exact: dict[str, list[_Entry]] = {}
        others: list[_Entry] = []
        issuing: list[CompiledRule] = []
        for rule in sorted(rules, key=lambda rule: rule.name):
            if rule.on_token:
                issuing.append(rule)
                continue
            entry = _entry(rule)
            if names := _exact_names(rule):
                for name in names:
                    exact.setdefault(name, []).append(entry)
            else:
                others.append(entry)
        self._exact = exact
        self._others = others
        self._issuing = _candidates(issuing)
        self._table: dict[tuple[Any, Any], Candidates] = {}

    def find(self, call: dict[str, Any]) -> Candidates:
        """The rules that may apply to a call (or to issuance)."""
        if call.get("method") == ISSUE:
            return self._issuing
        key = (call.get("server"), call.get("tool"))
        found = self._table.get(key)
        if found is None:
            found = self._find(*key)
            if len(self._table) < INDEX_KEYS_MAX:
                self._table[key] = found
        return found

    def _find(self, server: str | None, tool: str | None) -> Candidates:
        entries = [*self._exact.get(tool or "", ()), *self._others]
        return _candidates([e.rule for e in entries if _may_concern(e, server, tool)])


def _entry(rule: CompiledRule) -> _Entry:
    return _Entry(
        rule,
        names_matcher("server", rule.servers) if rule.servers else None,
        tuple(names_matcher("tool", names, without) for names, without in rule.tools),
    )


def _exact_names(rule: CompiledRule) -> tuple[str, ...]:
    """The tools of a clause that names every tool it means, or () when there is none."""
    for names, _ in rule.tools:
        if not any("*" in name for name in names):
            return tuple(dict.fromkeys(names))
    return ()


def _may_concern(entry: _Entry, server: str | None, tool: str | None) -> bool:
    # Law 2: a confined rule whose server nobody knows is unknown, so it stays a candidate; the
    # gateway always knows. A call without a tool is of another method: `on tool` is false.
    if entry.server is not None and server is not None and not entry.server(server):
        return False
    return not entry.tools or (tool is not None and all(match(tool) for match in entry.tools))


def _candidates(rules: Iterable[CompiledRule]) -> Candidates:
    ordered = sorted(rules, key=lambda rule: rule.name)
    enforced = [rule for rule in ordered if not rule.shadow]
    return Candidates(
        forbids=tuple(rule for rule in enforced if rule.effect == "forbid"),
        permits=tuple(rule for rule in enforced if rule.effect == "permit"),
        requires=tuple(rule for rule in enforced if rule.effect == "require"),
        shadow=tuple(rule for rule in ordered if rule.shadow),
    )
