"""The compiler: policy files, data documents and vocabularies in, a `Program` or diagnostics out.

    sources ──parse──▶ trees ──resolve──▶ packages ──check──▶ sound packages
            ──generate──▶ rules ──cost──▶ affordable rules ──digest──▶ Program

`STAGES` is the list, in order; each is timed. A stage adds to what is known or to what is wrong.
What could not be read is left out of what is resolved and checked, so that mistakes of every kind
are told in one run; nothing is generated from a set that has an error.

What is compiled is shared by content (Law 7): a file's tree is kept under its text, what is wrong
with a package under the package itself, its functions under the digest of everything they are made
from. So a change recompiles its package.

This is the one door of `lang`: no other package calls the stages. Functions are made later, when
they are wanted (see `generate`); nothing is left then that could be wrong with a rule.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

import tzdata

from pbac import __version__
from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError, has_errors, in_order
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.check.check import Checked, check
from pbac.lang.check.cost import Cost, cost_of, over_budget, rule_steps
from pbac.lang.check.data import check_data
from pbac.lang.evaluate.targets import texts
from pbac.lang.generate.generate import Question, generate_rule
from pbac.lang.kinds.schema import BUILT_IN, Schema
from pbac.lang.kinds.vocabulary import read_vocabularies
from pbac.lang.places import Places
from pbac.lang.program import (
    Clause,
    CompiledPackage,
    CompiledRule,
    Data,
    Materials,
    Prepared,
    Program,
    Target,
)
from pbac.lang.resolve.resolve import Resolved, ResolvedPackage, resolve
from pbac.lang.syntax.parse import Read, read

_MAY_BE_ELSEWHERE: Final = frozenset({"unknown-name", "unknown-rule", "unknown-tier"})
"""Complaints about what something else declares."""

NO_TOOLS: Final = json.digest({})
"""The digest of vocabularies where there are none."""

Trees: TypeAlias = Mapping[Source, nodes.Package]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What came of one run.

    Attributes:
        program: None when there is an error among the diagnostics.
        version: of the policy set these sources and data make, whether or not it is sound.
        data: the documents that came in.
        trees: of every source that parsed; the next run starts from them.
        resolved, checked, packages: what a next run may share; an earlier run's when this one made
            none.
        schema: what the vocabularies said, whose digest is `tools_digest`; shared likewise.
        cost: of the dearest call; None when it did not come to counting.
        timings: stage → seconds, in the order of `STAGES`, for the stages that ran.
    """

    program: Program | None
    version: str
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[Source, ...]
    data: Data
    trees: Trees
    resolved: Resolved | None
    checked: Checked | None
    packages: tuple[CompiledPackage, ...]
    schema: Schema
    tools_digest: str
    timings: Mapping[str, float]
    cost: Cost | None = None


@dataclass(slots=True, kw_only=True)
class _Work:
    """One run in progress: inputs above, what the stages add below.

    Attributes:
        broken: what is sound of the files that have a syntax error; None when not even the header.
        readable: the set of all that could be read; `resolved`: the same, when that is everything.
    """

    sources: tuple[Source, ...]
    data: Data
    places: Mapping[str, str]
    tools: Data
    tools_digest: str
    previous: Compilation | None
    schema: Schema = BUILT_IN
    trees: dict[Source, nodes.Package] = field(default_factory=dict)
    broken: list[nodes.Package | None] = field(default_factory=list)
    readable: Resolved | None = None
    resolved: Resolved | None = None
    checked: Checked | None = None
    packages: tuple[CompiledPackage, ...] = ()
    version: str = ""
    cost: Cost | None = None
    program: Program | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def complain(self, found: Iterable[Diagnostic]) -> None:
        """Note what is wrong, unless what could not be read may be all that is wrong with it."""
        self.diagnostics += [
            each for each in found if not self.broken or each.code not in _MAY_BE_ELSEWHERE
        ]

    def known(self) -> Resolved:
        """The resolved set, once `resolve` has run."""
        assert self.resolved is not None
        return self.resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the compiler; `after_errors`: it runs on a set already known to be wrong."""

    name: str
    run: Callable[[_Work], None]
    after_errors: bool


def compile_program(
    sources: Sequence[Source],
    data: Data,
    *,
    places: Mapping[str, str] | None = None,
    tools: Data | None = None,
    previous: Compilation | None = None,
) -> Compilation:
    """Compile a whole policy set; never raises for anything written in it.

    Args:
        sources: in any order; names must be unique.
        data: the operator's documents by name.
        places: the file of each document, which says whose it is (`check.data`).
        tools: vocabulary files by name (see `vocabulary`): what the checker knows about tools.
        previous: an earlier run to share trees and functions with; never changes the outcome.
    """
    ordered = tuple(sorted(sources, key=lambda source: source.name))
    work = _Work(
        sources=ordered,
        data=data,
        places=places or {},
        tools=tools or {},
        tools_digest=json.digest(tools or {}),
        previous=previous,
    )
    timings = {}
    for stage in STAGES:
        if has_errors(work.diagnostics) and not stage.after_errors:
            continue
        started = time.perf_counter()
        stage.run(work)
        timings[stage.name] = time.perf_counter() - started
    return Compilation(
        program=work.program,
        version=program_version(ordered, data, work.tools_digest),
        diagnostics=in_order(work.diagnostics),
        sources=ordered,
        data=data,
        trees=work.trees,
        resolved=work.resolved or (previous.resolved if previous else None),
        checked=work.checked or (previous.checked if previous else None),
        packages=work.packages or (previous.packages if previous else ()),
        schema=work.schema,
        tools_digest=work.tools_digest,
        timings=timings,
        cost=work.cost,
    )


def program_version(sources: Sequence[Source], data: Data, tools_digest: str = NO_TOOLS) -> str:
    """Law 7: the digest of everything a set is made from; the order of files does not matter."""
    return json.digest(
        {
            "engine": __version__,
            "tzdata": tzdata.IANA_VERSION,
            "sources": sorted([source.name, _digest(source.text)] for source in sources),
            "data": json.digest(data),
            "tools": tools_digest,
        }
    )


# --- the stages ------------------------------------------------------------------------------


def _parse(work: _Work) -> None:
    kept = work.previous.trees if work.previous else {}
    for source in work.sources:
        found = Read(kept[source], ()) if source in kept else read(source)
        if found.package is not None and not found.diagnostics:
            work.trees[source] = found.package
        else:
            work.diagnostics += found.diagnostics
            work.broken.append(found.package)


def _resolve(work: _Work) -> None:
    previous = work.previous.resolved if work.previous else None
    readable = [*work.trees.values(), *filter(None, work.broken)]
    found = resolve(readable, previous)
    if not work.broken:
        work.resolved = found
    work.readable = found
    work.complain(found.diagnostics)


def _vocabulary(work: _Work) -> None:
    """What a broken file would have described stays open: nobody is blamed for what it lacks."""
    last = work.previous
    if (
        last is not None
        and last.tools_digest == work.tools_digest
        and len(last.schema.servers) == len(work.tools)  # else something was wrong with one
    ):
        work.schema = last.schema
        return
    servers = read_vocabularies(work.tools, work.diagnostics)
    work.schema = replace(BUILT_IN, servers=servers)


def _check(work: _Work) -> None:
    assert work.readable is not None
    kept = work.previous.checked if work.previous else None
    found = check(work.readable, work.schema, kept)
    work.complain(found.diagnostics)
    if work.resolved is not None:
        work.checked = found
        work.diagnostics += check_data(work.resolved.packages, work.places)


def _generate(work: _Work) -> None:
    kept = {package.digest: package for package in work.previous.packages} if work.previous else {}
    written = {source.name: source.text for source in work.sources}
    packages, prepared = [], Prepared()
    for package in work.known().packages:
        digest = _package_digest(package, work, written)
        try:
            packages.append(
                kept.get(digest) or _package(package, digest, work.known().tiers, written, prepared)
            )
        except PolicyError as error:
            work.diagnostics += error.diagnostics
    work.packages = tuple(packages)


def _cost(work: _Work) -> None:
    work.cost = cost_of([rule for package in work.packages for rule in package.rules])
    if complaint := over_budget(work.cost):
        work.diagnostics.append(complaint)


def _assemble(work: _Work) -> None:
    work.program = Program(
        version=program_version(work.sources, work.data, work.tools_digest),
        tiers=work.known().tiers,
        packages=work.packages,
        data=work.data,
    )


STAGES: Final = (
    Stage(name="parse", run=_parse, after_errors=True),
    # Of what could be read: one run tells mistakes of every kind.
    Stage(name="resolve", run=_resolve, after_errors=True),
    # Before `check`, which types arguments by it.
    Stage(name="vocabulary", run=_vocabulary, after_errors=True),
    # Kinds are known of all that could be resolved: one run tells both kinds of mistake.
    Stage(name="check", run=_check, after_errors=True),
    Stage(name="generate", run=_generate, after_errors=False),
    # Law 4: rules were counted when they were made, so that a package which stays is not again.
    Stage(name="cost", run=_cost, after_errors=False),
    # Last, because patterns are compiled by `generate` and may still be refused there.
    Stage(name="digest", run=_assemble, after_errors=False),
)


# --- packages --------------------------------------------------------------------------------


def _package_digest(package: ResolvedPackage, work: _Work, written: Mapping[str, str]) -> str:
    """Of everything that a package's functions and tests are made from and checked against."""
    files = sorted(file.span.source for file in package.files)
    return json.digest(
        {
            "engine": __version__,
            "tzdata": tzdata.IANA_VERSION,
            "tiers": list(work.known().tiers),
            "tools": work.tools_digest,
            "files": [[name, _digest(written[name])] for name in files],
        }
    )


def _digest(text: str) -> str:
    # Half a surrogate pair is for `parse` to complain about, and not a reason to stop here.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _package(
    package: ResolvedPackage,
    digest: str,
    tiers: tuple[str, ...],
    written: Mapping[str, str],
    prepared: Prepared,
) -> CompiledPackage:
    # `on server *` is every server, named or not: no confinement, and no warning about that.
    servers = texts(package.servers) if all(p.text != "*" for p in package.servers) else ()
    return CompiledPackage(
        name=package.name,
        sealed=package.sealed,
        digest=digest,
        rules=compile_rules(
            package.rules,
            package=package.name,
            servers=servers,
            tiers=tiers,
            written=written,
            prepared=prepared,
        ),
        tests=package.tests,
        servers=servers,
    )


def compile_rules(
    rules: Sequence[nodes.Rule],
    *,
    package: str,
    servers: tuple[str, ...],
    tiers: tuple[str, ...],
    written: Mapping[str, str],
    prepared: Prepared,
) -> tuple[CompiledRule, ...]:
    """Resolved rules of one package, ready to run.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    materials = Materials(tiers=tiers, places=Places(written), prepared=prepared)
    return tuple(_rule(rule, package, servers, materials) for rule in rules)


def _rule(
    rule: nodes.Rule, package: str, servers: tuple[str, ...], materials: Materials
) -> CompiledRule:
    name, expires_ms = f"{package}.{rule.name}", _expires_ms(rule)
    question = Question(rule=rule, materials=materials, until_ms=expires_ms)
    return CompiledRule(
        name=name,
        effect=rule.effect,
        target=_target(rule, servers),
        written=lambda: rule,
        ask=generate_rule(question),
        materials=materials,
        expires_ms=expires_ms,
        shadow=any(annotation.name == "shadow" for annotation in rule.annotations),
        steps=rule_steps(rule),
        internal=rule.internal is not None,
    )


def _target(rule: nodes.Rule, servers: tuple[str, ...]) -> Target:
    tokens = [isinstance(clause, nodes.OnToken) for clause in rule.what]
    return Target(
        servers=servers,
        clauses=tuple(
            Clause(clause.what, texts(clause.names), texts(clause.without))
            for clause in rule.what
            if isinstance(clause, nodes.OnNames) and clause.what in ("tool", "server")
        ),
        on_token=any(tokens),
        never=any(tokens) and not all(tokens),
    )


def _expires_ms(rule: nodes.Rule) -> int | None:
    """`@expires DATE` is exclusive: the permit ends as that day begins, in UTC."""
    for annotation in rule.annotations:
        if annotation.name == "expires" and annotation.value is not None:
            day = datetime.fromisoformat(str(annotation.value.value)).replace(tzinfo=UTC)
            return int(day.timestamp()) * 1000
    return None
