"""The official client → the gateway → servers other people wrote."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from mcp import Client, MCPError
from support.listening import listening

from pbac.app.config import BackendConfig

GIT_POLICY = """
package git on server git
"Scanners read history; developers commit."

tiers read_only < developer < trusted

permit look
  for tier >= read_only
  on  tool git_log, git_status, git_diff*, git_show, git_branch

permit change
  for tier >= developer
  on  tool git_add, git_commit
"""

EVERYTHING_POLICY = """
package everything on server everything

tiers read_only < developer < trusted

permit harmless
  for tier >= read_only
  on  tool * except get-env

forbid big_sums
  on   tool get-sum
  when args.a > 1000
  because "sums beyond 1000 are not for agents"
"""


def git_in(folder, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    run = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout


@pytest.fixture
def repository(tmp_path, git):
    folder = tmp_path / "repository"
    folder.mkdir()
    git_in(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git_in(folder, "add", "a.txt")
    git_in(folder, "commit", "-q", "-m", "the first commit")
    (folder / "a.txt").write_text("two\n")
    git_in(folder, "add", "a.txt")
    return folder


@pytest.fixture
def git_gateway(serve, repository):
    backend = BackendConfig(
        name="git",
        command=sys.executable,
        args=("-m", "mcp_server_git", "--repository", str(repository)),
        env={"PATH": os.environ["PATH"], "HOME": str(repository.parent)},
    )
    return serve(backends=[backend], policy=GIT_POLICY)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_scanner_reads_history_and_cannot_commit(git_gateway, repository, mode):
    state_before = git_in(repository, "log", "--format=%H"), git_in(repository, "status", "-s")
    token = git_gateway.token("read_only")
    async with git_gateway.client(token, mode) as agent:
        names = {tool.name for tool in (await agent.list_tools()).tools}
        log = await agent.call_tool("git_log", {"repo_path": str(repository)})
        with pytest.raises(MCPError) as refused:
            await agent.call_tool("git_commit", {"repo_path": str(repository), "message": "no"})
    assert "git_log" in names
    assert "git_commit" not in names
    assert not log.is_error
    assert "the first commit" in log.content[0].text
    assert refused.value.error.data["code"] == "policy_denied"
    assert (git_in(repository, "log", "--format=%H"), git_in(repository, "status", "-s")) == (
        state_before
    )
    decisions = git_gateway.records("decision")
    assert [(d["tool"], d["effect"]) for d in decisions] == [
        ("git_log", "permit"),
        ("git_commit", "deny"),
    ]
    assert decisions[1]["decision_id"] == refused.value.error.data["decision_id"]


async def test_a_developer_commits(git_gateway, repository):
    async with git_gateway.client(git_gateway.token("developer")) as agent:
        done = await agent.call_tool(
            "git_commit", {"repo_path": str(repository), "message": "the second commit"}
        )
    assert not done.is_error, done.content
    assert "the second commit" in git_in(repository, "log", "--format=%s")


async def test_a_child_sees_only_the_declared_environment(serve, tmp_path):
    """A server that tells its environment, with a secret in the gateway's own."""
    script = tmp_path / "server.py"
    script.write_text(
        "import os, json\n"
        "from mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('env')\n"
        "@server.tool()\n"
        "def get_environment() -> str:\n"
        "    return json.dumps(sorted(os.environ))\n"
        "server.run('stdio')\n"
    )
    backend = BackendConfig(
        name="env", command=sys.executable, args=(str(script),), env={"DECLARED": "yes"}
    )
    gateway = serve(backends=[backend], PBAC_TEST_SECRET="not for children")
    async with gateway.client(gateway.token()) as agent:
        told = (await agent.call_tool("get_environment", {})).content[0].text
    assert "DECLARED" in told
    assert "PBAC_TEST_SECRET" not in told
    assert "HOME" not in told


# --- npm server-everything, legacy, over HTTP -------------------------------------------------


@pytest.fixture
def everything_url(server_everything):
    with listening(server_everything, PORT="{port}") as url:
        yield url


CALLS = [
    ("echo", {"message": "hello"}),
    ("get-sum", {"a": 2, "b": 3}),
    ("get-structured-content", {"location": "New York"}),
    ("get-tiny-image", {}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-resource-links", {"count": 2}),
    ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
    ("trigger-long-running-operation", {"duration": 1, "steps": 2}),
]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_permitted_tools_behave_as_without_the_gateway(serve, everything_url, mode):
    gateway = serve(
        backends=[BackendConfig(name="everything", url=everything_url)], policy=EVERYTHING_POLICY
    )
    token = gateway.token("read_only")
    async with (
        Client(everything_url, mode="legacy") as direct,
        gateway.client(token, mode) as through,
    ):
        wanted = {tool.name: tool for tool in (await direct.list_tools()).tools}
        listed = {tool.name: tool for tool in (await through.list_tools()).tools}
        assert set(listed) == set(wanted) - {"get-env"}
        for name, tool in listed.items():
            assert tool.input_schema == wanted[name].input_schema
        for name, arguments in CALLS:
            for _ in range(3):  # a resource tells the time, and a second may end in between
                expected = await direct.call_tool(name, arguments)
                answered = await through.call_tool(name, arguments)
                if answered.content == expected.content:
                    break
            assert answered.content == expected.content, name
            assert answered.structured_content == expected.structured_content, name
            assert answered.is_error == expected.is_error, name


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_progress_comes_through(serve, everything_url, mode):
    gateway = serve(
        backends=[BackendConfig(name="everything", url=everything_url)], policy=EVERYTHING_POLICY
    )
    seen = []

    async def on_progress(progress, total, message):
        seen.append((progress, total))

    async with gateway.client(gateway.token("read_only"), mode) as agent:
        await agent.call_tool(
            "trigger-long-running-operation",
            {"duration": 1, "steps": 4},
            progress_callback=on_progress,
        )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


async def test_a_forbid_on_arguments_is_a_result_the_model_can_read(serve, everything_url):
    gateway = serve(
        backends=[BackendConfig(name="everything", url=everything_url)], policy=EVERYTHING_POLICY
    )
    async with gateway.client(gateway.token("read_only")) as agent:
        refused = await agent.call_tool("get-sum", {"a": 2000, "b": 1})
        unclear = await agent.call_tool("get-sum", {"a": "2000", "b": 1})
    assert refused.is_error
    assert "sums beyond 1000 are not for agents" in refused.content[0].text
    assert refused.meta["pbac/denial"]["rules"] == ["everything.big_sums"]
    assert unclear.is_error
    assert unclear.meta["pbac/denial"]["unknown"] == ["args.a"]
