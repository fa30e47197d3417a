"""Which policy sets a path names, and the case files beside them.

A folder that has a `.pbac` file directly in it is one policy set, with everything below. A folder
without one is looked through: when several folders in it hold policies, each of them is a set of
its own (or again a folder of sets); when only one does, or none, the folder is read as one set.
What counts for nothing is told by `policy_listing`.
"""

from __future__ import annotations

import os
from pathlib import Path

from pbac.adapters.policy_listing import irregular, is_hidden, is_policy, listed
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import CASE_FILE_BYTES_MAX, CASE_FILES_MAX
from pbac.base.source import Source, Span

SUFFIXES = (".cases.yaml", ".cases.yml", ".cases.json")
"""How the names of case files end."""


def policy_sets(path: Path) -> tuple[Path, ...]:
    """The policy sets that a path names, in order; the path itself where it is one, or nothing."""
    if not path.is_dir() or _is_set(path):
        return (path,)
    folders = [folder for folder in _folders(path) if _holds_policies(folder)]
    if len(folders) < 2:
        return (path,)
    return tuple(found for folder in folders for found in policy_sets(folder))


def _is_set(folder: Path) -> bool:
    return any(is_policy(path) and not path.is_dir() for path in folder.glob("*.pbac"))


def _holds_policies(folder: Path) -> bool:
    """In it or below it."""
    return _is_set(folder) or any(map(_holds_policies, _folders(folder)))


def _folders(folder: Path) -> list[Path]:
    """Those that are shown; links are not followed, for they may lead round in circles."""
    with os.scandir(folder) as entries:
        found = [
            folder / entry.name
            for entry in entries
            if not is_hidden(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return sorted(found)


def several_sets(path: Path) -> PolicyError | None:
    """The complaint where one policy set is needed and a folder holds several."""
    found = policy_sets(path)
    if len(found) == 1:
        return None
    named = ", ".join(f"`{each}`" for each in found[:3]) + (", …" if len(found) > 3 else "")
    message = f"`{path}` holds {len(found)} policy sets, and one is needed: {named}"
    help_ = "name one of them; a `.pbac` file directly in the folder makes all of it one set"
    return _error("several-sets", str(path), message, help_)


def read_case_files(policy_set: Path) -> list[Source]:
    """The case files of a policy set: of a folder all below it, of one file those of its name.

    Raises:
        PolicyError: when one cannot be read.
    """
    if not policy_set.is_dir():
        named = (policy_set.with_name(policy_set.stem + suffix) for suffix in SUFFIXES)
        return [_source(path.parent, path) for path in named if path.exists()]
    try:
        files = listed(policy_set, "*.cases.*", CASE_FILES_MAX)
    except OSError as error:  # a folder vanished while it was listed
        reason = (error.strerror or "unreadable").lower()
        message = f"`{policy_set}` cannot be listed: {reason}"
        raise _error("unreadable", str(policy_set), message) from None
    if len(files) > CASE_FILES_MAX:
        message = f"there are more than {CASE_FILES_MAX} case files in `{policy_set}`"
        raise _error("too-many-files", str(policy_set), message)
    return [_source(policy_set, path) for path in files if _is_case_file(path)]


def _is_case_file(path: Path) -> bool:
    """By its name."""
    return path.name.endswith(SUFFIXES) and not is_hidden(path.name)


def _source(folder: Path, path: Path) -> Source:
    name = path.relative_to(folder).as_posix()
    try:
        if kind := irregular(path):
            raise _error("unreadable", name, f"`{name}` is no regular file but {kind}")
        with path.open("rb") as file:
            data = file.read(CASE_FILE_BYTES_MAX + 1)
        if len(data) > CASE_FILE_BYTES_MAX:
            message = f"`{name}` is larger than {CASE_FILE_BYTES_MAX} bytes"
            raise _error("too-large", name, message, "split it into several case files")
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"`{name}` is not UTF-8 at byte {error.start}"
        raise _error("not-utf-8", name, message, "save it as UTF-8") from None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise _error("unreadable", name, f"`{name}` cannot be read: {reason}") from None


def _error(code: str, path: str, message: str, help_text: str | None = None) -> PolicyError:
    span = Span(path, 0, 0, 1, 1)
    return PolicyError([Diagnostic(code=code, message=message, span=span, help=help_text)])
