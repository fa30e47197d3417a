"""The store of versions: all of a publication or nothing, one of two, and the last hundred."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from itertools import count, pairwise
from pathlib import Path

import pytest

from pbac.adapters import policy_store
from pbac.adapters.policy_source import Bundled
from pbac.adapters.policy_store import (
    FILE_NAME,
    PolicyStoreError,
    VersionConflict,
    VersionUnknown,
    open_policy_store,
)
from pbac.adapters.policy_versions import Act, Attempt, Package, Serving, Version, short
from pbac.base.limits import POLICY_VERSIONS_KEPT_MAX

SHARED = b"package shared\n"


@pytest.fixture
def store(tmp_path):
    with closing(open_policy_store(tmp_path)) as found:
        yield found


def named(number):
    """A version's name; in hex, so that prefixes are as they really are."""
    return f"sha256:{number:064x}"


def files_of(number):
    return {"shared.pbac": SHARED, "own.pbac": f"package own{number}\n".encode() * 50}


def version(number, **more):
    package = Package(name=f"own{number}", digest=named(number), sealed=number % 2 == 1, rules=3)
    told = {"content": f"content {number}", "program": "1", "packages": (package,), **more}
    return Version(version=named(number), **told)


def act(number, kind="publish", **more):
    return Act(kind=kind, version=named(number), at_ms=number, **more)


def publish(store, number, **how):
    store.keep(version(number), files_of(number))
    return store.publish(act(number), **how)


def rows(store, table):
    return store._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_kept_comes_back(store):
    bundled = Bundled(name="acme", number=7, digest="sha256:b")
    store.keep(version(1, bundled=bundled), files_of(1))
    store.keep(version(2), files_of(2))
    assert store.find_version(named(1)) == version(1, bundled=bundled)
    assert (store.find_version(named(2)).rules, store.find_version(named(1)).sealed) == (
        3,
        {"own1"},
    )
    for number in (1, 2):
        assert store.files(named(number)) == files_of(number)
        assert list(store.files(named(number))) == list(files_of(number)), "in their order"
    assert rows(store, "contents") == 3, "each file once"
    assert store.find_version(named(3)) is None
    assert store.head() is None, "kept is not in force"
    assert store.accepted_bundles() == {"acme": (7, "sha256:b")}


def test_acts_are_numbered_and_follow_each_other(store):
    assert publish(store, 1).previous == ""
    publish(store, 2)
    back = store.publish(act(1, "rollback", actor="ada", note="why", source="sha256:s"))
    assert back == store.head() == store.find_act(3)
    assert (back.number, back.previous, back.actor, back.note, back.source) == (
        3, named(2), "ada", "why", "sha256:s",
    )  # fmt: skip
    assert [each.number for each in store.acts(2)] == [3, 2]
    assert store.find_act(4) is None


def test_what_is_not_kept_is_not_put_in_force(store):
    with pytest.raises(VersionUnknown, match="there is no version"):
        store.publish(act(1))
    assert (store.head(), rows(store, "acts")) == (None, 0)


def test_attempts_wait_in_order_until_they_are_forgotten(store):
    tried = [Attempt(kind="publish", actor="a", problems=(f"{n}",), at_ms=n) for n in range(3)]
    for attempt in tried:
        store.refuse(attempt)
    found = []
    while (attempt := store.oldest_attempt()) is not None:
        assert store.oldest_attempt() == attempt, "asking does not forget it"
        found.append(attempt.problems)
        store.forget_attempt(attempt.number)
    assert found == [("0",), ("1",), ("2",)]


def test_what_serves_is_one(store):
    assert store.serving() is None
    for number in (1, 2):
        store.serve(Serving(version=named(number), act=number, process=9, since_ms=number))
    assert store.serving().act == 2


def test_others_notice_what_was_committed_and_nothing_else(tmp_path, store):
    with closing(open_policy_store(tmp_path)) as other:
        before = store.changes()
        other.head()
        assert store.changes() == before
        publish(other, 1)
        after = store.changes()
        assert after != before
        publish(store, 2)
        assert store.changes() == after, "what it did itself it knows"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("1", 0xAB1),
        ("2", 0xAC2),
        (named(0xAB1), 0xAB1),
        (f"{0xAC2:064x}", 0xAC2),
        ("f0", 0xF0 << 248),
        ("sha256:f0", 0xF0 << 248),
        ("9" * 12, 0x999999999999 << 208),
        ("9" * 64, None),
        ("9" * 5_000, None),
        ("²", None),
        ("", None),
        ("sha256:", None),
        ("0" * 40, None),
        ("zz", None),
        ("%", None),
        ("_" * 64, None),
        ("7", None),
        ("-1", None),
    ],
)
def test_a_version_is_named_by_its_act_or_its_first_digits(store, name, found):
    for number in (0xAB1, 0xAC2, 0xF0 << 248, 0x999999999999 << 208):
        store.keep(version(number), files_of(number))
    for number in (0xAB1, 0xAC2):
        store.publish(act(number))
    if found is not None:
        assert store.require_version(name).version == named(found)
    else:
        with pytest.raises(VersionUnknown, match=r"there (is|are) (no|\d) version"):
            store.require_version(name)


# --- all or nothing -----------------------------------------------------------------------------


def test_a_publication_that_is_interrupted_anywhere_is_there_or_not(store):
    """SQLite is stopped at its first step, its second, and so on, until it gets through."""
    publish(store, 1)

    def is_kept():
        found = store.find_version(named(2))
        assert found in (None, version(2))
        if found:
            assert store.files(named(2)) == files_of(2)
        assert rows(store, "contents") == (3 if found else 2)
        return found is not None

    def is_in_force():
        assert is_kept()
        assert store.acts(9)[-1].version == named(1)
        return store.head().previous == named(1)

    for change, done in (
        (lambda: store.keep(version(2), files_of(2)), is_kept),
        (lambda: store.publish(act(2), expected=named(1)), is_in_force),
    ):
        interrupted = 0
        for step in count(1):
            steps = count(1)
            store._connection.set_progress_handler(
                lambda step=step, steps=steps: next(steps) == step, 1
            )
            with suppress(PolicyStoreError):
                change()
            store._connection.set_progress_handler(None, 1)
            if done():
                break
            interrupted += 1
        assert interrupted > 10
    assert store.head().number == 2
    assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


PUBLISHING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_policy_store import publish
from pbac.adapters.policy_store import open_policy_store
store = open_policy_store(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[3]), 1_000_000):
    publish(store, number)
"""


def test_killed_at_any_moment_it_holds_whole_publications(tmp_path, full):
    begin = 1
    for kill in range(20 if full else 3):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISHING, tmp_path, Path(__file__).parent, str(begin)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05 + 0.013 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with closing(open_policy_store(tmp_path)) as store:
            head = store.head()
            begin = head.at_ms + 1
            for each in store.acts(20):
                assert store.find_version(each.version) == version(each.at_ms)
                assert store.files(each.version) == files_of(each.at_ms)
            assert head.number == head.at_ms, "none is missing"


# --- two at once --------------------------------------------------------------------------------


def test_of_all_who_follow_the_same_version_one_wins(tmp_path):
    """Threads, each with a store of its own, each sure to be the first."""
    rounds, writers = 12, 4
    told, barrier = Counter(), threading.Barrier(writers)
    with closing(open_policy_store(tmp_path)) as store:
        publish(store, 1)

    def write(writer):
        with closing(open_policy_store(tmp_path)) as store:
            for number in range(2, rounds + 2):
                mine = number * 100 + writer
                store.keep(version(mine), files_of(mine))
                barrier.wait()
                expected = store.head().version
                barrier.wait()
                try:
                    store.publish(act(mine), expected=expected)
                except VersionConflict:
                    told[number, "conflict"] += 1
                else:
                    told[number, "won"] += 1
                barrier.wait()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2, rounds + 2):
        assert (told[number, "won"], told[number, "conflict"]) == (1, writers - 1)


RACING = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_policy_store import act, files_of, version
from pbac.adapters.policy_store import VersionConflict, open_policy_store
store, writer, wins = open_policy_store(Path(sys.argv[1])), int(sys.argv[3]), []
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    mine = number * 10 + writer
    store.keep(version(mine), files_of(mine))
    head = store.head()
    try:
        wins.append(store.publish(act(mine), expected=head.version if head else "").number)
    except VersionConflict:
        pass
print(*wins)
"""


def test_processes_that_race_lose_no_update(tmp_path):
    command = [sys.executable, "-c", RACING, tmp_path, Path(__file__).parent]
    racing = [
        subprocess.Popen(
            [*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in (1, 2)
    ]
    for process in racing:
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        process.stdin.write("go\n")
        process.stdin.flush()
    wins = [list(map(int, process.communicate(timeout=60)[0].split())) for process in racing]
    with closing(open_policy_store(tmp_path)) as store:
        acts = store.acts(1_000)[::-1]
    assert sorted(wins[0] + wins[1]) == [each.number for each in acts]
    assert all(wins), "both took part"
    for before, after in pairwise(acts):
        assert after.previous == before.version, "each follows the one that its writer had seen"


def test_many_may_open_what_is_not_there_yet(tmp_path):
    found, barrier = [], threading.Barrier(8)

    def make():
        barrier.wait()
        with closing(open_policy_store(tmp_path / "state")) as store:
            found.append(store.head())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [None] * 8


def test_one_who_waits_too_long_for_another_is_told(tmp_path, store, monkeypatch):
    monkeypatch.setattr(policy_store, "POLICY_STORE_BUSY_SECONDS_MAX", 0.05)
    with (
        closing(open_policy_store(tmp_path)) as other,
        closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as writer,
    ):
        publish(other, 1)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(PolicyStoreError, match="database is locked"):
            publish(other, 2)
        assert other.head().number == 1, "reading goes on"
        writer.execute("ROLLBACK")
        assert publish(other, 2).number == 2


# --- bounds -------------------------------------------------------------------------------------


def test_the_versions_in_force_last_are_kept_with_their_files(store, monkeypatch):
    monkeypatch.setattr(policy_store, "POLICY_VERSIONS_KEPT_MAX", 5)
    monkeypatch.setattr(policy_store, "_PRUNE_AT", 3)
    publish(store, 1)
    for number in range(2, 60):
        publish(store, number)
        store.publish(act(1, "rollback"))
        kept = [named(n) for n in (1, *range(max(number - 3, 2), number + 1))]
        for each in kept:
            assert store.files(each) == files_of(int(each[7:], 16))
        assert rows(store, "versions") <= 5 + 3
        assert rows(store, "contents") <= 1 + 5 + 3
    with pytest.raises(VersionUnknown):
        store.files(named(2))
    assert store.find_act(2).version == named(2), "that it was in force is known for longer"


def test_what_was_just_kept_is_not_pruned_before_it_acts(store, monkeypatch):
    monkeypatch.setattr(policy_store, "POLICY_VERSIONS_KEPT_MAX", 2)
    monkeypatch.setattr(policy_store, "_PRUNE_AT", 2)
    for number in range(1, 20):
        publish(store, number)
    store.keep(version(100), files_of(100))
    publish(store, 21)
    store.publish(act(100))
    assert store.files(named(100)) == files_of(100)


def test_a_hundred_versions_are_kept(store):
    for number in range(1, POLICY_VERSIONS_KEPT_MAX + 40):
        publish(store, number)
    last = store.head().at_ms
    for number in range(last - POLICY_VERSIONS_KEPT_MAX + 1, last + 1):
        assert store.files(named(number)) == files_of(number)
    assert rows(store, "versions") < POLICY_VERSIONS_KEPT_MAX + policy_store._PRUNE_AT


def test_acts_have_a_bound_of_their_own(store, monkeypatch):
    monkeypatch.setattr(policy_store, "POLICY_ACTS_MAX", 10)
    for number in range(1, 40):
        publish(store, number)
    assert [each.number for each in store.acts(100)] == list(range(39, 29, -1))


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_file_that_is_gone_or_changed_is_named_and_mended_by_publishing_again(store, damage):
    publish(store, 1)
    publish(store, 2)
    own = files_of(1)["own.pbac"]
    if damage == "gone":
        store._connection.execute("DELETE FROM contents WHERE data = ?", (own,))
    else:
        store._connection.execute("UPDATE contents SET data = ? WHERE data = ?", (b"permit", own))
    with pytest.raises(VersionUnknown, match=r"`own\.pbac` of version") as told:
        store.files(named(1))
    assert "publish its files again" in told.value.help
    assert store.files(named(2)) == files_of(2), "others are whole"
    store.keep(version(1), files_of(1))
    assert store.files(named(1)) == files_of(1)


def test_a_newer_format_is_left_alone(tmp_path):
    with closing(open_policy_store(tmp_path)) as store:
        publish(store, 1)
        store._connection.execute("PRAGMA user_version = 2")
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(PolicyStoreError, match="has format 2, this program knows 1") as told:
        open_policy_store(tmp_path)
    assert "newer" in told.value.help
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_what_is_no_store_is_named_as_it_is_written(tmp_path):
    folder = tmp_path / "State"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(b"nothing that SQLite ever wrote" * 100)
    with pytest.raises(PolicyStoreError, match="file is not a database") as told:
        open_policy_store(folder)
    assert str(folder / FILE_NAME) in told.value.message
    (tmp_path / "file").touch()
    with pytest.raises(PolicyStoreError):
        open_policy_store(tmp_path / "file")


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_a_damaged_store_is_an_error_of_its_own_and_never_other_files(tmp_path, at):
    """Pages of it are overwritten: each answer is the truth or says that there is none."""
    whole = tmp_path / "whole"
    with closing(open_policy_store(whole)) as store:
        for number in range(1, 30):
            publish(store, number)
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(whole, tmp_path / "damaged")
    path = tmp_path / "damaged" / FILE_NAME
    data = bytearray(path.read_bytes())
    size = len(data) // 20
    data[at * size : at * size + 2_000] = os.urandom(2_000)
    path.write_bytes(data)
    with (
        suppress(PolicyStoreError),
        closing(open_policy_store(tmp_path / "damaged")) as store,
    ):
        for number in range(1, 30):
            with suppress(PolicyStoreError):
                assert store.files(named(number)) == files_of(number)
            with suppress(PolicyStoreError):
                assert store.find_version(named(number)) in (None, version(number))


def test_it_is_for_its_owner_alone(tmp_path):
    with closing(open_policy_store(tmp_path / "state")) as store:
        publish(store, 1)
        found = {path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert found == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_closed_store_says_so(tmp_path):
    store = open_policy_store(tmp_path)
    store.close()
    with pytest.raises(PolicyStoreError, match="closed"):
        store.head()


def test_as_much_of_a_version_as_people_compare():
    assert (short(named(1)), short("")) == ("0" * 12, "none")


OPENING = """
import sys
from pathlib import Path
from pbac.adapters.policy_store import open_policy_store
from pbac.adapters.sqlite_state import open_state
print("ready", flush=True)
sys.stdin.readline()
{}.close()
"""


@pytest.mark.parametrize(
    "what", ["open_policy_store(Path(sys.argv[1]))", "open_state(Path(sys.argv[1]), 1)"]
)
def test_processes_may_open_what_is_not_there_yet(tmp_path, what):
    for number in range(6):
        opening = [
            subprocess.Popen(
                [sys.executable, "-c", OPENING.format(what), tmp_path / str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for process in opening:
            assert process.stdout.readline() == "ready\n"
        for process in opening:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in opening:
            process.communicate(timeout=60)
            assert process.returncode == 0
