"""What names mean: files become packages, definitions are expanded, rules stand alone.

    files → packages → names checked → definitions measured → definitions expanded → rules

A definition may use others. `_order` sorts them so that each stands after those it uses; what
cannot be sorted is recursive. In that order each is measured from the measures of those before
it, *before* anything is expanded, for a chain `define a1 = a0 and a0`, `define a2 = a1 and a1`, …
grows as 2ⁿ (Law 4). Only what fits is expanded, each definition once; rules then substitute.

Expansion is hygienic: a quantifier's variable in a definition's body is renamed where the place of
use already has a variable of that name, so no argument is ever captured.

All complaints are collected. A condition that cannot be resolved is left out of its rule, so that
the checker can go on with the rest; the errors keep the set from being published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Final

from msgspec import structs

from pbac.base.diagnostics import Diagnostic, in_order
from pbac.base.limits import (
    DEFINITIONS_MAX,
    RULES_MAX,
    SERVERS_NAMED_MAX,
    TEST_STEPS_MAX,
    TESTS_MAX,
    TIERS_MAX,
)
from pbac.lang import nodes
from pbac.lang.resolve.definitions import Definitions, define, expanded
from pbac.lang.resolve.names import Names, complaint, misnamed

_REQUEST_ONLY: Final = Names(definitions={})
"""What texts and duties may name: no definitions, no variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPackage:
    """All files of one package name, in order of their file names.

    Attributes:
        rules: with every definition expanded, `Apply` gone; in the order written.
        definitions: expanded like the rules, unless they are broken.
        servers: the confinement, the same in every file of the package.
        diagnostics: what is wrong with the names in it, in the order found.
    """

    name: str
    sealed: bool
    servers: tuple[nodes.Pattern, ...]
    files: tuple[nodes.Package, ...]
    rules: tuple[nodes.Rule, ...]
    definitions: tuple[nodes.Definition, ...]
    tests: tuple[nodes.Test, ...]
    diagnostics: tuple[Diagnostic, ...]

    def is_of(self, files: Sequence[nodes.Package]) -> bool:
        """True when it was made of just these trees, and nothing is to be done again."""
        return len(files) == len(self.files) and all(map(is_, files, self.files))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A policy set whose names are known. With errors among `diagnostics` it must not be used.

    Attributes:
        packages: sorted by name.
        tiers: the declared order, lowest first.
    """

    packages: tuple[ResolvedPackage, ...]
    tiers: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


def resolve(packages: Sequence[nodes.Package], previous: Resolved | None = None) -> Resolved:
    """The set that these files make together, whatever order they are given in.

    A package of `previous` that was made of the same trees is not made again.
    """
    kept = {package.name: package for package in previous.packages} if previous else {}
    by_name: dict[str, list[nodes.Package]] = {}
    for file in sorted(packages, key=lambda file: file.span):
        by_name.setdefault(file.name, []).append(file)
    resolved = tuple(
        kept[name] if name in kept and kept[name].is_of(files) else _package(name, files)
        for name, files in sorted(by_name.items())
    )
    found = [diagnostic for package in resolved for diagnostic in package.diagnostics]
    tiers = _tiers(resolved, found)
    _not_too_many(resolved, found)
    return Resolved(packages=resolved, tiers=tiers, diagnostics=in_order(found) if found else ())


def _not_too_many(packages: Sequence[ResolvedPackage], found: list[Diagnostic]) -> None:
    for what, most in _AT_MOST.items():
        whole = [node for package in packages for node in getattr(package, what)]
        _bound("a policy set", what, whole, most, found)
    for package in packages:
        for file in package.files:
            _bound(f"`package {package.name}`", "servers", file.servers, SERVERS_NAMED_MAX, found)
            if file.tiers is not None:
                _bound("a policy set", "tiers", file.tiers.names, TIERS_MAX, found)
        for test in package.tests:
            _bound(f"the test `{test.name}`", "steps", test.steps, TEST_STEPS_MAX, found)


_AT_MOST: Final = {"rules": RULES_MAX, "definitions": DEFINITIONS_MAX, "tests": TESTS_MAX}
_INSTEAD: Final = {
    "tiers": "few levels of trust are easier to tell apart; kinds and tags say the rest",
    "servers": "write a pattern, or leave the package open and name servers in its rules",
    "steps": "make several tests of it",
}


def _bound(
    whole: str, what: str, found_: Sequence[nodes.Node], most: int, found: list[Diagnostic]
) -> None:
    if len(found_) > most:
        message = f"{whole} has at most {most:,} {what}, this one has {len(found_):,}"
        help_ = _INSTEAD.get(what, "move what differs only in values into data documents")
        found.append(complaint("too-many", message, found_[most].span, help=help_))


# --- tiers and headers -----------------------------------------------------------------------


def _tiers(packages: Sequence[ResolvedPackage], found: list[Diagnostic]) -> tuple[str, ...]:
    """Declared once per set; by a sealed package where there are any."""
    declared = [
        (file.tiers, package.sealed)
        for package in packages
        for file in package.files
        if file.tiers is not None
    ]
    guarded = any(package.sealed for package in packages)
    allowed = [tiers for tiers, sealed in declared if sealed or not guarded]
    for tiers, sealed in declared:
        if guarded and not sealed:
            message = "only a sealed package may declare `tiers` in a set that has one"
            help_ = "declare them in the sealed package"
            found.append(complaint("tiers-not-sealed", message, tiers.span, help=help_))
    for tiers in allowed[1:]:
        message = f"`tiers` are declared already, at {allowed[0].span}"
        help_ = "keep one declaration: a set has one order of tiers"
        found.append(complaint("duplicate-tiers", message, tiers.span, help=help_))
    return tuple(tier.text for tier in allowed[0].names[:TIERS_MAX]) if allowed else ()


def _package(name: str, files: list[nodes.Package]) -> ResolvedPackage:
    found: list[Diagnostic] = []
    _same_headers(files, found)
    rules = [rule for file in files for rule in file.rules]
    definitions = [definition for file in files for definition in file.definitions]
    _unique("rule", ((rule.name, rule) for rule in rules), found)
    _unique("definition", ((d.name, d) for d in definitions), found)
    _apart(definitions, {rule.name: rule for rule in rules}, found)
    known = define(definitions, found)
    resolved = tuple(_rule(rule, known, found) for rule in rules)
    return ResolvedPackage(
        name=name,
        sealed=files[0].sealed,
        servers=files[0].servers,
        files=tuple(files),
        rules=resolved,
        definitions=tuple(_defined(definition, known) for definition in definitions),
        tests=tuple(test for file in files for test in file.tests),
        diagnostics=tuple(found),
    )


def _same_headers(files: list[nodes.Package], found: list[Diagnostic]) -> None:
    """A file that could widen its package by another header is refused."""
    first = files[0]
    servers = {pattern.text for pattern in first.servers}
    for file in files[1:]:
        if {pattern.text for pattern in file.servers} != servers:
            code, what = "unlike-confinement", "not confined to the same servers as"
        elif file.sealed != first.sealed:
            code, what = "unlike-seal", "not sealed in the same way as"
        else:
            continue
        message = f"this part of `package {file.name}` is {what} the one at {first.span}"
        help_ = "all files of a package begin with the same header"
        found.append(complaint(code, message, file.span, help=help_))


def _unique(
    what: str, named: Iterable[tuple[str, nodes.Rule | nodes.Definition]], found: list[Diagnostic]
) -> None:
    first: dict[str, nodes.Rule | nodes.Definition] = {}
    for name, node in named:
        if name in first:
            message = f"the {what} `{name}` exists already, at {first[name].name_span}"
            help_ = "names are unique in their package"
            found.append(complaint("duplicate-name", message, node.name_span, help=help_))
        first.setdefault(name, node)


def _apart(
    definitions: list[nodes.Definition], rules: dict[str, nodes.Rule], found: list[Diagnostic]
) -> None:
    """A name is either a rule's or a definition's."""
    for definition in definitions:
        if definition.name in rules:
            message = f"`{definition.name}` is a rule, at {rules[definition.name].name_span}"
            help_ = "choose another name"
            found.append(complaint("shadowed-name", message, definition.name_span, help=help_))


def _defined(definition: nodes.Definition, known: Definitions) -> nodes.Definition:
    if definition.name not in known.bodies:
        return definition
    return structs.replace(definition, expression=known.bodies[definition.name][1])


# --- rules -------------------------------------------------------------------------------------


def _rule(rule: nodes.Rule, known: Definitions, found: list[Diagnostic]) -> nodes.Rule:
    conditions: list[nodes.Condition] = []
    for condition in rule.conditions:
        expression = expanded(condition.expression, known, found)
        if expression is not None:
            conditions.append(structs.replace(condition, expression=expression))
    for text in (rule.because, rule.internal):
        for part in text.parts if text else ():
            if isinstance(part, nodes.Path):
                found.extend(misnamed(part, _REQUEST_ONLY))
    for duty in rule.duties:
        for path in duty.paths:
            found.extend(misnamed(path, _REQUEST_ONLY))
    return structs.replace(rule, conditions=tuple(conditions))
