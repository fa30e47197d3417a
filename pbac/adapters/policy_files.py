"""The files of a policy set as bytes: `**/*.pbac`, `data/*.json`, `tools/*.json` of a folder.

Which files those are is told by `policy_listing`, what they mean by `policy_contents`. Links that
lead out of the folder are refused: whoever can write a link must not choose what the gateway reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from pbac.adapters.policy_folders import several_sets
from pbac.adapters.policy_listing import irregular, is_policy, listed
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import POLICY_DATA_BYTES_MAX, POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX
from pbac.base.source import Span

Files: TypeAlias = dict[str, bytes]
"""Path within the folder, with `/` → content, in order."""

POLICIES: Final = "*.pbac"
DOCUMENTS: Final = "data/*.json"
VOCABULARIES: Final = "tools/*.json"


def read_files(folder: Path) -> Files:
    """Every file of a folder's policy set; of one file, that file and what is beside it.

    Raises:
        PolicyError: when something in it cannot be read, there is nothing to read, or it holds
            several policy sets.
    """
    root = real(folder)
    if not root.is_dir():
        if not root.exists():
            raise _missing(folder)
        if root.suffix != ".pbac":
            help_ = "name a folder, or a file whose name ends in `.pbac`"
            raise error("no-policies", str(folder), f"`{folder}` is no policy file", help_)
        found = {root.name: _bytes(root, root.name, POLICY_FILE_BYTES_MAX)}
        return found | _documents(root.parent, DOCUMENTS, deep=False) | read_vocabularies(folder)
    if several := several_sets(folder):
        raise several
    policies = {
        name: _bytes(path, name, POLICY_FILE_BYTES_MAX)
        for name, path in _files(root, POLICIES)
        if is_policy(path)
    }
    if not policies:
        raise error(
            "no-policies",
            str(folder),
            f"there is no `.pbac` file in `{folder}`",
            "without policies nothing would be permitted: `pbac init` writes a first one",
        )
    return policies | _documents(root, DOCUMENTS) | read_vocabularies(folder)


def read_vocabularies(folder: Path) -> Files:
    """The vocabulary files of a folder; for one file, those that stand beside it.

    Raises:
        PolicyError: when one cannot be read.
    """
    root = real(folder)
    deep = root.is_dir()
    return _documents(root if deep else root.parent, VOCABULARIES, deep=deep)


def real(path: Path) -> Path:
    """Links followed as far as they lead; unlike `Path.resolve` never raises, not for circles."""
    return Path(os.path.realpath(path))


def error(code: str, path: str, message: str, help_text: str | None = None) -> PolicyError:
    """One complaint about a file as a whole."""
    span = Span(path, 0, 0, 1, 1)
    return PolicyError([Diagnostic(code=code, message=message, span=span, help=help_text)])


def _missing(folder: Path) -> PolicyError:
    what = "file" if folder.suffix == ".pbac" else "folder"
    help_ = "create it, or name it in `policies`" if what == "folder" else None
    return error("no-policies", str(folder), f"there is no {what} `{folder}`", help_)


def _documents(root: Path, pattern: str, *, deep: bool = True) -> dict[str, bytes]:
    """Every JSON file that matches, bounded together."""
    found: dict[str, bytes] = {}
    size = 0
    for name, path in _files(root, pattern, deep=deep):
        found[name] = _bytes(path, name, POLICY_DATA_BYTES_MAX)
        size += len(found[name])
        if size > POLICY_DATA_BYTES_MAX:
            message = f"`{pattern}` are larger than {POLICY_DATA_BYTES_MAX} bytes together"
            raise error("too-large", name, message)
    return found


def _files(root: Path, pattern: str, *, deep: bool = True) -> Iterator[tuple[str, Path]]:
    """Name and path of every file that matches."""
    try:
        found = listed(root, pattern, POLICY_FILES_MAX, deep=deep)
    except OSError as fault:  # a folder vanished while it was listed
        reason = (fault.strerror or "unreadable").lower()
        raise error("unreadable", str(root), f"`{root}` cannot be listed: {reason}") from None
    if len(found) > POLICY_FILES_MAX:
        raise error(
            "too-many-files", str(root), f"more than {POLICY_FILES_MAX} files match `{pattern}`"
        )
    for path in found:
        name = path.relative_to(root).as_posix()
        # A file may have any bytes for a name, but diagnostics and digests are made of texts.
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        if shown != name:
            raise error("not-utf-8", shown, f"the name `{shown}` is not UTF-8", "rename the file")
        if not real(path).is_relative_to(root):
            help_ = "copy the file into the folder"
            raise error("outside-folder", name, f"`{name}` leads out of the policy folder", help_)
        yield name, path


def _bytes(path: Path, name: str, bytes_max: int) -> bytes:
    try:
        if kind := irregular(path):
            raise error("unreadable", name, f"`{name}` is no regular file but {kind}")
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise error("unreadable", name, f"`{name}` cannot be read: {reason}") from None
    if len(data) > bytes_max:
        raise error("too-large", name, f"`{name}` is larger than {bytes_max} bytes")
    return data
