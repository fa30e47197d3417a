"""Lint: what is sound and yet hardly meant. It never keeps a set from being published.

`LINTS` is the table. Where a finding says *never*, or that a rule changes nothing, it is proved:
taking the rule away changes no decision (a property of the tests). What cannot be proved is not
said. Lint reads the clock, so it stands beside the compiler and not among its stages: the same
policies compile to the same set on every day (Law 5), and a hot reload does not pay for advice.

Each finding can be silenced where it stands (`allows`), and each code set to another level. Errors
can be neither silenced nor lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pbac.base.diagnostics import Diagnostic, Severity, has_errors, in_order
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.compile import Compilation
from pbac.lang.kinds.schema import BUILT_IN, Schema
from pbac.lang.lint.allows import apply_allows, read_allows
from pbac.lang.lint.claims import claims_of
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.linting import Linting
from pbac.lang.lint.lints import LINTS
from pbac.lang.lint.rivals import Claimed, claimed
from pbac.lang.lint.rules import is_barren
from pbac.lang.program import Data
from pbac.lang.resolve.resolve import Resolved


def lint(
    compilation: Compilation, now_ms: int, schema: Schema = BUILT_IN
) -> tuple[Diagnostic, ...]:
    """The compiler's complaints and lint's, in order, less those that a comment silences.

    Args:
        compilation: sound or not; files that did not parse are left out.
        now_ms: the time of day in milliseconds, for what expires.
        schema: what the compiler was given.
    """
    whole = len(compilation.trees) == len(compilation.sources)
    return linted(
        compilation.resolved if whole else None,  # another run's, when a file did not parse
        compilation.sources,
        compilation.diagnostics,
        now_ms,
        schema,
        data=compilation.data,
    )


def linted(
    resolved: Resolved | None,
    sources: Sequence[Source],
    told: Sequence[Diagnostic],
    now_ms: int,
    schema: Schema = BUILT_IN,
    *,
    data: Data | None = None,
) -> tuple[Diagnostic, ...]:
    """As `lint`, from the parts of a compilation; `resolved` is None when nothing was.

    `data`: the documents; None where nobody knows them, and nothing is said about any.
    """
    allows, mistakes = read_allows(sources, CODES)
    if resolved is None:
        return in_order([*told, *mistakes])
    sound = not has_errors(told)
    rules = tuple(_claimed(resolved)) if sound else ()
    advice = _found(
        Linting(
            resolved=resolved,
            schema=schema,
            now_ms=now_ms,
            sound=sound,
            rules=rules,
            barren=frozenset(rule for rule in rules if is_barren(rule)),
            data=data,
        )
    )
    # Beside errors, notes would only bury them.
    found = [*told, *(each for each in advice if sound or each.severity is not Severity.NOTE)]
    kept, unused = apply_allows(found, allows, _items(resolved))
    # In a set with errors much is not looked for, so that an allow may yet have its use.
    return in_order([*kept, *mistakes, *(unused if sound else ())])


def with_levels(
    diagnostics: Iterable[Diagnostic], levels: Mapping[str, Severity | None]
) -> Iterator[Diagnostic]:
    """At the levels that somebody chose; None leaves a code out. Errors stay what they are."""
    for each in diagnostics:
        chosen = levels.get(each.code, each.severity)
        if each.severity is Severity.ERROR:
            yield each
        elif chosen is not None:
            yield replace(each, severity=chosen)


def _found(linting: Linting) -> Iterator[Diagnostic]:
    for code, row in LINTS.items():
        for message, span, help_ in row.find(linting) if row.find else ():
            yield Diagnostic(code=code, message=message, span=span, help=help_, severity=row.level)


def _claimed(resolved: Resolved) -> Iterator[Claimed]:
    rules = [(package, rule) for package in resolved.packages for rule in package.rules]
    for number, (package, rule) in enumerate(rules):
        claims = claims_of(rule, package.servers, resolved.tiers)
        yield claimed(number, package.name, rule, claims)


def _items(resolved: Resolved) -> Iterator[nodes.Node]:
    """Whatever stands at the top level of a file."""
    for package in resolved.packages:
        for file in package.files:
            yield from (*file.rules, *file.definitions, *file.tests)
