"""Calls/s, latency and CPU a call: upstream directly, a bare relay, and the gateway.

The three are measured in alternating rounds of one run, so that a machine whose speed drifts drifts
for all of them. The gateway does everything it does in production: token, strict parsing, policy,
schema, a durable record before each call is forwarded. Compare ratios; absolute figures are the
machine's.

    python benchmarks/gateway.py [--seconds 4] [--rounds 3] [--connections 1,32] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from drive import Figures, Load, drive

from pbac.app.config import BackendConfig
from pbac.app.scaffold import ISSUER, write_directory
from pbac.crypto.keys import parse_private_pem
from pbac.oauth.software_statement import sign_statement

HERE = Path(__file__).parent
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "get_pull_request",
        "arguments": {"owner": "acme", "repo": "api", "pull_number": 7},
        "_meta": META,
    },
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One thing to measure: where it listens, which process to charge, what to send."""

    name: str
    load: Load
    pid: int


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen]:
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(15)


@contextmanager
def peer(*arguments: str) -> Iterator[tuple[str, int]]:
    """A program of `peers.py`: its MCP address and its process id."""
    with process(sys.executable, str(HERE / "peers.py"), *arguments) as running:
        port = int(running.stdout.readline())
        yield f"http://127.0.0.1:{port}/mcp", running.pid


@contextmanager
def gateway(folder: Path, upstream: str) -> Iterator[tuple[str, int, str]]:
    """A served directory before `upstream`: MCP address, process id and an access token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    write_directory(
        folder,
        story="github_tiers",
        public_url=origin,
        listen=f"127.0.0.1:{port}",
        backends=[BackendConfig(name="github", url=upstream)],
    )
    config = str(folder / "pbac.toml")
    with process(sys.executable, "-m", "pbac", "serve", "--config", config) as running:
        wait_until_ready(origin)
        yield f"{origin}/mcp", running.pid, access_token(folder, origin)


def wait_until_ready(origin: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{origin}/readyz", timeout=1) as response:
                if json.load(response)["tools"]:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the gateway was not ready within 30 s")


def access_token(folder: Path, origin: str) -> str:
    key = parse_private_pem((folder / "keys/local.pem").read_bytes())
    now_ms = time.time_ns() // 1_000_000
    statement = sign_statement(
        key, issuer=ISSUER, name="bench", tier="developer", scope="**", now_ms=now_ms
    )
    body = json.dumps({"software_statement": statement}).encode()
    client = fetch(f"{origin}/register", body, "application/json")
    form = {"grant_type": "client_credentials", "client_id": client["client_id"]}
    form["client_secret"] = client["client_secret"]
    media = "application/x-www-form-urlencoded"
    return fetch(f"{origin}/token", urllib.parse.urlencode(form).encode(), media)["access_token"]


def fetch(url: str, body: bytes, media: str) -> dict:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": media})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def subjects(stack: ExitStack, folder: Path) -> list[Subject]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "get_pull_request",
    }
    body = json.dumps(CALL).encode()
    upstream, upstream_pid = stack.enter_context(peer("upstream"))
    relay, relay_pid = stack.enter_context(peer("relay", upstream))
    url, gateway_pid, token = stack.enter_context(gateway(folder, upstream))
    with_token = {**headers, "Authorization": f"Bearer {token}"}
    return [
        Subject(
            name="direct", load=Load(url=upstream, headers=headers, body=body), pid=upstream_pid
        ),
        Subject(name="relay", load=Load(url=relay, headers=headers, body=body), pid=relay_pid),
        Subject(name="gateway", load=Load(url=url, headers=with_token, body=body), pid=gateway_pid),
    ]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(subject: Subject, connections: int, seconds: float) -> dict:
    before = cpu_seconds(subject.pid)
    figures: Figures = drive(subject.load, connections=connections, seconds=seconds)
    spent = cpu_seconds(subject.pid) - before
    if figures.failed:
        raise SystemExit(f"{subject.name}: {figures.failed} of {figures.calls} calls failed")
    return {**asdict(figures), "cpu_us_per_call": spent / figures.calls * 1e6}


def middle(rounds: list[dict]) -> dict:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def fdatasync_us(folder: Path) -> float:
    """The median of 200 appends of 600 bytes made durable, on the disk the record is on."""
    taken = []
    with (folder / "probe").open("wb") as file:
        for _ in range(200):
            begun = time.perf_counter()
            file.write(b"x" * 600)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=4)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", default="1,32")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    results: dict = {
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "driver": "wrk" if shutil.which("wrk") else "own",
        },
        "connections": {},
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pbac-bench-")))
        results["fdatasync_us"] = fdatasync_us(folder)
        measured = subjects(stack, folder / "gateway")
        for connections in map(int, chosen.connections.split(",")):
            rounds: dict[str, list[dict]] = {subject.name: [] for subject in measured}
            for subject in measured:
                drive(subject.load, connections=connections, seconds=1)
            for _ in range(chosen.rounds):
                for subject in measured:
                    rounds[subject.name].append(measure(subject, connections, chosen.seconds))
            results["connections"][connections] = {
                name: middle(figures) for name, figures in rounds.items()
            }
        results["gateway_resident_mib"] = resident_mib(measured[-1].pid)
    print(json.dumps(results, indent=2) if chosen.json else table(results))


def table(results: dict) -> str:
    machine = results["machine"]
    sync, memory = results["fdatasync_us"], results["gateway_resident_mib"]
    lines = [
        f"Python {machine['python']}, {machine['cores']} cores, driver {machine['driver']}",
        f"one fdatasync {sync:.0f} µs, gateway {memory:.0f} MiB resident",
    ]
    for connections, figures in results["connections"].items():
        relay = figures["relay"]["calls_per_second"]
        lines += ["", f"{connections} connection(s)"]
        heads = ("calls/s", "p50 µs", "p99 µs", "CPU µs", "× relay")
        lines.append(" " * 9 + "".join(f"{head:>10}" for head in heads))
        for name, row in figures.items():
            cells = (row["calls_per_second"], row["p50_us"], row["p99_us"], row["cpu_us_per_call"])
            ratio = row["calls_per_second"] / relay
            lines.append(f"{name:>9}" + "".join(f"{c:>10.0f}" for c in cells) + f"{ratio:>10.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
