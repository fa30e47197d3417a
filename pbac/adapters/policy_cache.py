"""Compiled policies on disk, so that a start need not compile: private, authenticated, disposable.

    <set version>.set            tiers, digests of packages and documents
    <package digest>.package     `lang.stored`
    <document digest>.document   one data document

Every file begins with its HMAC-SHA-256 under a key that only this state directory has, over its own
name, the program's version and the form of what is stored: what was changed, cut, renamed, or made
by another program or elsewhere, is not used, and made again from the policies themselves. The whole
folder may be deleted at any time; the key stands beside it, in `compiled.key`.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import tzdata

from pbac import __version__
from pbac.base.collector import collect_afterwards
from pbac.base.limits import POLICY_CACHE_SETS_MAX
from pbac.lang.program import CompiledPackage, Program
from pbac.lang.stored import STORED_FORMAT, StoredError, parse_package, render_package
from pbac.pdp.policy_set import PolicySet

FOLDER: Final = "compiled"
"""Within the state directory."""

_KEY_NAME: Final = "compiled.key"
_KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32
_SETS, _PACKAGES, _DOCUMENTS = ".set", ".package", ".document"

_log = logging.getLogger("pbac.policy_cache")
T = TypeVar("T")


class _Set(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made of; `packages` in order, `documents` by name."""

    version: str
    tiers: tuple[str, ...]
    packages: tuple[str, ...]
    documents: dict[str, str]


_SET: Final = msgspec.msgpack.Decoder(_Set)


class PolicyCache:
    """One folder of compiled policies. Parts of the set it gave last are not read again."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key
        self._latest: tuple[_Set, PolicySet] | None = None
        self._written: set[str] = set()

    def find(self, version: str) -> PolicySet | None:
        """The policy set, without its sources; None when it is not here, or not to be trusted."""
        with collect_afterwards():
            return self._find(version)

    def _find(self, version: str) -> PolicySet | None:
        data = self._read(version, _SETS)
        if data is None:
            return None
        found = _SET.decode(data)
        before, kept = self._latest or (None, None)
        packages = {_name(each.digest): each for each in kept.program.packages} if kept else {}
        documents = (
            {digest: kept.data[name] for name, digest in before.documents.items()}
            if before and kept
            else {}
        )
        try:
            program = Program(
                version=found.version,
                tiers=found.tiers,
                packages=tuple(packages.get(d) or self._package(d) for d in found.packages),
                data={
                    name: documents[digest] if digest in documents else self._document(digest)
                    for name, digest in found.documents.items()
                },
            )
        except _Missing:
            return None
        policy_set = PolicySet(program, previous=kept)
        self._latest = found, policy_set
        return policy_set

    def put(self, program: Program) -> None:
        """Keep a compiled set: what is not kept yet, and the set itself last.

        Raises:
            OSError: when it cannot be written.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for package in program.packages:
            self._write(
                package.digest, _PACKAGES, lambda p=package: render_package(p, program.tiers)
            )
        documents = {}
        for name, document in program.data.items():
            data = msgspec.msgpack.encode(document)
            documents[name] = hashlib.sha256(data).hexdigest()
            self._write(documents[name], _DOCUMENTS, lambda data=data: data)
        whole = _Set(
            version=program.version,
            tiers=program.tiers,
            packages=tuple(_name(package.digest) for package in program.packages),
            documents=documents,
        )
        self._write(program.version, _SETS, lambda: msgspec.msgpack.encode(whole))
        self._prune()

    def doubt(self) -> None:
        """Somebody could not read a set back: look at every file again before it is left alone."""
        self._written.clear()

    # --- files -----------------------------------------------------------------------------

    def _package(self, digest: str) -> CompiledPackage:
        data = self._require(digest, _PACKAGES)
        try:
            return parse_package(data)
        except StoredError as error:  # authentic and unreadable: a defect, not an attack
            _log.warning("%s; it is compiled again", error.message)
            raise _Missing from error

    def _document(self, digest: str) -> Any:
        return msgspec.msgpack.decode(self._require(digest, _DOCUMENTS))

    def _require(self, name: str, kind: str) -> bytes:
        data = self._read(name, kind)
        if data is None:
            raise _Missing
        return data

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{_name(name)}{kind}"

    def _read(self, name: str, kind: str) -> bytes | None:
        path = self._path(name, kind)
        try:
            whole = path.read_bytes()
            mac, data = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(path.name, data)):
                _log.warning("`%s` is not what was written there; it is compiled again", path)
                return None
            os.utime(path)  # what is used stays
        except OSError:  # it is not there, or another process has just removed it
            return None
        return data

    def _write(self, name: str, kind: str, render: Any) -> None:
        path = self._path(name, kind)
        if path.name in self._written or self._read(name, kind) is not None:
            self._written.add(path.name)
            return
        data = render()
        made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with made.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(self._mac(path.name, data) + data)
            made.replace(path)
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    def _mac(self, name: str, data: bytes) -> bytes:
        made_by = f"{__version__}\x00{tzdata.IANA_VERSION}\x00{STORED_FORMAT}"
        about = f"{made_by}\x00{name}\x00".encode()
        return hmac.digest(self._key, about + data, "sha256")

    def _prune(self) -> None:
        """Leave the sets used last, and what they are made of."""
        sets = sorted(self._folder.glob(f"*{_SETS}"), key=_used, reverse=True)
        if len(sets) < 2 * POLICY_CACHE_SETS_MAX:  # many are removed together
            return
        self._written.clear()
        for path in sets[POLICY_CACHE_SETS_MAX:]:
            path.unlink(missing_ok=True)
        wanted: set[str] = set()
        for path in sets[:POLICY_CACHE_SETS_MAX]:
            data = self._read(path.stem, _SETS)
            found = _SET.decode(data) if data is not None else None
            if found is not None:
                wanted |= {f"{digest}{_PACKAGES}" for digest in found.packages}
                wanted |= {f"{digest}{_DOCUMENTS}" for digest in found.documents.values()}
        for kind in (_PACKAGES, _DOCUMENTS):
            _remove(path for path in self._folder.glob(f"*{kind}") if path.name not in wanted)


class _Missing(Exception):  # noqa: N818  # never leaves this module
    """A part of a set is not here, or not to be trusted."""


def open_policy_cache(state_directory: Path) -> PolicyCache:
    """The cache within a state directory, made when there is none.

    Raises:
        OSError: when it cannot be made.
    """
    folder = state_directory / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return PolicyCache(folder, _key(state_directory))


def _key(folder: Path) -> bytes:
    """The one key of all processes: whichever makes it first, with all its bytes at once."""
    path = folder / _KEY_NAME
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    while True:
        with suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
            path.unlink()  # cut by a full disk: nothing that it would vouch for is trusted
        made.touch(0o600, exist_ok=False)
        try:
            made.write_bytes(secrets.token_bytes(_KEY_BYTES))
            with suppress(FileExistsError):
                os.link(made, path)
        finally:
            made.unlink()


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _used(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
