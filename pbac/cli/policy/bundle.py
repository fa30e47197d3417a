"""`pbac policy bundle`: a folder of policies, tested and signed as one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pbac.base.clock import SystemClock
from pbac.base.diagnostics import PolicyError
from pbac.base.errors import PbacError
from pbac.base.limits import BUNDLE_NUMBER_MAX
from pbac.base.render import shown
from pbac.cli.key_files import read_key_file
from pbac.cli.option_values import WholeNumber
from pbac.cli.policy_files import Loaded, draw
from pbac.cli.test_report import echo_untested, failure_text
from pbac.cli.test_run import SetRun, prepare_set, run_set
from pbac.pdp.bundle import SUFFIX

if TYPE_CHECKING:
    from pbac.adapters.policy_contents import PolicyFiles
    from pbac.base.source import Source
    from pbac.crypto.keys import SigningKey
    from pbac.pdp.bundle import Bundle


class _Read(NamedTuple):
    """A folder: the files that are signed, what is in them, and the case files beside them."""

    files: Mapping[str, bytes]
    policies: PolicyFiles
    tools: Mapping[str, Any]
    case_files: Sequence[Source]


class _BundlePath(click.Path):
    """A name by which a bundle is told from a folder and from one policy file."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if not str(value).endswith(SUFFIX):
            self.fail(f"the name of a bundle ends in `{SUFFIX}`", parameter, context)
        return super().convert(value, parameter, context)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The private key that signs, Ed25519; `pbac publisher new` makes one.",
)
@click.option("--name", required=True, help="Name of the series that the numbers belong to.")
@click.option(
    "--number",
    type=WholeNumber(1, BUNDLE_NUMBER_MAX),
    metavar="NUMBER",
    help="Larger than that of every bundle of this name before [default: that of FILE + 1, or 1].",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=_BundlePath(dir_okay=False, path_type=Path),
    help="Where the bundle goes; an older bundle that the same key signed is replaced.",
)
def command(folder: Path, key_file: Path, name: str, number: int | None, output: Path) -> None:
    """Test the policies of FOLDER and sign them as one file, with everything they need.

    The bundle holds every `*.pbac` but `*_bad.pbac`, `data/*.json` and `tools/*.json`. Policies
    with a mistake or a failing test, in a `test` block or a case file, are not signed.
    """
    from pbac.adapters.policy_bundle import write_bundle
    from pbac.crypto.keys import parse_private_pem
    from pbac.pdp.bundle import render_bundle

    key = read_key_file(key_file, parse_private_pem)
    chosen = _number(_previous(output, key), name, number)
    read = _require_read(folder)
    # Names and sizes are told before minutes of tests; nothing is written before those pass.
    data = render_bundle(
        read.files, name=name, number=chosen, made_ms=SystemClock().now_ms(), key=key
    )
    _require_sound(folder, read)
    write_bundle(output, data)
    count = f"{len(read.files)} file{'s' if len(read.files) != 1 else ''}"
    told = f"`{shown(str(output))}`: bundle `{name}` number {chosen}, {count}"
    click.echo(f"{told}, {len(data):,} bytes\nsigned by {key.public.kid}")


def _previous(output: Path, key: SigningKey) -> Bundle | None:
    """The bundle that is about to be replaced."""
    from pbac.adapters.policy_bundle import load_bundle
    from pbac.pdp.bundle_files import BundleError

    if not output.exists():
        return None
    try:
        return load_bundle(output, [key.public])
    except BundleError as error:
        raise BundleError(
            f"{error.message}; it is left as it is",
            code=error.code,
            help="what is no bundle of this key is not replaced: move it away, and say --number",
        ) from None


def _number(previous: Bundle | None, name: str, asked: int | None) -> int:
    from pbac.pdp.bundle_files import BundleError

    if previous is None:
        return asked or 1
    if previous.name != name:
        message = f"the file is bundle `{previous.name}`, and this one would be `{shown(name)}`"
        raise BundleError(message, code="bundle_name", help="write it to a file of its own")
    number = asked or previous.number + 1
    if number <= previous.number:
        message = f"number {number} is not larger than {previous.number}, which the file has"
        help_ = "leave --number out, and the next one is taken"
        raise BundleError(message, code="bundle_rollback", help=help_)
    return number


def _require_read(folder: Path) -> _Read:
    """Everything from one look at the folder: what is signed are the bytes that are tested."""
    from pbac.adapters.policy_contents import parse_policies, parse_tools
    from pbac.adapters.policy_files import read_files
    from pbac.adapters.policy_folders import read_case_files
    from pbac.pdp.administration import refused

    try:
        files = read_files(folder)
        return _Read(files, parse_policies(files), parse_tools(files), read_case_files(folder))
    except PolicyError as error:
        loaded = Loaded(folder, refused(error.diagnostics))
        click.echo(draw(loaded.diagnostics, loaded.texts), nl=False, err=True)
        raise _unsound(folder) from None


def _require_sound(folder: Path, read: _Read) -> None:
    prepared = prepare_set(
        folder,
        read.policies.sources,
        read.policies.data,
        places=read.policies.places,
        tools=read.tools,
        case_files=read.case_files,
        wanted=lambda _name: True,
    )
    run = run_set(prepared, lambda: None, coverage=False)
    echo_untested([run])
    if not run.passed:
        _echo_mistakes(run)
        raise _unsound(folder)


def _echo_mistakes(run: SetRun) -> None:
    if run.errors:
        click.echo(draw(run.errors, run.loaded.texts), nl=False, err=True)
    for package in run.packages:
        for failure in package.failures:
            click.echo(f"{failure_text(failure, run.loaded)}\n", err=True)


def _unsound(folder: Path) -> PbacError:
    help_ = "mend them first; `pbac check` and `pbac test` tell the same"
    return PbacError(f"the policies of `{folder}` are not sound, and were not signed", help=help_)
