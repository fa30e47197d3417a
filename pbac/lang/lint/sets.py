"""Lint about what a set holds beside its rules: definitions and tests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain

from pbac.base.limits import LINT_TRIED_NAMES_MAX
from pbac.lang import nodes
from pbac.lang.evaluate.paths import paths_in
from pbac.lang.evaluate.targets import names_matcher, texts
from pbac.lang.lint.claims import walk
from pbac.lang.lint.linting import Finding, Linting
from pbac.lang.resolve.resolve import ResolvedPackage


def unused_definitions(linting: Linting) -> Iterator[Finding]:
    """Definitions that no rule uses, not by way of others either."""
    for package in linting.resolved.packages if linting.sound else ():
        used = _used(package)
        for definition in package.definitions:
            if definition.name not in used:
                message = f"no rule of `package {package.name}` uses `{definition.name}`"
                yield Finding(message, definition.name_span, "remove it, or use it")


def _used(package: ResolvedPackage) -> set[str]:
    """From rules to definitions to definitions; names never hide each other, so words suffice."""
    bodies = {
        definition.name: definition.expression
        for file in package.files
        for definition in file.definitions
    }
    conditions = (c.expression for f in package.files for r in f.rules for c in r.conditions)
    found: set[str] = set()
    waiting = list(_words(conditions) & bodies.keys())
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (_words([bodies[name]]) & bodies.keys()) - found
    return found


def _words(expressions: Iterable[nodes.Expression]) -> set[str]:
    """Everything that may name a definition."""
    found: set[str] = set()
    for expression in expressions:
        found.update(path.root for path in paths_in(expression))
        for path in paths_in(expression):
            keys = (step.key for step in path.steps if isinstance(step, nodes.Index))
            found.update(_words(keys))
        found.update(part.name for part in walk(expression) if isinstance(part, nodes.Apply))
    return found


# --- tests -------------------------------------------------------------------------------------


def empty_tests(linting: Linting) -> Iterator[Finding]:
    """Tests that expect nothing and so always pass."""
    for test in chain.from_iterable(package.tests for package in linting.resolved.packages):
        if not any(isinstance(step, nodes.Expectation) for step in test.steps):
            message = f'the test "{test.name}" expects nothing'
            yield Finding(message, test.span, "add `call tool { … } => permit` or `=> deny`")


def untested_rules(linting: Linting) -> Iterator[Finding]:
    """Rules that no test of their package names or could meet. `pbac test --coverage` is exact."""
    for package in linting.resolved.packages if linting.sound else ():
        if package.rules and not package.tests:
            message = f"`package {package.name}` has no tests"
            help_ = 'add `test "…"` with a call that each rule decides'
            yield Finding(message, package.rules[0].name_span, help_)
            continue
        steps = [step for test in package.tests for step in test.steps]
        expected = [step for step in steps if isinstance(step, nodes.Expectation)]
        named = {name.rpartition(".")[2] for step in expected for name in step.by}
        calls = sorted({step.subject for step in expected if step.what != "issue"})
        issues = any(step.what == "issue" for step in expected)
        for rule in package.rules:
            if rule.name not in named and not _may_meet(rule, calls, issues=issues):
                message = f"no test meets `{rule.name}`"
                help_ = f"add a call that it decides: `=> … by {rule.name}`"
                yield Finding(message, rule.name_span, help_)


def _may_meet(rule: nodes.Rule, calls: list[str], *, issues: bool) -> bool:
    """Could one of these tools be a target of the rule? Other targets cannot be told from here."""
    if any(isinstance(clause, nodes.OnToken) for clause in rule.what):
        return issues
    about = [c for c in rule.what if isinstance(c, nodes.OnNames) and c.what == "tool"]
    return bool(calls) and all(_some_fits(clause, calls) for clause in about)


def _some_fits(clause: nodes.OnNames, calls: list[str]) -> bool:
    fits = names_matcher(clause.what, texts(clause.names), texts(clause.without))
    return any(
        fits(call)
        for pattern in clause.names
        for call in _beginning_with(calls, pattern.text.partition("*")[0])
    )


def _beginning_with(names: list[str], start: str) -> Iterator[str]:
    """The sorted names that begin so, `LINT_TRIED_NAMES_MAX` of them at most."""
    first = bisect_left(names, start)
    for name in names[first : first + LINT_TRIED_NAMES_MAX]:
        if not name.startswith(start):
            return
        yield name
