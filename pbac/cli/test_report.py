"""What `pbac test` says: text, JSON and JUnit XML of the runs of policy sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from pbac.base.render import PLAIN, STYLES, as_json, render, shown
from pbac.cli.policy_files import Loaded, draw
from pbac.cli.streams import in_colour
from pbac.cli.test_run import PackageRun, SetRun, excerpt
from pbac.pdp.expected import as_written

if TYPE_CHECKING:
    from pbac.pdp.cases import CaseResult


# --- text --------------------------------------------------------------------------------------


def echo_runs(runs: list[SetRun]) -> None:
    """A line for every package, then every failure in full. A set is named when there are more."""
    for run in runs:
        if len(runs) > 1:
            click.secho(str(run.loaded.path), bold=True)
        if run.errors:
            click.echo(draw(run.errors, run.loaded.texts), nl=False)
        _echo_packages(run.packages)
    for run in runs:
        for package in run.packages:
            for failure in package.failures:
                click.echo(f"\n{failure_text(failure, run.loaded, coloured=in_colour())}")


def _echo_packages(packages: Iterable[PackageRun]) -> None:
    width = max((len(package.name) for package in packages), default=0)
    for package in packages:
        failed, total = len(package.failures), len(package.results)
        word, colour = (
            ("FAIL", "red") if failed else ("ok", "green") if total else ("none", "yellow")
        )
        mark = click.style(f"{word:<4}", fg=colour)
        expectations = f"{total} expectation{'s' if total != 1 else ''}"
        told = f"{failed} of {expectations} failed" if failed else expectations
        tests = f"{package.tests:>3} test{'s' if package.tests != 1 else ' '}"
        click.echo(f"{mark}  {package.name:<{width}}  {tests}  {told}")


def echo_untested(runs: list[SetRun]) -> None:
    """A warning for every set without a test: nothing was run, and so nothing is wrong."""
    for run in runs:
        if not run.errors and not any(package.tests for package in run.packages):
            told = f"warning: `{shown(str(run.loaded.path))}` has no tests, so nothing was run"
            click.secho(told, fg="yellow", err=True)


def echo_total(runs: list[SetRun]) -> None:
    """One line about all sets."""
    results = [result for run in runs for package in run.packages for result in package.results]
    failed = sum(not result.passed for result in results)
    broken = sum(bool(run.errors) for run in runs)
    told = f"{len(results) - failed} of {len(results)} expectations passed"
    told += f", {broken} of {len(runs)} policy sets cannot be used" if broken else ""
    click.secho(f"\n{told}", fg="red" if failed or broken else "green")


def failure_text(failure: CaseResult, loaded: Loaded, *, coloured: bool = False) -> str:
    """Place, the line as written, what it wants, what it got, what would pass, and why it is so."""
    rows = [("expected", failure.expected), ("got", failure.got), ("why", failure.why)]
    lines = [f'{loaded.place(failure.span)}: test "{shown(failure.test)}"']
    lines.append(f"  {shown(excerpt(loaded, failure))}")
    lines += [f"    {word:<8}  {shown(text)}" for word, text in rows if text]
    lines.append(f"    {'write':<8}  `{_suggestion(failure)}` if that is what you mean")
    lines += [f"    {line}".rstrip() for line in _explained(failure, coloured=coloured)]
    return "\n".join(lines)


def _suggestion(failure: CaseResult) -> str:
    """What the test would have to say: behind an arrow, or in a case file's `expect`."""
    in_block = failure.span.source.endswith(".pbac")
    return f"{'=> ' if in_block else 'expect: '}{as_written(failure.got)}"


def _explained(failure: CaseResult, *, coloured: bool) -> Iterator[str]:
    from pbac.pdp.explain import explain
    from pbac.pdp.explain_listing import explain_issue, explain_list
    from pbac.pdp.explain_text import render_explanation, render_issue, render_listing

    styles = STYLES if coloured else PLAIN
    policy_set, request = failure.policy_set, failure.request
    match failure.step.what:
        case "call":
            told = render_explanation(explain(policy_set, request), styles)
        case "list":
            told = render_listing(explain_list(policy_set, request), styles)
        case "issue":
            told = render_issue(explain_issue(policy_set, request, failure.calls), styles)
    yield ""
    yield from told.splitlines()


# --- for programs ------------------------------------------------------------------------------


def runs_json(runs: list[SetRun]) -> dict[str, Any]:
    """One object about all sets."""
    told: dict[str, Any] = {
        "passed": all(run.passed for run in runs),
        "packages": [
            _package_json(package, run.loaded) for run in runs for package in run.packages
        ],
    }
    errors = [as_json(error) for run in runs for error in run.errors]
    return {**told, "diagnostics": errors} if errors else told


def _package_json(package: PackageRun, loaded: Loaded) -> dict[str, Any]:
    return {
        "set": str(loaded.path),
        "package": package.name,
        "tests": package.tests,
        "expectations": len(package.results),
        "failures": [_failure_json(failure, loaded) for failure in package.failures],
    }


def _failure_json(failure: CaseResult, loaded: Loaded) -> dict[str, Any]:
    span = loaded.place(failure.span)
    return {
        "test": failure.test,
        "source": span.source,
        "line": span.line,
        "column": span.column,
        "expected": failure.expected,
        "got": failure.got,
        "why": failure.why,
        "suggestion": _suggestion(failure),
    }


def junit(runs: list[SetRun]) -> str:
    """JUnit XML; a suite is a package of a set."""
    from pbac.pdp.junit import JunitCase, render_junit

    cases = [
        JunitCase(
            suite=f"{run.loaded.path}: {package.name}",
            name=f"{result.test}: {excerpt(run.loaded, result)}",
            place=run.loaded.place(result.span),
            failure="" if result.passed else f"expected {result.expected}, got {result.got}",
            detail="" if result.passed else failure_text(result, run.loaded),
        )
        for run in runs
        for package in run.packages
        for result in package.results
    ]
    errors = [
        (str(run.loaded.path), render(run.errors, run.loaded.texts)) for run in runs if run.errors
    ]
    return render_junit(cases, errors)
