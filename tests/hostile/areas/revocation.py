"""A revoked token is useless from the moment its revocation was acknowledged."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from hostile.doors import post_form, register, statement_claims
from hostile.forge import Forgery, Sound, forge
from hostile.policies import POLICIES
from hostile.stage import VERSIONS
from hostile.trust import RESOURCE_SERVERS, key, kid
from support.bad_input import World, both, eventually

from pbac.adapters.epoch import Epoch
from pbac.adapters.sqlite_state import EPOCH_NAME, FILE_NAME


def revoke(world, client, token):
    """One POST to /revoke by this client."""
    return post_form(world, "/revoke", token=token, client_id=client[0], client_secret=client[1])


def in_flight(stage):
    """Revoke while a call runs: it finishes, and no other begins."""
    world = stage.plain
    *client, token = world.agent("revoked in flight")
    stage.upstream.release.clear()
    answers = []
    calling = threading.Thread(
        target=lambda: answers.append(stage.call("slow", world=world, token=token))
    )
    calling.start()
    eventually(lambda: stage.upstream.calls("slow"), "the call did not arrive")
    assert revoke(world, client, token).status == 200
    assert stage.call("echo", world=world, token=token).status == 401
    stage.upstream.release.set()
    calling.join(20)
    assert b"slow ran" in answers[0].body
    yield answers[0]
    decision = world.decision(answers[0])
    assert world.outcome(decision["decision_id"])["outcome"] == "completed"
    revoked = [r for r in world.gateway.records("token") if r["event"] == "revoked"]
    assert revoked[-1]["agent"]["name"] == "revoked in flight"


def by_another_client(stage):
    """RFC 7009 2.1: a client revokes its own tokens only, and learns nothing of others'."""
    world = stage.plain
    _, _, token = world.agent("victim")
    *foreign, _ = world.agent("foreign")
    yield revoke(world, foreign, token)
    stage.honest("echo", world=world, token=token)


def kill_switches(stage):
    """An agent is suspended: every token it holds is dead on its next call."""
    world = stage.plain
    client_id, _, token = world.agent("switched off")
    stage.honest("echo", world=world, token=token)
    before = time.monotonic()
    world.gateway.pbac("agent", "suspend", client_id, "--config", str(world.gateway.config))
    yield stage.call("echo", world=world, token=token)
    assert time.monotonic() - before < 30


# --- while the store is down ------------------------------------------------------------------------


@contextlib.contextmanager
def moved_away(world, name=FILE_NAME, replacement=b""):
    """A file of the store is gone from its place; with a replacement, another one lies there."""
    path = world.gateway.directory / "state" / name
    aside = path.with_name(f"{name}.aside")
    path.rename(aside)
    try:
        if replacement:
            path.write_bytes(replacement)
        yield
    finally:
        aside.replace(path)


@contextlib.contextmanager
def locked(world):
    """Another process holds the one lock of all writers, and does not let go."""
    path = world.gateway.directory / "state" / FILE_NAME
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def disk_full(world):
    """No room on the disk of the store, while there is on that of the record."""
    filler = world.gateway.directory / "state/filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (65_536, 4_096, 512):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass
        yield
    finally:
        filler.unlink()


def backup(world):
    """The store as it is now: every token in it is alive."""
    path = world.gateway.directory / "state" / FILE_NAME
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        with contextlib.closing(sqlite3.connect(path)) as source:
            source.execute("VACUUM INTO ?", (str(copy),))
        return copy.read_bytes()


def cannot_be_written(stage):
    """Whatever keeps the store from being written, /revoke does not say that it was."""
    world = stage.plain
    *client, token = world.agent("revoked in vain")
    saved = backup(world)
    ways = [moved_away(world, name) for name in (FILE_NAME, f"{FILE_NAME}-wal", EPOCH_NAME)]
    for way in (*ways, moved_away(world, FILE_NAME, saved)):
        *victim, live = world.agent("revoked in vain")
        with way:
            yield revoke(world, victim, live)
            for refused in other_writes(world, victim):
                assert (refused.status, refused.error) == (503, "temporarily_unavailable")
        # 503 says that it may still be alive; the next try says 200 only when it is not.
        assert revoke(world, victim, live).status == 200
        assert stage.call("echo", token=live).status == 401
    yield from while_locked(stage, client, token)
    yield from on_a_full_disk(stage)


def other_writes(world, client):
    """Everything else that would have to be remembered."""
    header = {"alg": "EdDSA", "kid": kid("acme", "EdDSA"), "typ": "software-statement+jwt"}
    sound = Sound(header=header, claims=statement_claims(world), key=key("acme", "EdDSA"))
    yield register(world, forge(sound, Forgery()))
    known = {"client_id": client[0], "client_secret": client[1]}
    yield post_form(world, "/token", grant_type="client_credentials", **known)


def while_locked(stage, client, token):
    """Nothing can be revoked, by the operator neither: so what is alive goes on being so."""
    world, config = stage.plain, str(stage.plain.gateway.config)
    suspended = []
    with locked(world):
        operator = threading.Thread(
            target=lambda: suspended.append(
                world.gateway.pbac("agent", "suspend", client[0], "--config", config, check=False)
            )
        )
        operator.start()
        yield revoke(world, client, token)
        stage.honest("echo", token=token)
        operator.join(20)
    assert suspended[0].returncode == 1, suspended[0].stdout
    assert "Traceback" not in suspended[0].stderr
    stage.honest("echo", token=token)
    assert revoke(world, client, token).status == 200
    assert stage.call("echo", token=token).status == 401


@contextlib.contextmanager
def small_store(stage):
    """A gateway whose store lies on a small disk of its own; None without the right to have one."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        state, audit = Path(folder) / "state", Path(folder) / "state/audit"
        for place, size in ((state, "640k"), (audit, "8m")):
            place.mkdir(mode=0o700)
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
            if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
                yield None
                return
            stack.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
        gateway = stage.serve(
            backends=both(stage.upstream, stage.plain.frail),
            policy=POLICIES,
            edit=lambda text: text.replace('state = "state"', f'state = "{state}"'),
        )
        (gateway.directory / "state").symlink_to(state)
        stack.callback(gateway.stop)
        yield World(gateway, stage.upstream, stage.plain.frail, token="")


def on_a_full_disk(stage):
    with small_store(stage) as world:
        if world is None:
            return
        *client, token = world.agent("on a full disk")
        with disk_full(world):
            yield revoke(world, client, token)
            for refused in other_writes(world, client):
                assert refused.status in (400, 503)  # `acme` is not trusted there
            stage.honest("echo", world=world, token=token)
        assert revoke(world, client, token).status == 200
        assert stage.call("echo", world=world, token=token).status == 401


def cannot_be_read(stage):
    """A token found good before is not, once it cannot be looked up: after one second at most.

    Within that second nothing can have been revoked: `docs/decisions/state_epoch.md`.
    """
    world = stage.plain
    token = world.agent("cached good")[2]
    saved = backup(world)
    for version in VERSIONS:  # sessions are opened before
        stage.honest("echo", version=version, token=token)
    for name, replacement in (
        (FILE_NAME, b""),
        (FILE_NAME, saved),
        (f"{FILE_NAME}-wal", b""),
        (EPOCH_NAME, bytes(8)),
    ):
        stage.honest("echo", token=token)
        with moved_away(world, name, replacement):
            began = time.monotonic()
            while (answer := stage.call("echo", token=token)).status == 200:
                stage.honest_calls += 1
                assert time.monotonic() - began < 1.5, "answered from memory"
                time.sleep(0.05)
            yield answer
            yield from all_refused(stage, token)
        stage.honest("echo", token=token)
    with moved_away(world):  # and at once, when anybody has written anything
        epoch = Epoch(world.gateway.directory / "state" / EPOCH_NAME)
        epoch.advance()
        epoch.close()
        yield stage.call("echo", token=token)
    stage.honest("echo", token=token)
    assert world.send(b"", line="GET /readyz HTTP/1.1").status == 200


def all_refused(stage, token):
    """In every protocol version, for every token, at every door that looks one up."""
    world = stage.plain
    for version in VERSIONS:
        yield stage.call("echo", version=version, token=token)
    yield stage.call("echo", token=world.token)
    yield stage.ask("tools/list", token=token)
    known = {"client_id": "rs1", "client_secret": RESOURCE_SERVERS["rs1"]}
    answer = post_form(world, "/introspect", token=token, **known)
    assert (answer.status, answer.error) == (503, "temporarily_unavailable"), answer.body


ATTACKS = {
    "REV-03": in_flight,
    "REV-05": cannot_be_written,
    "REV-06": cannot_be_read,
    "REV-07": by_another_client,
    "REV-09": kill_switches,
}
