"""Bundles on disk: what is collected is what is loaded, and nothing else is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.bundles import FILES, KEY, OTHER, rendered

from pbac.adapters.policy_bundle import load_bundle, write_bundle
from pbac.adapters.policy_contents import parse_policies, publication_of
from pbac.adapters.policy_directory import load_policies
from pbac.adapters.policy_files import read_files
from pbac.base import limits
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
        "deep-er.pbac": GOOD.format("er"),
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


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_bundle_of_a_story_is_the_policy_set_of_its_folder(story):
    bundle = parse_bundle(rendered(read_files(story)), [KEY.public])
    bundled, loaded = publication_of(bundle.files), load_policies(story)
    assert bundled.require().version == loaded.require().version
    assert bundled.diagnostics == loaded.diagnostics
    assert bundled.sources == loaded.sources


def test_a_folder_comes_back_from_a_bundle_in_the_order_in_which_it_is_read(folder):
    files = read_files(folder)
    bundle = parse_bundle(rendered(files), [KEY.public])
    assert [*bundle.files.items()] == [*files.items()]
    assert [*files] == [
        "deep/b.pbac", "deep-er.pbac", "top.pbac",
        "data/orgs.json", "deep/data/teams.json", "tools/top.json",
    ]  # fmt: skip
    bundled, loaded = publication_of(bundle.files), load_policies(folder)
    assert bundled.diagnostics == loaded.diagnostics
    assert bundled.sources == loaded.sources


def test_a_byte_order_mark_is_kept_in_the_bundle_and_no_part_of_the_text():
    files = {"a.pbac": b"\xef\xbb\xbf" + GOOD.format("a").encode()}
    bundle = parse_bundle(rendered(files), [KEY.public])
    assert bundle.files == files
    assert parse_policies(bundle.files).sources[0].text == GOOD.format("a")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.pbac": b"package", "data/x.json": b"{"}, "bad-data"),
        ({"a.pbac": b"", "data/x.json": b"1", "b/data/x.json": b"1"}, "duplicate-data"),
        ({"a.pbac": b"", "tools/x.json": b"{"}, "bad-vocabulary"),
        ({"a.pbac": b"package a on server a\npermit"}, "syntax"),
    ],
)
def test_mistakes_in_a_bundle_are_told_as_those_of_a_folder(tmp_path, files, code):
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    bundle = parse_bundle(rendered(files), [KEY.public])
    bundled, loaded = publication_of(bundle.files), load_policies(tmp_path)
    assert bundled.policy_set is None
    assert bundled.diagnostics[0].code == code
    assert bundled.diagnostics == loaded.diagnostics


def test_sealed_packages_have_to_be_in_a_bundle_too():
    publication = publication_of({"a.pbac": GOOD.format("a").encode()}, sealed=["base"])
    assert publication.policy_set is None
    assert publication.diagnostics[0].code == "sealed-missing"


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
