"""The one finding of lint that keeps a change from being published: a permit of everything.

Advice has its reader in front of it; a set that is published may have none. So a new version that
permits every tool of every backend to every agent has to say, where it stands, that this is meant:
`# pbac: allow permits-everything why`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.lang import nodes
from pbac.lang.compile import Compilation
from pbac.lang.lint.allows import apply_allows, read_allows
from pbac.lang.lint.claims import claims_of
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.globs import EVERYTHING, permits_everything
from pbac.lang.lint.linting import Linting
from pbac.lang.lint.rivals import claimed
from pbac.lang.resolve.resolve import Resolved, ResolvedPackage

CODE = "permits-everything"


def unacknowledged(compilation: Compilation) -> tuple[Diagnostic, ...]:
    """An error for each permit of everything that no comment allows, of a set that is sound."""
    resolved = compilation.resolved
    if compilation.program is None or resolved is None:
        return ()
    linting = Linting(
        resolved=resolved,
        schema=compilation.schema,
        now_ms=0,
        sound=True,
        rules=tuple(
            claimed(number, package.name, rule, claims_of(rule, package.servers, resolved.tiers))
            for number, (package, rule) in enumerate(_wide(resolved))
        ),
    )
    found = [
        Diagnostic(code=CODE, message=each.message, span=each.span, severity=Severity.WARNING)
        for each in permits_everything(linting)
    ]
    if not found:
        return ()
    allows, _ = read_allows(compilation.sources, CODES)
    rules = [rule for package in resolved.packages for rule in package.rules]
    kept, _ = apply_allows(found, [each for each in allows if each.code == CODE], rules)
    help_ = f"narrow it, or say that it is meant: `# pbac: allow {CODE} why`"
    return tuple(replace(each, severity=Severity.ERROR, help=help_) for each in kept)


def _wide(resolved: Resolved) -> Iterator[tuple[ResolvedPackage, nodes.Rule]]:
    """Permits that may be about every tool: few of many, so this costs a publication little."""
    for package in resolved.packages:
        for rule in package.rules:
            if rule.effect == "permit" and all(map(_is_wide, rule.what)):
                yield package, rule


def _is_wide(clause: nodes.OnClause) -> bool:
    if not isinstance(clause, nodes.OnNames):
        return True
    return any(name.text in EVERYTHING for name in clause.names)
