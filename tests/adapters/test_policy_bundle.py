"""Bundles on disk: what is collected is what is loaded, and nothing else is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.bundles import FILES, KEY, OTHER, rendered

from pbac.adapters.policy_bundle import (
    collect_files,
    load_bundle,
    prepare_files,
    read_files,
    write_bundle,
)
from pbac.adapters.policy_directory import load_policies
from pbac.base import limits
from pbac.base.diagnostics import PolicyError
from pbac.pdp.bundle import parse_bundle
from pbac.pdp.bundle_files import BundleError

POLICIES = Path(__file__).parent.parent.parent / "policies"
STORIES = sorted(folder for folder in POLICIES.iterdir() if folder.is_dir())
GOOD = "package {0} on server {0}\n"


@pytest.fixture
def folder(tmp_path):
    """Two packages in folders of their own, a document each, and what counts for nothing."""
    texts = {
        "top.pbac": GOOD.format("top"),
        "deep/b.pbac": GOOD.format("b"),
        "data/orgs.json": '{"a": ["x"]}',
        "deep/data/teams.json": "[1]",
        "tools/top.json": '{"server": "top", "tools": []}',
        "top_bad.pbac": "nonsense",
        ".hidden.pbac": "nonsense",
        ".git/x.pbac": "nonsense",
        "deep/.data/x.json": "nonsense",
        "other.json": "nonsense",
        "deep/data/more/x.json": "nonsense",
        "top.cases.yaml": "nonsense",
        "README.md": "nonsense",
    }
    for name, text in texts.items():
        file = tmp_path / "policies" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "policies"


def told(folder) -> str:
    with pytest.raises(PolicyError) as caught:
        collect_files(folder)
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_bundle_of_a_story_is_the_policy_set_of_its_folder(story):
    bundle = parse_bundle(rendered(collect_files(story)), [KEY.public])
    bundled, loaded = prepare_files(bundle.files), load_policies(story)
    assert bundled.require().version == loaded.require().version
    assert bundled.diagnostics == loaded.diagnostics
    assert bundled.sources == loaded.sources


def test_a_folder_is_collected_as_it_is_loaded(folder):
    files = collect_files(folder)
    assert sorted(files) == [
        "data/orgs.json", "deep/b.pbac", "deep/data/teams.json", "tools/top.json", "top.pbac",
    ]  # fmt: skip
    assert all((folder / path).read_bytes() == data for path, data in files.items())
    trees = read_files(parse_bundle(rendered(files), [KEY.public]).files)
    assert trees.places == {"orgs": "data/orgs.json", "teams": "deep/data/teams.json"}
    assert trees.data == {"orgs": {"a": ["x"]}, "teams": [1]}
    assert [*trees.tools] == ["tools/top.json"]
    bundled, loaded = prepare_files(files), load_policies(folder)
    assert bundled.diagnostics == loaded.diagnostics
    assert [each.name for each in bundled.sources] == [each.name for each in loaded.sources]


def test_a_byte_order_mark_is_kept_in_the_bundle_and_no_part_of_the_text():
    files = {"a.pbac": b"\xef\xbb\xbf" + GOOD.format("a").encode()}
    bundle = parse_bundle(rendered(files), [KEY.public])
    assert bundle.files == files
    assert read_files(bundle.files).sources[0].text == GOOD.format("a")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.pbac": b"package", "data/x.json": b"{"}, "bad-data"),
        ({"a.pbac": b"", "data/x.json": b"1", "b/data/x.json": b"1"}, "duplicate-data"),
        ({"a.pbac": b"", "tools/x.json": b"{"}, "bad-vocabulary"),
        ({"a.pbac": b"\xff"}, "not-utf-8"),
        ({"a.pbac": b"package a on server a\npermit"}, "syntax"),
    ],
)
def test_mistakes_in_a_bundle_are_told_as_those_of_a_folder(tmp_path, files, code):
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    bundled, loaded = prepare_files(files), load_policies(tmp_path)
    assert bundled.policy_set is None
    assert bundled.diagnostics[0].code == code
    assert bundled.diagnostics == loaded.diagnostics


def test_sealed_packages_have_to_be_in_a_bundle_too():
    publication = prepare_files({"a.pbac": GOOD.format("a").encode()}, sealed=["base"])
    assert publication.policy_set is None
    assert publication.diagnostics[0].code == "sealed-missing"


# --- folders that are not collected -----------------------------------------------------------


def test_a_folder_that_is_none_or_several_or_empty(tmp_path, folder):
    assert told(tmp_path / "nowhere") == "no-policies"
    assert told(folder / "top.pbac") == "no-policies"
    assert told(POLICIES) == "several-sets"
    (tmp_path / "empty").mkdir()
    assert told(tmp_path / "empty") == "no-policies"


def test_links_that_lead_out_of_the_folder(tmp_path, folder):
    (tmp_path / "secret.json").write_text('"secret"')
    (folder / "data/secret.json").symlink_to(tmp_path / "secret.json")
    assert told(folder) == "outside-folder"


def test_a_link_within_the_folder_is_a_file(folder):
    (folder / "again.pbac").symlink_to(folder / "top.pbac")
    assert collect_files(folder)["again.pbac"] == (folder / "top.pbac").read_bytes()


def test_what_is_no_regular_file_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.pbac")
    assert told(folder) == "unreadable"


def test_a_name_that_is_not_utf_8(folder):
    (folder / os.fsdecode(b"\xff.pbac")).write_text("")
    assert told(folder) == "not-utf-8"


def test_files_that_are_too_large_or_too_many(folder, monkeypatch):
    with (folder / "data/large.json").open("wb") as file:
        file.truncate(limits.POLICY_DATA_BYTES_MAX + 1)
    assert told(folder) == "too-large"
    (folder / "data/large.json").unlink()
    monkeypatch.setattr("pbac.adapters.policy_bundle.BUNDLE_BYTES_MAX", 30)
    assert told(folder) == "too-large"
    monkeypatch.setattr("pbac.adapters.policy_bundle.POLICY_FILES_MAX", 1)
    assert told(folder) == "too-many-files"


# --- bundle files -----------------------------------------------------------------------------


def refused(path, keys=(KEY.public,)) -> BundleError:
    with pytest.raises(BundleError) as caught:
        load_bundle(path, keys)
    assert str(path) in caught.value.message
    return caught.value


def test_a_bundle_is_written_and_read_back(tmp_path):
    file = tmp_path / "acme.pbacbundle"
    write_bundle(file, rendered())
    assert load_bundle(file, [KEY.public], name="acme").files == FILES
    write_bundle(file, rendered(number=8))
    assert load_bundle(file, [KEY.public]).number == 8
    assert [*tmp_path.iterdir()] == [file]


def test_a_link_to_a_bundle_stays_one(tmp_path):
    (tmp_path / "releases").mkdir()
    link = tmp_path / "acme.pbacbundle"
    link.symlink_to(tmp_path / "releases/acme-7.pbacbundle")
    write_bundle(link, rendered())
    assert link.is_symlink()
    assert load_bundle(link, [KEY.public]).number == 7


def test_what_cannot_be_read_or_written_is_told_with_its_name(tmp_path):
    assert refused(tmp_path / "nowhere").code == "bundle_file"
    assert refused(tmp_path).code == "bundle_file"
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").code == "bundle_file"
    (tmp_path / "file").write_bytes(rendered(key=OTHER))
    assert refused(tmp_path / "file").code == "bundle_key"
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(limits.BUNDLE_BYTES_MAX + 10)
    assert refused(tmp_path / "huge").code == "bundle_too_large"
    with pytest.raises(BundleError) as caught:
        write_bundle(tmp_path / "nowhere/acme.pbacbundle", b"")
    assert caught.value.code == "bundle_file"


def test_a_write_that_fails_leaves_the_old_bundle_and_nothing_beside_it(tmp_path, monkeypatch):
    file = tmp_path / "acme.pbacbundle"
    write_bundle(file, rendered())

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BundleError) as caught:
        write_bundle(file, rendered(number=8))
    assert "no space left" in caught.value.message
    assert load_bundle(file, [KEY.public]).number == 7
    assert [*tmp_path.iterdir()] == [file]
