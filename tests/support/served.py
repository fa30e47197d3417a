"""Real gateways: a directory as `pbac init` makes it, a `pbac serve` process, agents with tokens."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from pbac.app.scaffold import ISSUER, write_directory
from pbac.crypto.keys import parse_private_pem
from pbac.oauth.software_statement import sign_statement

READY_SECONDS = 30


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
