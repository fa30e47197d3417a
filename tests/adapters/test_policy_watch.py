"""A watched folder: changes are told once they are complete, also when no one notifies."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import aclosing

import pytest

from pbac.adapters import policy_watch
from pbac.adapters.policy_watch import changes

TEXT = "package good on server git\n\npermit read\n  on tool get_*\n"
WIDER = TEXT.replace("get_*", "get_*, put_*")
TOLD_SECONDS_MAX = 2.0
QUIET_SECONDS = 0.5


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "good.pbac").write_text(TEXT)
    return tmp_path / "policies"


@pytest.fixture(params=["notified", "deaf"])
def how(request, monkeypatch):
    """Whether the system notifies of changes. When it does not, looking from time to time does."""
    monkeypatch.setattr(policy_watch, "WATCH_SECONDS", 0.2)
    if request.param == "deaf":

        async def deaf(*_paths, **_options):
            while True:
                await asyncio.sleep(policy_watch.WATCH_SECONDS)
                yield set()

        monkeypatch.setattr(policy_watch, "awatch", deaf)
    return request.param


@pytest.fixture
async def watching(folder, how):
    async with begun(folder) as found:
        yield found


class begun(aclosing):  # noqa: N801  # a context manager, like the one it is
    """Changes of a path, after the one that is told at the beginning."""

    def __init__(self, path):
        super().__init__(changes(path))

    async def __aenter__(self):
        found = await super().__aenter__()
        await told(found)
        return found


async def told(watching, seconds=TOLD_SECONDS_MAX):
    started = time.monotonic()
    await asyncio.wait_for(anext(watching), seconds + 3)
    assert time.monotonic() - started < seconds


async def after(watching, change):
    """The change is made while somebody waits for one, and told."""
    waiting = asyncio.ensure_future(told(watching))
    await asyncio.sleep(0.1)
    change()
    await waiting


async def is_quiet(watching, seconds=QUIET_SECONDS):
    waiting = asyncio.ensure_future(anext(watching))
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not done


def replaced(path, text):
    path.with_name("new").write_text(text)
    path.with_name("new").replace(path)


def with_folder(path, text):
    path.parent.mkdir()
    path.write_text(text)


CHANGES = {
    "written": lambda folder: (folder / "good.pbac").write_text(WIDER),
    "of one byte": lambda folder: (folder / "good.pbac").write_text(TEXT.replace("get", "set")),
    "replaced": lambda folder: replaced(folder / "good.pbac", WIDER),
    "another file": lambda folder: (folder / "other.pbac").write_text(TEXT),
    "a file less": lambda folder: (folder / "good.pbac").unlink(),
    "renamed": lambda folder: (folder / "good.pbac").rename(folder / "other.pbac"),
    "a folder below": lambda folder: with_folder(folder / "deep" / "b.pbac", TEXT),
    "a document": lambda folder: with_folder(folder / "data" / "orgs.json", "{}"),
    "a vocabulary": lambda folder: with_folder(folder / "tools" / "git.json", "{}"),
    "the folder": lambda folder: folder.rename(folder.with_name("aside")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_is_told(folder, watching, change):
    await after(watching, lambda: change(folder))
    assert await is_quiet(watching), "it was told twice"


IDLE = {
    "nothing": lambda folder: None,
    "another kind of file": lambda folder: (folder / "notes.txt").write_text("x"),
    "a hidden file": lambda folder: (folder / ".#good.pbac").write_text(WIDER),
    "reading": lambda folder: (folder / "good.pbac").read_text(),
}


@pytest.mark.parametrize("change", IDLE.values(), ids=IDLE)
async def test_what_is_no_change_of_policies_is_not_told(folder, watching, change):
    waiting = asyncio.ensure_future(is_quiet(watching))
    await asyncio.sleep(0.1)
    change(folder)
    assert await waiting


async def test_a_change_while_nobody_waits_is_told_later(folder, watching):
    (folder / "good.pbac").write_text(WIDER)
    await asyncio.sleep(0.3)
    await told(watching)


async def test_what_is_there_is_told_at_the_beginning(folder, how):
    async with aclosing(changes(folder)) as watching:
        await told(watching)
        assert await is_quiet(watching)


async def test_the_folder_may_come_late_vanish_and_come_back(folder, how):
    aside = folder.with_name("aside")
    folder.rename(aside)
    async with begun(folder) as watching:
        for _ in range(2):
            await after(watching, lambda: aside.rename(folder))
            await after(watching, lambda: folder.rename(aside))
        shutil.rmtree(aside)
        assert await is_quiet(watching)


async def test_a_link_to_the_folder_may_be_swapped(folder, how):
    link, other = folder.with_name("current"), folder.with_name("v2")
    link.symlink_to(folder)
    other.mkdir()
    (other / "good.pbac").write_text(WIDER)

    def swap(to):
        folder.with_name("next").symlink_to(to)
        folder.with_name("next").replace(link)

    async with begun(link) as watching:
        for to in (other, folder, other):
            await after(watching, lambda to=to: swap(to))
        await after(watching, lambda: (other / "good.pbac").write_text(TEXT))


async def test_a_mounted_config_map_may_be_swapped(folder, how):
    """Files are links to `..data/…`, itself a link to the folder of one version."""
    for name, text in (("..v1", TEXT), ("..v2", WIDER)):
        (folder / name).mkdir()
        (folder / name / "good.pbac").write_text(text)
    (folder / "..data").symlink_to("..v1")
    (folder / "good.pbac").unlink()
    (folder / "good.pbac").symlink_to("..data/good.pbac")

    def swap():
        (folder / "..data_tmp").symlink_to("..v2")
        (folder / "..data_tmp").replace(folder / "..data")

    async with begun(folder) as watching:
        await after(watching, swap)


async def test_one_file_is_watched_with_what_stands_beside_it(folder, how):
    async with begun(folder / "good.pbac") as watching:
        await after(watching, lambda: replaced(folder / "good.pbac", WIDER))
        await after(watching, lambda: with_folder(folder / "data" / "orgs.json", "{}"))
        (folder / "other.pbac").write_text(TEXT)
        assert await is_quiet(watching)


async def test_a_file_that_is_being_written_is_not_told_before_it_is_whole(folder, watching):
    """Every part of it would parse; only the whole forbids."""
    whole = WIDER + "".join(f"\nforbid put{n}\n  on tool put_{n}\n" for n in range(20))

    async def write():
        await asyncio.sleep(0.1)
        with (folder / "good.pbac").open("w") as file:
            for at in range(0, len(whole), 64):
                file.write(whole[at : at + 64])
                file.flush()
                await asyncio.sleep(0.012)

    writing = asyncio.ensure_future(write())
    await asyncio.wait_for(anext(watching), 5)
    assert (folder / "good.pbac").read_text() == whole
    await writing
    assert await is_quiet(watching)


async def test_a_folder_that_never_settles_is_told_all_the_same(folder, watching, monkeypatch):
    monkeypatch.setattr(policy_watch, "SETTLE_LOOKS_MAX", 5)
    over = asyncio.Event()

    async def fidget():
        number = 0
        while not over.is_set():
            number += 1
            (folder / "good.pbac").write_text(TEXT + "#" * number)
            await asyncio.sleep(0.005)

    fidgeting = asyncio.ensure_future(fidget())
    try:
        await told(watching)
        await told(watching)
    finally:
        over.set()
        await fidgeting


async def test_links_in_a_circle_and_files_one_may_not_see_do_not_end_it(folder, watching):
    def circle():
        (folder / "a.pbac").symlink_to("b.pbac")
        (folder / "b.pbac").symlink_to("a.pbac")

    await after(watching, circle)
    (folder / "a.pbac").unlink()
    (folder / "b.pbac").unlink()
    await told(watching)
    await after(watching, lambda: os.mkfifo(folder / "pipe.pbac"))


async def test_without_more_watches_it_looks_from_time_to_time(folder, monkeypatch):
    async def none(*_paths, **_options):
        raise OSError(28, "no space left on device: inotify watches")
        yield

    monkeypatch.setattr(policy_watch, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(policy_watch, "awatch", none)
    async with begun(folder) as watching:
        await after(watching, lambda: (folder / "good.pbac").write_text(WIDER))
