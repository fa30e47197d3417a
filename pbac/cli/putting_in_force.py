"""What publishing and rolling back share: build, say what changes, act, wait for the gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from pbac.base.clock import SystemClock
from pbac.base.errors import PbacError
from pbac.cli.policy_differences import summary
from pbac.cli.tables import counted
from pbac.cli.versions import Versions

if TYPE_CHECKING:
    from pbac.adapters.policy_build import Built
    from pbac.adapters.policy_source import Found
    from pbac.adapters.policy_versions import Act, Kind, Version

WAIT_SECONDS_MAX: Final = 10.0
WAIT_STEP_SECONDS: Final = 0.02


def put_in_force(
    versions: Versions, found: Found, kind: Kind, note: str, *, expected: str, guarded: bool
) -> None:
    """Compile and test the files, put them in force, and tell when the gateway serves them.

    A refusal is noted for the record of decisions, which only the gateway writes.

    Raises:
        PbacError: for files that are not sound, and when somebody else was first.
    """
    from pbac.adapters.policy_versions import Act, actor, short

    store = versions.store
    version = _build(versions, found, kind, guarded=guarded)
    if version.version == expected == in_force(versions):
        click.echo(f"`{short(version.version)}` is in force already")
        return
    act = Act(
        kind=kind,
        version=version.version,
        source=versions.source_content(),
        actor=actor(),
        note=note,
        at_ms=SystemClock().now_ms(),
    )
    act = store.publish(act, expected=expected)
    if changes := _changes(versions, expected, version.version):
        click.echo(changes)
    told = (
        f"`{short(act.version)}` is published: act {act.number}, {counted(version.rules, 'rule')}"
    )
    click.echo(f"{told}, {_served(versions, act)}")


@contextmanager
def refusals_noted(versions: Versions, kind: Kind) -> Iterator[None]:
    """Whatever keeps a version from coming into force is noted for the record."""
    try:
        yield
    except _UnsoundError:
        raise  # noted, with all that is wrong
    except PbacError as error:
        _refuse(versions, kind, (f"{error.message} ({error.code})",))
        raise


def in_force(versions: Versions) -> str:
    """The version that an act of this command will follow; "" before the first."""
    head = versions.store.head()
    return head.version if head else ""


def _build(versions: Versions, found: Found, kind: Kind, *, guarded: bool) -> Version:
    from pbac.adapters.policy_build import Builder

    built = Builder(versions.store, versions.cache).build(
        found.files, sealed=_sealed(versions), guarded=guarded, bundled=found.bundled
    )
    if built.version is None:
        _refuse(versions, kind, built.problems)
        raise _UnsoundError(built)
    return built.version


class _UnsoundError(PbacError):
    """Policies that are not put in force."""

    code = "policy_refused"

    def __init__(self, built: Built) -> None:
        super().__init__(
            f"the policies are not put in force\n\n{built.text.rstrip()}",
            help="what was in force stays; the attempt is in the record",
        )


def _sealed(versions: Versions) -> tuple[str, ...]:
    from pbac.app.policies import sealed_of

    known = versions.store.find_version(in_force(versions))
    return tuple(sorted(sealed_of(versions.config, known)))


def _refuse(versions: Versions, kind: Kind, problems: tuple[str, ...]) -> None:
    from pbac.adapters.policy_versions import Attempt, actor

    now_ms = SystemClock().now_ms()
    versions.store.refuse(Attempt(kind=kind, actor=actor(), problems=problems, at_ms=now_ms))


def _changes(versions: Versions, before: str, after: str) -> str:
    from pbac.pdp.diff import difference

    old, new = versions.cache.find(before) if before else None, versions.cache.find(after)
    return summary(difference(old, new)) if old and new else ""


def _served(versions: Versions, act: Act) -> str:
    """When the gateway serves it, or why that is not known."""
    store = versions.store
    serving = store.serving()
    if serving is None or not is_alive(serving.process):
        return "and will be served when the gateway starts"
    started = time.monotonic()
    while (taken := time.monotonic() - started) < WAIT_SECONDS_MAX:
        serving = store.serving()
        if serving is not None and serving.act >= act.number:
            return f"served after {taken * 1000:.0f} ms"
        time.sleep(WAIT_STEP_SECONDS)
    return "and not served yet: `pbac policy status` and the gateway's log tell why"


def is_alive(process: int) -> bool:
    """Does a process of this number run?"""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and so there
        return True
    return True
