"""What `eval` and `explain` ask about: options, a file, and what a vocabulary says about tools."""

from __future__ import annotations

import json

import pytest

ISSUE = """package iss on server git
tiers low < mid

permit writes
  for tier >= mid
  on tool write_it
"""
SCOPED = """package git on server git
tiers low < mid

permit writes
  for tier >= mid
  on scope s:write
"""
VOCABULARY = {
    "server": "git",
    "tools": {
        "read_it": {"inputSchema": {"type": "object"}, "scope": "s:read"},
        "write_it": {"inputSchema": {"type": "object"}, "scope": "s:write"},
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A policy by itself, and we stand beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iss.pbac").write_text(ISSUE)
    return tmp_path


@pytest.fixture
def vocabulary(folder):
    (folder / "tools").mkdir()
    (folder / "tools" / "git.json").write_text(json.dumps(VOCABULARY))
    return folder


# --- which tool a scope is needed for ----------------------------------------------------------


def test_a_scope_is_asked_for_the_tools_that_need_it(pbac, vocabulary):
    ran = pbac("explain", "iss.pbac", "--issue", "s:write", "--tier", "mid")
    assert ran.code == 0
    assert ran.out.startswith("permit  `s:write` by `agent` (mid)\n")
    assert "`write_it` on `git`" in ran.out
    ran = pbac("explain", "iss.pbac", "--issue", "s:read", "--tier", "mid", "--json")
    assert ran.json["decision"]["effect"] == "deny"
    assert [call["subject"] for call in ran.json["calls"]] == [
        "`read_it` on `git` by `agent` (mid)"
    ]


def test_a_scope_that_no_tool_is_known_to_need_asks_for_the_tool(pbac, folder):
    ran = pbac("explain", "iss.pbac", "--issue", "s:write", "--tier", "mid")
    assert ran.code == 2
    assert "which tool needs `s:write`: add --tool NAME" in " ".join(ran.err.split())
    asked = ("explain", "iss.pbac", "--issue", "s:write", "--tier", "mid", "--tool", "write_it")
    assert pbac(*asked).out.startswith("permit  `s:write`")


def test_a_scope_is_asked_for_the_tool_of_a_file(pbac, vocabulary):
    (vocabulary / "req.json").write_text('{"agent": {"tier": "mid"}, "call": {}}')
    ran = pbac("explain", "iss.pbac", "--issue", "s:write", "--request", "req.json")
    assert ran.out.startswith("permit  `s:write`")


# --- the scope and the server of a tool --------------------------------------------------------


@pytest.mark.parametrize("command", ["eval", "explain"])
def test_the_scope_of_a_tool_is_the_vocabularys(pbac, vocabulary, command):
    (vocabulary / "iss.pbac").write_text(SCOPED)
    asked = (command, "iss.pbac", "--tool", "write_it", "--tier", "mid")
    assert pbac(*asked).out.startswith("permit")
    assert pbac(*asked, "--scope", "s:other").out.startswith("deny")


def test_a_listing_knows_the_scope_too(pbac, vocabulary):
    (vocabulary / "iss.pbac").write_text(SCOPED)
    ran = pbac("explain", "iss.pbac", "--tool", "write_it", "--tier", "mid", "--list")
    assert ran.out.startswith("shown")


@pytest.mark.parametrize("command", ["eval", "explain"])
def test_a_tool_that_the_vocabulary_has_not_is_told(pbac, vocabulary, command):
    ran = pbac(command, "iss.pbac", "--tool", "wite_it", "--tier", "mid")
    assert ran.code == 1
    assert "no tool of `git` is called `wite_it`" in ran.err
    assert "did you mean `write_it`" in ran.err


# --- a file and options ------------------------------------------------------------------------


def request(folder, **roots):
    (folder / "req.json").write_text(json.dumps(roots))
    return ("--request", "req.json")


@pytest.mark.parametrize("command", ["eval", "explain"])
def test_options_overlay_the_file(pbac, folder, command):
    call = {"method": "tools/call", "tool": "read_it", "server": "git"}
    file = request(folder, agent={"id": "a", "tier": "low"}, call=call)
    assert pbac(command, "iss.pbac", *file).out.startswith("deny")
    asked = ("--tool", "write_it", "--tier", "mid")
    assert pbac(command, "iss.pbac", *file, *asked).out.startswith("permit")


def test_every_option_overlays_the_file(pbac, folder):
    text = (
        ISSUE + '  when args.n == 2 and agent.id == "b" and call.scope == "x" and args.m is null\n'
    )
    (folder / "iss.pbac").write_text(text)
    call = {"method": "tools/call", "tool": "write_it", "server": "other"}
    file = request(folder, agent={"id": "a", "tier": "mid"}, call=call, args={"n": 1, "m": 1})
    asked = ("--server", "git", "--scope", "x", "--agent", "b", "--args", '{"n": 2, "m": null}')
    assert pbac("eval", "iss.pbac", *file, *asked).out.startswith("permit")


def test_a_file_without_a_server_means_the_packages(pbac, folder):
    file = request(folder, agent={"tier": "mid"}, call={"method": "tools/call", "tool": "write_it"})
    assert pbac("eval", "iss.pbac", *file).out.startswith("permit")


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--args", "--set"])
def test_what_is_not_utf_8_is_told(pbac, folder, option):
    value = '{"n":"\udcff"}' if option == "--args" else "args.n=\udcff"
    ran = pbac("eval", "iss.pbac", "--tool", "write_it", option, value)
    assert ran.code == 1
    assert f"`{option}`" in ran.err
    assert "not UTF-8" in ran.err
