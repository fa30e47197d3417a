"""Real gateways: a directory from `pbac init`, a `pbac serve` process, agents with real tokens.

And an upstream that keeps every byte it is sent, for what must not arrive there.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from pbac.app.scaffold import ISSUER, write_directory
from pbac.crypto.keys import parse_private_pem
from pbac.oauth.software_statement import sign_statement

READY_SECONDS = 30

spec = importlib.util.spec_from_file_location(
    "world_of_bad_input", Path(__file__).with_name("world_of_bad_input.py")
)
bad = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bad)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(url, value, **headers):
    """(status, headers, JSON body) of one POST; a form when `value` is bytes."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(url, data=body, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
            return response.status, response.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, error.headers, json.loads(text) if text else None


@dataclass
class RunningGateway:
    """One served directory."""

    directory: Path
    origin: str
    process: subprocess.Popen | None = None

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    @property
    def config(self) -> Path:
        return self.directory / "pbac.toml"

    def pbac(self, *arguments, check=True):
        done = subprocess.run(
            [sys.executable, "-m", "pbac", *arguments], capture_output=True, text=True, check=False
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def register(self, tier="developer", name="agent", scope="**", **claims):
        key = parse_private_pem((self.directory / "keys/local.pem").read_bytes())
        statement = sign_statement(
            key,
            issuer=ISSUER,
            name=name,
            tier=tier,
            scope=scope,
            now_ms=time.time_ns() // 1_000_000,
            **claims,
        )
        status, _, client = post(f"{self.origin}/register", {"software_statement": statement})
        assert status == 201, client
        return client

    def token(self, tier="developer", name="agent", scope=None):
        client = self.register(tier, name)
        form = {
            "grant_type": "client_credentials",
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
        }
        if scope is not None:
            form["scope"] = scope
        status, _, answer = post(
            f"{self.origin}/token",
            urllib.parse.urlencode(form).encode(),
            Content_Type="application/x-www-form-urlencoded",
        )
        assert status == 200, answer
        return answer["access_token"]

    @contextlib.asynccontextmanager
    async def client(self, token, mode="auto"):
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client

    def records(self, kind=None):
        """Every record of the log, as verified JSON lines."""
        time.sleep(0.2)
        found = []
        for path in sorted((self.directory / "state/audit").glob("log-*.jsonl")):
            lines = path.read_text("utf-8").splitlines()
            found += [json.loads(line.split(" ", 1)[1]) for line in lines]
        return [record for record in found if kind in (None, record["kind"])]

    def version(self) -> str:
        with urllib.request.urlopen(f"{self.origin}/readyz", timeout=5) as response:
            return json.load(response)["policy_version"]

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)

    def start(self, ready=version, **environment):
        """Run the served directory; what it prints is kept in `output`."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pbac", "serve", "--config", str(self.config)],
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, "the gateway was not ready in time"
            try:
                assert ready(self)
            except OSError:
                time.sleep(0.05)
            else:
                return self

    @property
    def output(self) -> Path:
        return self.directory.with_suffix(".output.txt")


def prepared(directory, *, backends, story, edit, policy):
    """A directory that can be served on a free port."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    write_directory(
        directory,
        story=story,
        public_url=origin,
        listen=f"127.0.0.1:{port}",
        backends=list(backends),
    )
    config = directory / "pbac.toml"
    config.write_text(edit(config.read_text()))
    if policy is not None:
        for path in (directory / "policies").glob("*.pbac"):
            path.unlink()
        files = policy if isinstance(policy, dict) else {"test.pbac": policy}
        for name, text in files.items():
            (directory / "policies" / name).write_text(text)
    return RunningGateway(directory, origin)


@contextlib.contextmanager
def serving(folder):
    """`serve(backends=[…], story=…, edit=function of the config text)` → a ready gateway."""
    running = []

    def start(
        *,
        backends=(),
        story="starter",
        edit=lambda text: text,
        policy=None,
        ready=RunningGateway.version,
        **environment,
    ):
        directory = folder / f"gateway{len(running)}"
        gateway = prepared(directory, backends=backends, story=story, edit=edit, policy=policy)
        running.append(gateway)
        return gateway.start(ready, **environment)

    try:
        yield start
    finally:
        for gateway in running:
            if gateway.process is not None and gateway.process.poll() is None:
                gateway.stop()


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def serve_session(tmp_path_factory):
    """`serve`, for gateways that many tests share."""
    with serving(tmp_path_factory.mktemp("served")) as start:
        yield start


@pytest.fixture
def http_post():
    return post


# --- an upstream that keeps every byte ----------------------------------------------------------


@dataclass
class Recorder:
    """An MCP server of 2026-07-28, written by hand, on a loopback port in a thread of its own.

    `raw` holds every request as it came over the wire. Tools whose name begins with `slow` answer
    when `release` is set; `redirects` answers with a redirect to another path of this server.
    """

    tools: dict = field(default_factory=dict)
    raw: list = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def calls(self, tool=None):
        """Every `tools/call` that arrived, as (tool, arguments)."""
        trees = [json.loads(body) for raw in list(self.raw) if (body := raw.partition(GAP)[2])]
        called = [tree["params"] for tree in trees if tree.get("method") == "tools/call"]
        return [
            (each["name"], each.get("arguments")) for each in called if tool in (None, each["name"])
        ]

    def _run(self, ready):
        asyncio.run(self._serve(ready))

    async def _serve(self, ready):
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(GAP)
                fields = dict(
                    line.lower().split(b": ", 1) for line in head.split(b"\r\n") if b": " in line
                )
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                self.raw.append(head + body)
                writer.write(await self._answer(json.loads(body)))
                await writer.drain()
        writer.close()

    async def _answer(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "server/discover":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        elif method == "tools/list":
            listed = [{"name": name, "inputSchema": self.tools[name]} for name in self.tools]
            result = {"tools": listed, "ttlMs": 0, "cacheScope": "private"}
        elif method == "tools/call":
            name = params["name"]
            if name == "redirects":
                return b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
            if name.startswith("slow"):
                await asyncio.to_thread(self.release.wait, 10)
            result = {"content": [{"type": "text", "text": f"{name} ran"}]}
        else:
            return b"HTTP/1.1 202 X\r\ncontent-length: 0\r\n\r\n"
        tree = {
            "jsonrpc": "2.0",
            "id": message["id"],
            "result": {"resultType": "complete"} | result,
        }
        body = json.dumps(tree).encode()
        head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: "
        return f"{head}{len(body)}\r\n\r\n".encode() + body


GAP = b"\r\n\r\n"


@pytest.fixture(scope="session")
def record_upstream():
    """`record_upstream({tool: inputSchema})` → a running `Recorder`."""
    started = []

    def start(tools):
        started.append(Recorder(tools=tools).start())
        return started[-1]

    yield start
    for recorder in started:
        recorder.release.set()
        recorder.stop()


# --- the world of bad input ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def served(serve_session, record_upstream):
    upstream, frail = record_upstream(bad.TOOLS), record_upstream({"fetch": bad.ANY})
    gateway = serve_session(backends=bad.both(upstream, frail), policy=bad.POLICIES)
    world = bad.World(gateway, upstream, frail, token="")
    _, _, world.token = world.agent("everyday")
    return world


@pytest.fixture
def world(served):
    served.bodies.clear()
    yield served
    for body in served.bodies:
        assert not bad.TRACE.search(body), body
    assert served.gateway.process.poll() is None
    health = served.send(b"", line="GET /healthz HTTP/1.1")
    assert (health.status, health.json) == (200, {"status": "ok"})
