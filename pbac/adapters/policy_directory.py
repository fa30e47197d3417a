"""A folder of policies: `**/*.pbac`, `data/*.json`, `tools/*.json`; all or nothing, and watched.

Which files those are is told by `policy_listing`. A document `data/orgs.json` is `data.orgs`, and
belongs to the packages whose files lie beside that `data` folder. Links that lead out of the folder
are refused: whoever can write a link must not choose what the gateway reads.

Watching. The system's notifications make a change act at once, but they get lost: on network file
systems, when the folder itself is replaced, when a link is swapped. So the folder is also
compared with what was read, every `WATCH_SECONDS`. A file that is still being written may parse,
and mean something else: nothing is read before two looks in a row have seen the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from watchfiles import awatch

from pbac.adapters.policy_folders import several_sets
from pbac.adapters.policy_listing import irregular, is_policy, listed
from pbac.adapters.vocabulary_files import decode_vocabularies
from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import POLICY_DATA_BYTES_MAX, POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX
from pbac.base.source import Source, Span
from pbac.pdp.administration import Publication, prepare, refused

WATCH_SECONDS: Final = 1.0
WATCH_DEBOUNCE_MS: Final = 50
WATCH_STEP_MS: Final = 5
SETTLE_SECONDS: Final = 0.03
SETTLE_LOOKS_MAX: Final = 30

_Print: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, modification time, size and inode of every file that would be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """What a folder holds: the sources, the data documents by name, and the file of each."""

    sources: list[Source]
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def load_policies(
    folder: Path, previous: Publication | None = None, *, sealed: Collection[str] = ()
) -> Publication:
    """Read, compile and test a folder (or one file). Mistakes are in the answer, not raised.

    `sealed`: packages without which the set must not be published.
    """
    try:
        files = read_policies(folder)
        tools = read_tools(folder)
    except PolicyError as error:
        return refused(error.diagnostics)
    return prepare(
        files.sources,
        files.data,
        places=files.places,
        tools=tools,
        sealed=sealed,
        previous=previous,
    )


def read_policies(folder: Path) -> PolicyFiles:
    """The sources and data documents of a folder; of one file, that file and what is beside it.

    Raises:
        PolicyError: when something in it cannot be read, there is nothing to read, or it holds
            several policy sets.
    """
    root = _real(folder)
    if not root.is_dir():
        if not root.exists():
            raise _missing(folder)
        data, places = _data(root.parent, deep=False)
        return PolicyFiles(sources=[_source(root.parent, root)], data=data, places=places)
    if several := several_sets(folder):
        raise several
    files = _files(root, "*.pbac")
    sources = [_source(root, path) for path in files if is_policy(path)]
    if not sources:
        raise _error(
            "no-policies",
            str(folder),
            f"there is no `.pbac` file in `{folder}`",
            "without policies nothing would be permitted: `pbac init` writes a first one",
        )
    data, places = _data(root)
    return PolicyFiles(sources=sources, data=data, places=places)


def read_tools(folder: Path) -> dict[str, Any]:
    """The vocabulary files of a folder by name; for one file, those that stand beside it.

    Raises:
        PolicyError: when one cannot be read. What is in them is for the compiler to judge.
    """
    root = _real(folder)
    deep = root.is_dir()
    found = _documents(root if deep else root.parent, "tools/*.json", deep=deep)
    documents = ((name, data) for name, _, data in found)
    return decode_vocabularies(documents)


# --- watching --------------------------------------------------------------------------------


async def watch_policies(
    folder: Path,
    first: Publication | None = None,
    *,
    sealed: Collection[str] = (),
    keep_sealed: bool = True,
) -> AsyncIterator[Publication]:
    """A publication for every change of the folder that is not the one before.

    Compiling runs in a thread: requests go on meanwhile. Never ends by itself.

    Args:
        folder: what is watched.
        first: what is in force when watching begins.
        sealed: packages without which no set may be published.
        keep_sealed: and none without the sealed packages of the set in force.
    """
    latest, warm = first, first
    required = frozenset(sealed) | (_sealed(first) if keep_sealed else frozenset())
    seen: _Print | None = None
    async with aclosing(_ticks(folder)) as ticks:
        async for _ in ticks:
            now = await asyncio.to_thread(_print, folder)
            if now == seen:
                continue
            seen = await _settled(folder, now)
            publication = await asyncio.to_thread(_load, folder, warm, required)
            if publication.compilation is not None:
                warm = publication
            if keep_sealed:
                required |= _sealed(publication)
            if latest is None or _differs(publication, latest):
                yield publication
            latest = publication


async def _ticks(folder: Path) -> AsyncGenerator[None]:
    """Whenever something may have changed, at the latest every `WATCH_SECONDS`."""
    while True:
        yield
        changes = awatch(
            folder,
            debounce=WATCH_DEBOUNCE_MS,
            step=WATCH_STEP_MS,
            rust_timeout=int(WATCH_SECONDS * 1000),
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        try:
            async with aclosing(changes):
                async for _ in changes:
                    yield
        except OSError:  # there is no folder, or no more watches to be had
            await asyncio.sleep(WATCH_SECONDS)


async def _settled(folder: Path, seen: _Print) -> _Print:
    """What the folder looks like once nobody is writing in it, or after `SETTLE_LOOKS_MAX`."""
    for _ in range(SETTLE_LOOKS_MAX):
        await asyncio.sleep(SETTLE_SECONDS)
        now = await asyncio.to_thread(_print, folder)
        if now == seen:
            break
        seen = now
    return seen


def _sealed(publication: Publication | None) -> frozenset[str]:
    """The sealed packages of a set that may be published."""
    policy_set = publication.policy_set if publication else None
    return policy_set.sealed if policy_set else frozenset()


def _load(folder: Path, previous: Publication | None, sealed: Collection[str]) -> Publication:
    """Whatever happens, the old set serves on and the folder is watched on."""
    try:
        return load_policies(folder, previous, sealed=sealed)
    except Exception as fault:  # noqa: BLE001 - told as a publication that failed
        told = f"{type(fault).__name__}: {fault}"
        message = f"a defect of this program, not of the policies: `{told}`"
        return refused([_error("compiler-fault", str(folder), message).diagnostics[0]])


def _print(folder: Path) -> _Print:
    """Never raises: what cannot be looked at is left out, and told when it is read."""
    root = _real(folder)
    found = []
    try:
        for path in _watched(root):
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    except OSError:
        found.append((str(folder), -1, -1, -1))
    return tuple(found)


def _watched(root: Path) -> list[Path]:
    if root.is_file():
        folders = ("data", "tools")
        beside = (listed(root.parent, f"{folder}/*.json", POLICY_FILES_MAX, deep=False)
                  for folder in folders)  # fmt: skip
        return [root, *(path for found in beside for path in found)]
    return [
        *listed(root, "*.pbac", POLICY_FILES_MAX),
        *listed(root, "*.json", POLICY_FILES_MAX),
    ]


def _differs(publication: Publication, latest: Publication) -> bool:
    if publication.policy_set is None or latest.policy_set is None:
        return publication.problems() != latest.problems()
    return publication.policy_set.version != latest.policy_set.version


# --- reading ---------------------------------------------------------------------------------


def _missing(folder: Path) -> PolicyError:
    what = "file" if folder.suffix == ".pbac" else "folder"
    help_ = "create it, or name it in `policies`" if what == "folder" else None
    return _error("no-policies", str(folder), f"there is no {what} `{folder}`", help_)


def _files(root: Path, pattern: str, *, deep: bool = True) -> Iterator[Path]:
    try:
        found = listed(root, pattern, POLICY_FILES_MAX, deep=deep)
    except OSError as error:  # a folder vanished while it was listed
        reason = (error.strerror or "unreadable").lower()
        raise _error("unreadable", str(root), f"`{root}` cannot be listed: {reason}") from None
    if len(found) > POLICY_FILES_MAX:
        raise _error(
            "too-many-files", str(root), f"more than {POLICY_FILES_MAX} files match `{pattern}`"
        )
    for path in found:
        name = path.relative_to(root).as_posix()
        # A file may have any bytes for a name, but diagnostics and digests are made of texts.
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        if shown != name:
            raise _error("not-utf-8", shown, f"the name `{shown}` is not UTF-8", "rename the file")
        if not _real(path).is_relative_to(root):
            help_ = "copy the file into the folder"
            raise _error("outside-folder", name, f"`{name}` leads out of the policy folder", help_)
        yield path


def _real(path: Path) -> Path:
    """Links followed as far as they lead; unlike `Path.resolve` never raises, not for circles."""
    return Path(os.path.realpath(path))


def _source(root: Path, path: Path) -> Source:
    name = path.relative_to(root).as_posix()
    data = _bytes(path, name, POLICY_FILE_BYTES_MAX)
    try:
        # Some editors begin a file with a byte order mark; it is not part of the text.
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _error(
            "not-utf-8", name, f"`{name}` is not UTF-8 at byte {error.start}", "save it as UTF-8"
        ) from None


def _data(root: Path, *, deep: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents by name, and the file of each."""
    documents: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, path, data in _documents(root, "data/*.json", deep=deep):
        if path.stem in documents:
            also = places[path.stem]
            message = f"two documents are named `{path.stem}`: `{also}` and `{name}`"
            raise _error("duplicate-data", name, message, "rename one of them")
        places[path.stem] = name
        try:
            documents[path.stem] = json.decode(data)
        except json.JsonError as error:
            raise _error("bad-data", name, f"`{name}`: {error.message}", error.help) from None
    return documents, places


def _documents(root: Path, pattern: str, *, deep: bool = True) -> Iterator[tuple[str, Path, bytes]]:
    """Name, path and content of every JSON file that matches, bounded together."""
    size = 0
    for path in _files(root, pattern, deep=deep):
        name = path.relative_to(root).as_posix()
        data = _bytes(path, name, POLICY_DATA_BYTES_MAX)
        size += len(data)
        if size > POLICY_DATA_BYTES_MAX:
            message = f"`{pattern}` are larger than {POLICY_DATA_BYTES_MAX} bytes together"
            raise _error("too-large", name, message)
        yield name, path, data


def _bytes(path: Path, name: str, bytes_max: int) -> bytes:
    try:
        if kind := irregular(path):
            raise _error("unreadable", name, f"`{name}` is no regular file but {kind}")
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise _error("unreadable", name, f"`{name}` cannot be read: {reason}") from None
    if len(data) > bytes_max:
        raise _error("too-large", name, f"`{name}` is larger than {bytes_max} bytes")
    return data


def _error(code: str, path: str, message: str, help_text: str | None = None) -> PolicyError:
    span = Span(path, 0, 0, 1, 1)
    return PolicyError([Diagnostic(code=code, message=message, span=span, help=help_text)])
