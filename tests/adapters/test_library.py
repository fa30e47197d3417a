"""Deciding from Python: real folders, every error, lazy texts, and the answers of `pbac eval`."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import pbac
from pbac import (
    Cause,
    Decision,
    DecisionRequest,
    Effect,
    LoadedPolicySet,
    PolicySetError,
    RequestError,
    load_policy_set,
)
from pbac.adapters import library
from pbac.cli import group

ROOT = Path(__file__).parent.parent.parent
STORIES = sorted(p.parent for p in (ROOT / "policies").glob("*/README.md"))
SCHEMA = {"type": "object", "properties": {"force": {"type": "boolean"}}}
VOCABULARY = {
    "server": "git",
    "tools": {
        "read_it": {"inputSchema": SCHEMA, "scope": "s:read"},
        "write_it": {"inputSchema": SCHEMA, "scope": "s:write"},
    },
}
POLICY = """
package git on server git
tiers low < mid

permit write
  for tier >= mid
  on  scope s:write

permit read
  on  tool read_it

forbid forced
  on   tool *
  when args.force default false
  because "`{call.tool}` is not forced"
  internal "{agent.id} tried to"
"""


def tree(**roots):
    call = {"method": "tools/call", "tool": "write_it", "server": "git", "scope": "s:write"}
    return {"agent": {"id": "a", "tier": "mid"}, "call": call, "args": {}, **roots}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "git.pbac").write_text(POLICY)
    return tmp_path


@pytest.fixture
def policy_set(folder):
    return load_policy_set(folder)


# --- the import ---------------------------------------------------------------------------------


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_of_it():
    code = "import pbac, sys; print(sorted(m for m in sys.modules if m.startswith('pbac.')))"
    assert run(code) == "[]"


def test_deciding_loads_no_server():
    code = "from pbac import load_policy_set; import sys; print('aiohttp' in sys.modules)"
    assert run(code) == "False"


def test_every_name_is_there_once_and_listed():
    assert set(pbac.__all__) == set(library.__all__)
    assert {*pbac.__all__, "__version__"} <= set(dir(pbac))
    for name in pbac.__all__:
        assert getattr(pbac, name) is getattr(library, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="`pbac` has no attribute `load_policies`"):
        _ = pbac.load_policies


def test_the_package_says_that_it_is_typed():
    assert importlib.resources.files("pbac").joinpath("py.typed").is_file()


def test_a_type_checker_sees_what_is_named_and_nothing_else(tmp_path):
    (tmp_path / "typed.py").write_text(
        "import pbac\n"
        "from pbac import load_policy_set\n"
        "reveal_type(load_policy_set('x').decide({}).rules)\n"
        "pbac.nothing\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "typed.py")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert 'Revealed type is "tuple[str, ...]"' in done.stdout, done.stdout
    assert 'Module has no attribute "nothing"' in done.stdout
    assert "Found 1 error" in done.stdout


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_every_story_loads(story):
    loaded = load_policy_set(str(story))
    assert isinstance(loaded, LoadedPolicySet)
    assert loaded.version.startswith("sha256:")
    assert loaded.version in repr(loaded)


def test_a_file_loads_as_well(folder):
    assert load_policy_set(folder / "git.pbac").version == load_policy_set(folder).version


def test_a_loaded_set_stays_what_it_is(folder, policy_set):
    before = policy_set.version
    (folder / "git.pbac").write_text(POLICY.replace("for tier >= mid", "for tier >= low"))
    assert policy_set.version == before != load_policy_set(folder).version
    assert policy_set.tiers == ("low", "mid")


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("package git\npermit p\n  on tool x\n  when argz.n > 1\n", "unknown-name", "when argz"),
        ("package git\npermit\n", "syntax", "permit"),
        (POLICY + 'test "t"\n  agent { tier: low }\n  call write_it {} => permit\n',
         "test-failed", "call write_it {} => permit"),
    ],
)  # fmt: skip
def test_a_set_that_cannot_be_used_is_shown_with_its_places(folder, text, code, shown):
    (folder / "git.pbac").write_text(text)
    with pytest.raises(PolicySetError) as raised:
        load_policy_set(folder)
    assert code in [each.code for each in raised.value.diagnostics]
    assert f"[{code}]" in str(raised.value)
    assert shown in str(raised.value)
    assert "git.pbac:" in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_policies_is_told(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicySetError, match=name):
        load_policy_set(tmp_path / name)


# --- deciding -----------------------------------------------------------------------------------


def test_a_request_and_the_mapping_of_it_are_decided_alike(policy_set):
    asked = tree()
    verdicts = policy_set.decide(asked), policy_set.decide(DecisionRequest(**asked))
    assert [verdict.told for verdict in verdicts] == [verdicts[0].told] * 2
    assert verdicts[0].permitted
    assert verdicts[0].rules == ("git.write",)
    assert verdicts[0].policy_version == policy_set.version


def test_a_verdict_has_every_member_of_a_decision(policy_set):
    verdict = policy_set.decide(tree(args={"force": "no"}))
    assert isinstance(verdict.told, Decision)
    told = {name: getattr(verdict, name) for name in Decision.__struct_fields__}
    assert told == {name: getattr(verdict.told, name) for name in Decision.__struct_fields__}
    assert (verdict.effect, verdict.cause) == (Effect.DENY, Cause.FORBIDDEN)
    assert verdict.unknown == ("args.force",)
    assert repr(verdict) == "<Verdict deny: forbidden>"


def test_texts_are_rendered_when_one_is_read_and_once(policy_set, monkeypatch):
    told = []

    def telling(*given):
        told.append(given)
        return replace(given[-1], reason="because")

    monkeypatch.setattr(library, "tell", telling)
    verdict = policy_set.decide(tree(args={"force": True}))
    assert not verdict.permitted
    assert (verdict.rules, verdict.duties, verdict.unknown, verdict.shadow) == (
        ("git.forced",), (), (), (),
    )  # fmt: skip
    assert told == []
    assert (verdict.reason, verdict.internal, verdict.help) == ("because", "", "")
    assert len(told) == 1


def test_a_verdict_cannot_be_changed(policy_set):
    verdict = policy_set.decide(tree())
    with pytest.raises(AttributeError):
        verdict.untold = None


@pytest.mark.parametrize(
    "asked",
    [
        tree(),
        tree(agent={"id": "a", "tier": "low"}),
        tree(args={"force": True}),
        tree(args={"force": None}),
        tree(call={"tool": "read_it"}),
        tree(call={"tool": "write_it"}),
        tree(chain={"depth": 1, "actors": [{"id": "b", "tier": "low"}]}),
    ],
)
@pytest.mark.parametrize("vocabulary", [False, True])
def test_the_answers_are_those_of_the_commands(folder, asked, vocabulary):
    if vocabulary:
        (folder / "tools").mkdir()
        (folder / "tools/git.json").write_text(json.dumps(VOCABULARY))
    (folder / "request.json").write_text(json.dumps(asked))
    policy_set = load_policy_set(folder)
    request = ["--request", str(folder / "request.json"), "--json"]
    evaluated = CliRunner().invoke(group, ["eval", str(folder), *request]).stdout
    assert msgspec.json.encode(policy_set.decide(asked).told) == evaluated.strip().encode()
    explained = CliRunner().invoke(group, ["explain", str(folder), *request]).stdout
    assert msgspec.json.encode(policy_set.explain(asked)) == explained.strip().encode()
    assert policy_set.explain(asked).decision == policy_set.decide(asked).told


@pytest.mark.parametrize("confined", ["on server git", ""])
def test_server_and_scope_are_filled_in_from_the_vocabulary(folder, confined):
    (folder / "git.pbac").write_text(POLICY.replace("on server git", confined))
    (folder / "tools").mkdir()
    (folder / "tools/git.json").write_text(json.dumps(VOCABULARY))
    asked = tree(call={"method": "tools/call", "tool": "write_it"})
    verdict = load_policy_set(folder).decide(asked)
    assert verdict.permitted
    assert verdict.request.call == {**asked["call"], "server": "git", "scope": "s:write"}


class Special(DecisionRequest, frozen=True, kw_only=True):
    """A request of somebody's own kind."""


def test_a_request_is_decided_as_it_is_whatever_is_in_it(policy_set):
    odd = {"agent": {"tier": "trustd"}, "call": {"tool": {}, "server": 7}}
    for kind in (DecisionRequest, Special):
        assert not policy_set.decide(kind(**odd)).permitted
        assert not policy_set.explain(kind(**odd)).decision.permitted


# --- what is no request -------------------------------------------------------------------------

DEEP: list = []
for _ in range(70):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("asked", "place", "message", "help_"),
    [
        ([], "", "it is no request", "write `{"),
        ({"agnet": {}}, "agnet", "has no `agnet`", "did you mean `agent`?"),
        ({1: {}}, "1", "has no `1`", "it has agent"),
        ({"data": {}}, "data", "has no `data`", "data/<name>.json"),
        ({"agent": []}, "agent", "`agent` of a request is an object", "write `agent: {"),
        (tree(agent={"teir": "mid"}), "agent.teir", "no field `teir`", "did you mean `tier`?"),
        (tree(agent={"tier": "mdi"}), "agent.tier", "no tier `mdi`", "did you mean `mid`?"),
        (tree(chain={"actors": [{"knd": "x"}]}), "chain.actors[0].knd", "an actor", "`kind`"),
        (tree(args={"at": object()}), "args.at", "`args.at` is no JSON value", "milliseconds"),
        (tree(args={"l": [1, (2,)]}), "args.l[1]", "is no JSON value", "lists"),
        (tree(args={"n": 2**53}), "args.n", "is beyond", "as a text"),
        (tree(args={"n": float("nan")}), "args.n", "is not finite", None),
        (tree(args={"r": {1: 2}}), "args.r", "a name that is no text", None),
        (tree(call={"method": "token/issue"}), "call.method", "for a token", "pbac explain"),
    ],
)
def test_what_is_no_request_is_told_with_its_place(policy_set, asked, place, message, help_):
    for question in (policy_set.decide, policy_set.explain):
        with pytest.raises(RequestError) as raised:
            question(asked)
        assert raised.value.code == "request_error"
        assert raised.value.place == place
        assert message in raised.value.message
        assert (help_ or "") in (raised.value.help or "")


def test_a_request_without_end_is_told(policy_set):
    with pytest.raises(RequestError, match="nested deeper than 64 levels"):
        policy_set.decide(tree(args={"deep": DEEP}))
    endless: dict = {}
    endless["again"] = endless
    with pytest.raises(RequestError, match="nested deeper"):
        policy_set.decide(tree(args=endless))


def test_a_tool_that_its_vocabulary_has_not_is_told(folder):
    (folder / "tools").mkdir()
    (folder / "tools/git.json").write_text(json.dumps(VOCABULARY))
    with pytest.raises(RequestError, match="no tool of `git` is called `wite_it`") as raised:
        load_policy_set(folder).decide(tree(call={"tool": "wite_it"}))
    assert (raised.value.place, raised.value.help) == ("call.tool", "did you mean `write_it`?")
