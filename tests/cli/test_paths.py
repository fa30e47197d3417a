"""What a PATH may be, and how it is told what it is not."""

from __future__ import annotations

import json
import os

import pytest

GOOD = "package good\ntiers low < high\n\npermit x\n  on tool y\n"
COMMANDS = [["check"], ["test"], ["fmt", "--check"], ["eval", "--tool", "y"]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.pbac").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize("command", [*COMMANDS, ["explain", "--tool", "y"], ["tools", "show"]])
def test_an_empty_path_is_not_the_folder_where_we_stand(pbac, folder, command):
    ran = pbac(*command, "")
    assert ran.code == 2
    assert "PATH is empty" in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_named_pipe_is_told_and_not_waited_for(pbac, folder, command):
    os.mkfifo(folder / "a.pbac")
    ran = pbac(*command, "a.pbac")
    assert ran.code == 1
    assert "`a.pbac` is no regular file but a named pipe" in ran.out + ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_named_pipe_in_a_folder_is_told(pbac, folder, command):
    (folder / "ff").mkdir()
    os.mkfifo(folder / "ff" / "a.pbac")
    ran = pbac(*command, "ff")
    assert ran.code == 1
    assert "a named pipe" in ran.out + ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_file_is_no_missing_folder(pbac, folder, command):
    ran = pbac(*command, "nosuch.pbac")
    assert ran.code == 1
    assert "there is no file `nosuch.pbac`" in ran.out + ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever may read everything")
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreadable_file_is_told_alike_by_itself_and_in_a_folder(pbac, folder, command):
    (folder / "good.pbac").chmod(0)
    for path in ("good.pbac", "."):
        ran = pbac(*command, path)
        assert ran.code == 1
        assert "`good.pbac` cannot be read: permission denied" in ran.out + ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_whether_a_file_can_be_read_is_not_asked_of_the_command_line(
    pbac, folder, command, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be read" not in pbac(*command, "good.pbac").err
    assert pbac(*command, "good.pbac").code != 2


def test_a_lone_file_reads_the_documents_beside_it(pbac, folder):
    (folder / "data").mkdir()
    (folder / "data" / "orgs.json").write_text(json.dumps(["a"]))
    (folder / "one.pbac").write_text(
        "package one\npermit x\n  on tool y\n  when args.o in data.orgs\n"
    )
    checked = pbac("check", "one.pbac")
    assert "unknown-document" not in checked.out
    asked = ("eval", "one.pbac", "--tool", "y", "--args")
    assert pbac(*asked, '{"o": "a"}').out.startswith("permit")
    assert pbac(*asked, '{"o": "b"}').out.startswith("deny")


# --- places in messages ------------------------------------------------------------------------


def test_places_within_messages_have_the_folder(pbac, folder):
    (folder / "dn").mkdir()
    (folder / "dn" / "a.pbac").write_text("package a\npermit x\n  on tool y\n")
    (folder / "dn" / "b.pbac").write_text("package a\npermit x\n  on tool z\n")
    ran = pbac("check", "dn", "--format", "line")
    assert "dn/b.pbac:2:8: error" in ran.out
    assert "dn/a.pbac:2:8" in ran.out.split("error:")[1]


# --- several sets ------------------------------------------------------------------------------


@pytest.fixture
def mail(folder):
    (folder / "mail").mkdir()
    for name, tiers in (("core", "tiers low < high\n"), ("crm", "")):
        (folder / "mail" / name).mkdir()
        text = f"sealed package {name}\n{tiers}permit x\n  for tier >= high\n  on tool {name}\n"
        (folder / "mail" / name / f"{name}.pbac").write_text(text)
    return folder


def test_that_a_folder_is_several_sets_is_said(pbac, mail):
    told = "note: `mail` is read as 2 policy sets: `mail/core`, `mail/crm`"
    for command in ("check", "test"):
        ran = pbac(command, "mail")
        assert told in ran.err
        assert "a `.pbac` file directly in `mail` makes all of it one set" in ran.err
    assert told not in pbac("check", "mail/core").err
    assert pbac("check", "mail", "--format", "json").json


# --- other things that are typed ---------------------------------------------------------------


def test_check_reads_standard_input(pbac, folder):
    ran = pbac("check", "-", stdin=GOOD.encode())
    assert ran.code == 0
    assert "-  " in ran.out
    ran = pbac("check", "-", "--format", "line", stdin=b"package a\npermit\n")
    assert ran.code == 1
    assert ran.out.startswith("stdin:")
    assert "not UTF-8" in pbac("check", "-", stdin=b"\xff").err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "ftp://x"), "`ftp://x` is an address"),
        (("check", "--json", "good.pbac"), "write --format json"),
        (("chekc", "good.pbac"), "Did you mean 'check'?"),
        (("test", "good.pbac", "--coverage-min", "x"), "'x' is not a valid whole number"),
    ],
)
def test_a_command_line_that_cannot_be_is_told_plainly(pbac, folder, arguments, told):
    ran = pbac(*arguments)
    assert ran.code == 2
    assert told in " ".join(ran.err.split())


def test_json_that_is_none_is_told_in_words_of_json(pbac, folder):
    ran = pbac("eval", "good.pbac", "--tool", "y", "--args", "{a:1}")
    assert "`--args`: a name in double quotes is missing at line 1 column 2" in ran.err


def test_a_vocabulary_that_is_none_is_named_once(pbac, folder):
    (folder / "bad.json").write_text("{")
    assert pbac("tools", "show", "bad.json").err.count("bad.json") == 1
