"""From a change of policies to the decisions it makes: how long, and what the callers feel of it.

Of a policy set of 10,000 rules in a folder, by the parts a gateway is made of (`app.policies`):

- `live`: ms from writing one file until its change is in force, while decisions are made.
- `stall`: the longest that the event loop was not asked, by a heartbeat of 1 ms; `idle` is the same
  without any change, which is the machine's.
- `memory`: MiB resident in the process that decides, and in the one that compiles.

    python benchmarks/publish.py [--rules 10000] [--rounds 10] [--json] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from budgets import facts, tell
from load import resident_mib, write_policies
from workload import workload

HEARTBEAT_SECONDS = 0.001
SETTLE_SECONDS = 1.5
DECISIONS_A_BEAT = 20


def main() -> int:
    options = _options()
    if options.one:
        print(json.dumps(_one(Path(options.one), options.rounds)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_policies(folder, options.rules)
        figures = _process(folder, options.rounds)
    rows = {f"publish.{options.rules}": {name: round(v, 2) for name, v in figures.items()}}
    if options.json:
        print(json.dumps({"machine": facts(), "figures": rows}, indent=2))
    return tell(rows, check=options.check, quiet=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="from a change of policies to its decisions")
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="end with 1 above a budget")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _process(folder: Path, rounds: int) -> dict:
    command = [sys.executable, __file__, "--one", str(folder), "--rounds", str(rounds)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


# --- within a process of its own -----------------------------------------------------------------


def _one(folder: Path, rounds: int) -> dict:
    import uvloop  # noqa: PLC0415

    sys.setswitchinterval(0.0005)  # as `pbac serve` does
    return uvloop.run(_live(folder, rounds))


async def _live(folder: Path, rounds: int) -> dict:
    from pbac.app import policies as app  # noqa: PLC0415
    from pbac.app.config import Config  # noqa: PLC0415
    from pbac.base.clock import SystemClock  # noqa: PLC0415

    policies, policy_set = await app.open_policies(Config(directory=str(folder)), SystemClock())
    serving = _Serving(policy_set)

    async def tell_record(_record: object) -> None:
        await asyncio.sleep(0)

    keeping = asyncio.create_task(app.keep_up_with_source(policies, serving.put, tell_record))
    beating = asyncio.create_task(serving.beat())
    await asyncio.sleep(SETTLE_SECONDS)
    async with policies.turn:  # it compiles what is in force first, to be ready for changes
        pass
    gc.collect()
    gc.freeze()
    await asyncio.sleep(SETTLE_SECONDS)  # what that took is not counted
    idle = await serving.longest(asyncio.sleep(SETTLE_SECONDS))
    taken: list[float] = []
    changes = (_change(folder, number, serving, taken) for number in range(rounds))
    stalls = [await serving.longest(change) for change in changes]
    memory = resident_mib(os.getpid()), resident_mib(policies.compiler.process() or 0)
    for task in (keeping, beating):
        task.cancel()
    await policies.close()
    return {
        "live_ms": statistics.median(taken),
        "live_max_ms": max(taken),
        "stall_ms": statistics.median(stalls),
        "stall_max_ms": max(stalls),
        "idle_ms": idle,
        "decisions": serving.decided,
        "wrong": serving.wrong,
        "memory_mib": memory[0],
        "compiler_mib": memory[1],
    }


async def _change(folder: Path, number: int, serving: _Serving, taken: list[float]) -> None:
    files = sorted((folder / "policies").glob("*.pbac"))
    file = files[number % len(files)]
    text = file.read_text() + f"\nforbid changed{number}\n  on tool changed{number}\n"
    put, started = serving.next_put(), time.perf_counter()
    file.write_text(text)
    await put
    taken.append((time.perf_counter() - started) * 1000)
    await asyncio.sleep(SETTLE_SECONDS)  # what comes afterwards counts too


class _Serving:
    """An event loop that decides, and notices when it is kept from that."""

    def __init__(self, policy_set: object) -> None:
        from pbac.pdp.engine import decide  # noqa: PLC0415

        self._decide = decide
        self._requests = workload(10_000, 500).requests
        self._waiting: asyncio.Future[None] | None = None
        self._gap = 0.0
        self.current = policy_set
        self.versions = {policy_set.version}
        self.decided = self.wrong = 0

    def put(self, policy_set: object) -> None:
        self.current = policy_set
        self.versions.add(policy_set.version)
        if self._waiting is not None:
            self._waiting.set_result(None)
            self._waiting = None

    def next_put(self) -> asyncio.Future[None]:
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    async def longest(self, work: object) -> float:
        """The longest gap in ms, beyond the heartbeat itself, while the work is done."""
        self._gap = 0.0
        await work
        return self._gap * 1000

    async def beat(self) -> None:
        number, last = 0, time.perf_counter()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            now = time.perf_counter()
            self._gap = max(self._gap, now - last - HEARTBEAT_SECONDS)
            for _ in range(DECISIONS_A_BEAT):
                number += 1
                decision = self._decide(self.current, self._requests[number % 500])
                self.decided += 1
                self.wrong += decision.policy_version not in self.versions
            last = time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())
