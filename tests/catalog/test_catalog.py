"""Backends, scope rules, tools and the registry: what is offered, under which name and scope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base import json
from pbac.catalog.backends import BackendError, HttpTransport, StdioTransport, backend
from pbac.catalog.scopes import ScopeRuleError, required_scope, scope_rules
from pbac.catalog.tools import Toolset, read_tools, registry

URL = HttpTransport(url="https://mcp.example/mcp")


def definition(name, **members):
    return {"name": name, "inputSchema": {"type": "object"}, **members}


def toolset(name, *names, scopes=None):
    return read_tools(backend(name, URL, scopes), [definition(n) for n in names])


@pytest.mark.parametrize(
    ("name", "transport", "why"),
    [
        ("", URL, "name of a backend"),
        ("A", URL, "name of a backend"),
        ("a__b", URL, "name of a backend"),
        ("a_", URL, "name of a backend"),
        ("x" * 65, URL, "name of a backend"),
        ("a", HttpTransport(url="ftp://x"), "the scheme `ftp`; `http` and `https` are allowed"),
        ("a", HttpTransport(url="x/mcp"), "has no scheme; `http` and `https` are allowed"),
        ("a", HttpTransport(url="http://"), "the url of `a` is no address"),
        ("a", HttpTransport(url="http://[x"), "the url of `a` is no address"),
        ("a", HttpTransport(url="http://x:0/"), "the url of `a` is no address"),
        ("a", HttpTransport(url="http://x:y/"), "the url of `a` is no address"),
        ("a", HttpTransport(url="http://x y/"), "the url of `a` is no address"),
        ("a", HttpTransport(url="https://u:p@x/"), "password"),
        ("a", HttpTransport(url="https://x/#f"), "fragment"),
        ("a", HttpTransport(url="https://x/", headers={"X": "a\r\nY: b"}), "malformed"),
        ("a", HttpTransport(url="https://x/", headers={"X Y": "a"}), "malformed"),
        ("a", HttpTransport(url="https://x/", headers={"Mcp-Name": "a"}), "gateway itself"),
        ("a", HttpTransport(url="https://x/", headers={"Host": "a"}), "gateway itself"),
        ("a", StdioTransport(command=""), "empty"),
        ("a", StdioTransport(command="x", args=("a\0b",)), "NUL"),
        ("a", StdioTransport(command="x", env={"A=B": "c"}), "variable"),
    ],
)
def test_a_backend_that_cannot_be_configured_so_says_why(name, transport, why):
    with pytest.raises(BackendError) as caught:
        backend(name, transport)
    assert why in str(caught.value)


RULES = {
    "github:read": ["get_*", "list_*"],
    "github:secrets": ["get_secret", "secrets.**"],
    "github:admin": ["*_admin", "get_all_admin"],
}


@pytest.mark.parametrize(
    ("tool", "scope"),
    [
        ("get_pr", "github:read"),
        ("get_secret", "github:secrets"),
        ("secrets.a.b", "github:secrets"),
        ("get.other", "gh:get.other"),
        ("unheard_of", "gh:unheard_of"),
        ("get_all_admin", "github:admin"),
    ],
)
def test_an_exact_name_beats_a_pattern_and_an_unnamed_tool_has_a_scope_of_its_own(tool, scope):
    assert required_scope(scope_rules("gh", RULES), tool) == scope
    reversed_rules = dict(reversed(RULES.items()))
    assert required_scope(scope_rules("gh", reversed_rules), tool) == scope


def test_a_tool_that_two_scopes_claim_is_nobodys():
    with pytest.raises(ScopeRuleError) as caught:
        required_scope(scope_rules("gh", RULES), "list_admin")
    assert "`github:admin` and `github:read`" in caught.value.message
    with pytest.raises(ScopeRuleError):
        required_scope(scope_rules("gh", {"a": ["t"], "b": ["t"]}), "t")


@pytest.mark.parametrize("rules", [{"a b": ["x"]}, {'a"': ["x"]}, {"": ["x"]}, {"a": ["*" * 300]}])
def test_a_scope_rule_that_cannot_be_used_is_refused(rules):
    with pytest.raises(ScopeRuleError):
        scope_rules("gh", rules)


def test_a_tool_keeps_its_definition_and_gets_a_digest_and_a_scope():
    original = definition("get_pr", annotations={"readOnlyHint": True}, _meta={"x": [1.0]})
    (tool,) = read_tools(backend("gh", URL, {"r": ["get_*"]}), [original]).tools
    assert tool.definition is original
    assert (tool.backend, tool.name, tool.scope) == ("gh", "get_pr", "r")
    assert tool.digest == json.digest(original)
    changed = read_tools(backend("gh", URL), [{**original, "description": "new"}]).tools[0]
    assert changed.digest != tool.digest


def test_a_tools_own_hints_are_not_evidence():
    hints = {"readOnlyHint": True, "destructiveHint": False}
    (tool,) = read_tools(backend("gh", URL), [definition("x", annotations=hints)]).tools
    assert (tool.read_only, tool.destructive, tool.tags, tool.pinned) == (None, None, None, False)


def test_what_cannot_be_offered_safely_is_quarantined_with_its_reason():
    found = read_tools(
        backend("gh", URL, {"a": ["claimed"], "b": ["claimed"]}),
        [
            definition("fine"),
            definition("twice"),
            definition("twice", description="another"),
            definition("bad name"),
            definition("x" * 129),
            definition("claimed"),
            definition("huge", description="y" * 300_000),
            definition("annotated"),
            {"name": "schemaless"},
            {"name": "remote", "inputSchema": {"properties": {"a": {"$ref": "http://h/"}}}},
            {"name": 5, "inputSchema": {}},
            "no tool",
        ],
        objection=lambda schema: "objected" if schema.get("$comment") else None,
    )
    assert [t.name for t in found.tools] == ["fine", "annotated"]
    reasons = {q.name: q.reason for q in found.quarantined}
    assert set(reasons) == {
        "twice", "bad name", "x" * 128, "claimed", "huge", "schemaless", "remote", "",
    }  # fmt: skip
    assert "twice" in reasons["twice"]
    assert "leads out" in reasons["remote"]
    assert "both claim" in reasons["claimed"]


def test_a_further_objection_quarantines():
    found = read_tools(backend("gh", URL), [definition("x")], objection=lambda _: "no")
    assert (found.tools, found.quarantined[0].reason) == ((), "no")


def test_one_backend_keeps_its_names_and_several_are_prefixed():
    alone = registry([toolset("gh", "get_pr")])
    assert alone.find("get_pr").name == "get_pr"
    both = alone.with_toolset(toolset("jira", "get_pr"))
    assert both.find("get_pr") is None
    assert both.find("gh__get_pr").backend == "gh"
    assert both.listed(both.find("jira__get_pr")) == definition("jira__get_pr")
    assert both.tools["gh", "get_pr"] is both.find("gh__get_pr")
    assert alone.find("get_pr"), "a snapshot never changes"


def test_replacing_a_toolset_removes_what_it_no_longer_lists():
    before = registry([toolset("gh", "old"), Toolset(backend="jira")])
    after = before.with_toolset(toolset("gh", "new"))
    assert list(after.public) == ["gh__new"]


def test_a_public_name_above_the_limit_is_quarantined():
    found = registry([toolset("gh", "x" * 128), Toolset(backend="jira")])
    assert not found.public
    assert not found.tools
    assert "public name" in found.quarantined[0].reason


names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,5}[a-z0-9])?", fullmatch=True).filter(
    lambda n: "__" not in n
)
tools = st.from_regex(r"[A-Za-z0-9_.-]{1,6}", fullmatch=True)


@given(st.dictionaries(names, st.lists(tools, unique=True, max_size=4), min_size=2, max_size=4))
def test_no_two_tools_share_a_public_name(listed):
    found = registry([toolset(name, *listed[name]) for name in listed])
    assert len(found.public) == sum(map(len, listed.values()))
    for public, tool in found.public.items():
        assert public.split("__", 1)[0] == tool.backend
