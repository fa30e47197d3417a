"""`pbac test`: the tests of policies, run; and how much of the policies they have seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from pbac.base.errors import PbacError
from pbac.base.render import PLAIN, STYLES
from pbac.cli.option_values import WholeNumber
from pbac.cli.policy_files import PATH
from pbac.cli.streams import in_colour
from pbac.cli.test_report import echo_runs, echo_total, echo_untested, junit, runs_json
from pbac.cli.test_run import SetRun, Ticked, name_filter, prepare_sets, run_set

_PROGRESS_MIN = 500
"""Fewer expectations are done before anybody wonders."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PATH)
@click.option(
    "-k",
    "--filter",
    "pattern",
    metavar="NAME",
    help="Only tests whose name holds this, or fits it when it has `*`.",
)
@click.option("--coverage", is_flag=True, help="Tell how much of every rule the tests have seen.")
@click.option(
    "--coverage-min",
    type=WholeNumber(0, 100),
    metavar="PERCENT",
    help="End with 1 below this coverage, in any set.",
)
@click.option("--annotate", is_flag=True, help="Show the policies with what was seen of them.")
@click.option(
    "--lcov",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the coverage for other tools.",
)
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit XML.",
)
@click.option("--watch", is_flag=True, help="Run again whenever something changes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(
    context: click.Context, /, paths: tuple[Path, ...], *, watch: bool, **options: Any
) -> None:
    """Run the tests of policies: `test` blocks, and case files beside them.

    Every PATH is a policy set: a folder, or one file. A folder without a policy of its own whose
    folders hold some is tested set by set.

    Ends with 1 when an expectation fails, when policies or case files cannot be used, when no test
    is named so, or when less is covered than was asked for. A set without tests is a warning.
    """
    if watch:
        _watch(paths, options)
    else:
        context.exit(_run(paths, **options))


def _run(
    paths: tuple[Path, ...],
    *,
    pattern: str | None,
    coverage: bool,
    coverage_min: int | None,
    annotate: bool,
    lcov: Path | None,
    junit_file: Path | None,
    as_json: bool,
) -> int:
    """One run, told as the options say; the exit code."""
    measured = coverage or coverage_min is not None or annotate or lcov is not None
    prepared = prepare_sets(paths, name_filter(pattern))
    total = sum(each.expectations for each in prepared)
    with _progress(total) as ticked:
        runs = [run_set(each, ticked, coverage=measured) for each in prepared]
    if pattern is not None and not total and not any(run.errors for run in runs):
        raise PbacError(f"no test is named like `{pattern}`", help="`*` stands for anything")
    if pattern is None:
        echo_untested(runs)
    if junit_file is not None:
        _write(junit_file, junit(runs))
    if lcov is not None:
        _write(lcov, "".join(_lcovs(runs)))
    if as_json:
        click.echo(msgspec.json.encode(_json(runs)))
    else:
        echo_runs(runs)
        _echo_coverage(runs, table=coverage or coverage_min is not None, annotate=annotate)
        if len(runs) > 1:
            echo_total(runs)
    enough = _is_enough(runs, coverage_min)
    if not enough and not as_json:
        click.secho(f"below the {coverage_min}% that --coverage-min asks for", fg="red", err=True)
    return int(not enough or not all(run.passed for run in runs))


@contextmanager
def _progress(total: int) -> Iterator[Ticked]:
    """A bar on a terminal, while there is much to run."""
    if total < _PROGRESS_MIN or not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=total, label="testing", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        reason = (error.strerror or "it failed").lower()
        raise PbacError(f"`{file}` cannot be written: {reason}") from None


# --- coverage ----------------------------------------------------------------------------------


def _echo_coverage(runs: list[SetRun], *, table: bool, annotate: bool) -> None:
    from pbac.pdp.coverage_text import render_annotated, render_table

    styles = STYLES if in_colour() else PLAIN
    for run in runs:
        if run.coverage is None:
            continue
        if annotate:
            click.echo(f"\n{render_annotated(run.coverage, run.loaded.texts, styles)}", nl=False)
        if table:
            click.secho(f"\ncoverage of {run.loaded.path}", bold=True)
            click.echo(render_table(run.coverage, styles), nl=False)


def _is_enough(runs: list[SetRun], percent_min: int | None) -> bool:
    from pbac.pdp.coverage import percent

    measured = [run.coverage for run in runs if run.coverage is not None]
    return percent_min is None or all(percent(each.spots) >= percent_min for each in measured)


def _lcovs(runs: list[SetRun]) -> Iterator[str]:
    from pbac.pdp.coverage_text import render_lcov

    return (render_lcov(run.coverage) for run in runs if run.coverage is not None)


def _json(runs: list[SetRun]) -> dict[str, Any]:
    from pbac.pdp.coverage_text import coverage_json

    told = runs_json(runs)
    measured = [
        {"set": str(run.loaded.path), **coverage_json(run.coverage)}
        for run in runs
        if run.coverage is not None
    ]
    return {**told, "coverage": measured} if measured else told


# --- watching ----------------------------------------------------------------------------------


def _watch(paths: tuple[Path, ...], options: dict[str, Any]) -> None:
    """Runs now and after every change of a policy, document or case file, until interrupted."""
    from watchfiles import watch

    existing = [path for path in paths if path.exists()]
    if len(existing) < len(paths):
        missing = next(path for path in paths if not path.exists())
        raise PbacError(f"there is no `{missing}`", help="only what is there can be watched")
    _run_watched(paths, options)
    for changes in watch(*existing, raise_interrupt=False):
        if any(path.endswith((".pbac", ".json", ".yaml", ".yml")) for _, path in changes):
            _run_watched(paths, options)


def _run_watched(paths: tuple[Path, ...], options: dict[str, Any]) -> None:
    click.clear()
    try:
        _run(paths, **options)
    except PbacError as error:  # told, and mended while we watch
        click.secho(f"error: {error}", fg="red", err=True)
    click.secho("\nwatching; Ctrl-C ends", dim=True)
