"""`pbac check`, `test`, `eval` and `explain`, run as people run them: output and exit code."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from pbac.cli.duty_refusal import refusal
from pbac.model.decision import Cause, Decision, Duty, Effect

POLICIES = Path(__file__).parent.parent.parent / "policies"
STORIES = sorted(folder for folder in POLICIES.iterdir() if folder.is_dir())
TIERS = "tiers read_only < trusted\n"
GOOD = f"""package good on server github
{TIERS}
permit read "Everyone reads."
  for tier >= read_only
  on tool get_*

permit merge "The trusted merge."  # pbac: allow untested-rule reading is enough here
  for tier >= trusted
  on tool merge
  when args.number > 0 and args.branch == "main"

test "reads"
  agent {{ tier: read_only }}
  call get_x {{ n: 1 }} => permit by read
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A policy folder, and we stand beside it."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "good.pbac").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "policies"


# --- the stories that ship ---------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_story_has_no_complaints_and_its_tests_pass(pbac, story):
    checked = pbac("check", story)
    assert checked.code == 0
    assert "error" not in checked.out
    assert "note" not in checked.out
    assert "no complaints" in checked.out or story.name == "starter"  # it is for any backend
    tested = pbac("test", "--json", story)
    assert tested.code == 0
    assert all(report["tests"] for report in tested.json["packages"])


@pytest.mark.parametrize("bad", sorted(POLICIES.glob("*/*_bad.pbac")), ids=lambda path: path.stem)
def test_a_mistake_earns_the_very_message_its_readme_shows(pbac, bad, monkeypatch):
    monkeypatch.chdir(bad.parent)
    checked = pbac("check", bad.name)
    shown = (bad.parent / "README.md").read_text("utf-8").split("```text\n")[1].split("```")[0]
    assert checked.code == 1
    assert checked.out.startswith(shown)


def test_five_failures_and_the_tiers_are_shipped_each_with_a_mistake():
    names = [story.name for story in STORIES]
    assert [name[:2] for name in names[:5]] == ["01", "02", "03", "04", "05"]
    assert "github_tiers" in names
    for story in STORIES:
        if story.name != "starter":
            assert list(story.glob("*_bad.pbac")), f"{story.name} shows no mistake"


def test_the_line_the_demo_changes_is_there_and_the_changed_policy_is_good(pbac, folder):
    text = (POLICIES / "github_tiers" / "github.pbac").read_text("utf-8")
    line = "permit merge\n  for tier >= trusted\n  on  tool merge_pull_request\n"
    assert text.count(line) == 1
    changed = folder / "good.pbac"
    changed.write_text(text.replace(line, line.replace("trusted", "developer")))
    assert pbac("test", folder).code == 0
    asked = ("--tool", "merge_pull_request", "--tier", "developer")
    assert pbac("eval", folder, *asked, "--json").json["effect"] == "permit"
    assert pbac("eval", POLICIES / "github_tiers", *asked, "--json").json["effect"] == "deny"


# --- check -------------------------------------------------------------------------------------


def test_check_tells_all_mistakes_of_all_files_at_once(pbac, folder):
    (folder / "a.pbac").write_text("package a\npermit x\n  on tool y\n  when usr.id == 1\n")
    (folder / "b.pbac").write_text("package b\nforbid z\n  when agent.nme == 1 or args.x like 3\n")
    ran = pbac("check", "policies", "--format", "line")
    assert ran.code == 1
    places = [line.split(": ")[0] for line in ran.out.splitlines()]
    assert places == ["policies/a.pbac:4:8", "policies/b.pbac:3:13", "policies/b.pbac:3:38"]


def test_check_draws_the_place_and_counts(pbac, folder):
    (folder / "a.pbac").write_text("package a\nforbid z\n  when agent.nme == 1\n")
    ran = pbac("check", "policies")
    assert ran.code == 1
    assert "3 |   when agent.nme == 1\n" in ran.out
    assert "did you mean `name`?" in ran.out
    assert ran.out.endswith("policies  1 error\n")


def test_check_takes_several_sets_each_by_itself(pbac, folder):
    other = folder.parent / "other.pbac"
    other.write_text(GOOD)  # the same names and tiers: no clash, it is another set
    ran = pbac("check", "policies", "other.pbac")
    assert ran.code == 0
    told = "no complaints (2 rules, a call costs at most 20 steps)"
    assert ran.out == f"policies  {told}\nother.pbac  {told}\n"


def test_check_in_json_is_one_array(pbac, folder):
    (folder / "a.pbac").write_text("package a\nforbid z\n  when agent.nme == 1\n")
    (found,) = pbac("check", "policies", "--format", "json").json
    assert (found["source"], found["line"], found["code"]) == (
        "policies/a.pbac",
        3,
        "unknown-field",
    )
    (folder / "a.pbac").unlink()
    assert pbac("check", "policies", "--format", "json").json == []


def test_warnings_alone_are_told_and_end_with_0(pbac, folder):
    text = 'package a\nforbid z\n  when user.login == "x"\n'
    (folder / "a.pbac").write_text(text)
    ran = pbac("check", "policies")
    assert ran.code == 0
    assert "warning[user-may-be-absent]" in ran.out


@pytest.mark.parametrize("path", ["nosuch", "nosuch.pbac", "empty"])
@pytest.mark.parametrize("command", [["check"], ["test"], ["eval", "--tool", "x"]])
def test_what_is_not_there_is_told(pbac, folder, path, command):
    (folder.parent / "empty").mkdir()
    ran = pbac(*command, path)
    assert ran.code == 1
    assert f"`{path}`" in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


def test_check_leaves_mistakes_on_show_out_unless_they_are_named(pbac, folder):
    (folder / "z_bad.pbac").write_text("package z\nforbid\n")
    assert pbac("check", "policies").code == 0
    assert pbac("check", "policies/z_bad.pbac").code == 1


def test_no_colour_where_nobody_looks(pbac, folder):
    (folder / "a.pbac").write_text("package a\nforbid z\n  when agent.nme == 1\n")
    assert "\x1b" not in pbac("check", "policies").out


# --- test --------------------------------------------------------------------------------------


def test_a_failure_is_told_with_place_expected_got_and_why(pbac, folder):
    text = GOOD.replace("=> permit by read", "=> deny") + (
        '\ntest "merges"\n  agent { tier: read_only }\n'
        '  call merge { number: 1, branch: "main" }\n    => permit by merge\n'
    )
    (folder / "good.pbac").write_text(text)
    ran = pbac("test", "policies")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "FAIL  good    2 tests  2 of 2 expectations failed"
    assert 'policies/good.pbac:15:3: test "reads"\n  call get_x { n: 1 } => deny\n' in ran.out
    assert "    expected  deny\n    got       permit by read\n" in ran.out
    assert '  call merge { number: 1, branch: "main" } => permit by merge\n' in ran.out
    assert "    why       an agent of tier `trusted` may do this\n" in ran.out


def test_passing_is_one_line_a_package(pbac, folder):
    (folder / "a.pbac").write_text(
        'package another\npermit x\n  on tool y\ntest "t"\n  call y => permit\n'
    )
    ran = pbac("test", "policies")
    assert ran.code == 0
    assert ran.out == (
        "ok    another    1 test   1 expectation\nok    good       1 test   1 expectation\n"
    )


def test_results_as_json(pbac, folder):
    (folder / "good.pbac").write_text(GOOD.replace("=> permit by read", "=> deny"))
    ran = pbac("test", "policies", "--json")
    assert ran.code == 1
    assert ran.json["passed"] is False
    (failure,) = ran.json["packages"][0]["failures"]
    assert failure["line"] == 15
    assert (failure["expected"], failure["got"]) == ("deny", "permit by read")


def test_a_set_with_a_mistake_is_not_tested(pbac, folder):
    (folder / "a.pbac").write_text("package a\nforbid\n")
    ran = pbac("test", "policies")
    assert ran.code == 1
    assert "error[" in ran.out
    ran = pbac("test", "policies", "--json")
    assert ran.code == 1
    assert ran.json["diagnostics"][0]["source"] == "policies/a.pbac"


# --- eval and explain --------------------------------------------------------------------------

CALL = {"method": "tools/call", "tool": "get_x", "server": "github"}


def test_eval_decides_the_request_of_a_file(pbac, folder):
    request = folder.parent / "request.json"
    request.write_text(json.dumps({"agent": {"id": "a", "tier": "read_only"}, "call": CALL}))
    ran = pbac("eval", "policies", "--request", "request.json")
    assert ran.code == 0
    assert ran.out.startswith("permit  permitted\n  rules     good.read\n")
    decision = pbac("eval", "policies", "--request", "request.json", "--json").json
    assert (decision["effect"], decision["rules"]) == ("permit", ["good.read"])
    assert decision["policy_version"].startswith("sha256:")


def test_a_request_may_come_from_standard_input(pbac, folder, monkeypatch):
    body = json.dumps({"agent": {}, "call": CALL}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert pbac("eval", "policies", "--request", "-", "--json").json["effect"] == "deny"


def test_a_denial_is_an_answer_and_ends_with_0(pbac, folder):
    ran = pbac("eval", "policies", "--tool", "merge", "--tier", "read_only")
    assert ran.code == 0
    assert ran.out.startswith("deny  not_permitted\n")


@pytest.mark.parametrize(
    ("request_text", "told"),
    [
        ("{", "request.json"),
        ('{"agent": {}, "agent": {}}', "`agent` appears twice"),
        ("[]", "is no request"),
        ('{"agnet": {}}', "did you mean `agent`?"),
        ('{"data": {}}', "documents belong to the policies"),
        ('{"agent": []}', "`agent` of a request is an object"),
        ('{"call": {"method": "token/issue"}}', "a request for a token"),
    ],
)
def test_a_request_that_is_none_is_told(pbac, folder, request_text, told):
    (folder.parent / "request.json").write_text(request_text)
    ran = pbac("eval", "policies", "--request", "request.json")
    assert ran.code == 1
    assert told in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--request", "nosuch.json"], "cannot be read"),
        (["--tool", "x", "--args", "[1]"], "no JSON object"),
        (["--tool", "x", "--args", "{x}"], "--args"),
        (["--tool", "x", "--set", "ip=1"], "names no field"),
        (["--tool", "x", "--set", "data.x=1"], "names no field"),
    ],
)
def test_options_that_describe_nothing_are_told(pbac, folder, arguments, told):
    ran = pbac("eval", "policies", *arguments)
    assert ran.code == 1
    assert told in ran.err


def test_something_to_decide_must_be_named(pbac, folder):
    assert pbac("eval", "policies").code == 2


def test_explain_shows_rules_clauses_and_values(pbac, folder):
    asked = ("--tool", "merge", "--tier", "trusted", "--args", '{"number": 7, "branch": "dev"}')
    ran = pbac("explain", "policies", *asked)
    assert ran.code == 0
    assert ran.out == (
        "deny  `merge` on `github` by `agent` (trusted)\n"
        "\n"
        "  permit good.merge  does not apply\n"
        '  ├─ ✓ for tier >= trusted       agent.tier = "trusted"\n'
        '  ├─ ✓ on tool merge             call.tool = "merge"\n'
        '  └─ ✗ when args.number > 0 and args.branch == "main"\n'
        "     ├─ ✓ args.number > 0        args.number = 7\n"
        '     └─ ✗ args.branch == "main"  args.branch = "dev"\n'
        "\n"
        "  1 rule is about other calls\n"
        '  `good.merge` would permit it if `args.branch == "main"`\n'
    )


@pytest.mark.parametrize("command", ["eval", "explain"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tier", "trustd"], ("there is no tier `trustd`", "did you mean `trusted`?")),
        (["--tier", "nope"], ("there is no tier `nope`", "tiers are `read_only`, `trusted`")),
        (["--set", "agent.teir=x"], ("`agent` has no field `teir`", "did you mean `tier`?")),
        (["--set", "env.adress=x"], ("`env` has no field `adress`", "it has")),
        (
            ["--set", 'chain.actors=[{"knd": "ci"}]'],
            ("an actor has no field `knd`", "did you mean `kind`?"),
        ),
    ],
)
def test_a_name_that_nobody_knows_is_told(pbac, folder, command, arguments, told):
    ran = pbac(command, "policies", "--tool", "get_x", *arguments)
    assert ran.code == 1
    assert all(part in ran.err for part in told)


def test_a_request_of_a_file_with_an_unknown_name_is_told(pbac, folder):
    (folder.parent / "request.json").write_text('{"agent": {"tiers": "x"}, "call": {}}')
    ran = pbac("eval", "policies", "--request", "request.json")
    assert (ran.code, "`agent` has no field `tiers`" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("token.age=15m", 900_000),
        ("token.age=900000", 900_000),
        ("user.auth_time=2026-01-01T10:00:00Z", 1_767_261_600_000),
        ("agent.software_version=2.0", "2.0"),
        ("agent.kind=true", "true"),
        ("agent.verified=true", True),
        ("args.n=15m", "15m"),
        ("args.n=2.0", 2.0),
    ],
)
def test_a_setting_is_read_as_its_field_is(pbac, folder, setting, value):
    path = setting.partition("=")[0]
    text = GOOD + f"\nforbid shows\n  on any\n  when {path} is null\n"
    (folder / "good.pbac").write_text(text)
    ran = pbac("explain", "policies", "--tool", "get_x", "--set", setting, "--json")
    shows = next(rule for rule in ran.json["rules"] if rule["name"] == "good.shows")
    assert shows["clauses"][1]["readings"][0]["value"] == value


def test_explain_says_why_a_tool_is_hidden_or_a_scope_withheld(pbac, folder):
    ran = pbac("explain", "policies", "--tool", "merge", "--tier", "read_only", "--list")
    assert ran.code == 0
    assert ran.out.startswith("hidden  `merge` on `github` by `agent` (read_only)\n")
    assert "  permit good.merge  cannot be true\n" in ran.out
    ran = pbac("explain", "policies", "--issue", "gh:x", "--tool", "get_x", "--tier", "read_only")
    assert ran.code == 0
    assert ran.out.startswith("permit  `gh:x` by `agent` (read_only)\n")
    assert "→ permit good.read  can be true\n" in ran.out
    told = pbac("explain", "policies", "--issue", "gh:x", "--tool", "get_x", "--json").json
    assert (told["decision"]["effect"], told["calls"][0]["shown"]) == ("deny", False)
    assert pbac("explain", "policies", "--issue", "a", "--list", "--tool", "x").code == 2


def test_duties_are_told_as_they_are_written(pbac, folder):
    text = GOOD + '\nrequire a\n  on any\n  then approval from group "a" within 15m\n'
    (folder / "good.pbac").write_text(text)
    ran = pbac("explain", "policies", "--tool", "get_x", "--tier", "read_only")
    assert "     then approval from group" in ran.out


@pytest.mark.parametrize("command", ["eval", "explain"])
def test_an_approval_that_nobody_can_give_is_told(pbac, folder, command):
    text = GOOD + '\nrequire a\n  on any\n  then approval from group "a" within 15m\n'
    (folder / "good.pbac").write_text(text)
    ran = pbac(command, "policies", "--tool", "get_x", "--tier", "read_only")
    told = "`good.a` requires approval from group `a`, and no approver can be asked yet"
    assert f"  refused   {told} (approval_unavailable)\n" in ran.out
    assert "refused" not in pbac(command, "policies", "--tool", "merge").out


def test_duties_that_cannot_be_met_together_are_told():
    duty = Duty(kind="conjure", rule="p.r", parameters={})
    permitted = Decision(
        effect=Effect.PERMIT, cause=Cause.PERMITTED, policy_version="v", duties=(duty,)
    )
    assert refusal(permitted).startswith("`p.r` demands `conjure`")


def test_explain_in_json_is_the_same_as_data(pbac, folder):
    ran = pbac("explain", "policies", "--tool", "merge", "--tier", "read_only", "--json")
    assert ran.json["decision"]["effect"] == "deny"
    (rule,) = ran.json["rules"]
    assert [clause["truth"] for clause in rule["clauses"]] == ["false", "true", "unknown"]
    assert rule["clauses"][2]["parts"][0]["readings"] == [
        {"path": "args.number", "state": "missing", "value": None}
    ]


def test_a_set_whose_tests_fail_can_still_be_explained(pbac, folder):
    (folder / "good.pbac").write_text(GOOD.replace("=> permit by read", "=> deny"))
    ran = pbac("explain", "policies", "--tool", "get_x", "--tier", "read_only")
    assert ran.code == 0
    assert "→ permit good.read  applies" in ran.out


def test_other_fields_are_set_by_path(pbac, folder):
    text = 'package a\nforbid outside\n  when not env.ip in cidr "10.0.0.0/8"\n'
    (folder / "a.pbac").write_text(text)
    asked = ("--tool", "get_x", "--tier", "read_only", "--set")
    inside = pbac("eval", "policies", *asked, "env.ip=10.1.2.3", "--json").json
    outside = pbac("eval", "policies", *asked, "env.ip=9.1.2.3", "--json").json
    assert (inside["effect"], outside["effect"]) == ("permit", "deny")


# --- check: forms, levels, how it ends ---------------------------------------------------------

FINDINGS = """package a
permit p
  on tool get_*
forbid f
  when user.login == "x"
"""


@pytest.fixture
def findings(folder):
    """A set with two warnings and some notes, and no error."""
    (folder / "good.pbac").write_text(FINDINGS)
    return folder


def test_check_ends_with_1_for_what_it_is_told_to_fail_on(pbac, findings):
    assert pbac("check", findings).code == 0
    assert pbac("check", findings, "--fail-on", "warning").code == 1
    quiet = ["--level", "unconfined-glob=note", "--level", "user-may-be-absent=note"]
    assert pbac("check", findings, "--fail-on", "warning", *quiet).code == 0
    assert pbac("check", findings, "--fail-on", "note", *quiet).code == 1
    assert pbac("check", findings, "--level", "unconfined-glob=error").code == 1


def test_a_code_that_is_off_is_not_told(pbac, findings):
    off = ["--level", "unconfined-glob=off", "--level", "no-reason=off"]
    told = pbac("check", findings, "--format", "json", *off).json
    assert {each["code"] for each in told} == {"user-may-be-absent", "untested-rule"}


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("unknown-name=warning", "`unknown-name` is an error and stays one"),
        ("no-raeson=off", "did you mean `no-reason`?"),
        ("no-reason=loud", "a level is one of error, warning, note, off"),
        ("no-reason", "a level is one of"),
    ],
)
def test_a_level_that_makes_no_sense_is_refused(pbac, findings, level, told):
    ran = pbac("check", findings, "--level", level)
    assert ran.code == 2
    assert told in " ".join(ran.err.split())


def test_what_is_too_much_is_counted(pbac, folder):
    many = "".join(f"permit r{n} on tool get_{n}_*\n" for n in range(60))
    (folder / "good.pbac").write_text(f"package a\n{many}")
    ran = pbac("check", folder, "--format", "line")
    *lines, last = ran.out.splitlines()
    assert len(lines) == 100
    assert last == "and 21 more, not shown: mend these first"
    assert sum("unconfined-glob" in line for line in lines) == 60
    assert len(pbac("check", folder, "--format", "json").json) == 121


def test_check_in_sarif_and_in_annotations(pbac, findings):
    log = pbac("check", "policies", "--format", "sarif").json
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "no-reason",
        "unconfined-glob",
        "untested-rule",
        "user-may-be-absent",
    ]
    glob = next(each for each in run["results"] if each["ruleId"] == "unconfined-glob")
    (place,) = [each["physicalLocation"] for each in glob["locations"]]
    assert place["artifactLocation"] == {"uri": "policies/good.pbac"}
    assert place["region"] == {"startLine": 3, "startColumn": 11, "endLine": 3, "endColumn": 16}
    lines = pbac("check", "policies", "--format", "github").out.splitlines()
    assert all(re.match(r"::(warning|notice) file=policies/good\.pbac,", line) for line in lines)
    assert len(lines) == 5


def test_notes_wait_until_the_errors_are_mended(pbac, findings):
    (findings / "good.pbac").write_text(FINDINGS + "permit x on tool y when usr.a\n")
    told = pbac("check", findings, "--format", "json").json
    assert "note" not in {each["severity"] for each in told}
    assert "error" in {each["severity"] for each in told}
