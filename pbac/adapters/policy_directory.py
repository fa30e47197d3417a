"""A folder of policies: `**/*.pbac` and `data/*.json`, read whole or not at all, and watched.

Files named `*_bad.pbac` show mistakes and are left out. A document `data/orgs.json` is `data.orgs`.
Links that lead out of the folder are refused: whoever can write a link must not choose what the
gateway reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from watchfiles import awatch

from pbac.base import json
from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import POLICY_DATA_BYTES_MAX, POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX
from pbac.base.source import Source, Span
from pbac.pdp.administration import Publication, prepare, refused

WATCH_DEBOUNCE_MS: Final = 50
WATCH_STEP_MS: Final = 5


class _Unreadable(Exception):  # noqa: N818 - carries what is to be told, never leaves this file
    def __init__(self, code: str, path: str, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(
            code=code, message=message, span=Span(path, 0, 0, 1, 1), help=help_text
        )


def load_policies(folder: Path, previous: Publication | None = None) -> Publication:
    """Read, compile and test a folder (or one file). Mistakes are in the answer, not raised."""
    try:
        sources, data = _read(folder)
    except _Unreadable as error:
        return refused([error.diagnostic])
    return prepare(sources, data, previous=previous)


async def watch_policies(
    folder: Path, first: Publication | None = None
) -> AsyncIterator[Publication]:
    """A publication for every change of the folder that is not the one before.

    Compiling runs in a thread: requests go on meanwhile.
    """
    latest = first
    changes = awatch(
        folder, debounce=WATCH_DEBOUNCE_MS, step=WATCH_STEP_MS, ignore_permission_denied=True
    )
    async for _ in changes:
        publication = await asyncio.to_thread(load_policies, folder, latest)
        if latest is None or _differs(publication, latest):
            yield publication
        latest = publication


def _differs(publication: Publication, latest: Publication) -> bool:
    if publication.policy_set is None or latest.policy_set is None:
        return publication.problems() != latest.problems()
    return publication.policy_set.version != latest.policy_set.version


def _read(folder: Path) -> tuple[list[Source], dict[str, Any]]:
    root = folder.resolve()
    if root.is_file():
        return [_source(root.parent, root)], {}
    if not root.is_dir():
        raise _Unreadable(
            "no-policies",
            str(folder),
            f"there is no folder `{folder}`",
            "create it, or name it in `policies`",
        )
    files = list(_files(root, "*.pbac"))
    sources = [_source(root, path) for path in files if not path.stem.endswith("_bad")]
    if not sources:
        raise _Unreadable(
            "no-policies",
            str(folder),
            f"there is no `.pbac` file in `{folder}`",
            "without policies nothing would be permitted: `pbac init` writes a first one",
        )
    return sources, _data(root)


def _files(root: Path, pattern: str) -> Iterator[Path]:
    found = sorted(path for path in root.rglob(pattern) if path.is_file() or path.is_symlink())
    if len(found) > POLICY_FILES_MAX:
        raise _Unreadable(
            "too-many-files", str(root), f"more than {POLICY_FILES_MAX} files match `{pattern}`"
        )
    for path in found:
        if not path.resolve().is_relative_to(root):
            name = str(path.relative_to(root))
            raise _Unreadable("outside-folder", name, f"`{name}` leads out of the policy folder")
        yield path


def _source(root: Path, path: Path) -> Source:
    name = str(path.relative_to(root))
    data = _bytes(path, name, POLICY_FILE_BYTES_MAX)
    try:
        return Source(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Unreadable(
            "not-utf-8", name, f"`{name}` is not UTF-8 at byte {error.start}", "save it as UTF-8"
        ) from None


def _data(root: Path) -> dict[str, Any]:
    documents: dict[str, Any] = {}
    size = 0
    for path in _files(root, "data/*.json"):
        name = str(path.relative_to(root))
        data = _bytes(path, name, POLICY_DATA_BYTES_MAX - size)
        size += len(data)
        if path.stem in documents:
            raise _Unreadable("duplicate-data", name, f"two documents are named `{path.stem}`")
        try:
            documents[path.stem] = json.decode(data)
        except json.JsonError as error:
            raise _Unreadable("bad-data", name, f"`{name}`: {error.message}", error.help) from None
    return documents


def _bytes(path: Path, name: str, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise _Unreadable("unreadable", name, f"`{name}` cannot be read: {reason}") from None
    if len(data) > bytes_max:
        raise _Unreadable("too-large", name, f"`{name}` is larger than {bytes_max} bytes")
    return data
