"""Loading, testing and formatting see the same files of a folder, and leave out the same ones."""

from __future__ import annotations

import os

import pytest

from pbac.adapters import policy_directory, policy_files, policy_folders, policy_text
from pbac.adapters.policy_listing import is_policy, listed
from pbac.base.diagnostics import PolicyError

RULE = "package p on server s\npermit everything\n  on any\n"
SEEN = ["a.pbac", "deep/er/b.pbac"]
UNSEEN = ["a_bad.pbac", ".c.pbac", ".git/d.pbac", "deep/.x/e.pbac", "a.pbac.bak", "e.txt"]
CASES = ["a.cases.yaml", "deep/er/b.cases.json"]
NO_CASES = [".c.cases.yaml", ".git/d.cases.yaml", "e.cases.txt", "cases.yaml"]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "policies"
    for name in (*SEEN, *UNSEEN, *CASES, *NO_CASES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(RULE)
    (root / "folder.pbac").mkdir()
    (root / "round").symlink_to(root)
    return root


def test_whoever_lists_a_folder_lists_the_same(folder):
    read = policy_directory.read_policies(folder).sources
    assert [source.name for source in read] == SEEN
    assert policy_text.policy_files(folder) == [folder / name for name in SEEN]
    assert policy_folders.policy_sets(folder) == (folder,)
    assert [source.name for source in policy_folders.read_case_files(folder)] == CASES


def test_a_link_that_leads_nowhere_is_listed_so_that_it_is_told(folder):
    (folder / "gone.pbac").symlink_to(folder / "nowhere.pbac")
    (folder / "gone.cases.yaml").symlink_to(folder / "nowhere.yaml")
    assert folder / "gone.pbac" in policy_text.policy_files(folder)
    with pytest.raises(PolicyError, match=r"gone\.pbac"):
        policy_directory.read_policies(folder)
    with pytest.raises(PolicyError, match=r"gone\.cases\.yaml"):
        policy_folders.read_case_files(folder)


def test_no_more_are_listed_than_may_be_read_but_for_one(folder):
    assert len(listed(folder, "*", 3)) == 4


def test_a_folder_that_vanishes_meanwhile_is_told_by_all(folder, monkeypatch):
    def vanished(*_arguments, **_options):
        raise OSError(2, os.strerror(2))

    monkeypatch.setattr(policy_files, "listed", vanished)
    monkeypatch.setattr(policy_text, "listed", vanished)
    monkeypatch.setattr(policy_folders, "listed", vanished)
    for read in (policy_directory.read_policies, policy_folders.read_case_files):
        with pytest.raises(PolicyError, match="cannot be listed: no such file"):
            read(folder)
    with pytest.raises(policy_text.PolicyTextError, match="cannot be listed: no such file"):
        policy_text.policy_files(folder)


def test_a_policy_is_told_by_its_name():
    names = ["a.pbac", "a_bad.pbac", ".a.pbac", "a.pba", "_bad.pbac", "bad.pbac"]
    found = [name for name in names if is_policy(policy_text.Path(name))]
    assert found == ["a.pbac", "bad.pbac"]
