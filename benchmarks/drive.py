"""Load on one POST endpoint: `wrk` where it is installed, else a raw-socket client of our own."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LATENCY = re.compile(r"^\s*(50|99)%\s+([\d.]+)(us|ms|s)", re.MULTILINE)
UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One POST, repeated: `headers` and `body` are sent as they are."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one round measured. Latencies in microseconds."""

    calls: int
    calls_per_second: float
    p50_us: float
    p99_us: float
    failed: int


def drive(load: Load, *, connections: int, seconds: float) -> Figures:
    if shutil.which("wrk"):
        return _wrk(load, connections, seconds)
    return asyncio.run(_own(load, connections, seconds))


def _wrk(load: Load, connections: int, seconds: float) -> Figures:
    quoted = load.body.decode().replace("\\", "\\\\").replace("'", "\\'")
    lines = ["wrk.method = 'POST'", f"wrk.body = '{quoted}'"]
    lines += [f"wrk.headers['{name}'] = '{value}'" for name, value in load.headers.items()]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text("\n".join(lines))
        threads = ["-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"]
        command = ["wrk", *threads, "--latency", "-s", str(script), load.url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    latencies = {name: float(value) * UNIT_US[unit] for name, value, unit in LATENCY.findall(text)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Figures(
        calls=int(re.search(r"(\d+) requests in", text)[1]),
        calls_per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        p50_us=latencies["50"],
        p99_us=latencies["99"],
        failed=int(bad[1]) if bad else 0,
    )


async def _own(load: Load, connections: int, seconds: float) -> Figures:
    place = urlsplit(load.url)
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
    message = f"{head}Content-Length: {len(load.body)}\r\n\r\n".encode() + load.body
    taken: list[float] = []
    failed = 0
    stop_at = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (begun := time.perf_counter()) < stop_at:
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", answer)[1])
            await reader.readexactly(length)
            failed += not answer.startswith(b"HTTP/1.1 200")
            taken.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(caller() for _ in range(connections)))
    taken.sort()
    return Figures(
        calls=len(taken),
        calls_per_second=len(taken) / seconds,
        p50_us=taken[len(taken) // 2] * 1e6,
        p99_us=taken[len(taken) * 99 // 100] * 1e6,
        failed=failed,
    )
