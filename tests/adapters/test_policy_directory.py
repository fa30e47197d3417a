"""Policy folders as they are found: broken, vanished, linked, half-written; and watched."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from contextlib import aclosing

import pytest

from pbac.adapters import policy_directory
from pbac.adapters.policy_directory import load_policies, read_policies, watch_policies
from pbac.base.diagnostics import PolicyError
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide

GOOD = "package good on server git\n\npermit read\n  on tool get_*\n"
WIDER = GOOD.replace("get_*", "get_*, put_*")
PUT = DecisionRequest(
    agent={"id": "a"}, call={"method": "tools/call", "tool": "put_x", "server": "git"}
)
PUBLISH_SECONDS_MAX = 2.0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "good.pbac").write_text(GOOD)
    return tmp_path / "policies"


def codes(publication):
    return [each.code for each in publication.diagnostics]


def refused_for(folder, code, name):
    publication = load_policies(folder)
    assert publication.policy_set is None
    (found,) = publication.diagnostics
    assert found.code == code
    assert name in found.message
    with pytest.raises(PolicyError):
        publication.require()
    assert publication.problems()[0].startswith(found.span.source)


# --- reading -----------------------------------------------------------------------------------


def test_a_folder_is_read_with_its_folders_and_documents(folder):
    (folder / "more" / "data").mkdir(parents=True)
    (folder / "more" / "b.pbac").write_text(
        "package b\nforbid x\n  on tool get_x\n  when args.o in data.orgs.closed\n"
    )
    (folder / "more" / "data" / "orgs.json").write_text('{"closed": ["acme"]}')
    policy_set = load_policies(folder).require()
    assert policy_set.rule_count == 2
    assert policy_set.data == {"orgs": {"closed": ["acme"]}}


def test_one_file_is_a_set_too(folder):
    assert load_policies(folder / "good.pbac").require().rule_count == 1


def test_shown_mistakes_and_hidden_files_are_left_out(folder):
    for name in ("z_bad.pbac", ".#good.pbac", ".git/old.pbac", "..2026_01/good.pbac"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("nonsense")
    (folder / ".hidden" / "data").mkdir(parents=True)
    (folder / ".hidden" / "data" / "x.json").write_text("nonsense")
    assert load_policies(folder).require().rule_count == 1


def test_a_mounted_config_map_is_read_once(folder):
    """Files are links to `..data/…`, itself a link to the folder of one version."""
    (folder / "..v1").mkdir()
    (folder / "good.pbac").rename(folder / "..v1" / "good.pbac")
    (folder / "..data").symlink_to("..v1")
    (folder / "good.pbac").symlink_to("..data/good.pbac")
    assert load_policies(folder).require().rule_count == 1


def test_a_byte_order_mark_is_no_text(folder):
    (folder / "good.pbac").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_policies(folder).policy_set


def test_a_broken_file_is_told_with_its_place(folder):
    (folder / "broken.pbac").write_text("package broken\npermit\n")
    publication = load_policies(folder)
    assert publication.policy_set is None
    assert publication.problems()[0].startswith("broken.pbac:")
    assert "^" in publication.text()


def test_a_failing_test_refuses_the_set(folder):
    (folder / "good.pbac").write_text(GOOD + '\ntest "t"\n  call get_x => deny\n')
    publication = load_policies(folder)
    assert publication.policy_set is None
    assert "expected deny, got permit by read" in publication.problems()[0]


@pytest.mark.parametrize("name", ["nosuch", "nosuch/deeper"])
def test_a_folder_that_is_not_there(folder, name):
    refused_for(folder / name, "no-policies", "there is no folder")


def test_a_folder_without_policies(folder):
    (folder / "good.pbac").rename(folder / "good_bad.pbac")
    refused_for(folder, "no-policies", "no `.pbac` file")


def test_a_file_that_is_not_utf_8(folder):
    (folder / "latin.pbac").write_bytes(b"package b # \xe9\n")
    refused_for(folder, "not-utf-8", "`latin.pbac` is not UTF-8 at byte 12")


@pytest.mark.parametrize("name", [b"\xff.pbac", b"data/\xff.json"])
def test_a_file_whose_name_is_not_utf_8(folder, name):
    (folder / "data").mkdir()
    try:
        (folder / os.fsdecode(name)).write_bytes(b"{}")
    except OSError:
        pytest.skip("this file system has no such names")
    refused_for(folder, "not-utf-8", "\\xff")


def test_a_file_that_is_too_large(folder, monkeypatch):
    monkeypatch.setattr(policy_directory, "POLICY_FILE_BYTES_MAX", len(GOOD))
    assert load_policies(folder).policy_set
    (folder / "good.pbac").write_text(GOOD + "#")
    refused_for(folder, "too-large", "`good.pbac`")


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr(policy_directory, "POLICY_FILES_MAX", 2)
    (folder / "b.pbac").write_text("package b")
    assert load_policies(folder).policy_set
    (folder / "c.pbac").write_text("package c")
    refused_for(folder, "too-many-files", "more than 2 files")


def test_a_link_that_leads_out(folder):
    outside = folder.parent / "outside.pbac"
    outside.write_text("package outside")
    (folder / "link.pbac").symlink_to(outside)
    refused_for(folder, "outside-folder", "`link.pbac`")


def test_a_document_behind_a_link_that_leads_out(folder):
    (folder / "data").mkdir()
    (folder.parent / "secret.json").write_text("{}")
    (folder / "data" / "x.json").symlink_to(folder.parent / "secret.json")
    refused_for(folder, "outside-folder", "`data/x.json`")


def test_a_folder_behind_a_link_is_not_entered(folder):
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "x.pbac").write_text("package x")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    assert load_policies(folder).require().rule_count == 1


def test_a_link_to_nothing_and_links_in_a_circle(folder):
    (folder / "link.pbac").symlink_to("gone.pbac")
    refused_for(folder, "unreadable", "`link.pbac` cannot be read")
    (folder / "gone.pbac").symlink_to("link.pbac")
    assert load_policies(folder).policy_set is None


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    (folder / "link.pbac").symlink_to("pipe")
    refused_for(folder, "unreadable", "`link.pbac` is no regular file")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "a": 2}', "the name `a` appears twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": ', "data/x.json"),
        ("", "data/x.json"),
    ],
)
def test_documents_are_read_strictly(folder, text, told):
    (folder / "data").mkdir()
    (folder / "data" / "x.json").write_text(text)
    refused_for(folder, "bad-data", told)


def test_two_documents_of_one_name(folder):
    for place in ("a", "b"):
        (folder / place / "data").mkdir(parents=True)
        (folder / place / "data" / "x.json").write_text("{}")
    refused_for(folder, "duplicate-data", "two documents are named `x`")


def test_documents_that_are_too_large_together(folder, monkeypatch):
    monkeypatch.setattr(policy_directory, "POLICY_DATA_BYTES_MAX", 10)
    (folder / "data").mkdir()
    (folder / "data" / "a.json").write_text("[1,2,3]")
    assert load_policies(folder).policy_set
    (folder / "data" / "b.json").write_text("[1,2]")
    refused_for(folder, "too-large", "larger than 10 bytes together")


def test_names_do_not_depend_on_where_the_folder_is(folder):
    moved = folder.parent / "moved"
    shutil.copytree(folder, moved)
    assert load_policies(moved).require().version == load_policies(folder).require().version
    assert read_policies(moved) == read_policies(folder)


# --- watching ----------------------------------------------------------------------------------


async def next_within(watching, seconds=PUBLISH_SECONDS_MAX):
    started = time.monotonic()
    publication = await asyncio.wait_for(anext(watching), seconds + 3)
    assert time.monotonic() - started < seconds
    return publication


async def quiet(watching, seconds=1.3):
    waiting = asyncio.ensure_future(anext(watching))
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not done


@pytest.fixture
async def watching(folder):
    async with aclosing(watch_policies(folder, load_policies(folder))) as found:
        yield found


async def started(watching):
    """The first `anext` only waits; a change comes while it does."""
    waiting = asyncio.ensure_future(next_within(watching))
    await asyncio.sleep(0.3)
    return waiting


async def test_a_change_is_published_and_acts(folder, watching):
    before = load_policies(folder).require()
    waiting = await started(watching)
    (folder / "good.pbac").write_text(WIDER)
    after = (await waiting).require()
    assert not decide(before, PUT).permitted
    assert decide(after, PUT).permitted


async def test_a_broken_change_leaves_the_old_set_usable_and_mending_it_publishes(folder, watching):
    before = load_policies(folder).require()
    waiting = await started(watching)
    (folder / "good.pbac").write_text("package good\npermit\n")
    broken = await waiting
    assert broken.policy_set is None
    assert broken.problems()
    assert not decide(before, PUT).permitted
    waiting = await started(watching)
    (folder / "good.pbac").write_text(WIDER)
    assert decide((await waiting).require(), PUT).permitted


async def test_what_changes_nothing_publishes_nothing(folder):
    first = load_policies(folder)
    async with aclosing(watch_policies(folder, first)) as watching:
        waiting = asyncio.ensure_future(quiet(watching))
        await asyncio.sleep(0.2)
        (folder / "good.pbac").write_text(GOOD)
        (folder / "notes.txt").write_text("x")
        assert await waiting


async def test_a_change_between_loading_and_watching_is_not_missed(folder):
    first = load_policies(folder)
    (folder / "good.pbac").write_text(WIDER)
    async with aclosing(watch_policies(folder, first)) as watching:
        assert decide((await next_within(watching)).require(), PUT).permitted


async def test_a_new_document_publishes(folder, watching):
    waiting = await started(watching)
    (folder / "data").mkdir()
    (folder / "data" / "orgs.json").write_text('{"a": 1}')
    publication = await waiting
    while publication.require().data != {"orgs": {"a": 1}}:
        publication = await next_within(watching)


async def test_a_file_replaced_by_renaming_is_seen(folder, watching):
    waiting = await started(watching)
    (folder / "new").write_text(WIDER)
    (folder / "new").replace(folder / "good.pbac")
    assert decide((await waiting).require(), PUT).permitted


async def test_the_folder_may_vanish_and_come_back(folder, watching):
    waiting = await started(watching)
    aside = folder.parent / "aside"
    folder.rename(aside)
    gone = await waiting
    assert gone.policy_set is None
    assert codes(gone) == ["no-policies"]
    (aside / "good.pbac").write_text(WIDER)
    waiting = await started(watching)
    aside.rename(folder)
    assert decide((await waiting).require(), PUT).permitted


async def test_a_link_to_the_folder_may_be_swapped(folder):
    link, other = folder.parent / "current", folder.parent / "v2"
    link.symlink_to(folder)
    other.mkdir()
    (other / "good.pbac").write_text(WIDER)
    async with aclosing(watch_policies(link, load_policies(link))) as watching:
        waiting = await started(watching)
        (folder.parent / "next").symlink_to(other)
        (folder.parent / "next").replace(link)
        assert decide((await waiting).require(), PUT).permitted


async def test_a_half_written_file_is_not_published(folder, watching):
    """Each part of it would parse; only the whole forbids."""
    whole = WIDER + "\nforbid put\n  on tool put_*\n"
    cut = len(WIDER)
    waiting = await started(watching)
    with (folder / "good.pbac").open("w") as file:
        for part in (whole[:cut], whole[cut:]):
            file.write(part)
            file.flush()
            await asyncio.sleep(0.015)
    policy_set = (await waiting).require()
    assert policy_set.rule_count == 2
    assert not decide(policy_set, PUT).permitted


async def test_lost_notifications_are_made_up_for(folder, monkeypatch):
    async def deaf(*_paths, **_options):
        while True:
            await asyncio.sleep(0.5)
            yield set()

    monkeypatch.setattr(policy_directory, "awatch", deaf)
    async with aclosing(watch_policies(folder, load_policies(folder))) as watching:
        waiting = await started(watching)
        (folder / "good.pbac").write_text(WIDER)
        assert decide((await waiting).require(), PUT).permitted


async def test_a_defect_of_ours_is_a_refused_publication_and_watching_goes_on(
    folder, watching, monkeypatch
):
    def fails(*_arguments, **_named):
        raise RuntimeError("boom")

    waiting = await started(watching)
    monkeypatch.setattr(policy_directory, "prepare", fails)
    (folder / "good.pbac").write_text(WIDER)
    publication = await waiting
    assert codes(publication) == ["compiler-fault"]
    assert "boom" in publication.problems()[0]
    monkeypatch.undo()
    waiting = await started(watching)
    (folder / "good.pbac").write_text(WIDER + "# again\n")
    assert decide((await waiting).require(), PUT).permitted


# --- sealed packages -----------------------------------------------------------------------------

SEALED = GOOD.replace("package ", "sealed package ", 1)
BASE = GOOD.split()[1]
OTHER = "package other\nforbid nothing\n  on tool nothing\n"


def test_a_set_without_a_package_that_has_to_be_sealed_is_refused(folder):
    (folder / "good.pbac").write_text(SEALED)
    assert load_policies(folder, sealed=[BASE]).policy_set
    for text, told in ((GOOD, "has to be sealed, and is not"), (OTHER, "has to be there")):
        (folder / "good.pbac").write_text(text)
        publication = load_policies(folder, sealed=[BASE])
        assert publication.policy_set is None
        assert codes(publication) == ["sealed-missing"]
        assert told in publication.diagnostics[0].message
        assert load_policies(folder).policy_set


async def test_a_change_that_drops_a_sealed_package_leaves_the_old_set_serving(folder):
    (folder / "good.pbac").write_text(SEALED)
    (folder / "other.pbac").write_text(OTHER)
    async with aclosing(watch_policies(folder, load_policies(folder))) as watching:
        waiting = await started(watching)
        (folder / "good.pbac").write_text(GOOD)
        publication = await waiting
        assert publication.policy_set is None
        assert codes(publication) == ["sealed-missing"]
        waiting = await started(watching)
        (folder / "good.pbac").write_text(SEALED.replace("get_*", "get_*, put_*"))
        assert (await waiting).require().sealed == {BASE}


async def test_configuration_may_say_that_sealed_packages_can_go(folder):
    (folder / "good.pbac").write_text(SEALED)
    first = load_policies(folder)
    async with aclosing(watch_policies(folder, first, keep_sealed=False)) as watching:
        waiting = await started(watching)
        (folder / "good.pbac").write_text(WIDER)
        assert (await waiting).require().sealed == frozenset()


async def test_a_package_sealed_by_a_change_stays_as_those_of_the_beginning_do(folder, watching):
    waiting = await started(watching)
    (folder / "good.pbac").write_text(SEALED)
    assert (await waiting).require().sealed == {BASE}
    waiting = await started(watching)
    (folder / "good.pbac").write_text(WIDER)
    assert codes(await waiting) == ["sealed-missing"]


# --- vocabularies ----------------------------------------------------------------------------------

TYPED = "package good on server git\n\npermit read\n  on tool get_x\n  when args.depth > 3\n"


def vocabulary(kind="number"):
    properties = json.dumps({"depth": {"type": kind}})
    schema = f'{{"type": "object", "properties": {properties}}}'
    return f'{{"server": "git", "tools": {{"get_x": {{"inputSchema": {schema}}}}}}}'


@pytest.fixture
def typed(folder):
    (folder / "good.pbac").write_text(TYPED)
    (folder / "tools").mkdir()
    (folder / "tools" / "git.json").write_text(vocabulary())
    return folder


def test_rules_are_checked_against_the_vocabularies_of_the_folder(typed):
    before = load_policies(typed).require().version
    (typed / "tools" / "git.json").write_text(vocabulary("string"))
    assert codes(load_policies(typed)) == ["unlike-kinds"]
    (typed / "tools" / "git.json").unlink()
    assert load_policies(typed).require().version != before


def test_a_file_by_itself_is_checked_against_what_stands_beside_it(typed):
    (typed / "tools" / "git.json").write_text(vocabulary("string"))
    assert codes(load_policies(typed / "good.pbac")) == ["unlike-kinds"]


@pytest.mark.parametrize("text", ["", "{", '{"server": "git", "server": "got"}', "[]", "\ufeff{}"])
def test_a_broken_vocabulary_refuses_the_folder(typed, text):
    (typed / "tools" / "git.json").write_text(text)
    refused_for(typed, "bad-vocabulary", "tools/git.json")


def test_every_broken_vocabulary_is_told(typed):
    for name in ("a", "b"):
        (typed / "tools" / f"{name}.json").write_text("{")
    assert codes(load_policies(typed)) == ["bad-vocabulary", "bad-vocabulary"]


def test_a_vocabulary_that_is_too_large(typed, monkeypatch):
    monkeypatch.setattr(policy_directory, "POLICY_DATA_BYTES_MAX", 10)
    refused_for(typed, "too-large", "tools/git.json")


def test_a_vocabulary_that_leads_out_of_the_folder(typed, tmp_path):
    (tmp_path / "elsewhere.json").write_text(vocabulary())
    (typed / "tools" / "git.json").unlink()
    (typed / "tools" / "git.json").symlink_to(tmp_path / "elsewhere.json")
    refused_for(typed, "outside-folder", "tools/git.json")


async def test_a_changed_vocabulary_is_a_change_of_the_policies(typed):
    first = load_policies(typed)
    async with aclosing(watch_policies(typed, first)) as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.1)
        (typed / "tools" / "git.json").write_text(vocabulary("integer"))
        publication = await asyncio.wait_for(waiting, 10)
    assert publication.require().version != first.require().version
