"""Versions of policies, and what happens to them: values that the store keeps."""

from __future__ import annotations

import getpass
import os
from typing import Literal, TypeAlias

import msgspec

from pbac.adapters.policy_source import Bundled

Kind: TypeAlias = Literal["source", "publish", "rollback"]


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a version."""

    name: str
    digest: str
    sealed: bool
    rules: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One policy set version, without its files.

    Attributes:
        content: digest of the files alone; unlike `version` it outlives an upgrade.
        program: the version of PBAC that made it.
        bundled: the signed bundle they came in.
    """

    version: str
    content: str
    program: str
    packages: tuple[Package, ...]
    bundled: Bundled | None = None

    @property
    def rules(self) -> int:
        """How many rules it has."""
        return sum(package.rules for package in self.packages)

    @property
    def sealed(self) -> frozenset[str]:
        """The names of its sealed packages."""
        return frozenset(package.name for package in self.packages if package.sealed)


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what is in force.

    Attributes:
        number: from 1; 0 before it is stored.
        kind: `source`, the configured folder or bundle has changed; `publish` or `rollback`, a
            command.
        previous: the version it followed, "" for the first.
        source: digest of the files that the source held then (`policy_contents.content_of`), ""
            when it could not be read: it acts when it holds others.
        actor: the system's name for who did it.
    """

    number: int = 0
    kind: Kind
    version: str
    previous: str = ""
    source: str = ""
    actor: str = ""
    note: str = ""
    at_ms: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that a command refused; told to the record by the gateway."""

    number: int = 0
    kind: Kind
    actor: str
    problems: tuple[str, ...]
    at_ms: int


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway decides by; `act` is the one it has carried out last."""

    version: str
    act: int
    process: int
    since_ms: int


def short(version: str) -> str:
    """As much of a version as people compare."""
    return version.removeprefix("sha256:")[:12] or "none"


def actor() -> str:
    """The system's name for whoever runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return str(os.getuid())
