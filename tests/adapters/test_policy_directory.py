"""Policy folders as they are found: broken, vanished, linked, too large."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from pbac.adapters import policy_files
from pbac.adapters.policy_directory import load_policies, read_policies
from pbac.base.diagnostics import PolicyError

GOOD = "package good on server git\n\npermit read\n  on tool get_*\n"


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
    monkeypatch.setattr(policy_files, "POLICY_FILE_BYTES_MAX", len(GOOD))
    assert load_policies(folder).policy_set
    (folder / "good.pbac").write_text(GOOD + "#")
    refused_for(folder, "too-large", "`good.pbac`")


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr(policy_files, "POLICY_FILES_MAX", 2)
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
    monkeypatch.setattr(policy_files, "POLICY_DATA_BYTES_MAX", 10)
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
    monkeypatch.setattr(policy_files, "POLICY_DATA_BYTES_MAX", 10)
    refused_for(typed, "too-large", "tools/git.json")


def test_a_vocabulary_that_leads_out_of_the_folder(typed, tmp_path):
    (tmp_path / "elsewhere.json").write_text(vocabulary())
    (typed / "tools" / "git.json").unlink()
    (typed / "tools" / "git.json").symlink_to(tmp_path / "elsewhere.json")
    refused_for(typed, "outside-folder", "tools/git.json")
