"""A place of a gateway's policies, and the part of a gateway that keeps up with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pbac.adapters.policy_build import Builder, Built
from pbac.adapters.policy_cache import FOLDER, open_policy_cache
from pbac.adapters.policy_compiler import Order
from pbac.adapters.policy_contents import content_of
from pbac.adapters.policy_files import read_files
from pbac.adapters.policy_store import PolicyStore, open_policy_store
from pbac.adapters.policy_versions import Act
from pbac.app.config import Config, parse_config
from pbac.app.policies import (
    Policies,
    keep_up_with_commands,
    keep_up_with_source,
    open_policies,
)
from pbac.audit.record import PolicyRecord
from pbac.base.clock import SystemClock
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet

SECONDS_MAX = 10.0


def policy(*tools: str, package: str = "good", sealed: bool = False, more: str = "") -> str:
    """A package that permits these tools of `git`, and nothing else."""
    word = "sealed package" if sealed else "package"
    return f"{word} {package} on server git\n\npermit read\n  on tool {', '.join(tools)}\n{more}"


def permits(policy_set: PolicySet, tool: str, **args: object) -> bool:
    """Whether an agent may call this tool of `git`."""
    call = {"method": "tools/call", "tool": tool, "server": "git"}
    return decide(policy_set, DecisionRequest(agent={"id": "a"}, call=call, args=args)).permitted


@dataclass(frozen=True)
class Home:
    """A directory with `policies` and `state`, as a gateway has it."""

    directory: Path
    settings: str = ""

    @property
    def folder(self) -> Path:
        return self.directory / "policies"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def compiled(self) -> Path:
        return self.state / FOLDER

    @property
    def config(self) -> Config:
        return parse_config(self.settings, directory=str(self.directory))

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the policy folder, each as a whole."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def store(self) -> PolicyStore:
        """The store, opened once more: as a command does."""
        return open_policy_store(self.state)

    def build(self, files: Mapping[str, str], **how: object) -> Built:
        """What a command makes of files."""
        store = self.store()
        try:
            data = {name: text.encode() for name, text in files.items()}
            return Builder(store, open_policy_cache(self.state)).build(data, **how)
        finally:
            store.close()

    def command(self, what: str | Mapping[str, str], kind: str = "publish", **how: object) -> Act:
        """Act as a command does: on a version that is kept, or on files, which are built first."""
        if not isinstance(what, str):
            built = self.build(what)
            assert built.version is not None, built.text
            what = built.version.version
        store = self.store()
        try:
            source = content_of(read_files(self.folder))
            act = Act(kind=kind, version=what, source=source, actor="somebody", note="why", at_ms=1)
            return store.publish(act, **how)
        finally:
            store.close()

    def acts(self) -> list[Act]:
        """Every act, oldest first."""
        store = self.store()
        try:
            return store.acts(1_000)[::-1]
        finally:
            store.close()


@dataclass
class KeepingUp:
    """What of a gateway decides by policies.

    `put` and `told` are what was put in force and recorded, in order; `asked` and `built` what the
    compiler was asked and answered. While `recording` is not set, nothing can be recorded.
    """

    policies: Policies
    put: list[PolicySet]
    told: list[PolicyRecord] = field(default_factory=list)
    asked: list[Order] = field(default_factory=list)
    built: list[Built] = field(default_factory=list)
    recording: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def current(self) -> PolicySet:
        """What is in force."""
        return self.put[-1]

    @property
    def published(self) -> list[PolicyRecord]:
        return [record for record in self.told if record.event == "published"]

    @property
    def refused(self) -> list[PolicyRecord]:
        return [record for record in self.told if record.event == "refused"]

    async def tell(self, record: PolicyRecord) -> None:
        await self.recording.wait()
        self.told.append(record)

    async def build(self, order: Order) -> Built:
        self.asked.append(order)
        self.built.append(await type(self.policies.compiler).build(self.policies.compiler, order))
        return self.built[-1]

    async def until(self, look: Callable[[], object], seconds: float = SECONDS_MAX) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, self.told
            await asyncio.sleep(0.01)

    async def at_rest(self) -> None:
        """Wait until the source has been looked at once, as every gateway does at its start."""
        await self.until(lambda: self.built and not self.policies.turn.locked())


@asynccontextmanager
async def opened(home: Home):
    """The policies of a gateway that starts, not kept up with anything yet."""
    policies, policy_set = await open_policies(home.config, SystemClock())
    found = KeepingUp(policies, [policy_set])
    found.recording.set()
    policies.compiler.build = found.build
    try:
        yield found
    finally:
        await policies.close()


@asynccontextmanager
async def keeping_up(home: Home, *, source: bool = True, commands: bool = True):
    """The same, kept up with its source and with commands; neither may end by itself."""
    async with opened(home) as found:
        work = []
        if source:
            work.append(keep_up_with_source(found.policies, found.put.append, found.tell))
        if commands:
            work.append(keep_up_with_commands(found.policies, found.put.append, found.tell))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            if source:
                await found.at_rest()
            yield found
            assert not any(task.done() for task in tasks), "it keeps up no more"
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for each in ended:
                if not isinstance(each, asyncio.CancelledError):
                    raise each
