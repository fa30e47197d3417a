"""Locks, hung disks, starts, stops and other versions: refused or finished, never skipped."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile.faults import faulty
from hostile.lines import Line, at_once
from support.bad_input import eventually

from pbac.adapters.sqlite_migrations import MIGRATIONS, migrate
from pbac.adapters.sqlite_state import FILE_NAME, open_state
from pbac.oauth.access_token import hash_access_token
from pbac.oauth.storage import StorageError

# --- CON-08: locks ------------------------------------------------------------------------------


def locks(stage):
    """A locked state refuses writes and lets calls go on, a hung log refuses calls."""
    with faulty(stage) as (world, faults):
        heard = len(stage.upstream.calls())
        assert stage.call("echo", world=world).status == 200
        with _locked_state(world) as writing:
            yield from _hung_log(stage, world, faults)
            refused = writing()
        assert (refused.status, refused.error) == (503, "temporarily_unavailable")
        assert refused.headers["retry-after"] == "1"
        world.agent("afterwards")
        _slow_log(stage, world, faults)
        permits = [r for r in world.gateway.records("decision") if r["effect"] == "permit"]
        forwarded = len(stage.upstream.calls()) - heard
        stage.honest_calls += forwarded
        assert len(permits) >= forwarded
        assert world.gateway.stop() == 0
        counts = Counter()
        for row in world.gateway.records("refusals"):
            counts.update(row["counts"])
        assert counts["audit_unavailable"] >= 5
        assert counts["storage_unavailable"] >= 1


@contextlib.contextmanager
def _locked_state(world):
    """A long writer and a long reader hold the state; yields what a write is answered meanwhile."""
    path = world.gateway.directory / "state" / FILE_NAME
    client = world.gateway.register("developer", "locked out")
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM clients").fetchone()
        writer.execute("BEGIN IMMEDIATE")
        recorded = len(world.gateway.records("token"))
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(_token_answer, world, client)
            # A token is recorded before it is stored: from here on it is the state that it awaits.
            eventually(
                lambda: len(world.gateway.records("token")) > recorded, "it was not recorded"
            )
            yield writing.result
            writer.execute("ROLLBACK")


def _token_answer(world, client):
    body = (
        f"grant_type=client_credentials&client_id={client['client_id']}"
        f"&client_secret={client['client_secret']}"
    ).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    return world.send(body, line="POST /token HTTP/1.1", replace=form)


def _hung_log(stage, world, faults):
    """No sync returns: within five seconds 503, then at once, and the upstream hears nothing."""
    assert stage.call("load1", world=world).status == 200, "the state is locked, and calls go on"
    faults.begin("hang")
    before, started = len(stage.upstream.calls()), time.monotonic()
    yield from at_once([lambda: stage.call("load2", world=world) for _ in range(4)])
    assert 4 < time.monotonic() - started < 10
    for _ in range(3):
        started = time.monotonic()
        answer = stage.call("load2", world=world)
        assert answer.headers["retry-after"] == "1"
        yield answer
        assert time.monotonic() - started < 4, "not the whole deadline once more"
    assert len(stage.upstream.calls()) == before, "nothing is forwarded without its record"
    assert world.send(b"", line="GET /readyz HTTP/1.1").status == 503
    faults.end("hang")
    eventually(lambda: stage.call("load3", world=world).status == 200, "it did not recover")


def _slow_log(stage, world, faults):
    """Each sync takes a while: everyone waits, together, and everyone is answered."""
    faults.begin("slow", 0.25)
    started = time.monotonic()
    answers = at_once([lambda: stage.call("load4", world=world) for _ in range(20)])
    assert {answer.status for answer in answers} == {200}
    assert 0.25 <= time.monotonic() - started < 20 * 0.25, "they shared syncs"
    faults.end("slow")


# --- CON-09: before the first request and after the last ----------------------------------------


def starts_and_stops(stage):
    """Nothing listens before everything is sound, nor once a stop began; what runs is finished."""
    with faulty(stage) as (world, _):
        before = len(stage.upstream.calls())
        _stops(stage, world)
        _does_not_start_unsound(world)
        told = _hammered(world, world.gateway.start)
        assert set(told) <= {200, "refused"}, told
        assert told["refused"], "it was asked before it was ready"
        eventually(lambda: stage.call("echo", world=world).status == 200, "it does not serve")
        stage.honest_calls += len(stage.upstream.calls()) - before
        permits = [r for r in world.gateway.records("decision") if r["effect"] == "permit"]
        assert len(permits) >= len(stage.upstream.calls()) - before


def _stops(stage, world):
    stage.upstream.release.clear()
    slow = len(stage.upstream.calls("slow"))
    held, idle = Line(world), Line(world)
    held.send(
        held.request("shop__slow", token=world.token),
        held.request("shop__load5", token=world.token, request_id=2),
    )
    assert idle.ask("shop__echo", token=world.token).status == 200
    eventually(lambda: len(stage.upstream.calls("slow")) > slow, "it was not forwarded")
    told = _hammered(world, lambda: _begins_to_stop(world))
    assert set(told) <= {200, "refused", "closed"}, told
    assert _once(world) == "refused"
    late = len(stage.upstream.calls())
    with contextlib.suppress(OSError):
        idle.send(idle.request("shop__load5", token=world.token))
        assert idle.answer() is None, "an idle connection is closed, not answered"
    stage.upstream.release.set()
    finished = held.answer()
    assert b"slow ran" in finished.body
    assert held.answer() is None, "what stood behind it was not begun"
    assert world.gateway.process.wait(20) == 0
    assert len(stage.upstream.calls()) == late, "nothing new was forwarded"
    records = world.gateway.records()
    assert (records[-1]["kind"], records[-1]["event"]) == ("gateway", "stopped")
    outcome = [r for r in records if r["kind"] == "outcome"][-1]
    assert outcome["decision_id"] == finished.headers["pbac-decision"]
    held.close()
    idle.close()


def _begins_to_stop(world):
    world.gateway.process.terminate()
    eventually(lambda: _once(world) == "refused", "it still accepts connections")


def _once(world):
    """One call on a connection of its own: its status, or how the connection failed."""
    try:
        return world.call("echo").status
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException):
        return "closed"


def _hammered(world, meanwhile):
    """How calls were answered that never ceased to come while something happened."""
    told, over = Counter(), threading.Event()

    def hammer():
        while not over.is_set():
            told[_once(world)] += 1
            time.sleep(0.002)

    hammering = threading.Thread(target=hammer)
    hammering.start()
    try:
        meanwhile()
    finally:
        over.set()
        hammering.join()
    return told


def _does_not_start_unsound(world):
    """Without policies there is no one to ask: a set that cannot be used ends the start."""
    broken = world.gateway.directory / "policies/broken.pbac"
    broken.write_text("package broken permit everything on any when")
    arguments = ("serve", "--config", str(world.gateway.config))
    told = _hammered(world, lambda: _starts_in_vain(world.gateway.pbac(*arguments, check=False)))
    assert set(told) == {"refused"}, told
    broken.unlink()


def _starts_in_vain(done):
    assert done.returncode == 1
    assert "broken.pbac" in done.stderr
    assert "Traceback" not in done.stderr


# --- CON-10: two versions of the program --------------------------------------------------------


def two_versions(stage):
    """One state, two programs: never both at once, and never an older one on newer state."""
    world = stage.plain
    done = world.gateway.pbac("serve", "--config", str(world.gateway.config), check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "another process" in done.stderr
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "state"
        copy.mkdir()
        with contextlib.closing(_opened(world.gateway.directory / "state")) as running:
            running.execute("VACUUM INTO ?", (str(copy / FILE_NAME),))
        _tokens_outlive_the_program(copy, world.token)
        _newer_or_foreign_is_refused(copy)
        _older_is_brought_forward(Path(folder))
    yield stage.honest("echo")


def _opened(directory):
    return sqlite3.connect(directory / FILE_NAME, isolation_level=None)


def _tokens_outlive_the_program(copy, token):
    state = open_state(copy, 0)
    record = state.find_principal_record(hash_access_token(token))
    state.close()
    assert record is not None
    assert record.client.client_name == "everyday"


def _newer_or_foreign_is_refused(copy):
    newest = MIGRATIONS[-1].version
    for code, statement in (
        (
            "schema_too_new",
            f"INSERT INTO schema_migrations VALUES ({newest + 1}, 'of tomorrow', 0)",
        ),
        ("schema_unknown", "UPDATE schema_migrations SET name = 'of somebody' WHERE version = 1"),
    ):
        tried = copy.with_name(code)
        shutil.copytree(copy, tried)
        with contextlib.closing(_opened(tried)) as newer:
            newer.execute(statement)
            newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = (tried / FILE_NAME).read_bytes()
        with pytest.raises(StorageError) as refused:
            open_state(tried, 0)
        assert refused.value.code == code
        assert (tried / FILE_NAME).read_bytes() == before, "what it does not know it leaves alone"


def _older_is_brought_forward(folder):
    for known in range(len(MIGRATIONS)):
        directory = folder / f"older{known}"
        directory.mkdir()
        with contextlib.closing(_opened(directory)) as older:
            migrate(older, 0, MIGRATIONS[:known])
        for _ in range(2):
            state = open_state(directory, 0)
            assert state.find_principal_record(b"\0" * 32) is None
            state.close()
        with contextlib.closing(_opened(directory)) as done:
            query = "SELECT version FROM schema_migrations ORDER BY version"
            assert [row[0] for row in done.execute(query)] == [m.version for m in MIGRATIONS]


ATTACKS = {
    "CON-08": locks,
    "CON-09": starts_and_stops,
    "CON-10": two_versions,
}
