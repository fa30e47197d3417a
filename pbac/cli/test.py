"""`pbac test`: the `test` blocks of policy files, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pbac.cli.policy_files import PATH, Loaded, draw, exit_code, load
from pbac.lang import nodes

if TYPE_CHECKING:
    from pbac.lang.program import CompiledPackage
    from pbac.pdp.cases import CaseResult


@click.command()
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(context: click.Context, path: Path, *, as_json: bool) -> None:
    """Run the tests written in a policy folder or file.

    Ends with 1 when an expectation fails, or when the policies cannot be used at all.
    """
    loaded = load(path)
    compilation = loaded.publication.compilation
    program = compilation.program if compilation else None
    if program is None:
        _echo_unusable(loaded, as_json=as_json)
        context.exit(1)
    reports = [_report(package, loaded) for package in program.packages]
    if as_json:
        _echo_json({"passed": not loaded.publication.failures, "packages": reports})
    else:
        _echo_reports(reports)
        for failure in loaded.publication.failures:
            click.echo(f"\n{_failure(failure, loaded)}")
    context.exit(int(bool(loaded.publication.failures)))


def _echo_unusable(loaded: Loaded, *, as_json: bool) -> None:
    if as_json:
        from pbac.base.render import as_json as diagnostic_json

        told = [diagnostic_json(each) for each in loaded.diagnostics]
        _echo_json({"passed": False, "packages": [], "diagnostics": told})
    else:
        errors = [each for each in loaded.diagnostics if exit_code([each])]
        click.echo(draw(errors, loaded.texts), nl=False)


def _echo_json(value: Any) -> None:
    click.echo(msgspec.json.encode(value))


def _report(package: CompiledPackage, loaded: Loaded) -> dict[str, Any]:
    expected = [
        step for test in package.tests for step in test.steps if isinstance(step, nodes.Expectation)
    ]
    failures = [each for each in loaded.publication.failures if each.package == package.name]
    return {
        "package": package.name,
        "tests": len(package.tests),
        "expectations": len(expected),
        "failures": [_failure_json(failure, loaded) for failure in failures],
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
    }


def _echo_reports(reports: list[dict[str, Any]]) -> None:
    width = max((len(report["package"]) for report in reports), default=0)
    for report in reports:
        failed, total = len(report["failures"]), report["expectations"]
        mark = click.style("FAIL", fg="red") if failed else click.style("ok  ", fg="green")
        told = f"{failed} of {total} expectations failed" if failed else f"{total} expectations"
        tests = f"{report['tests']:>3} test{'s' if report['tests'] != 1 else ' '}"
        click.echo(f"{mark}  {report['package']:<{width}}  {tests}  {told}")


def _failure(failure: CaseResult, loaded: Loaded) -> str:
    """Place, the line as written, what it wants and what it got."""
    span = loaded.place(failure.span)
    written = " ".join(loaded.texts[span.source][span.start : span.end].split())
    rows = [("expected", failure.expected), ("got", failure.got), ("why", failure.why)]
    lines = [f'{span}: test "{failure.test}"', f"  {written}"]
    lines += [f"    {word:<8}  {text}" for word, text in rows if text]
    return "\n".join(lines)
