"""What attacks on publishing have found: each stays a case."""

from __future__ import annotations

import os
import signal

import pytest
from support.policy_home import Home, keeping_up, opened, permits, policy

from pbac.adapters.policy_store import PolicyStoreError
from pbac.app.policies import record_missed, say_serving
from pbac.base.diagnostics import PolicyError
from pbac.base.errors import PbacError

GOOD = {"good.pbac": policy("get_*")}
WIDER = {"good.pbac": policy("get_*", "put_*")}
EVERYTHING = {"good.pbac": "package good\npermit all_of_it\n  on any\n"}


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    found.write(GOOD)
    return found


async def test_a_package_does_not_lose_its_seal_while_nobody_runs(home):
    home.write({"good.pbac": policy("get_*", sealed=True)})
    async with opened(home):
        pass
    home.write(WIDER)
    with pytest.raises(PbacError, match="has to be sealed"):
        async with opened(home):
            pass
    assert [act.kind for act in home.acts()] == ["source"]


async def test_a_link_to_the_folder_is_swapped(tmp_path):
    home = Home(tmp_path, 'policies = "current"')
    for name, files in (("v1", GOOD), ("v2", WIDER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "good.pbac").write_text(files["good.pbac"])
    (tmp_path / "current").symlink_to("v1")
    async with keeping_up(home) as gateway:
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").replace(tmp_path / "current")
        await gateway.until(lambda: permits(gateway.current, "put_x"))


async def test_a_command_does_not_wait_for_a_folder_that_compiles(home):
    async with keeping_up(home) as gateway:
        child, asked = gateway.policies.compiler.process(), len(gateway.asked)
        os.kill(child, signal.SIGSTOP)
        try:
            home.write({"good.pbac": policy("list_*")})
            await gateway.until(lambda: len(gateway.asked) > asked)
            home.command(WIDER)
            await gateway.until(lambda: permits(gateway.current, "put_x"))
        finally:
            os.kill(child, signal.SIGCONT)


async def test_acts_that_nobody_heard_of_are_recorded_at_the_start(home):
    async with opened(home) as gateway:
        await record_missed(gateway.policies, gateway.tell)
        await say_serving(gateway.policies)
        assert [record.act for record in gateway.published] == [1]
    home.command(WIDER)
    home.command({"good.pbac": policy("list_*")}, "rollback")
    async with opened(home) as gateway:
        await record_missed(gateway.policies, gateway.tell)
        told = [(each.act, each.how, each.actor, each.note) for each in gateway.published]
        assert told == [(2, "publish", "somebody", "why"), (3, "rollback", "somebody", "why")]
        await say_serving(gateway.policies)
        gateway.told.clear()
        await record_missed(gateway.policies, gateway.tell)
        assert not gateway.told


async def test_what_cannot_be_carried_out_is_not_what_the_store_says_is_in_force(home):
    async with keeping_up(home) as gateway:
        served = gateway.current.version
        act = home.command(WIDER)
        await gateway.until(lambda: len(gateway.put) == 2)
        home.command(served)
        await gateway.until(lambda: gateway.current.version == served)
        store = home.store()
        gone = WIDER["good.pbac"].encode()
        store._transact(lambda c: c.execute("DELETE FROM contents WHERE data = ?", (gone,)))
        store.close()
        for path in home.compiled.iterdir():
            path.unlink()
        home.command(act.version)
        await gateway.until(lambda: gateway.refused)
        await gateway.until(lambda: home.acts()[-1].version == served)
        assert home.acts()[-1].note == "act 4 could not be carried out"
        assert gateway.current.version == served


async def test_a_rollback_outlives_a_restart_while_the_folder_is_away(home):
    async with opened(home):
        pass
    version = home.command(WIDER).version
    store = home.store()
    store.publish(type(home.acts()[0])(kind="rollback", version=version, source="", at_ms=2))
    store.close()
    home.folder.rename(home.directory / "away")
    async with opened(home) as gateway:
        assert permits(gateway.current, "put_x")


async def test_a_permit_of_everything_at_the_first_start_is_not_refused_afterwards(home):
    home.write(EVERYTHING)
    async with keeping_up(home) as gateway:
        assert not gateway.told
        home.write({"more.pbac": policy("x", package="more")})
        await gateway.until(lambda: gateway.refused)
        assert "permits-everything" in gateway.refused[0].problems[0]


def test_a_file_that_is_no_policy_file_is_no_set(home):
    from pbac.adapters.policy_files import read_files

    (home.directory / "README.md").write_text("# Read me")
    with pytest.raises(PolicyError, match="is no policy file"):
        read_files(home.directory / "README.md")


async def test_a_store_that_is_taken_away_is_told_and_publishing_waits_for_it(home, caplog):
    async with keeping_up(home) as gateway:
        kept = [home.state / f"policies.sqlite3{end}" for end in ("", "-wal", "-shm")]
        for path in kept:
            path.rename(path.with_name(f"away-{path.name}"))
        home.write(WIDER)
        await gateway.until(lambda: "is not the file that was opened" in caplog.text)
        for path in kept:
            path.unlink(missing_ok=True)
            path.with_name(f"away-{path.name}").rename(path)
        await gateway.until(lambda: permits(gateway.current, "put_x"))


async def test_an_act_that_had_to_wait_is_put_in_force(home, monkeypatch):
    """The source has acted, and then the store fails while what it acted on is loaded."""
    async with keeping_up(home, commands=False) as gateway:
        find, failing = gateway.policies.store.find_version, [True]

        def find_version(version):
            if failing:
                failing.clear()
                raise PolicyStoreError("the store is away for a moment")
            return find(version)

        monkeypatch.setattr(gateway.policies.store, "find_version", find_version)
        home.write(WIDER)
        await gateway.until(lambda: permits(gateway.current, "put_x"))
        assert not failing
        assert [act.kind for act in home.acts()] == ["source", "source"]
