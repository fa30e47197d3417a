"""`pbac check`: every mistake in policy files, and what lint finds, told in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pbac import __version__
from pbac.base.clock import SystemClock
from pbac.base.diagnostics import Diagnostic, Severity, at_least, worst
from pbac.base.limits import DIAGNOSTICS_FILED_MAX, DIAGNOSTICS_MAX
from pbac.base.render import (
    render_github,
    render_json,
    render_left_out,
    render_line,
    render_sarif,
    render_summary,
)
from pbac.base.suggest import did_you_mean
from pbac.cli.policy_files import PATH, Loaded, draw, load_sets

OFF: Final = "off"
_WORDS: Final = [str(severity) for severity in Severity]


def _full(found: Sequence[Diagnostic], texts: Mapping[str, str]) -> str:
    return draw(found, texts)


def _lines(found: Sequence[Diagnostic], _texts: Mapping[str, str]) -> str:
    return "".join(f"{render_line(each)}\n" for each in found)


def _json(found: Sequence[Diagnostic], _texts: Mapping[str, str]) -> str:
    return render_json(found)


def _sarif(found: Sequence[Diagnostic], texts: Mapping[str, str]) -> str:
    from pbac.lang.lint.codes import CODES

    return render_sarif(found, texts, CODES, __version__)


@dataclass(frozen=True, slots=True)
class _Form:
    """How findings are written; `most`: of them at most, and the rest counted.

    The count stands below them, or, so that machines can read on, beside them.
    """

    write: Callable[[Sequence[Diagnostic], Mapping[str, str]], str]
    most: int
    for_people: bool


_FORMS: Final[Mapping[str, _Form]] = {
    "full": _Form(_full, DIAGNOSTICS_MAX, for_people=True),
    "line": _Form(_lines, DIAGNOSTICS_MAX, for_people=True),
    "json": _Form(_json, DIAGNOSTICS_FILED_MAX, for_people=False),
    "sarif": _Form(_sarif, DIAGNOSTICS_FILED_MAX, for_people=False),
    "github": _Form(render_github, DIAGNOSTICS_MAX, for_people=False),
}


class _Level(click.ParamType[tuple[str, Severity | None]]):
    """`CODE=LEVEL`, both known, and the code none of an error."""

    name = "CODE=LEVEL"

    def convert(self, value: Any, _parameter: Any, context: Any) -> tuple[str, Severity | None]:
        from pbac.lang.lint.codes import CODES

        code, _, level = str(value).partition("=")
        if code not in CODES:
            near = did_you_mean(code, CODES) or "`pbac check` shows codes in brackets"
            self.fail(f"there is no code `{code}`; {near}", None, context)
        if CODES[code].severity is Severity.ERROR:
            self.fail(f"`{code}` is an error and stays one", None, context)
        if level not in (*_WORDS, OFF):
            self.fail(f"a level is one of {', '.join([*_WORDS, OFF])}", None, context)
        return code, None if level == OFF else Severity(level)


def _no_json(_context: Any, _parameter: Any, asked: bool) -> None:  # noqa: FBT001 - click's
    """What other commands have, and people type here too."""
    if asked:
        raise click.UsageError("there is no --json here: write --format json")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMS)),
    default="full",
    show_default=True,
    metavar="FORM",
    help="How mistakes are told: `full`, drawn for people; `line`, one each for editors; `json`, "
    "one array; `sarif`, 2.1.0 for code scanning; `github`, annotations of a workflow.",
)
@click.option(
    "--level",
    "levels",
    multiple=True,
    type=_Level(),
    help="Another level for what lint finds: `error`, `warning`, `note` or `off`. Repeatable.",
)
@click.option(
    "--fail-on",
    type=click.Choice(_WORDS),
    default=Severity.ERROR.value,
    show_default=True,
    metavar="LEVEL",
    help="End with 1 when something as severe as this was found, or worse: `error`, `warning` or "
    "`note`.",
)
@click.option("--json", is_flag=True, hidden=True, expose_value=False, callback=_no_json)
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    form: str,
    levels: tuple[tuple[str, Severity | None], ...],
    fail_on: str,
) -> None:
    """Read policies and tell every mistake, each with its place and what to write instead.

    Every PATH is a policy set of its own: a folder with all the files in it, or one file. A folder
    without a policy of its own whose folders hold some is checked set by set. `-` reads one file
    from standard input.

    Tells what lint finds as well: what is sound and yet hardly meant.
    Ends with 1 when there is an error; warnings and notes alone end with 0.
    """
    sets = load_sets(paths)
    found = [_findings(each, dict(levels)) for each in sets]
    everything = [diagnostic for each in found for diagnostic in each]
    _echo(everything, _FORMS[form], {k: v for each in sets for k, v in each.texts.items()})
    if form == "full":
        for each, its in zip(sets, found, strict=True):
            _echo_summary(each, its, Severity(fail_on))
    context.exit(int(at_least(Severity(fail_on), everything)))


def _findings(loaded: Loaded, levels: Mapping[str, Severity | None]) -> list[Diagnostic]:
    """The compiler's complaints and lint's, at the levels asked for, placed."""
    from pbac.lang.lint.lint import lint, with_levels

    compilation = loaded.publication.compilation
    if compilation is None:
        return list(loaded.diagnostics)
    now_ms = SystemClock().now_ms()
    return [loaded.placed(each) for each in with_levels(lint(compilation, now_ms), levels)]


def _echo(found: Sequence[Diagnostic], form: _Form, texts: Mapping[str, str]) -> None:
    shown, left_out = worst(found, form.most)
    text = form.write(shown, texts)
    click.echo(text, nl=bool(text) and form.write is _full)
    if left_out:
        click.echo(render_left_out(left_out), err=not form.for_people)


def _echo_summary(loaded: Loaded, found: Sequence[Diagnostic], fail_on: Severity) -> None:
    colour = "red" if at_least(fail_on, found) else "green"
    click.echo(f"{click.style(str(loaded.path), fg=colour)}  {_summary(loaded, found)}")


def _summary(loaded: Loaded, found: Sequence[Diagnostic]) -> str:
    compilation = loaded.publication.compilation
    told = render_summary(found)
    if compilation is None or compilation.program is None:
        return told
    program = compilation.program
    rules = sum(len(package.rules) for package in program.packages)
    cost = f", a call costs at most {compilation.cost.steps:,} steps" if compilation.cost else ""
    return f"{told} ({rules} rule{'s' if rules != 1 else ''}{cost})"
