"""From files to a version that can be put in force: compiled, tested, kept, and cached.

Runs in the process of a command or in the gateway's compiler (`policy_compiler`), never in the one
that serves. What comes of it is small: the version is in the store, its compiled form in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pbac import __version__
from pbac.adapters.policy_cache import PolicyCache
from pbac.adapters.policy_contents import content_of, publication_of
from pbac.adapters.policy_files import Files
from pbac.adapters.policy_source import Bundled
from pbac.adapters.policy_store import PolicyStore
from pbac.adapters.policy_versions import Package, Version
from pbac.base.diagnostics import PolicyError
from pbac.pdp.administration import Publication, refused
from pbac.pdp.guard import unacknowledged


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        version: None when the files must not be put in force.
        problems: a line for each thing that is wrong, for the record. `text`: the same drawn.
        again: nothing is wrong with the files; something else failed, and may not the next time.
    """

    version: Version | None = None
    problems: tuple[str, ...] = ()
    text: str = ""
    again: bool = False


class Builder:
    """Builds versions, each from what the one before left: a change compiles its package only."""

    def __init__(self, store: PolicyStore, cache: PolicyCache) -> None:
        self._store = store
        self._cache = cache
        self._latest: Publication | None = None

    def build(
        self,
        files: Files,
        *,
        sealed: Sequence[str] = (),
        guarded: bool = True,
        bundled: Bundled | None = None,
    ) -> Built:
        """Compile, test and keep.

        Args:
            files: of the policy set.
            sealed: packages without which the set must not be published.
            guarded: permits of everything have to be acknowledged (`pdp.guard`).
            bundled: the signed bundle that the files came in.

        Raises:
            PolicyStoreError, OSError: when the version cannot be kept.
        """
        publication = publication_of(files, self._latest, sealed=sealed)
        if publication.compilation is not None:
            self._latest = publication
        if publication.policy_set is None or publication.compilation is None:
            return unbuilt(publication)
        if guarded and (wide := unacknowledged(publication.policy_set, publication.compilation)):
            return unbuilt(refused(wide, publication.sources))
        program = publication.policy_set.program
        version = Version(
            version=program.version,
            content=content_of(files),
            program=__version__,
            packages=tuple(
                Package(
                    name=package.name,
                    digest=package.digest,
                    sealed=package.sealed,
                    rules=len(package.rules),
                )
                for package in program.packages
            ),
            bundled=bundled,
        )
        self._cache.put(program)
        self._store.keep(version, files)
        return Built(version=version)


def unbuilt(publication: Publication) -> Built:
    """What is wrong with one that must not be published."""
    return Built(problems=publication.problems(), text=publication.text())


def unreadable(error: PolicyError) -> Built:
    """What is wrong with files that could not even be read."""
    return unbuilt(refused(error.diagnostics))


def defect(where: str, fault: BaseException) -> Built:
    """A mistake of this program, told as one."""
    told = f"{where}: a defect of this program, not of the policies: "
    told += f"`{type(fault).__name__}: {fault}` (compiler-fault)"
    return Built(problems=(told,), text=f"error: {told}\n")
