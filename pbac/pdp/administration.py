"""From sources to a policy set that may be published: compile, run its tests, all or nothing.

Whatever is wrong, the answer is a value that says so; publishing is one assignment somewhere above
and happens only for an answer without problems.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pbac.base.diagnostics import Diagnostic, PolicyError, Severity, has_errors, worst
from pbac.base.render import render, render_left_out, render_line
from pbac.base.source import Source, Span
from pbac.lang.compile import Compilation, compile_program
from pbac.lang.program import CompiledPackage, Program
from pbac.pdp.cases import CaseResult, run_tests
from pbac.pdp.policy_set import PolicySet, policy_set_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What became of a policy folder, or of any other set of sources.

    Attributes:
        policy_set: None when it must not be published.
        diagnostics: warnings too.
        failures: tests of the set that did not come out as they say.
        sources: for rendering.
        compilation: makes the next one cheap; None when the sources could not even be read.
    """

    policy_set: PolicySet | None
    diagnostics: tuple[Diagnostic, ...] = ()
    failures: tuple[CaseResult, ...] = ()
    sources: tuple[Source, ...] = ()
    compilation: Compilation | None = None

    def require(self) -> PolicySet:
        """The policy set. Raises `PolicyError` with everything that is wrong."""
        if self.policy_set is None:
            raise PolicyError(self._errors())
        return self.policy_set

    def problems(self) -> tuple[str, ...]:
        """One line for everything that kept the set from being published, for the record."""
        shown, left_out = worst(self._errors())
        more = (render_left_out(left_out),) if left_out else ()
        return (*map(render_line, shown), *more)

    def text(self) -> str:
        """The same for people, with the places drawn."""
        shown, left_out = worst(self._errors())
        text = render(shown, {source.name: source.text for source in self.sources})
        return f"{text}\n{render_left_out(left_out)}\n" if left_out else text

    def _errors(self) -> list[Diagnostic]:
        errors = [each for each in self.diagnostics if each.severity is Severity.ERROR]
        return errors + [_as_diagnostic(failure) for failure in self.failures]


def prepare(
    sources: Sequence[Source],
    data: Mapping[str, Any] | None = None,
    *,
    places: Mapping[str, str] | None = None,
    tools: Mapping[str, Any] | None = None,
    sealed: Collection[str] = (),
    previous: Publication | None = None,
) -> Publication:
    """Compile the sources and run the tests they hold.

    Args:
        sources: all policy files.
        data: the documents by name.
        places: the file of each document, which says whose it is.
        tools: vocabulary files by name.
        sealed: packages without which the set must not be published.
        previous: an earlier publication, to make this one cheap.
    """
    compilation = compile_program(
        sources,
        data or {},
        places=places,
        tools=tools,
        previous=previous.compilation if previous else None,
    )
    kept = tuple(sources)
    diagnostics = compilation.diagnostics
    if compilation.program is not None:
        diagnostics += tuple(_unsealed(compilation.program, kept, sealed))
    policy_set = policy_set_of(compilation, previous.policy_set if previous else None)
    if policy_set is None or has_errors(diagnostics):
        return Publication(
            policy_set=None,
            diagnostics=diagnostics,
            sources=kept,
            compilation=compilation,
        )
    tested = _tested(previous, compilation)
    results = run_tests(policy_set, tested=tested)
    failures = tuple(result for result in results if not result.passed)
    return Publication(
        policy_set=None if failures else policy_set,
        diagnostics=compilation.diagnostics,
        failures=failures,
        sources=kept,
        compilation=compilation,
    )


def _tested(previous: Publication | None, compilation: Compilation) -> frozenset[CompiledPackage]:
    """The packages whose tests have passed already, with the same documents."""
    if previous is None or previous.policy_set is None:
        return frozenset()
    if previous.policy_set.data != compilation.data:
        return frozenset()
    return frozenset(previous.policy_set.program.packages)


def _unsealed(
    program: Program, sources: Sequence[Source], sealed: Collection[str]
) -> Iterator[Diagnostic]:
    """A complaint for each package that has to be there and sealed, and is not."""
    packages = {package.name: package for package in program.packages}
    for name in sorted(sealed):
        package = packages.get(name)
        if package is not None and package.sealed:
            continue
        message = f"the set has no package `{name}`, which has to be there"
        if package is not None:
            message = f"`package {name}` has to be sealed, and is not"
        yield Diagnostic(
            code="sealed-missing",
            message=message,
            span=Span(sources[0].name, 0, 0, 1, 1),
            help=f"bring `sealed package {name}` back; what has to be there is said by "
            "`sealed_packages` and by the set in force",
        )


def refused(diagnostics: Sequence[Diagnostic], sources: Sequence[Source] = ()) -> Publication:
    """A publication that must not be: the sources could not even be read, or not that way."""
    return Publication(policy_set=None, diagnostics=tuple(diagnostics), sources=tuple(sources))


def _as_diagnostic(failure: CaseResult) -> Diagnostic:
    return Diagnostic(
        code="test-failed",
        message=f"test `{failure.test}`: expected {failure.expected}, got {failure.got}",
        span=failure.span,
        help=failure.why or None,
    )
