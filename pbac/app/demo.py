"""The walk-through: one agent, one token, real calls, every answer checked. Needs `demo` extra.

Nothing here is staged. The backend is an MCP server on a port of its own, the gateway a separate
`pbac serve` process, the agent the official MCP client; the policy is changed by editing the file,
the agent suspended by `pbac agent suspend`, the record proved by `pbac audit verify`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from pbac.app.config import BackendConfig
from pbac.app.demo_backend import SCOPES, DemoBackend
from pbac.app.scaffold import ISSUER, write_directory
from pbac.base.errors import PbacError
from pbac.crypto.keys import parse_private_pem
from pbac.oauth.software_statement import sign_statement

PULL: Final = {"owner": "acme", "repo": "api", "pull_number": 7}
READY_SECONDS_MAX: Final = 30.0
PUBLISH_SECONDS_MAX: Final = 10.0
RECORDED_SECONDS_MAX: Final = 2.0
OLD_LINE: Final = "permit merge\n  for tier >= trusted"
NEW_LINE: Final = "permit merge\n  for tier >= developer"


class DemoError(PbacError):
    """A step that did not come out as it must."""

    code = "demo_failed"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the demo, as it happened."""

    title: str
    status: int = 0
    tool: str = ""
    effect: str = ""
    rule: str = ""
    reason: str = ""
    decision_id: str = ""
    note: str = ""


@dataclass(slots=True)
class Exchange:
    """The HTTP side of the last call, which the MCP client does not show."""

    status: int = 0
    decision_id: str = ""

    async def see(self, response: Any) -> None:
        """Keep status and decision id of a response."""
        self.status = response.status_code
        self.decision_id = response.headers.get("Pbac-Decision", self.decision_id)


@dataclass(slots=True, kw_only=True)
class Demo:
    """A running gateway with its backend, in a directory of its own."""

    directory: Path
    origin: str
    backend: DemoBackend
    client_id: str = ""
    client_secret: str = ""
    token: str = ""
    exchange: Exchange = field(default_factory=Exchange)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "pbac.toml"

    @property
    def policy(self) -> Path:
        """The policy file that step 4 edits."""
        return self.directory / "policies" / "github.pbac"


@contextmanager
def running(directory: Path) -> Iterator[Demo]:
    """Backend and gateway, up and ready; stopped at the end whatever happened."""
    backend = DemoBackend()
    address = backend.start()
    port = _free_port()
    origin = f"http://127.0.0.1:{port}"
    write_directory(
        directory,
        story="github_tiers",
        public_url=origin,
        listen=f"127.0.0.1:{port}",
        backends=[BackendConfig(name="github", url=address, scopes=SCOPES)],
    )
    demo = Demo(directory=directory, origin=origin, backend=backend)
    with (directory / "gateway.log").open("wb") as log:
        command = _pbac("serve", "--config", str(demo.config))
        gateway = subprocess.Popen(command, stderr=log)  # noqa: S603
        try:
            _wait_until_ready(demo, gateway)
            yield demo
        finally:
            gateway.terminate()
            gateway.wait(15)
            backend.stop()


def register(demo: Demo) -> Step:
    """Step 1a: a signed software statement makes an agent; the tier comes from it."""
    key = parse_private_pem((demo.directory / "keys/local.pem").read_bytes())
    statement = sign_statement(
        key,
        issuer=ISSUER,
        name="release-helper",
        tier="developer",
        kind="assistant",
        scope=" ".join(SCOPES),
        now_ms=time.time_ns() // 1_000_000,
    )
    status, answer = _post_json(f"{demo.origin}/register", {"software_statement": statement})
    _must(status == 201, f"registration answered {status}: {answer}")
    demo.client_id, demo.client_secret = answer["client_id"], answer["client_secret"]
    return Step(
        title="An agent registers with a signed software statement",
        status=status,
        note=f"{answer['client_name']} is `developer`: its publisher signed it, nobody typed it",
    )


def sign_in(demo: Demo) -> Step:
    """Step 1b: client credentials, one opaque token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": demo.client_id,
        "client_secret": demo.client_secret,
        "scope": " ".join(SCOPES),
    }
    status, answer = _post(f"{demo.origin}/token", urllib.parse.urlencode(form).encode())
    _must(status == 200, f"the token endpoint answered {status}: {answer}")
    demo.token = answer["access_token"]
    return Step(
        title="It signs in and gets one opaque token",
        status=status,
        note=f"consented to {len(SCOPES)} scopes, effective now: {answer['scope']}",
    )


async def list_tools(demo: Demo, agent: Client) -> Step:
    """Step 2: only what it could ever call."""
    names = [tool.name for tool in (await agent.list_tools()).tools]
    _must("get_pull_request" in names, "reading is not listed")
    _must("merge_pull_request" not in names, "merging is listed")
    return Step(
        title="It lists tools: only what it could ever call",
        status=demo.exchange.status,
        note=", ".join(names),
    )


async def call(demo: Demo, agent: Client, title: str, tool: str, expected: int) -> Step:
    """Call one tool and hold the HTTP status against what it must be."""
    demo.exchange.status, demo.exchange.decision_id = 0, ""
    reason = ""
    try:
        answered = await agent.call_tool(tool, PULL)
        reason = "" if not answered.is_error else str(answered.content)
    except MCPError as refusal:
        reason = refusal.error.message
    status, decision_id = demo.exchange.status, demo.exchange.decision_id
    _must(status == expected, f"{tool} answered {status}, not {expected}: {reason}")
    record = _record(demo, decision_id)
    return Step(
        title=title,
        status=status,
        tool=tool,
        effect=record.get("effect", "deny"),
        rule=", ".join(record.get("rules", [])),
        reason=reason,
        decision_id=decision_id,
    )


def change_policy(demo: Demo) -> Step:
    """Step 4: one line of policy, saved in place."""
    text = demo.policy.read_text("utf-8")
    _must(OLD_LINE in text, "the policy has no line to change")
    before = _policy_version(demo.origin)
    started = time.monotonic()
    demo.policy.write_text(text.replace(OLD_LINE, NEW_LINE), "utf-8")
    while _policy_version(demo.origin) == before:
        _must(time.monotonic() - started < PUBLISH_SECONDS_MAX, "the change was not published")
        time.sleep(0.005)
    took_ms = (time.monotonic() - started) * 1000
    return Step(
        title="The operator changes one line of policy",
        note=f"`for tier >= trusted` → `for tier >= developer`, live after {took_ms:.0f} ms",
    )


def suspend(demo: Demo) -> Step:
    """Step 5: the deny list, from another process."""
    _pbac_output(demo, "agent", "suspend", demo.client_id)
    return Step(title="The operator suspends the agent", note="`pbac agent suspend`")


def resume(demo: Demo) -> None:
    """Undo step 5, so that the token of `--serve` works."""
    _pbac_output(demo, "agent", "resume", demo.client_id)


async def call_suspended(demo: Demo) -> Step:
    """The next call of the same token is refused before anything is read of it."""
    status, answer = await asyncio.to_thread(_raw_call, demo)
    _must(status == 401, f"a suspended agent was answered {status}")
    return Step(
        title="The same token calls again: 401",
        status=status,
        tool="get_pull_request",
        effect="deny",
        reason=answer["message"],
    )


def verify(demo: Demo) -> Step:
    """Step 6: the record proves itself, and the suspension, made in another process, is in it."""
    _wait_for_suspension(demo)
    text = _pbac_output(demo, "audit", "verify")
    return Step(title="`pbac audit verify` proves the record", note=text.strip().splitlines()[0])


async def walk_through(demo: Demo) -> AsyncIterator[Step]:
    """Every step of the product's walk-through, in order.

    Raises:
        DemoError: for the first step that does not come out as it must.
    """
    yield register(demo)
    yield sign_in(demo)
    async with connected(demo) as agent:
        yield await list_tools(demo, agent)
        yield await call(demo, agent, "It reads a pull request: 200", "get_pull_request", 200)
        yield await call(demo, agent, "It merges: 403", "merge_pull_request", 403)
        _must(demo.backend.asked["merge_pull_request"] == 0, "the backend heard of the merge")
        yield Step(title="The backend never heard of it", note="merge_pull_request: 0 calls")
        yield await asyncio.to_thread(change_policy, demo)
        yield await call(demo, agent, "The same token merges: 200", "merge_pull_request", 200)
        _must(demo.backend.asked["merge_pull_request"] == 1, "the merge did not arrive once")
    yield await asyncio.to_thread(suspend, demo)
    yield await call_suspended(demo)
    yield await asyncio.to_thread(verify, demo)


@asynccontextmanager
async def connected(demo: Demo) -> AsyncIterator[Client]:
    """The official client with the demo's token, whichever era it negotiates."""
    bearer = {"Authorization": f"Bearer {demo.token}"}
    async with create_mcp_http_client(headers=bearer) as http:
        http.event_hooks = {"request": [], "response": [demo.exchange.see]}
        async with Client(streamable_http_client(f"{demo.origin}/mcp", http_client=http)) as agent:
            yield agent


def snippet(demo: Demo) -> str:
    """What to paste into an MCP client to use the demo's gateway."""
    server = {
        "type": "http",
        "url": f"{demo.origin}/mcp",
        "headers": {"Authorization": f"Bearer {demo.token}"},
    }
    return json.dumps({"mcpServers": {"pbac-demo": server}}, indent=2)


# --- plain HTTP and processes -------------------------------------------------------------------


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    if not holds:
        raise DemoError(otherwise)


def _pbac(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pbac", *arguments]


def _pbac_output(demo: Demo, *arguments: str) -> str:
    run = subprocess.run(  # noqa: S603
        [*_pbac(*arguments), "--config", str(demo.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    _must(run.returncode == 0, f"`pbac {' '.join(arguments)}` failed: {run.stdout}{run.stderr}")
    return run.stdout


def _record(demo: Demo, decision_id: str) -> dict[str, Any]:
    """The decision's own record, read back from the log."""
    for line in _pbac_output(demo, "audit", "tail", "-n", "20", "--json").splitlines():
        record: dict[str, Any] = json.loads(line)
        if record.get("decision_id") == decision_id and record.get("kind") == "decision":
            return record
    raise DemoError(f"decision `{decision_id}` is not in the record")


def _wait_for_suspension(demo: Demo) -> None:
    """The gateway records what the operator did as soon as it sees it."""
    deadline = time.monotonic() + RECORDED_SECONDS_MAX
    while True:
        lines = _pbac_output(demo, "audit", "tail", "-n", "20", "--json").splitlines()
        for record in map(json.loads, lines):
            if (record.get("kind"), record.get("event")) == ("token", "suspended"):
                _must(record["agent"]["id"] == demo.client_id, "another agent was suspended")
                return
        _must(time.monotonic() < deadline, "the suspension is not in the record")


def _raw_call(demo: Demo) -> tuple[int, dict[str, Any]]:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "get_pull_request", "arguments": PULL},
    }
    return _post_json(f"{demo.origin}/mcp", body, Authorization=f"Bearer {demo.token}")


def _post_json(url: str, value: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    media = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    return _post(url, json.dumps(value).encode(), **media, **headers)


def _post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, headers=named)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _policy_version(origin: str) -> str:
    with urllib.request.urlopen(f"{origin}/readyz", timeout=5) as response:  # noqa: S310
        return str(json.load(response)["policy_version"])


def _wait_until_ready(demo: Demo, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            raise DemoError("the gateway did not start", help=_log_tail(demo))
        try:
            _policy_version(demo.origin)
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
        else:
            return
    raise DemoError(f"the gateway was not ready within {READY_SECONDS_MAX:.0f} s")


def _log_tail(demo: Demo) -> str:
    return (demo.directory / "gateway.log").read_text("utf-8", "replace")[-2_000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
