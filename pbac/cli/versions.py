"""What the policy commands share: the store of versions, and what names one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pbac.base.errors import PbacError

if TYPE_CHECKING:
    from pbac.adapters.policy_cache import PolicyCache
    from pbac.adapters.policy_files import Files
    from pbac.adapters.policy_source import PolicySource
    from pbac.adapters.policy_store import Act, PolicyStore
    from pbac.app.config import Config
    from pbac.pdp.policy_set import PolicySet

IN_FORCE = "in-force"
SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The versions of one gateway."""

    config: Config
    store: PolicyStore
    cache: PolicyCache

    @property
    def source(self) -> PolicySource:
        """What the configuration names."""
        from pbac.app.policies import source_of

        return source_of(self.config)

    def require_head(self) -> Act:
        """The act that is in force. Raises `PbacError` before the first."""
        head = self.store.head()
        if head is None:
            help_ = "start the gateway, or `pbac policy publish`"
            raise PbacError("no version was ever in force here", help=help_)
        return head

    def files_of(self, named: str) -> Files:
        """The files of `in-force`, `source`, a version, an act's number, or a path.

        Raises:
            PbacError: when it names nothing, or cannot be read.
        """
        from pbac.adapters.policy_source import read_source

        if named == SOURCE:
            return read_source(self.source, {}).files
        if named == IN_FORCE:
            return self.store.files(self.require_head().version)
        if Path(named).exists():
            from pbac.adapters.policy_files import read_files

            return read_files(Path(named))
        return self.store.files(self.store.require_version(named).version)

    def source_content(self) -> str:
        """The digest of what the source holds, "" when it cannot be read."""
        from pbac.adapters.policy_contents import content_of
        from pbac.adapters.policy_source import read_source

        try:
            return content_of(read_source(self.source, {}).files)
        except PbacError:
            return ""

    def policy_set_of(self, files: Files) -> PolicySet:
        """Compiled, whether or not its tests pass. Raises `PolicyError` for mistakes."""
        from pbac.adapters.policy_contents import publication_of
        from pbac.pdp.policy_set import policy_set_of

        publication = publication_of(files)
        found = policy_set_of(publication.compilation) if publication.compilation else None
        return found or publication.require()


@contextmanager
def open_versions(config_file: Path) -> Iterator[Versions]:
    """The store and cache of a gateway, whether or not it runs.

    Raises:
        PbacError: when they cannot be opened.
    """
    from pbac.adapters.policy_cache import open_policy_cache
    from pbac.adapters.policy_store import open_policy_store
    from pbac.app.config import load_config

    config = load_config(config_file)
    store = open_policy_store(config.state_directory)
    try:
        cache = open_policy_cache(config.state_directory)
        yield Versions(config=config, store=store, cache=cache)
    finally:
        store.close()


def moment(milliseconds: int) -> str:
    """As people read it, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
