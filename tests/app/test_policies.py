"""What a gateway decides by, with a real store, cache and compiler: changes, commands, restarts."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.policy_home import Home, keeping_up, opened, permits, policy

from pbac.adapters import policy_build, policy_cache, policy_watch
from pbac.adapters.policy_store import FILE_NAME, PolicyStoreError
from pbac.adapters.policy_versions import Attempt
from pbac.app import policies as app
from pbac.base.errors import PbacError
from pbac.lang import compile as compiling

GOOD = {"good.pbac": policy("get_*")}
WIDER = {"good.pbac": policy("get_*", "put_*")}
BROKEN = {"good.pbac": "package good\npermit\n"}
QUIET_SECONDS = 0.8


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Looks more often, so that tests wait less."""
    monkeypatch.setattr(policy_watch, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(app, "POLL_SECONDS", 0.02)


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    found.write(GOOD)
    return found


def told(records):
    """What records say that is not the digest of something."""
    return [(each.event, each.how, each.act, each.actor, each.note, each.rules) for each in records]


# --- the source changes ------------------------------------------------------------------------


async def test_a_change_is_recorded_put_in_force_and_acts(home):
    async with keeping_up(home) as gateway:
        first = gateway.current
        assert not permits(first, "put_x")
        home.write(WIDER)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert not permits(first, "put_x"), "a request keeps the set it began with"
        assert told(gateway.told) == [("published", "source", 2, "", "", 1)]
        (record,) = gateway.told
        assert (record.previous_version, record.policy_version) == (
            first.version,
            gateway.current.version,
        )
        await gateway.until(gateway.policies.store.serving)
        serving = gateway.policies.store.serving()
        assert (serving.version, serving.act) == (gateway.current.version, 2)
        assert serving.process == os.getpid()
    assert [(act.number, act.kind, act.previous) for act in home.acts()] == [
        (1, "source", ""),
        (2, "source", first.version),
    ]


async def test_a_broken_change_is_recorded_once_and_the_old_set_serves_until_it_is_mended(home):
    async with keeping_up(home) as gateway:
        home.write(BROKEN)
        await gateway.until(lambda: gateway.refused)
        builds = len(gateway.built)
        home.write({"notes.pbac": "# nothing in it that could be wrong\npackage notes\n"})
        await gateway.until(lambda: len(gateway.built) > builds)
        assert len(gateway.put) == 1
        assert permits(gateway.current, "get_x")
        home.write(WIDER)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert [each.event for each in gateway.told] == ["refused", "published"]
        assert gateway.refused[0].problems[0].startswith("good.pbac:")
        assert gateway.refused[0].how == "source"
        home.write(BROKEN)
        await gateway.until(lambda: len(gateway.refused) == 2)


async def test_what_changes_nothing_publishes_nothing(home):
    async with keeping_up(home) as gateway:
        home.write({**GOOD, "notes.txt": "x", "shown_bad.pbac": "nonsense"})
        await asyncio.sleep(QUIET_SECONDS)
        assert len(gateway.built) > 1, "it was looked at"
        assert (gateway.told, len(gateway.put)) == ([], 1)
    assert len(home.acts()) == 1


async def test_a_change_before_it_is_watched_is_not_missed(home):
    async with opened(home):
        pass
    async with opened(home) as gateway:
        home.write(WIDER)
        keeping = asyncio.create_task(
            app.keep_up_with_source(gateway.policies, gateway.put.append, gateway.tell)
        )
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        keeping.cancel()


def vocabulary(kind):
    schema = {"type": "object", "properties": {"depth": {"type": kind}}}
    return json.dumps({"server": "git", "tools": {"get_x": {"inputSchema": schema}}})


DEEP = policy("get_x", more="  when args.depth > 3\n")
ORGS = policy("get_x", more="  when args.org in data.orgs\n")
PARTS = {
    "another file": {"other.pbac": policy("put_*", package="other")},
    "a test": {"good.pbac": GOOD["good.pbac"] + '\ntest "t"\n  call x => deny\n'},
    "a comment": {"other.pbac": policy("put_*", package="other", more="# why\n")},
    "a rule that reads": {"good.pbac": ORGS, "data/orgs.json": '["b"]'},
    "a document": {"data/orgs.json": '["a", "b"]'},
    "another document": {"data/more.json": "1"},
    "rules with kinds": {
        "good.pbac": DEEP,
        "other.pbac": policy("get_x", package="other"),
        "tools/git.json": vocabulary("number"),
    },
    "a vocabulary": {"tools/git.json": vocabulary("integer")},
    "tiers": {"ranks.pbac": "package ranks\ntiers low < high\n"},
}


async def test_everything_a_set_is_made_of_is_a_change_of_it(home):
    """Each has the version that the same files have elsewhere, compiled from nothing."""
    files = dict(GOOD)
    async with keeping_up(home) as gateway:
        for number, (name, change) in enumerate(PARTS.items(), 1):
            home.write(change)
            files |= change
            await gateway.until(lambda number=number: len(gateway.told) == number)
            scratch = Home(home.directory / f"scratch{number}").build(files).version
            assert gateway.current.version == scratch.version, name
            assert gateway.current.rule_count == scratch.rules, name
    assert not gateway.refused


async def test_a_document_that_is_changed_decides_otherwise(home):
    home.write({"good.pbac": ORGS, "data/orgs.json": '["b"]'})
    async with keeping_up(home) as gateway:
        assert not permits(gateway.current, "get_x", org="a")
        home.write({"data/orgs.json": '["a"]'})
        await gateway.until(lambda: permits(gateway.current, "get_x", org="a"))
        assert not permits(gateway.current, "get_x", org="b")


REFUSED = {
    "a test that fails": (
        {"good.pbac": policy("get_*", more='\ntest "t"\n  call get_x => deny\n')},
        "test-failed",
    ),
    "a document that is none": ({"data/x.json": "{"}, "bad-data"),
    "a vocabulary that does not fit": (
        {"good.pbac": DEEP, "tools/git.json": vocabulary("string")},
        "unlike-kinds",
    ),
    "everything": (
        {"wide.pbac": "package wide\npermit anything\n  on any\n"},
        "permits-everything",
    ),
}


async def test_what_must_not_be_is_refused_and_named(home):
    async with keeping_up(home) as gateway:
        for number, (name, (change, code)) in enumerate(REFUSED.items(), 1):
            home.write(change)
            await gateway.until(lambda number=number: len(gateway.told) == number)
            assert any(f"[{code}]" in line for line in gateway.told[-1].problems), name
            for path in change:
                (home.folder / path).unlink()
            home.write(GOOD)
            builds = len(gateway.built)
            await gateway.until(lambda builds=builds: len(gateway.built) > builds)
        assert [each.event for each in gateway.told] == ["refused"] * len(REFUSED)
        assert len(gateway.put) == 1
    assert len(home.acts()) == 1


async def test_the_folder_may_vanish_and_come_back_changed(home):
    async with keeping_up(home) as gateway:
        home.folder.rename(home.directory / "aside")
        await gateway.until(lambda: gateway.refused)
        assert "no-policies" in gateway.refused[0].problems[0]
        (home.directory / "aside/good.pbac").write_text(WIDER["good.pbac"])
        (home.directory / "aside").rename(home.folder)
        await gateway.until(lambda: permits(gateway.current, "put_x"))


# --- sealed packages -----------------------------------------------------------------------------

SEALED = {"good.pbac": policy("get_*", sealed=True)}
SEALED_WIDER = {"good.pbac": policy("get_*", "put_*", sealed=True)}
OTHER = {"good.pbac": policy("put_*", package="other")}
CHANGES_OF_SEALED = {
    "stays": ("", SEALED, SEALED_WIDER, ""),
    "unsealed": ("", SEALED, WIDER, "has to be sealed, and is not"),
    "dropped": ("", SEALED, OTHER, "has to be there"),
    "let go": ("keep_sealed_packages = false", SEALED, WIDER, ""),
    "let go, but named": (
        'keep_sealed_packages = false\nsealed_packages = ["good"]',
        SEALED,
        WIDER,
        "has to be sealed, and is not",
    ),
}


@pytest.mark.parametrize(
    ("settings", "before", "after", "refusal"), CHANGES_OF_SEALED.values(), ids=CHANGES_OF_SEALED
)
async def test_a_sealed_package_stays(tmp_path, settings, before, after, refusal):
    home = Home(tmp_path, settings)
    home.write(before)
    async with keeping_up(home) as gateway:
        home.command(after)  # of a program that does not ask; the gateway asks all the same
        await gateway.until(lambda: gateway.told)
        assert permits(gateway.current, "put_x") is not bool(refusal)
        home.write(after)
        if refusal:
            await gateway.until(lambda: len(gateway.told) == 2)
            assert "lacks the sealed package `good`" in gateway.told[0].problems[0]
            assert refusal in gateway.told[1].problems[0]
            assert not permits(gateway.current, "put_x")
            home.write(SEALED_WIDER)
            await gateway.until(lambda: permits(gateway.current, "put_x"))


async def test_a_package_sealed_by_a_change_stays_as_those_of_the_beginning_do(home):
    async with keeping_up(home) as gateway:
        home.write(SEALED)
        await gateway.until(lambda: gateway.current.sealed == {"good"})
        home.write(WIDER)
        await gateway.until(lambda: gateway.refused)
        assert gateway.current.sealed == {"good"}


# --- commands -----------------------------------------------------------------------------------


async def test_what_commands_publish_is_served(home):
    async with keeping_up(home) as gateway:
        first = gateway.current.version
        act = home.command(WIDER)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        back = home.command(first, "rollback")
        await gateway.until(lambda: not permits(gateway.current, "put_x"))
        assert told(gateway.told) == [
            ("published", "publish", act.number, "somebody", "why", 1),
            ("published", "rollback", back.number, "somebody", "why", 1),
        ]
        assert gateway.current.version == first


async def test_what_commands_were_refused_is_recorded_and_forgotten(home):
    store = home.store()
    for number in range(3):
        store.refuse(
            Attempt(kind="publish", actor="eve", problems=(f"problem {number}",), at_ms=number)
        )
    async with keeping_up(home) as gateway:
        await gateway.until(lambda: len(gateway.refused) == 3)
        store.refuse(Attempt(kind="rollback", actor="eve", problems=("late",), at_ms=9))
        await gateway.until(lambda: len(gateway.refused) == 4)
        assert [(each.how, each.actor, *each.problems) for each in gateway.told] == [
            ("publish", "eve", "problem 0"),
            ("publish", "eve", "problem 1"),
            ("publish", "eve", "problem 2"),
            ("rollback", "eve", "late"),
        ]
        await gateway.until(lambda: store.oldest_attempt() is None)
    store.close()


async def test_of_many_acts_at_once_the_last_is_served(home):
    async with keeping_up(home) as gateway:
        first = gateway.current.version
        for number in range(6):
            home.command({"good.pbac": policy("get_*", f"put_{number}")})
        await gateway.until(lambda: permits(gateway.current, "put_5"))
        assert gateway.policies.act.number == 7
        home.command(first, "rollback")
        home.command(gateway.current.version, "rollback")
        await gateway.until(lambda: gateway.policies.act.number == 9)
        assert permits(gateway.current, "put_5")


async def test_a_rollback_to_what_is_gone_is_refused_by_name_and_the_next_act_is_served(home):
    first = home.build(GOOD).version.version
    home.write(WIDER)
    async with keeping_up(home) as gateway:
        with closing(sqlite3.connect(home.state / FILE_NAME)) as connection:
            connection.execute("DELETE FROM contents WHERE data = ?", (GOOD["good.pbac"].encode(),))
            connection.commit()
        (home.compiled / f"{first.removeprefix('sha256:')}.set").unlink()
        home.command(first, "rollback")
        await gateway.until(lambda: gateway.refused)
        (line,) = gateway.refused[0].problems
        assert "`good.pbac` of version" in line
        assert "is gone from the store" in line
        assert (gateway.refused[0].how, gateway.refused[0].actor) == ("rollback", "somebody")
        assert permits(gateway.current, "put_x"), "the old set serves"
        home.command({"good.pbac": policy("list_*")})
        await gateway.until(lambda: permits(gateway.current, "list_x"))
        assert len(gateway.refused) == 1


# --- the record, the store, the compiler fail ----------------------------------------------------


@pytest.mark.parametrize("by", ["source", "command"])
async def test_what_cannot_be_recorded_is_not_in_force_until_it_can(home, by):
    async with keeping_up(home) as gateway:
        gateway.recording.clear()
        if by == "source":
            home.write(WIDER)
        else:
            home.command(WIDER)
        await gateway.until(gateway.policies.turn.locked)
        await asyncio.sleep(0.5)
        assert gateway.policies.turn.locked()
        assert not permits(gateway.current, "put_x")
        assert gateway.policies.act.number == 1
        gateway.recording.set()
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert len(gateway.told) == 1


@pytest.mark.parametrize("by", ["source", "command"])
async def test_a_store_that_fails_for_a_while_loses_no_change(home, monkeypatch, by):
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.05)
    async with keeping_up(home) as gateway:
        for what in ("publish", "head", "changes", "serve"):
            with monkeypatch.context() as patch:
                fails(patch, gateway.policies.store, what, times=3)
                change = {"good.pbac": policy("get_*", what)}
                if by == "source":
                    home.write(change)
                else:
                    home.command(change)
                await gateway.until(lambda what=what: permits(gateway.current, what))


def fails(monkeypatch, store, what, times):
    """The store is locked by somebody for so many questions."""
    sound, failures = getattr(store, what), []

    def question(*arguments, **named):
        if len(failures) < times:
            failures.append(what)
            raise PolicyStoreError("`policies.sqlite3` cannot be used: database is locked")
        return sound(*arguments, **named)

    monkeypatch.setattr(store, what, question)


async def test_a_compiler_that_is_killed_in_the_middle_is_asked_once_more(home):
    async with keeping_up(home) as gateway:
        child, asked = gateway.policies.compiler.process(), len(gateway.asked)
        os.kill(child, signal.SIGSTOP)  # it is in the middle for as long as we like
        home.write(WIDER)
        await gateway.until(lambda: len(gateway.asked) > asked)
        os.kill(child, signal.SIGKILL)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert gateway.policies.compiler.process() != child
        assert not gateway.refused


async def test_a_compiler_that_dies_between_changes_is_started_again(home):
    async with keeping_up(home) as gateway:
        os.kill(gateway.policies.compiler.process(), signal.SIGKILL)
        await asyncio.sleep(0.2)
        home.write(WIDER)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert not gateway.refused


# --- restarts -------------------------------------------------------------------------------------


def source_acted(home, files=GOOD):
    """As a gateway that ran once has left it; the version."""
    home.write(files)
    return home.command(files, "source").version


async def test_nothing_changed_is_not_compiled_again(home):
    version = source_acted(home)
    async with opened(home) as gateway:
        assert gateway.current.version == version
        assert gateway.policies.compiler.process() is None, "what is compiled needs no compiler"
    assert len(home.acts()) == 1


async def test_an_unchanged_source_does_not_undo_a_rollback(home):
    first = source_acted(home)
    source_acted(home, WIDER)
    home.command(first, "rollback")
    async with keeping_up(home) as gateway:
        await asyncio.sleep(QUIET_SECONDS)
        assert gateway.current.version == first
        assert (gateway.told, len(home.acts())) == ([], 3)
        home.write({"good.pbac": policy("list_*")})
        await gateway.until(lambda: permits(gateway.current, "list_x"))


async def test_a_source_that_changed_meanwhile_wins(home):
    first = source_acted(home)
    source_acted(home, WIDER)
    home.command(first, "rollback")
    home.write({"good.pbac": policy("list_*")})
    async with opened(home) as gateway:
        assert permits(gateway.current, "list_x")
    assert home.acts()[-1].kind == "source"


@pytest.mark.parametrize(
    "change", [BROKEN, {"wide.pbac": "package wide\npermit anything\n  on any\n"}]
)
async def test_it_does_not_start_with_a_change_that_must_not_be(home, change):
    source_acted(home)
    home.write(change)
    with pytest.raises(PbacError, match="the policies cannot be used"):
        async with opened(home):
            pass
    assert len(home.acts()) == 1


def each(kind):
    return lambda folder: [path for path in folder.iterdir() if path.suffix == kind]


def flip(path, at=40):
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    path.write_bytes(data)


def all_of(change, kind):
    return lambda folder: [change(path) for path in each(kind)(folder)]


def swap(folder):
    one, two = each(".package")(folder)
    aside = folder / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


def emptied(folder):
    for path in folder.iterdir():
        path.write_bytes(b"")


def of_another_key(folder):
    """Everything as it would be made by somebody else: sound, and not ours."""
    elsewhere = Home(folder.parent.parent / "elsewhere")
    elsewhere.build(TWO)
    for path in elsewhere.compiled.iterdir():
        shutil.copy(path, folder / path.name)


TWO = {
    "good.pbac": policy("get_*", more="  when args.n in data.list\n"),
    "other.pbac": policy("put_*", package="other"),
    "data/list.json": "[1, 2]",
}
DAMAGES = {
    "deleted": shutil.rmtree,
    "no sets": all_of(lambda path: path.unlink(), ".set"),
    "flipped": all_of(flip, ".package"),
    "cut": emptied,
    "swapped": swap,
    "of another key": of_another_key,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damaged_compiled_files_are_made_again_at_the_start(tmp_path, damage):
    home = Home(tmp_path)
    home.write(TWO)
    version = home.command(TWO, "source").version
    damage(home.compiled)
    for compiled_again in (True, False):
        async with opened(home) as gateway:
            assert gateway.current.version == version
            assert bool(gateway.policies.compiler.process()) is compiled_again
            assert permits(gateway.current, "get_x", n=2)
            assert not permits(gateway.current, "get_x", n=3)
            assert permits(gateway.current, "put_x")
            assert not permits(gateway.current, "list_x")
    assert len(home.acts()) == 1


@pytest.mark.parametrize("damage", ["deleted", "swapped", "flipped", "of another key"])
async def test_damaged_compiled_files_are_made_again_while_it_runs(tmp_path, damage):
    home = Home(tmp_path)
    home.write(TWO)
    async with keeping_up(home) as gateway:
        first = gateway.current.version
        home.write({"other.pbac": policy("list_*", package="other")})
        await gateway.until(lambda: permits(gateway.current, "list_x"))
        if damage == "swapped":
            each(".package")(home.compiled)[0].unlink()
        DAMAGES[damage](home.compiled)
        home.command(first, "rollback")
        await gateway.until(lambda: len(gateway.told) == 2)
        assert not gateway.refused
        assert permits(gateway.current, "put_x")
        assert permits(gateway.current, "get_x", n=2)
        os.kill(gateway.policies.compiler.process(), signal.SIGKILL)
        home.write({"other.pbac": policy("merge_*", package="other")})
        await gateway.until(lambda: permits(gateway.current, "merge_x"))


@pytest.fixture
def older_program(monkeypatch):
    """`with older_program():` what is made within is made by another version of this program."""

    def made():
        patch = pytest.MonkeyPatch.context()
        patched = patch.__enter__()
        for module in (compiling, policy_build, policy_cache):
            patched.setattr(module, "__version__", "0.0.1")
        return closing(_Closing(patch))

    return made


class _Closing:
    def __init__(self, patch):
        self.patch = patch

    def close(self):
        self.patch.__exit__(None, None, None)


async def test_what_another_version_of_the_program_made_is_compiled_again(home, older_program):
    with older_program():
        old = home.command(GOOD, "source").version
    async with keeping_up(home) as gateway:
        assert gateway.current.version != old, "Law 7: the program is part of the version"
        assert permits(gateway.current, "get_x")
        assert [act.kind for act in home.acts()] == ["source", "source"]
        await asyncio.sleep(QUIET_SECONDS)
        assert (gateway.told, len(home.acts())) == ([], 2)


async def test_an_upgrade_does_not_undo_a_rollback(home, older_program):
    home.write(WIDER)
    with older_program():
        first = home.build(GOOD).version.version
        home.command(WIDER, "source")
        home.command(first, "rollback")
    async with keeping_up(home) as gateway:
        assert not permits(gateway.current, "put_x")
        await asyncio.sleep(QUIET_SECONDS)
        assert not permits(gateway.current, "put_x"), "the source has not changed"
        assert [act.kind for act in home.acts()] == ["source", "rollback", "rollback"]


async def test_what_is_kept_and_unsound_by_now_does_not_start(home, caplog):
    """The store lost the files of what is in force, and nothing compiled is left of it."""
    caplog.set_level(logging.CRITICAL)
    source_acted(home)
    home.command(WIDER)
    with closing(sqlite3.connect(home.state / FILE_NAME)) as connection:
        connection.execute("DELETE FROM contents WHERE data = ?", (WIDER["good.pbac"].encode(),))
        connection.commit()
    shutil.rmtree(home.compiled)
    with pytest.raises(PbacError, match=r"`good\.pbac` of version `[0-9a-f]{12}` is gone"):
        async with opened(home):
            pass
    home.write({"good.pbac": policy("list_*")})
    async with opened(home) as gateway:
        assert permits(gateway.current, "list_x"), "a changed source is the way out"


# --- killed at any moment -------------------------------------------------------------------------

PUBLICATIONS = 30
KILLS, KILLS_FULL = 3, 30
GATEWAY = """
import asyncio
from support.policy_home import keeping_up

async def run():
    async with keeping_up(HOME):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(run())
"""
COMMAND = """
print("ready", flush=True)
HOME.command(FILES)
"""


class Process:
    """A process of its own, with its children: killed together, wherever they are."""

    def __init__(self, home, code, files=None):
        tests = Path(__file__).parents[1]
        given = "from pathlib import Path\nfrom support.policy_home import Home\n"
        given += f"HOME, FILES = Home(Path({str(home.directory)!r})), {files!r}\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", given + code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def set_number(number):
    """Two packages and a document that belong together: each permits for its number alone."""
    return {
        "one.pbac": policy(f"get_{number}", package="one"),
        "two.pbac": policy("two", package="two", more="  when args.n in data.list\n"),
        "data/list.json": f"[{number}]",
    }


def number_of(policy_set):
    """The one number of all its parts."""
    assert policy_set.rule_count == 2
    ones = {n for n in range(PUBLICATIONS + 1) if permits(policy_set, f"get_{n}")}
    twos = {n for n in range(PUBLICATIONS + 1) if permits(policy_set, "two", n=n)}
    assert ones == twos, "a mixture"
    (number,) = ones
    return number


def point_at(home, number):
    """Publish by the source: the folder is a link, swapped at once."""
    folder = home.directory / f"v{number}"
    Home(home.directory / "made").write(set_number(number))
    (home.directory / "made/policies").rename(folder)
    (home.directory / "next").symlink_to(folder)
    (home.directory / "next").replace(home.folder)


async def test_a_gateway_killed_at_any_moment_starts_with_the_old_set_or_the_new_one(
    tmp_path, full, say
):
    seed = random.randrange(2**32)
    chance, home = random.Random(seed), Home(tmp_path)
    say(f"gateways killed while they publish: seed {seed}")
    point_at(home, 0)
    kills = set(chance.sample(range(1, PUBLICATIONS + 1), KILLS_FULL if full else KILLS))
    gateway, sound, outcomes = Process(home, GATEWAY), {0}, Counter()
    try:
        for number in range(1, PUBLICATIONS + 1):
            by_source, command = chance.random() < 0.5, None
            if by_source:
                point_at(home, number)
            elif number in kills:  # the command is killed too
                command = Process(home, COMMAND, set_number(number))
            else:
                home.command(set_number(number))
            await asyncio.sleep(chance.random() * (0.03 if command else 0.3))
            sound.add(number)
            if number not in kills:
                continue
            gateway.kill()
            if command is not None:
                command.kill()
            async with opened(home) as starting:
                found = number_of(starting.current)
                assert found in sound, (found, sound, seed)
                assert starting.current.version == home.acts()[-1].version
                assert starting.current.version == _version(tmp_path / "scratch", found)
            outcomes["new" if found == number else "old"] += 1
            sound = {found}
            gateway = Process(home, GATEWAY)
    finally:
        gateway.kill()
    assert outcomes.total() == len(kills)
    say(f"  after a kill: {dict(outcomes)}")


def _version(folder, number):
    return Home(folder).build(set_number(number)).version.version
