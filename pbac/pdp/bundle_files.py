r"""What a policy bundle may hold: the files of a policy folder, by relative path, and nothing else.

Those are `**/*.pbac` but `*_bad.pbac`, `**/data/*.json` and `**/tools/*.json`, none of them hidden:
what is read of a folder. A path has one spelling and one reader: no `..`, no `\`, no `:` that would
be a drive or a stream somewhere, no character nobody sees, and no two paths that a file system
which ignores case or composes accents takes for one. Nothing here writes the files of a bundle to a
disk; whoever does must not be surprised.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

from pbac.base.errors import PbacError
from pbac.base.limits import (
    BUNDLE_PATH_CHARACTERS_MAX,
    POLICY_DATA_BYTES_MAX,
    POLICY_FILE_BYTES_MAX,
    POLICY_FILES_MAX,
)
from pbac.base.render import shown

Kind: TypeAlias = Literal["policy", "data", "tools"]

BUNDLE_CODES: Final = (
    "bundle_too_large",
    "bundle_malformed",
    "bundle_type",
    "bundle_key",
    "bundle_signature",
    "bundle_name",
    "bundle_number",
    "bundle_path",
    "bundle_file",
    "bundle_rollback",
)
"""Every word a `BundleError` may have, in the order in which a bundle is looked at."""

_KINDS: Final[tuple[Kind, ...]] = ("policy", "data", "tools")
_BYTES_MAX: Final[Mapping[Kind, int]] = {
    "policy": POLICY_FILE_BYTES_MAX,  # each
    "data": POLICY_DATA_BYTES_MAX,  # together, and so for the tools
    "tools": POLICY_DATA_BYTES_MAX,
}
_PATTERNS: Final = "a bundle holds `*.pbac` but `*_bad.pbac`, `data/*.json` and `tools/*.json`"


class BundleError(PbacError):
    """A policy bundle that is refused; `code` is one of `BUNDLE_CODES`."""

    code = "bundle_malformed"


def kind_of(path: str) -> Kind | None:
    """What a file of a policy folder is by its name; None when it counts for nothing there."""
    file = PurePosixPath(path)
    if file.suffix == ".pbac":
        return None if file.stem.endswith("_bad") else "policy"
    if file.suffix != ".json":
        return None
    return next((kind for kind in _KINDS[1:] if file.parent.name == kind), None)


def place_of(path: str) -> tuple[int, tuple[str, ...]]:
    """What orders paths as the files of a folder are: by kind, and folder by folder."""
    kind = kind_of(path)
    return _KINDS.index(kind) if kind else len(_KINDS), PurePosixPath(path).parts


def require_files(files: Mapping[str, bytes]) -> None:
    """Nothing, when these files may be a bundle's.

    Raises:
        BundleError: `bundle_path` for a name, `bundle_file` for a content, `bundle_too_large` for a
            size or a number of files; the message names the path.
    """
    for path in files:
        _require_path(path)
    _require_apart(files)
    for path, data in files.items():
        _require_text(path, data)
    for kind in _KINDS:
        _require_sizes(kind, {p: data for p, data in files.items() if kind_of(p) == kind})
    if not any(kind_of(path) == "policy" for path in files):
        raise BundleError("there is no `.pbac` file in it", code="bundle_file", help=_PATTERNS)


def _require_path(path: str) -> None:
    if len(path) > BUNDLE_PATH_CHARACTERS_MAX:
        told = f"a path is longer than {BUNDLE_PATH_CHARACTERS_MAX} characters"
        raise _path_error(told, "shorten the names of folders")
    if why := _fault(path):
        raise _path_error(f"the path `{shown(path)}` {why}", "rename the file")
    if kind_of(path) is None:
        raise _path_error(f"`{shown(path)}` is no file of a policy set", _PATTERNS)


def _fault(path: str) -> str | None:
    """What is wrong with a path, in words that follow it."""
    if "\\" in path or ":" in path:
        return "holds `\\` or `:`"
    if shown(path) != path:
        return "holds characters that nobody sees"
    if path.startswith("/"):
        return "is not relative"
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "has a part that is empty, `.` or `..`"
    if any(part.startswith(".") for part in parts):
        return "is hidden"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return "has a part with a blank at its edge or a `.` at its end"
    return None


def _require_apart(paths: Iterable[str]) -> None:
    """No two paths are one where case or composition does not count, and none is another's folder.

    Data documents `a/data/x.json` and `b/data/x.json` differ: that they have one name is for the
    compiler's front to tell.
    """
    folded: dict[str, str] = {}
    for path in sorted(paths):
        key = _folded(path)
        if key in folded:
            told = f"`{folded[key]}` and `{path}` are one file where case is ignored"
            raise _path_error(told, "rename one of them")
        folded[key] = path
    for key, path in folded.items():
        for folder in map(str, PurePosixPath(key).parents):
            if folder in folded:
                told = f"`{folded[folder]}` is a file, and the folder of `{path}`"
                raise _path_error(told, "rename one of them")


def _folded(path: str) -> str:
    # The Unicode Standard 3.13, D145: what a canonical caseless match compares.
    once = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFD", once)


def _require_text(path: str, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        told = f"`{path}` is not UTF-8 at byte {error.start}"
        raise BundleError(told, code="bundle_file", help="save it as UTF-8") from None


def _require_sizes(kind: Kind, files: Mapping[str, bytes]) -> None:
    if len(files) > POLICY_FILES_MAX:
        told = f"there are more than {POLICY_FILES_MAX} files of the kind {kind}"
        raise BundleError(told, code="bundle_too_large", help="take out what no rule needs")
    size = 0
    for path, data in sorted(files.items()):
        size = len(data) if kind == "policy" else size + len(data)
        if size > _BYTES_MAX[kind]:
            larger = "is larger than" if kind == "policy" else "makes its kind larger than"
            told = f"`{path}` {larger} {_BYTES_MAX[kind]} bytes"
            raise BundleError(told, code="bundle_too_large", help="split it or shorten it")


def _path_error(message: str, help_: str) -> BundleError:
    return BundleError(message, code="bundle_path", help=help_)
