"""`pbac test` as people run it: sets, filters, case files, reports, coverage, watching."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

POLICIES = Path(__file__).parent.parent.parent / "policies"
GOOD = """package good on server github
tiers read_only < trusted

permit read
  for tier >= read_only
  on tool get_*

forbid secret
  on tool get_*
  when args.secret default false

test "reads"
  agent { tier: read_only }
  call get_x {} => permit by read
  call get_x { secret: true } => deny by secret
"""
CASES = """
package: good
given: { agent: { tier: read_only } }
tests:
  - name: table
    call: get_x
    rows:
      - { expect: permit }
      - { args.secret: "yes", expect: deny by secret unknown args.secret }
      - { name: wrong, args.secret: true, expect: permit }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A policy folder, and we stand beside it."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "good.pbac").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "policies"


def several(folder):
    """Two sets in one folder that is none."""
    (folder / "good.pbac").unlink()
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "good.pbac").write_text(GOOD)


# --- the stories that ship ---------------------------------------------------------------------


def test_every_outcome_of_what_ships_is_tested(pbac):
    ran = pbac("test", POLICIES, "--coverage", "--coverage-min", 100)
    assert ran.code == 0, ran.out
    assert "never" not in ran.out
    assert ran.out.count("outcomes seen, 100%") == len(
        [p for p in POLICIES.iterdir() if p.is_dir()]
    )


# --- folders of sets ---------------------------------------------------------------------------


def test_a_folder_without_a_policy_holds_sets(pbac, folder):
    several(folder)
    ran = pbac("test", "policies")
    assert ran.code == 0
    assert ran.out == (
        "policies/one\nok    good    1 test   2 expectations\n"
        "policies/two\nok    good    1 test   2 expectations\n"
        "\n4 of 4 expectations passed\n"
    )
    assert pbac("check", "policies").out.count(" 2 notes (2 rules") == 2


def test_one_policy_directly_in_it_makes_it_one_set(pbac, folder):
    several(folder)
    (folder / "tiers.pbac").write_text("package top\n")
    ran = pbac("check", "policies")
    assert ran.code == 1
    assert "duplicate-tiers" in ran.out


def test_a_folder_with_one_folder_of_policies_is_that_set(pbac, folder):
    several(folder)
    (folder / "two" / "good.pbac").rename(folder / "two" / "good_bad.pbac")
    (folder / "one" / "deeper").mkdir()
    ran = pbac("test", "policies")
    assert (ran.code, ran.out) == (0, "ok    good    1 test   2 expectations\n")


@pytest.mark.parametrize("command", ["eval", "explain"])
def test_where_one_set_is_needed_several_are_refused(pbac, folder, command):
    several(folder)
    ran = pbac(command, "policies", "--tool", "x")
    assert ran.code == 1
    assert "error[several-sets]" in ran.err
    assert "`policies/one`, `policies/two`" in ran.err


def test_hidden_folders_and_links_hold_no_sets(pbac, folder):
    several(folder)
    (folder / "two").rename(folder / ".two")
    (folder / "again").symlink_to(folder)
    assert pbac("test", "policies").out.count("ok ") == 1


# --- case files --------------------------------------------------------------------------------


def test_case_files_are_run_with_the_blocks(pbac, folder):
    (folder / "good.cases.yaml").write_text(CASES)
    ran = pbac("test", "policies")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "FAIL  good    4 tests  1 of 5 expectations failed"
    assert 'policies/good.cases.yaml:10:9: test "table: wrong"' in ran.out
    assert "    expected  permit\n    got       deny by secret\n" in ran.out
    assert "    write     `expect: deny by secret` if that is what you mean\n" in ran.out


def test_a_case_file_that_cannot_be_read_is_drawn(pbac, folder):
    (folder / "good.cases.yaml").write_text(CASES.replace("deny by secret", "deny by secrt"))
    ran = pbac("test", "policies")
    assert ran.code == 1
    assert "error[unknown-rule]: there is no rule `secrt`" in ran.out
    assert "--> policies/good.cases.yaml:9:39" in ran.out
    assert "did you mean `secret`?" in ran.out
    (folder / "good.cases.yaml").write_bytes(b"\xff")
    assert "not UTF-8 at byte 0" in pbac("test", "policies").out


def test_a_gateway_does_not_read_case_files(pbac, folder):
    (folder / "good.cases.yaml").write_text("nonsense: [")
    assert pbac("check", "policies").code == 0


# --- failures ----------------------------------------------------------------------------------


def test_a_failure_says_what_would_pass_and_shows_the_decision(pbac, folder):
    text = GOOD.replace("=> permit by read", "=> deny")
    (folder / "good.pbac").write_text(text)
    ran = pbac("test", "policies")
    assert "    write     `=> permit by read` if that is what you mean\n" in ran.out
    assert "    permit  `get_x` on `github` by `agent` (read_only)\n" in ran.out
    assert "    → permit good.read  applies\n" in ran.out
    (folder / "good.pbac").write_text(text.replace("=> deny\n", "=> permit by read\n", 1))
    assert pbac("test", "policies").code == 0


def test_failures_of_lists_and_tokens_are_explained_too(pbac, folder):
    more = '  list get_x => hidden\n  tool get_x { scope: "gh:x" }\n  issue gh:x => deny\n'
    (folder / "good.pbac").write_text(GOOD + more)
    ran = pbac("test", "policies")
    assert "write     `=> shown` if" in ran.out
    assert "    shown  `get_x` on `github`" in ran.out
    assert "write     `=> permit by read` if" in ran.out
    assert "a call of it could be permitted:" in ran.out


# --- filters and reports -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expectations"), [("READS", 2), ("table", 3), ("*: wrong", 1), ("t*row ?", 2)]
)
def test_a_filter_chooses_tests_by_name(pbac, folder, pattern, expectations):
    (folder / "good.cases.yaml").write_text(CASES)
    ran = pbac("test", "policies", "-k", pattern, "--json")
    assert ran.json["packages"][0]["expectations"] == expectations


def test_a_filter_that_fits_nothing_is_a_mistake(pbac, folder):
    ran = pbac("test", "policies", "--filter", "nosuch")
    assert ran.code == 1
    assert "no test is named like `nosuch`" in ran.err


def test_junit_has_a_case_for_every_expectation(pbac, folder):
    (folder / "good.cases.yaml").write_text(CASES.replace("wrong", "wr\U0001f600<&"))
    assert pbac("test", "policies", "--junit", "out.xml").code == 1
    root = ET.parse("out.xml").getroot()
    (suite,) = root
    counts = (suite.get("tests"), suite.get("failures"), suite.get("errors"))
    assert (suite.get("name"), counts) == ("policies: good", ("5", "1", "0"))
    (failed,) = [case for case in suite if case.find("failure") is not None]
    assert failed.get("file") == "policies/good.cases.yaml"
    assert failed.get("line") == "10"
    assert failed.get("name").startswith("table: wr\U0001f600<&: ")
    assert failed.find("failure").get("message") == "expected permit, got deny by secret"
    assert "forbid good.secret  applies" in failed.find("failure").text


def test_junit_tells_a_set_that_cannot_be_used(pbac, folder):
    (folder / "a.pbac").write_text("package a\nforbid\n")
    assert pbac("test", "policies", "--junit", "out.xml").code == 1
    (case,) = ET.parse("out.xml").getroot().iter("testcase")
    assert "error[" in case.find("error").text


def test_reports_that_cannot_be_written_are_told(pbac, folder):
    ran = pbac("test", "policies", "--junit", "nosuch/out.xml")
    assert ran.code == 1
    assert "`nosuch/out.xml` cannot be written" in ran.err


# --- coverage ----------------------------------------------------------------------------------


def test_coverage_below_what_is_asked_for_ends_with_1(pbac, folder):
    ran = pbac("test", "policies", "--coverage")
    assert ran.code == 0
    assert "coverage of policies\n" in ran.out
    assert "for tier >= read_only  never unknown\n" in ran.out
    ran = pbac("test", "policies", "--coverage-min", 90)
    assert ran.code == 1
    assert "below the 90% that --coverage-min asks for" in ran.err
    assert pbac("test", "policies", "--coverage-min", 30).code == 0


def test_one_set_below_is_enough_to_fail(pbac, folder):
    several(folder)
    more = (
        "  call put => deny\n  call get_x { secret: 1 } => deny\n  agent {}\n  call get_x => deny\n"
    )
    (folder / "one" / "good.pbac").write_text(GOOD + more)
    assert pbac("test", "policies/one", "--coverage-min", 90).code == 0
    assert pbac("test", "policies", "--coverage-min", 90).code == 1


def test_coverage_annotated_as_json_and_lcov(pbac, folder):
    ran = pbac("test", "policies", "--annotate", "--lcov", "out.info")
    assert "✓ ·    5 │   for tier >= read_only\n" in ran.out
    assert "coverage of" not in ran.out
    assert "SF:policies/good.pbac" in Path("out.info").read_text("utf-8")
    (measured,) = pbac("test", "policies", "--coverage", "--json").json["coverage"]
    assert measured["set"] == "policies"
    assert measured["rules"][0]["source"] == "policies/good.pbac"
    assert measured["percent"] == 100 * measured["seen"] // measured["asked"]


# --- watching ----------------------------------------------------------------------------------


def test_watching_runs_again_after_a_change(pbac, folder, monkeypatch):
    def changes(*paths, raise_interrupt):
        assert [str(path) for path in paths] == ["policies"]
        (folder / "good.pbac").write_text(GOOD.replace("=> permit by read", "=> deny"))
        yield {(1, str(folder / "good.pbac"))}
        yield {(1, str(folder / "notes.txt"))}

    monkeypatch.setattr("watchfiles.watch", changes)
    ran = pbac("test", "policies", "--watch")
    assert ran.code == 0
    assert ran.out.count("watching; Ctrl-C ends") == 2
    assert ran.out.index("ok    good") < ran.out.index("FAIL  good")


def test_watching_goes_on_after_a_mistake(pbac, folder, monkeypatch):
    def changes(*_paths, raise_interrupt):
        (folder / "good.pbac").write_text("package")
        yield {(1, "good.pbac")}

    monkeypatch.setattr("watchfiles.watch", changes)
    ran = pbac("test", "policies", "--watch", "-k", "nosuch")
    assert "no test is named like `nosuch`" in ran.err
    assert "error[" in ran.out
    assert pbac("test", "nosuch", "--watch").code == 1


# --- no tests, lone files ----------------------------------------------------------------------


def test_that_nothing_was_tested_is_said(pbac, folder):
    (folder / "good.pbac").write_text("package good\npermit x\n  on tool y\n")
    for arguments in ((), ("--json",)):
        ran = pbac("test", "policies", *arguments)
        assert ran.code == 0
        assert ran.err == "warning: `policies` has no tests, so nothing was run\n"
    assert pbac("test", "policies").out == "none  good    0 tests  0 expectations\n"


def test_a_lone_file_reads_the_case_file_of_its_name(pbac, folder):
    text = "package: good\ntests:\n  - { name: a, call: nosuch, expect: permit }\n"
    (folder / "good.cases.yaml").write_text(text)
    (folder / "other.cases.yaml").write_text(text)
    ran = pbac("test", "policies/good.pbac")
    assert ran.code == 1
    assert "policies/good.cases.yaml:3:" in ran.out
    assert "other.cases" not in ran.out


def test_yaml_that_is_none_is_told_without_the_words_of_its_reader(pbac, folder):
    (folder / "good.cases.yaml").write_text("tests:\n  - name: @a\n")
    ran = pbac("test", "policies")
    assert "no text begins with `@` unless it stands in quotes" in ran.out


def test_what_check_knows_from_a_vocabulary_test_knows_too(pbac, folder):
    (folder / "tools").mkdir()
    tools = '{"server": "s", "tools": {"y": {"inputSchema": {"type": "object"}}}}'
    (folder / "tools" / "s.json").write_text(tools)
    text = 'package good on server s\npermit x\n  on tool yy\ntest "t"\n  call yy => permit\n'
    (folder / "good.pbac").write_text(text)
    assert pbac("check", "policies").code == 1
    ran = pbac("test", "policies")
    assert ran.code == 1
    assert "error[unknown-tool]" in ran.out
