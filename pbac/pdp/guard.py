"""What keeps a sound change from being published: that it permits everything.

Advice of lint has its reader in front of it; a set that is published may have none. So a version
whose permits let any agent of any tier call any tool of any backend has to say, where they stand,
that this is meant: `# pbac: allow permits-everything why`.

However it is written, and in however many rules: it is asked. Canaries are tools and a server that
no policy can mean, called with nothing by an agent of whom nothing is vouched for, of every tier. A
set that permits every one of them permits everything, or so much that somebody should say so. What
it forbids besides is not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.lang.compile import Compilation
from pbac.lang.lint.allows import apply_allows, read_allows
from pbac.lang.lint.codes import CODES
from pbac.lang.program import CompiledRule
from pbac.model.request import DecisionRequest
from pbac.pdp.index import key_of
from pbac.pdp.policy_set import PolicySet

CODE: Final = "permits-everything"
CANARIES: Final = ("get_canary", "delete_canary", "canary", "list_canaries", "zq.put-7/k", "X_9")
"""Names of tools, unlike in how they begin, end and are spelt."""


def unacknowledged(policy_set: PolicySet, compilation: Compilation) -> tuple[Diagnostic, ...]:
    """An error for each permit that makes the set one that permits everything, unless allowed."""
    found: dict[str, CompiledRule] = {}
    answers = []
    for request in _requests(policy_set.tiers):
        permits = {rule.name: rule for rule in _permits(policy_set, request)}
        if not permits:  # the ordinary case, at the first request
            return ()
        answers.append(permits.keys())
        found |= permits
    kept = _not_allowed(found, compilation)
    if any(names.isdisjoint(kept) for names in answers):
        return ()
    alone = [name for name in kept if all(name in names for names in answers)]
    return tuple(_complaint(found[name], alone) for name in alone or kept)


def _requests(tiers: tuple[str, ...]) -> Iterator[DecisionRequest]:
    for tier, tool, read_only in product(tiers or (None,), CANARIES, (True, False)):
        yield DecisionRequest(
            agent={"id": "canary", "name": "canary", "kind": "canary", "tier": tier},
            call={
                "method": "tools/call",
                "server": "canary",
                "tool": tool,
                "scope": f"canary:{tool}",
                "read_only": read_only,
            },
            chain={"depth": 0, "actors": []},
        )


def _permits(policy_set: PolicySet, request: DecisionRequest) -> Iterator[CompiledRule]:
    for candidate in policy_set.index.find(key_of(request)).permits:
        if candidate.ask(request, policy_set.data):
            yield candidate.rule


def _not_allowed(rules: dict[str, CompiledRule], compilation: Compilation) -> list[str]:
    """The names of the rules that no comment allows."""
    told = {
        replace(_complaint(rule, ()), severity=Severity.WARNING): name
        for name, rule in sorted(rules.items())
    }
    allows, _ = read_allows(compilation.sources, CODES)
    ours = [each for each in allows if each.code == CODE]
    kept, _ = apply_allows(list(told), ours, [rule.node for rule in rules.values()])
    return [told[each] for each in kept]


def _complaint(rule: CompiledRule, alone: Collection[str]) -> Diagnostic:
    """About one of the rules; `alone`: those that need no other for it."""
    others = "" if alone else ", together with others"
    return Diagnostic(
        code=CODE,
        message=f"`{rule.node.name}` permits every tool of every backend to every agent{others}",
        span=rule.node.name_span,
        help=f"narrow it, or say that it is meant: `# pbac: allow {CODE} why`",
    )
