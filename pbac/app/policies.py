"""What a gateway decides by: chosen at the start, then kept up with its source and with commands.

    source changes ──▶ child compiles, tests, keeps ──▶ act ─┐
    a command has published, or rolled back ───────────▶ act ─┴─▶ load ──▶ record ──▶ in force

An act is a row of the store; the last one says what is in force. So a publication is a transaction
and then one assignment: whenever the program dies, the next start finds the old version or the new
one. Every act notes what the source held, which acts when it holds something else: so it does not
undo what a command did because it is looked at again.

Loading reads what the child compiled, in a thread; only then is anything recorded, and only then
assigned. A request keeps the set it began with. Any error leaves the old set serving.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec.structs import replace

from pbac.adapters.policy_build import Built
from pbac.adapters.policy_cache import PolicyCache, open_policy_cache
from pbac.adapters.policy_compiler import Order, PolicyCompiler
from pbac.adapters.policy_contents import content_of
from pbac.adapters.policy_source import PolicySource, read_source
from pbac.adapters.policy_store import PolicyStore, PolicyStoreError, open_policy_store
from pbac.adapters.policy_versions import Act, Serving, Version, short
from pbac.adapters.policy_watch import changes
from pbac.app.config import Config
from pbac.audit.record import PolicyRecord
from pbac.base.clock import Clock
from pbac.base.errors import PbacError
from pbac.base.limits import POLICY_ACTS_MAX
from pbac.pdp.policy_set import PolicySet

POLL_SECONDS: Final = 0.1
"""How often the store is asked whether a command has acted: a cheap question."""

RETRY_SECONDS: Final = 1.0
"""Between two tries to use a store that failed."""

Put: TypeAlias = Callable[[PolicySet], None]
"""Assigns what is in force."""

Change: TypeAlias = Callable[["Policies", "Put", "Tell"], Awaitable[None]]
Tell: TypeAlias = Callable[[PolicyRecord], Awaitable[None]]
"""Returns once the record is durable."""

_log = logging.getLogger("pbac")


@dataclass(slots=True, kw_only=True)
class Policies:
    """The policies of one gateway.

    Attributes:
        act: what is in force. `version`: what is known about it.
        problems: what the source was refused for last, so that it is told once; `waiting`: what
            keeps changes from being tried.
        turn: one change at a time.
    """

    config: Config
    clock: Clock
    store: PolicyStore
    cache: PolicyCache
    compiler: PolicyCompiler
    act: Act
    version: Version | None = None
    problems: tuple[str, ...] = ()
    waiting: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def close(self) -> None:
        """End the compiler and close the store."""
        await self.compiler.close()
        await asyncio.to_thread(self.store.close)


async def open_policies(config: Config, clock: Clock) -> tuple[Policies, PolicySet]:
    """What is in force: by the last act, or the source when that has changed since it acted.

    Raises:
        PbacError: when there is nothing sound to decide by.
    """
    policies = Policies(
        config=config,
        clock=clock,
        store=await asyncio.to_thread(open_policy_store, config.state_directory),
        cache=open_policy_cache(config.state_directory),
        compiler=PolicyCompiler(config.state_directory),
        act=Act(kind="source", version="", at_ms=0),
    )
    try:
        return policies, await _begin(policies)
    except BaseException:
        await policies.close()
        raise


async def _begin(policies: Policies) -> PolicySet:
    head = policies.store.head()
    if head is not None:
        policies.act, policies.version = head, policies.store.find_version(head.version)
    if head is not None and not await asyncio.to_thread(_has_changed, policies, head):
        loaded = await _load(policies, head)
    else:
        built = await policies.compiler.build(_order(policies))
        loaded = await _load(policies, await _act(policies, _require(built, _help(head))))
    policies.act, policies.version, policy_set = loaded
    return policy_set


def _help(head: Act | None) -> str | None:
    if head is None:
        return None
    return (
        f"mend them, or start with what was in force: `pbac policy rollback {head.number}`; "
        "it stays until the source changes"
    )


def _has_changed(policies: Policies, head: Act) -> bool:
    """The source, since the last act? It may be as unreadable as it was then."""
    try:
        found = read_source(source_of(policies.config), policies.store.accepted_bundles())
    except PbacError:
        return head.source != ""
    return head.source != content_of(found.files)


# --- keeping up ------------------------------------------------------------------------------


async def keep_up_with_source(policies: Policies, put: Put, tell: Tell) -> None:
    """Put every sound change of the folder, file or bundle in force, for ever."""
    async with aclosing(changes(policies.config.policy_directory)) as changed:
        async for _ in changed:
            while not await _tried(policies, _source_changed, put, tell):  # noqa: ASYNC110
                await asyncio.sleep(RETRY_SECONDS)


async def _tried(policies: Policies, change: Change, put: Put, tell: Tell) -> bool:
    """Whether it could be done; if not, nothing has changed, and it is tried again."""
    try:
        await change(policies, put, tell)
    except PbacError as error:
        if error.message != policies.waiting:  # once, not every time it is tried
            _log.error("policy changes wait: %s", error)
        policies.waiting = error.message
        return False
    policies.waiting = ""
    return True


async def _source_changed(policies: Policies, put: Put, tell: Tell) -> None:
    """Also at the beginning, which is how the compiler comes to know what is in force.

    Compiling takes no turn: what a command publishes does not wait for it.
    """
    built = await policies.compiler.build(_order(policies))
    async with policies.turn:
        if built.version is None and not built.again:
            if built.problems != policies.problems:
                policies.problems = built.problems
                await _refuse(policies, built.problems, tell, how="source")
                _log.error("the policy change was refused; the old set serves on\n%s", built.text)
            return
        version, policies.problems = _require(built), ()
        head = await asyncio.to_thread(policies.store.head)
        if head is None or head.source != version.content:
            await _act(policies, version)
        await _catch_up(policies, put, tell)


async def keep_up_with_commands(policies: Policies, put: Put, tell: Tell) -> None:
    """Put in force what commands publish, and record what they were refused, for ever."""
    seen = -2
    while True:
        try:
            found = await asyncio.to_thread(policies.store.changes)
        except PolicyStoreError:
            found = -1  # whoever tries to read what has changed tells why that fails
        if found != seen and await _tried(policies, _commanded, put, tell):
            seen = found
        await asyncio.sleep(POLL_SECONDS)


async def _commanded(policies: Policies, put: Put, tell: Tell) -> None:
    async with policies.turn:
        await _record_attempts(policies, tell)
        await _catch_up(policies, put, tell)


async def _catch_up(policies: Policies, put: Put, tell: Tell) -> None:
    """Put the last act in force, whoever's it is, unless it is: also one that had to wait."""
    head = await asyncio.to_thread(policies.store.head)
    if head is not None and head.number > policies.act.number:
        await _put_in_force(policies, head, put, tell)


async def record_missed(policies: Policies, tell: Tell) -> None:
    """Record the acts since the last one that a gateway recorded: nobody listened meanwhile."""
    served = await asyncio.to_thread(policies.store.serving)
    acts = await asyncio.to_thread(policies.store.acts, POLICY_ACTS_MAX)
    for act in reversed(acts):
        if served is None or act.number > served.act:
            version = await asyncio.to_thread(policies.store.find_version, act.version)
            await tell(_published(act, act.previous, version.rules if version else 0))


async def _record_attempts(policies: Policies, tell: Tell) -> None:
    """Recorded first and then forgotten: a crash in between tells one twice, and loses none."""
    while (attempt := await asyncio.to_thread(policies.store.oldest_attempt)) is not None:
        await _refuse(policies, attempt.problems, tell, how=attempt.kind, actor=attempt.actor)
        await asyncio.to_thread(policies.store.forget_attempt, attempt.number)


async def _put_in_force(policies: Policies, act: Act, put: Put, tell: Tell) -> None:
    """Load, record, assign."""
    before = policies.act.version
    try:
        act, version, policy_set = await _load(policies, act)
    except PolicyStoreError:
        raise
    except PbacError as error:
        await _refuse(policies, (error.message,), tell, how=act.kind, actor=act.actor)
        _log.error("version %s cannot be used: %s", short(act.version), error)
        policies.act = await asyncio.to_thread(policies.store.publish, _instead_of(act, policies))
        await say_serving(policies)
        return
    await tell(_published(act, before, policy_set.rule_count))
    put(policy_set)
    policies.act, policies.version = act, version
    await say_serving(policies)
    _log.info("policy set %s is in force", policy_set.version)


def _instead_of(act: Act, policies: Policies) -> Act:
    """What is in force is what is served, also after an act that could not be carried out."""
    return replace(
        policies.act,
        number=0,
        kind="rollback",
        source=act.source,
        actor="",
        note=f"act {act.number} could not be carried out",
        at_ms=policies.clock.now_ms(),
    )


def _published(act: Act, before: str, rules: int) -> PolicyRecord:
    return PolicyRecord(
        event="published",
        policy_version=act.version,
        previous_version=before,
        rules=rules,
        how=act.kind,
        act=act.number,
        actor=act.actor,
        note=act.note,
    )


async def say_serving(policies: Policies) -> None:
    """Tell commands what this gateway decides by."""
    serving = Serving(
        version=policies.act.version,
        act=policies.act.number,
        process=os.getpid(),
        since_ms=policies.clock.now_ms(),
    )
    await asyncio.to_thread(policies.store.serve, serving)


async def _refuse(
    policies: Policies, problems: tuple[str, ...], tell: Tell, *, how: str, actor: str = ""
) -> None:
    await tell(
        PolicyRecord(
            event="refused",
            previous_version=policies.act.version,
            problems=problems,
            how=how,
            actor=actor,
        )
    )


# --- acts and versions -------------------------------------------------------------------------


async def _act(policies: Policies, version: Version) -> Act:
    """The source's act."""
    act = Act(
        kind="source",
        version=version.version,
        source=version.content,
        at_ms=policies.clock.now_ms(),
    )
    return await asyncio.to_thread(policies.store.publish, act)


def _require(built: Built, help_: str | None = None) -> Version:
    """What was built.

    Raises:
        PolicyStoreError: when it may be built the next time. PbacError: when nobody may use it.
    """
    if built.again:
        raise PolicyStoreError("; ".join(built.problems))
    if built.version is None:
        raise PbacError(f"the policies cannot be used\n\n{built.text}", help=help_)
    return built.version


async def _load(policies: Policies, act: Act) -> tuple[Act, Version, PolicySet]:
    """The set that an act puts in force; compiled again when no compiled form of it is left.

    A newer program gives the same files another version (Law 7): then that is another act.

    Raises:
        PbacError: when it can no longer be used, or lacks what has to be sealed.
    """
    policy_set = await asyncio.to_thread(policies.cache.find, act.version)
    version = await asyncio.to_thread(policies.store.find_version, act.version)
    if policy_set is None or version is None:
        order = _order(policies, version=act.version)
        version = _require(await policies.compiler.build(order))
        if version.version != act.version:
            again = replace(act, version=version.version, at_ms=policies.clock.now_ms())
            act = await asyncio.to_thread(policies.store.publish, again)
        policy_set = await asyncio.to_thread(policies.cache.find, act.version)
    missing = sealed_of(policies.config, policies.version) - version.sealed
    if policy_set is None or missing:
        named = ", ".join(f"`{name}`" for name in sorted(missing))
        what = f"it lacks the sealed package {named}" if missing else "it cannot be read back"
        raise PbacError(f"version `{short(act.version)}` is not put in force: {what}")
    return act, version, policy_set


def sealed_of(config: Config, in_force: Version | None) -> frozenset[str]:
    """Packages without which no set comes into force."""
    kept = in_force.sealed if in_force and config.keep_sealed_packages else frozenset()
    return kept.union(config.sealed_packages)


def source_of(config: Config) -> PolicySource:
    """What the configuration names."""
    return PolicySource(
        path=str(config.policy_directory),
        keys=tuple(str(config.path(key)) for key in config.policy_keys),
        bundle=config.policy_bundle,
    )


def _order(policies: Policies, *, version: str = "") -> Order:
    return Order(
        source=None if version else source_of(policies.config),
        version=version,
        sealed=tuple(sorted(sealed_of(policies.config, policies.version))),
        known=policies.act.source if policies.act.number and not version else None,
    )
