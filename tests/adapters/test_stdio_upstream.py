"""Stdio upstreams: a child that misbehaves on request, and the official git server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.adapters import stdio_process
from pbac.adapters.stdio_process import LineBuffer
from pbac.adapters.stdio_upstream import StdioUpstream
from pbac.catalog.backends import StdioTransport
from pbac.gateway.upstream import UpstreamError, UpstreamFailure
from pbac.mcp.modern import ServerInfo
from pbac.mcp.versions import Era

IDENTITY = ServerInfo(name="pbac-gateway", version="0")

CHILD = r"""
import json, os, signal, sys, threading, time
out = threading.Lock()
def say(tree):
    with out:
        os.write(1, json.dumps(tree).encode() + b"\n")
def note(method, **params):
    say({"jsonrpc": "2.0", "method": method, "params": params})
def run(id, name, args, meta):
    text = ""
    if name == "env": text = json.dumps(dict(os.environ))
    elif name == "cwd": text = os.getcwd()
    elif name == "die": os._exit(3)
    elif name == "slow": time.sleep(args["seconds"])
    elif name == "silent": return
    elif name == "huge": os.write(1, b"x" * 20_000_000); return
    elif name == "print": os.write(1, b"debugging output\n")
    elif name == "stderr": print("to the log\n" * args["lines"], file=sys.stderr, flush=True)
    elif name == "wrong":
        say({"jsonrpc": "2.0", "id": id + 1000, "result": {"content": []}})
        say({"jsonrpc": "2.0", "id": str(id), "result": {"content": []}})
    elif name == "ask":
        say({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {}})
        say({"jsonrpc": "2.0", "id": "p", "method": "ping"})
        time.sleep(0.1); text = json.dumps(heard)
    elif name == "progress":
        note("notifications/message", level="info", data="of nobody in particular")
        note("notifications/progress", progressToken="another", progress=9)
        for n in range(3): note("notifications/progress", progressToken=meta["progressToken"], progress=n)
    elif name == "error":
        say({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "told"}}); return
    elif name == "heard": text = json.dumps(heard)
    say({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text or name}]}})
heard, stubborn = [], threading.Event()
for line in sys.stdin:
    tree = json.loads(line)
    method, id, params = tree.get("method"), tree.get("id"), tree.get("params", {})
    if method == "initialize":
        info = {"name": "child", "version": "1"}
        say({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": info}})
    elif method == "tools/list":
        say({"jsonrpc": "2.0", "id": id, "result": {"tools": [{"name": "env"}]}})
    elif method == "tools/call":
        if params["name"] == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN); stubborn.set()
        call = id, params["name"], params["arguments"], params.get("_meta")
        threading.Thread(target=run, args=call, daemon=True).start()
    elif method == "server/discover":
        if "MUTE" not in os.environ:
            say({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "what?"}})
    else: heard.append(tree)
while stubborn.is_set(): time.sleep(1)
"""


def child(env=None, cwd=None):
    return StdioTransport(command=sys.executable, args=("-c", CHILD), env=env or {}, cwd=cwd)


@pytest.fixture
async def upstream():
    made = StdioUpstream(child(), IDENTITY, on_stderr=lambda _line: None, call_seconds_max=5)
    yield made
    await made.close()


async def call(upstream, name, arguments=None, **more):
    result = await upstream.call_tool(
        name, arguments or {}, principal_key="alice", meta=more.pop("meta", {}), **more
    )
    return result["content"][0]["text"]


async def failure(upstream, name, arguments=None):
    with pytest.raises(UpstreamError) as caught:
        await call(upstream, name, arguments)
    return caught.value.failure, caught.value.executed


async def test_a_legacy_child_is_met_with_a_handshake(upstream):
    facts = await upstream.start()
    assert (facts.era, facts.version, facts.name) == (Era.LEGACY, "2024-11-05", "child")
    assert await upstream.list_tools() == [{"name": "env"}]
    assert await call(upstream, "hello") == "hello"


async def test_a_child_that_ignores_the_modern_probe_is_legacy(monkeypatch):
    monkeypatch.setattr("pbac.adapters.stdio_upstream.UPSTREAM_PROBE_SECONDS_MAX", 0.3)
    upstream = StdioUpstream(child({"MUTE": "1"}), IDENTITY, on_stderr=lambda _: None)
    assert (await upstream.start()).era is Era.LEGACY
    await upstream.close()


async def test_the_environment_is_exactly_what_was_declared(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWAY_SECRET", "leaked")
    declared = {"API_KEY": "given", "LC_CTYPE": "C.UTF-8"}
    upstream = StdioUpstream(child(declared, str(tmp_path)), IDENTITY, on_stderr=lambda _: None)
    assert json.loads(await call(upstream, "env")) == declared
    assert await call(upstream, "cwd") == str(tmp_path)
    await upstream.close()


async def test_answers_find_their_calls_whatever_their_order(upstream):
    async def one(n):
        return await call(upstream, "slow", {"seconds": 0.1 - n / 1_000}), n

    results = await asyncio.gather(
        *(one(n) for n in range(20)), *(call(upstream, f"t{n}") for n in range(20))
    )
    assert results[20:] == [f"t{n}" for n in range(20)]


async def test_progress_comes_under_the_callers_token_and_log_lines_go_to_nobody(upstream):
    heard = []

    async def hear(tree):
        heard.append((tree["params"]["progressToken"], tree["params"]["progress"]))

    await call(upstream, "progress", meta={"progressToken": "mine"}, on_notification=hear)
    assert heard == [("mine", 0), ("mine", 1), ("mine", 2)]


async def test_an_answer_to_another_id_is_nobodys_answer(upstream):
    assert await call(upstream, "wrong") == "wrong"


async def test_an_error_is_told_with_its_number(upstream):
    assert await failure(upstream, "error") == (UpstreamFailure.RPC, False)


async def test_the_child_may_ping_and_nothing_else(upstream):
    answers = {tree["id"]: tree for tree in json.loads(await call(upstream, "ask")) if "id" in tree}
    assert answers["p"]["result"] == {}
    assert answers["q"]["error"]["code"] == -32601


async def test_print_statements_are_reported_and_skipped():
    lines = []
    upstream = StdioUpstream(child(), IDENTITY, on_stderr=lines.append)
    assert await call(upstream, "print") == "print"
    assert "not a message" in lines[0]
    await upstream.close()


async def test_standard_error_is_passed_on_at_a_bounded_rate():
    lines = []
    upstream = StdioUpstream(child(), IDENTITY, on_stderr=lines.append)
    await call(upstream, "stderr", {"lines": 5_000})
    await asyncio.sleep(0.1)
    await upstream.close()
    assert set(lines) == {"to the log"}
    assert 50 <= len(lines) <= 150


async def test_a_child_that_dies_fails_its_calls_once_and_is_started_again(upstream):
    await upstream.start()
    waiting = asyncio.create_task(failure(upstream, "silent"))
    await asyncio.sleep(0.05)
    assert await failure(upstream, "die") == (UpstreamFailure.UNREACHABLE, None)
    assert await waiting == (UpstreamFailure.UNREACHABLE, None)
    await asyncio.sleep(0.6)
    assert await call(upstream, "hello") == "hello"


async def test_a_child_that_keeps_dying_is_not_started_in_a_loop(tmp_path):
    mark = tmp_path / "starts"
    script = f"open({str(mark)!r}, 'a').write('x')"
    upstream = StdioUpstream(
        StdioTransport(command=sys.executable, args=("-c", script)), IDENTITY, on_stderr=print
    )
    for _ in range(20):
        with pytest.raises(UpstreamError) as caught:
            await upstream.start()
        assert caught.value.failure is UpstreamFailure.UNREACHABLE
    assert mark.read_text() == "x"
    await upstream.close()


async def test_a_command_that_is_not_there_is_unreachable_and_names_no_path():
    upstream = StdioUpstream(StdioTransport(command="/nowhere/x"), IDENTITY, on_stderr=print)
    with pytest.raises(UpstreamError) as caught:
        await upstream.start()
    assert (caught.value.failure, caught.value.executed) == (UpstreamFailure.UNREACHABLE, False)
    assert "nowhere" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"command": "no-such-command"}, "write the whole path of `no-such-command`"),
        (
            {"command": "no-such-command", "env": {"PATH": "/bin"}},
            "see whether `no-such-command` is there and may be executed",
        ),
        ({"command": "/nowhere/x"}, "see whether `/nowhere/x` is there"),
        ({"command": "/dev/null"}, "see whether `/dev/null` is there and may be executed"),
        ({"command": sys.executable, "cwd": "/nowhere"}, "`cwd` says `/nowhere`"),
    ],
)
async def test_a_command_that_cannot_be_started_is_told_with_what_to_look_at(given, remedy):
    with pytest.raises(UpstreamError) as caught:
        await stdio_process.StdioProcess.spawn(StdioTransport(**given), print)
    assert caught.value.help.startswith(remedy)


async def test_a_line_without_an_end_stops_the_child(upstream):
    assert await failure(upstream, "huge") == (UpstreamFailure.TOO_LARGE, None)


async def test_a_call_that_takes_too_long_is_given_up_and_the_child_is_told():
    upstream = StdioUpstream(child(), IDENTITY, on_stderr=print, call_seconds_max=0.5)
    assert await failure(upstream, "silent") == (UpstreamFailure.TIMEOUT, None)
    task = asyncio.create_task(call(upstream, "silent"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    heard = json.loads(await call(upstream, "heard"))
    cancelled = [
        t["params"]["requestId"] for t in heard if t["method"] == "notifications/cancelled"
    ]
    assert len(cancelled) == 2
    await upstream.close()


async def test_a_stubborn_child_is_ended_in_bounded_time(monkeypatch):
    monkeypatch.setattr(stdio_process, "STDIO_STOP_SECONDS_MAX", 0.2)
    upstream = StdioUpstream(child(), IDENTITY, on_stderr=print)
    await call(upstream, "stubborn")
    pid = upstream._process._process.pid
    started = time.monotonic()
    await upstream.close()
    assert time.monotonic() - started < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


async def test_closing_twice_is_fine_and_a_closed_upstream_can_start_again(upstream):
    await upstream.start()
    await upstream.close()
    await upstream.close()
    await asyncio.sleep(0.6)
    assert await call(upstream, "hello") == "hello"


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"").rstrip(b"\r"))), st.data()
)
def test_lines_are_found_however_they_are_split(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    buffer = LineBuffer(64)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [line for piece in pieces for line in buffer.feed(piece)] == lines


def test_a_line_above_the_bound_is_refused_with_and_without_an_end():
    for chunk in (b"x" * 65, b"x" * 65 + b"\n"):
        with pytest.raises(ValueError):
            LineBuffer(64).feed(chunk)


# --- the official git server ----------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(tmp_path)]
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "readme").write_text("hello\n")
    subprocess.run([*git, "add", "readme"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "the first commit"], check=True)
    return tmp_path


class Legacy(StdioUpstream):
    """The same, for a server of both eras that is to be met as a legacy one."""

    async def _exchange(self, method, params, relay=None, *, seconds=None):
        if method == "server/discover":
            raise UpstreamError(UpstreamFailure.RPC, "not asked", executed=False)
        return await super()._exchange(method, params, relay, seconds=seconds)


@pytest.mark.parametrize(("kind", "era"), [(StdioUpstream, Era.MODERN), (Legacy, Era.LEGACY)])
async def test_the_official_git_server_reads_a_real_repository(repository, kind, era):
    transport = StdioTransport(
        command=sys.executable,
        args=("-m", "mcp_server_git", "--repository", str(repository)),
        env={"PATH": os.environ["PATH"]},
    )
    upstream = kind(transport, IDENTITY, on_stderr=lambda _line: None)
    facts = await upstream.start()
    assert facts.era is era
    tools = {tool["name"] for tool in await upstream.list_tools()}
    assert {"git_log", "git_commit", "git_status"} <= tools
    log = await call(upstream, "git_log", {"repo_path": str(repository)})
    assert "the first commit" in log
    await upstream.close()
