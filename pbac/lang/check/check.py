"""The checker: everything that is wrong in a resolved policy set, told in one run.

The theory is Law 3 read backwards. At run time a value of the wrong kind is unknown, and unknown
denies: a permit stays silent, a forbid applies. That is safe and useless. So whatever can be seen
to be unknown *always* is an error here, and whatever is unknown *often* is for `lint` to tell.

    expressions   kinds from the request's table, from below      `expressions`
    targets       tools and scopes that there are                 `tools`
    rules         targets, annotations, texts, duties             `rules`
    tests         names they mention, what they give              here, `calls`, `givens`

Nothing here changes the tree. A set without errors never raises when it is compiled or run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pbac.base.diagnostics import Diagnostic, Severity, in_order
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.calls import check_calls
from pbac.lang.check.checking import Checking
from pbac.lang.check.expressions import kind_of
from pbac.lang.check.givens import check_given
from pbac.lang.check.rules import check_rule
from pbac.lang.check.tools import Typing, typed
from pbac.lang.kinds.kinds import ANY
from pbac.lang.kinds.schema import BUILT_IN, Schema
from pbac.lang.resolve.names import complaint
from pbac.lang.resolve.resolve import Resolved, ResolvedPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of checking a set: the complaints about each package, which a next run may keep.

    They depend on the package, the tiers and what is known of tools, and on nothing else; only the
    names of rules that tests expect are looked for in the whole set, each time.
    """

    tiers: tuple[str, ...]
    schema: Schema
    packages: Mapping[str, tuple[ResolvedPackage, tuple[Diagnostic, ...]]]
    diagnostics: tuple[Diagnostic, ...]

    def of(self, package: ResolvedPackage) -> tuple[Diagnostic, ...] | None:
        """The complaints about just this package; None when it was another one."""
        kept, found = self.packages.get(package.name, (None, ()))
        return found if kept is package else None


def check(
    resolved: Resolved, schema: Schema = BUILT_IN, previous: Checked | None = None
) -> Checked:
    """The checker's own complaints, in order; those of the resolver are not repeated."""
    if previous and (previous.schema is not schema or previous.tiers != resolved.tiers):
        previous = None
    typing = Typing(schema=schema)
    packages, complaints = {}, _unknown_rules(resolved)
    for package in resolved.packages:
        found = previous.of(package) if previous else None
        if found is None:
            found = _check_package(package, resolved.tiers, typing)
        packages[package.name] = package, found
        complaints += found
    return Checked(
        tiers=resolved.tiers,
        schema=schema,
        packages=packages,
        diagnostics=in_order(complaints) if complaints else (),
    )


def _check_package(
    package: ResolvedPackage, tiers: tuple[str, ...], typing: Typing
) -> tuple[Diagnostic, ...]:
    checking = Checking(schema=typing.schema, tiers=tiers, found=[])
    for definition in package.definitions:
        _check_definition(definition, checking)
    for rule in package.rules:
        _check_rule(rule, package, typing, checking)
    for test in package.tests:
        check_calls(test, package.servers, checking)
        for step in test.steps:
            if isinstance(step, nodes.Given):
                check_given(step, checking)
    return tuple(checking.found)


def _check_rule(
    rule: nodes.Rule, package: ResolvedPackage, typing: Typing, checking: Checking
) -> None:
    """Definitions are written out in a rule: what is wrong with one there is told once, there."""
    found: list[Diagnostic] = []
    check_rule(rule, typed(rule, package.servers, typing, replace(checking, found=found)))
    told = {(each.code, each.span) for each in checking.found} if found else set()
    said: set[tuple[str, str]] = set()
    for each in found:
        if each.severity is Severity.WARNING:  # of one path in one rule, once is enough
            if (each.code, each.message) in said:
                continue
            said.add((each.code, each.message))
        if _is_within(each.span, rule.span):
            checking.found.append(each)
        elif (each.code, each.span) not in told:
            where = "" if f"`{rule.name}`" in each.message else f" (where `{rule.name}` uses it)"
            checking.found.append(replace(each, message=each.message + where))


def _is_within(inner: Span, outer: Span) -> bool:
    return inner.source == outer.source and outer.start <= inner.start and inner.end <= outer.end


def _check_definition(definition: nodes.Definition, checking: Checking) -> None:
    """Unused ones too. A parameter may stand for anything."""
    variables = dict.fromkeys(definition.parameters, ANY)
    kind_of(definition.expression, replace(checking, variables=variables))


# --- tests -------------------------------------------------------------------------------------


def _unknown_rules(resolved: Resolved) -> list[Diagnostic]:
    """Complaints about rules that tests name and nobody wrote."""
    rules = {
        f"{package.name}.{rule.name}" for package in resolved.packages for rule in package.rules
    }
    return [
        _unknown_rule(name, span, package, rules)
        for package in resolved.packages
        for test in package.tests
        for step in test.steps
        if isinstance(step, nodes.Expectation)
        for name, span in zip(step.by, step.by_spans, strict=True)
        if (name if "." in name else f"{package.name}.{name}") not in rules
    ]


def _unknown_rule(
    name: str, span: Span, package: ResolvedPackage, rules: Collection[str]
) -> Diagnostic:
    near = [rule.name for rule in package.rules] if "." not in name else sorted(rules)
    return complaint(
        "unknown-rule",
        f"there is no rule `{name}`",
        span,
        help=did_you_mean(name, near) or "a rule of another package is `package.rule`",
    )
