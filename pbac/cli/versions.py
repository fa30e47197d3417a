"""What the policy commands share: the store of versions, and what names one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from pbac.base.errors import PbacError
from pbac.base.limits import POLICY_NOTE_CHARACTERS_MAX
from pbac.cli.config_option import DEFAULT_CONFIG

if TYPE_CHECKING:
    from pbac.adapters.policy_cache import PolicyCache
    from pbac.adapters.policy_files import Files
    from pbac.adapters.policy_source import PolicySource
    from pbac.adapters.policy_store import PolicyStore
    from pbac.adapters.policy_versions import Act
    from pbac.app.config import Config
    from pbac.pdp.policy_set import PolicySet

IN_FORCE: Final = "in-force"
SOURCE: Final = "source"
_TOLD: Final = {IN_FORCE: "what is in force", SOURCE: "what the folder or bundle holds"}
_COMPLETED_MAX: Final = 20


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
        from pbac.adapters.policy_store import VersionUnknown

        if named == SOURCE:
            return read_source(self.source, {}).files
        if named == IN_FORCE:
            return self.store.files(self.require_head().version)
        if Path(named).exists():
            from pbac.adapters.policy_files import read_files

            return read_files(Path(named))
        try:
            return self.store.files(self.store.require_version(named).version)
        except VersionUnknown as error:
            message = f"`{named}` is neither a version nor a path: {error.message}"
            raise VersionUnknown(message, help=error.help) from None

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


class VersionName(click.ParamType[str]):
    """What names a version; a shell completes it with the acts, newest first, and `words`."""

    name = "VERSION"

    def __init__(self, *words: str) -> None:
        self._words = words

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that begin so; none where there is no store."""
        from pbac.adapters.policy_versions import short

        config = ctx.params.get("config") or DEFAULT_CONFIG
        try:
            with open_versions(config) as versions:
                acts = versions.store.acts(_COMPLETED_MAX)
        except PbacError:
            return []
        names = [(str(act.number), f"{short(act.version)} {act.note}".strip()) for act in acts]
        names += [(word, _TOLD[word]) for word in self._words]
        return [CompletionItem(n, help=told) for n, told in names if n.startswith(incomplete)]


class _Note(click.ParamType[str]):
    """A line of text that goes into the record."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Within its bound, and a text."""
        text = str(value)
        if len(text) > POLICY_NOTE_CHARACTERS_MAX:
            self.fail(f"a note has at most {POLICY_NOTE_CHARACTERS_MAX} characters", param, ctx)
        if not text.isprintable():  # half characters of a terminal in another encoding, too
            self.fail("a note is one line of characters that can be shown", param, ctx)
        return text


NOTE: Final = _Note()


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
