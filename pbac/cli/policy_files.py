"""What the policy commands share: loading what a path names, placing and colouring complaints."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import structs

from pbac.base.diagnostics import Diagnostic, has_errors
from pbac.base.errors import PbacError
from pbac.base.limits import POLICY_FILE_BYTES_MAX
from pbac.base.render import PLAIN, STYLES, render, shown
from pbac.base.source import Source, Span
from pbac.cli.streams import in_colour

if TYPE_CHECKING:
    from pbac.lang.kinds.vocabulary import Vocabulary
    from pbac.pdp.administration import Publication
    from pbac.pdp.policy_set import PolicySet


_PLACE: Final = re.compile(r"[^\s`(),:]+(?=:\d+:\d+)")
"""The name of a file before a line and a column."""

_SETS_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """One policy set: a folder, or a file by itself. Places in it are told from where you stand."""

    path: Path
    publication: Publication

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every complaint, placed."""
        return tuple(map(self.placed, self.publication.diagnostics))

    @property
    def texts(self) -> dict[str, str]:
        """Placed source name → text."""
        return {self._name(source.name): source.text for source in self.publication.sources}

    def placed(self, diagnostic: Diagnostic) -> Diagnostic:
        """The same complaint, placed."""
        return replace(
            diagnostic,
            message=self._placed_text(diagnostic.message),
            help=self._placed_text(diagnostic.help) if diagnostic.help else None,
            span=self.place(diagnostic.span),
        )

    def _placed_text(self, text: str) -> str:
        """With the places within it placed as well."""
        if not _PLACE.search(text):
            return text
        names = {source.name for source in self.publication.sources}
        return _PLACE.sub(lambda m: self._name(m[0]) if m[0] in names else m[0], text)

    def place(self, span: Span) -> Span:
        """The same stretch under a name that an editor finds from the current directory."""
        return structs.replace(span, source=self._name(span.source))

    def _name(self, name: str) -> str:
        if name == str(self.path) or self.path == STDIN:
            return name
        return str((self.path if self.path.is_dir() else self.path.parent) / name)


STDIN: Final = Path("-")


def load(path: Path) -> Loaded:
    """Read, compile and test what a path names; `-` is one file from standard input."""
    from pbac.adapters.policy_directory import load_policies

    if path == STDIN:
        return Loaded(path, _publication_of(sys.stdin.buffer.read(POLICY_FILE_BYTES_MAX + 1)))
    return Loaded(path, load_policies(path))


def _publication_of(data: bytes) -> Publication:
    from pbac.pdp.administration import prepare

    if len(data) > POLICY_FILE_BYTES_MAX:
        raise PbacError(f"standard input is larger than {POLICY_FILE_BYTES_MAX} bytes")
    try:
        return prepare([Source("stdin", data.decode("utf-8-sig"))])
    except UnicodeDecodeError as error:
        message = f"standard input is not UTF-8 at byte {error.start}"
        raise PbacError(message, help="save it as UTF-8") from None


def load_sets(paths: Iterable[Path]) -> list[Loaded]:
    """The same for every policy set that the paths name: a folder may hold several."""
    return [load(found) for found in every_set(paths)]


def every_set(paths: Iterable[Path]) -> Iterator[Path]:
    """The policy sets that the paths name; where a folder is several, that is said."""
    from pbac.adapters.policy_folders import policy_sets

    for path in paths:
        found = policy_sets(path)
        if len(found) > 1:
            named = ", ".join(f"`{each}`" for each in found[:_SETS_NAMED_MAX])
            more = ", …" if len(found) > _SETS_NAMED_MAX else ""
            note = f"note: `{path}` is read as {len(found)} policy sets: {named}{more}"
            help_ = f"  help: a `.pbac` file directly in `{path}` makes all of it one set"
            click.echo(f"{shown(note)}\n{shown(help_)}", err=True)
        yield from found


def find_policy_set(loaded: Loaded) -> PolicySet | None:
    """What was loaded, to decide with, whether or not its tests pass; None when it has mistakes."""
    from pbac.pdp.policy_set import policy_set_of

    compilation = loaded.publication.compilation
    return policy_set_of(compilation) if compilation else None


@dataclass(frozen=True, slots=True)
class Policies:
    """What decides, and what is known about the tools of the servers that have a vocabulary."""

    policy_set: PolicySet
    servers: Mapping[str, Vocabulary]


def require_policies(path: Path) -> Policies:
    """Policies to decide with, also when their tests fail: that is when one wants to look.

    Prints the errors and ends the command with 1 when there is none.
    """
    loaded = load(path)
    policy_set = find_policy_set(loaded)
    if policy_set is None:
        errors = [each for each in loaded.diagnostics if exit_code([each])]
        click.echo(draw(errors, loaded.texts), nl=False, err=True)
        sys.exit(1)
    compilation = loaded.publication.compilation
    return Policies(policy_set, compilation.schema.servers if compilation else {})


def draw(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str]) -> str:
    """Diagnostics in full, coloured when somebody looks at a terminal."""
    return render(diagnostics, texts, STYLES if in_colour() else PLAIN)


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """1 when something is wrong, 0 for warnings and nothing."""
    return int(has_errors(diagnostics))


class _Path(click.Path):
    """Nothing is asked of the file itself; and no path is not the folder where we stand."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if value in ("", b""):
            self.fail("PATH is empty", parameter, context)
        if "://" in str(value) and not os.path.lexists(value):
            self.fail(f"`{value}` is an address, and a folder or file is wanted")
        return super().convert(value, parameter, context)


PATH = _Path(path_type=Path, readable=False)
"""A folder or file of policies; that it is not there, or unreadable, is told as a diagnostic."""
