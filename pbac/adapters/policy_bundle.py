"""Policy bundles on disk: the files of a folder collected, and a bundle read, written and loaded.

Whoever signs has to sign what was tested. So a folder is read once, into bytes, and those are
compiled, tested and signed; nothing is read a second time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pbac.adapters.policy_folders import several_sets
from pbac.adapters.policy_listing import irregular, listed
from pbac.adapters.vocabulary_files import decode_vocabularies
from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import BUNDLE_BYTES_MAX, POLICY_DATA_BYTES_MAX, POLICY_FILES_MAX
from pbac.base.source import Source, Span
from pbac.crypto.keys import PublicKey
from pbac.pdp.administration import Publication, prepare, refused
from pbac.pdp.bundle import Bundle, parse_bundle
from pbac.pdp.bundle_files import BundleError, kind_of

_PATTERNS: Final = ("*.pbac", "data/*.json", "tools/*.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrees:
    """The files of a policy set, read: what `prepare` takes.

    Attributes:
        sources: the policies.
        data: the documents by name.
        places: the file of each document.
        tools: the vocabularies by file name.
    """

    sources: tuple[Source, ...]
    data: Mapping[str, Any]
    places: Mapping[str, str]
    tools: Mapping[str, Any]


# --- what is in a bundle ---------------------------------------------------------------------


def read_files(files: Mapping[str, bytes]) -> PolicyTrees:
    """The sources and documents in the files of a bundle, as a folder of them would be read.

    Raises:
        PolicyError: for the first that cannot be read, and for two documents of one name.
    """
    of_kind: dict[str, list[str]] = {"policy": [], "data": [], "tools": []}
    for path in sorted(files, key=lambda path: PurePosixPath(path).parts):
        if kind := kind_of(path):
            of_kind[kind].append(path)
    data, places = _documents(of_kind["data"], files)
    return PolicyTrees(
        sources=tuple(_source(path, files[path]) for path in of_kind["policy"]),
        data=data,
        places=places,
        tools=decode_vocabularies((path, files[path]) for path in of_kind["tools"]),
    )


def prepare_files(
    files: Mapping[str, bytes],
    previous: Publication | None = None,
    *,
    sealed: Collection[str] = (),
) -> Publication:
    """Compile and test the files of a bundle. Mistakes are in the answer, not raised.

    `sealed`: packages without which the set must not be published.
    """
    try:
        trees = read_files(files)
    except PolicyError as error:
        return refused(error.diagnostics)
    return prepare(
        trees.sources,
        trees.data,
        places=trees.places,
        tools=trees.tools,
        sealed=sealed,
        previous=previous,
    )


def _source(path: str, data: bytes) -> Source:
    try:
        # Some editors begin a file with a byte order mark; it is not part of the text.
        return Source(path, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"`{path}` is not UTF-8 at byte {error.start}"
        raise _error("not-utf-8", path, message, "save it as UTF-8") from None


def _documents(
    paths: Iterable[str], files: Mapping[str, bytes]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents by name, and the file of each."""
    documents: dict[str, Any] = {}
    places: dict[str, str] = {}
    for path in paths:
        name = PurePosixPath(path).stem
        if name in documents:
            message = f"two documents are named `{name}`: `{places[name]}` and `{path}`"
            raise _error("duplicate-data", path, message, "rename one of them")
        places[name] = path
        try:
            documents[name] = json.decode(files[path])
        except json.JsonError as error:
            raise _error("bad-data", path, f"`{path}`: {error.message}", error.help) from None
    return documents, places


# --- folders ---------------------------------------------------------------------------------


def collect_files(folder: Path) -> dict[str, bytes]:
    """Path → content of every file that a bundle of this folder holds.

    Raises:
        PolicyError: when one cannot be read or leads out of the folder, when there are too many,
            when there is no policy, and when the folder is several policy sets.
    """
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        raise _error("no-policies", str(folder), f"there is no folder `{folder}`")
    if several := several_sets(folder):
        raise several
    files: dict[str, bytes] = {}
    size = 0
    for path in _paths(root):
        name = path.relative_to(root).as_posix()
        if not kind_of(name):
            continue
        files[name] = _bytes(root, name, path)
        size += len(files[name])
        if size > BUNDLE_BYTES_MAX:
            message = f"the files are larger than {BUNDLE_BYTES_MAX} bytes together"
            raise _error("too-large", name, message, "make several bundles of it")
    if not any(kind_of(name) == "policy" for name in files):
        message = f"there is no `.pbac` file in `{folder}`"
        raise _error("no-policies", str(folder), message, "`pbac init` writes a first one")
    return files


def _paths(root: Path) -> Iterable[Path]:
    for pattern in _PATTERNS:
        try:
            found = listed(root, pattern, POLICY_FILES_MAX)
        except OSError as error:  # a folder vanished while it was listed
            message = f"`{root}` cannot be listed: {_reason(error)}"
            raise _error("unreadable", str(root), message) from None
        if len(found) > POLICY_FILES_MAX:
            message = f"more than {POLICY_FILES_MAX} files match `{pattern}`"
            raise _error("too-many-files", str(root), message)
        yield from found


def _bytes(root: Path, name: str, path: Path) -> bytes:
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    if shown != name:
        raise _error("not-utf-8", shown, f"the name `{shown}` is not UTF-8", "rename the file")
    if not Path(os.path.realpath(path)).is_relative_to(root):
        help_ = "copy the file into the folder"
        raise _error("outside-folder", name, f"`{name}` leads out of the policy folder", help_)
    try:
        if kind := irregular(path):
            raise _error("unreadable", name, f"`{name}` is no regular file but {kind}")
        # The largest that any file may be: what its kind may hold is told by the bundle.
        data = _read(path, POLICY_DATA_BYTES_MAX)
    except OSError as error:
        message = f"`{name}` cannot be read: {_reason(error)}"
        raise _error("unreadable", name, message) from None
    if len(data) > POLICY_DATA_BYTES_MAX:
        message = f"`{name}` is larger than {POLICY_DATA_BYTES_MAX} bytes"
        raise _error("too-large", name, message)
    return data


# --- bundle files ----------------------------------------------------------------------------


def load_bundle(path: Path, keys: Iterable[PublicKey], *, name: str | None = None) -> Bundle:
    """The bundle in a file, verified. `name` as in `parse_bundle`.

    Raises:
        BundleError: with the name of the file; `bundle_file` when it cannot be read.
    """
    try:
        if kind := irregular(path):
            raise BundleError(f"`{path}` is no regular file but {kind}", code="bundle_file")
        data = _read(path, BUNDLE_BYTES_MAX)
    except OSError as error:
        message = f"`{path}` cannot be read: {_reason(error)}"
        raise BundleError(message, code="bundle_file") from None
    try:
        return parse_bundle(data, keys, name=name)
    except BundleError as error:
        message = f"`{path}`: {error.message}"
        raise BundleError(message, code=error.code, help=error.help) from None


def write_bundle(path: Path, data: bytes) -> None:
    """Write a bundle in one step: who reads meanwhile sees the old file or the new one.

    Raises:
        BundleError: `bundle_file` when it cannot be written; what was there is then as it was.
    """
    target = Path(os.path.realpath(path))
    # Hidden, so that nobody who looks for bundles takes it for one.
    made = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        _replace(target, made, data)
    except OSError as error:
        message = f"`{path}` cannot be written: {_reason(error)}"
        raise BundleError(message, code="bundle_file") from None


def _replace(target: Path, made: Path, data: bytes) -> None:
    with made.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            made.replace(target)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


def _read(path: Path, bytes_max: int) -> bytes:
    """At most one byte more than allowed: enough to tell."""
    with path.open("rb") as file:
        return file.read(bytes_max + 1)


def _reason(error: OSError) -> str:
    return (error.strerror or "it failed").lower()


def _error(code: str, path: str, message: str, help_text: str | None = None) -> PolicyError:
    span = Span(path, 0, 0, 1, 1)
    return PolicyError([Diagnostic(code=code, message=message, span=span, help=help_text)])
