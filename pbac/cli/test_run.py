"""Running the tests of policy sets for `pbac test`: what is read, run and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pbac.base.diagnostics import Diagnostic, PolicyError, has_errors
from pbac.base.source import Source
from pbac.cli.policy_files import Loaded, every_set

if TYPE_CHECKING:
    from pbac.lang import nodes
    from pbac.lang.program import CompiledPackage
    from pbac.pdp.cases import CaseResult
    from pbac.pdp.coverage import Coverage
    from pbac.pdp.policy_set import PolicySet

Wanted = Callable[[str], bool]
"""Is a test of this name to be run?"""

Ticked = Callable[[], None]
"""Called after every expectation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRun:
    """The tests of one package: how many were run, and what came of every expectation."""

    name: str
    tests: int
    results: tuple[CaseResult, ...]

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """Those that did not come out as they say."""
        return tuple(result for result in self.results if not result.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRun:
    """One policy set.

    Attributes:
        errors: why it could not be tested; `packages` is then empty.
        coverage: when it was asked for.
    """

    loaded: Loaded
    errors: tuple[Diagnostic, ...] = ()
    packages: tuple[PackageRun, ...] = ()
    coverage: Coverage | None = None

    @property
    def passed(self) -> bool:
        """Nothing is wrong."""
        return not self.errors and not any(package.failures for package in self.packages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A policy set and the tests to run, or what is wrong."""

    loaded: Loaded
    errors: tuple[Diagnostic, ...] = ()
    policy_set: PolicySet | None = None
    tests: tuple[tuple[CompiledPackage, tuple[nodes.Test, ...]], ...] = ()

    @property
    def expectations(self) -> int:
        """How many there are, for progress."""
        from pbac.lang import nodes

        every = [test for _, tests in self.tests for test in tests]
        steps = [step for test in every for step in test.steps]
        return sum(isinstance(step, nodes.Expectation) for step in steps)


def name_filter(pattern: str | None) -> Wanted:
    """A part of the name in any case, or all of it when the pattern holds `*` or `?`."""
    if pattern is None:
        return lambda _name: True
    wanted = pattern.lower()
    if "*" in wanted or "?" in wanted:
        return lambda name: fnmatchcase(name.lower(), wanted)
    return lambda name: wanted in name.lower()


def prepare_sets(paths: Sequence[Path], wanted: Wanted) -> list[Prepared]:
    """Read and compile every policy set that the paths name."""
    return [_prepare(found, wanted) for found in every_set(paths)]


def _prepare(path: Path, wanted: Wanted) -> Prepared:
    from pbac.adapters.policy_directory import read_policies, read_tools
    from pbac.adapters.policy_folders import read_case_files
    from pbac.pdp.administration import refused

    try:
        read, tools = read_policies(path), read_tools(path)
        written = read_case_files(path)
    except PolicyError as error:
        return _refused(Loaded(path, refused(error.diagnostics)))
    return prepare_set(
        path,
        read.sources,
        read.data,
        places=read.places,
        tools=tools,
        case_files=written,
        wanted=wanted,
    )


def prepare_set(
    path: Path,
    sources: Sequence[Source],
    data: Mapping[str, Any],
    *,
    places: Mapping[str, str],
    tools: Mapping[str, Any],
    case_files: Sequence[Source],
    wanted: Wanted,
) -> Prepared:
    """Compile what was read from a path, with the tests of case files beside its own."""
    from pbac.lang.compile import compile_program
    from pbac.pdp.administration import Publication
    from pbac.pdp.case_files import read_case_file
    from pbac.pdp.policy_set import policy_set_of

    compilation = compile_program(sources, data, places=places, tools=tools)
    policy_set = policy_set_of(compilation)
    files = [read_case_file(source, policy_set.program) for source in case_files if policy_set]
    wrong = [diagnostic for file in files for diagnostic in file.diagnostics]
    publication = Publication(
        policy_set=policy_set,
        diagnostics=(*compilation.diagnostics, *wrong),
        sources=(*sources, *case_files),
        compilation=compilation,
    )
    loaded = Loaded(path, publication)
    if policy_set is None or wrong:
        return _refused(loaded)
    more: dict[str, list[nodes.Test]] = {}
    for file in files:
        more.setdefault(file.package, []).extend(file.tests)
    tests = tuple(
        (package, tuple(t for t in (*package.tests, *more.get(package.name, ())) if wanted(t.name)))
        for package in policy_set.program.packages
    )
    return Prepared(loaded=loaded, policy_set=policy_set, tests=tests)


def _refused(loaded: Loaded) -> Prepared:
    errors = tuple(each for each in loaded.diagnostics if has_errors([each]))
    return Prepared(loaded=loaded, errors=errors)


def run_set(prepared: Prepared, ticked: Ticked, *, coverage: bool) -> SetRun:
    """Run what was prepared."""
    if prepared.policy_set is None:
        return SetRun(loaded=prepared.loaded, errors=prepared.errors)
    packages = tuple(
        PackageRun(
            name=package.name,
            tests=len(tests),
            results=tuple(_results(prepared.policy_set, package, tests, ticked)),
        )
        for package, tests in prepared.tests
    )
    return SetRun(
        loaded=prepared.loaded,
        packages=packages,
        coverage=_coverage(prepared, packages) if coverage else None,
    )


def _results(
    policy_set: PolicySet,
    package: CompiledPackage,
    tests: tuple[nodes.Test, ...],
    ticked: Ticked,
) -> Iterator[CaseResult]:
    from pbac.pdp.cases import alone_of, run_test

    alone = alone_of(policy_set, package)
    for test in tests:
        for result in run_test(alone, test):
            ticked()
            yield result


def _coverage(prepared: Prepared, packages: tuple[PackageRun, ...]) -> Coverage:
    from pbac.pdp.coverage import Coverage, measure
    from pbac.pdp.coverage_text import placed

    assert prepared.policy_set is not None
    every = (result for package in packages for result in package.results)
    found, place = measure(prepared.policy_set, every), prepared.loaded.place
    return Coverage(
        rules=tuple(placed(spot, place) for spot in found.rules),
        definitions=tuple(placed(spot, place) for spot in found.definitions),
    )


def excerpt(loaded: Loaded, result: CaseResult) -> str:
    """The expectation as it is written, on one line."""
    span = loaded.place(result.span)
    return " ".join(loaded.texts.get(span.source, "")[span.start : span.end].split())
