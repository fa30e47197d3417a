"""What a policy set costs to load, by its size: a first start, a later one, and memory.

Each figure is from a process of its own, which does what `pbac serve` does before it listens. `cold`:
nothing was compiled before; a child parses, checks, tests and keeps the set. `warm`: it is found
compiled. Sizes take turns; medians are shown. `memory` is resident after a warm start, `empty` the same
process before it loads anything.

    python benchmarks/load.py [--rules 10,100,1000,10000] [--rounds 3] [--json] [--check] [--svg FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from budgets import facts, tell
from workload import workload

WARM_STARTS = 3


def main() -> int:
    options = _options()
    if options.one:
        print(json.dumps(_one(Path(options.one))))
        return 0
    sizes = [int(size) for size in options.rules.split(",")]
    taken: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            write_policies(Path(name) / str(size), size)
        for _ in range(options.rounds):
            for size in sizes:
                _round(Path(name) / str(size), taken[size])
    rows = {
        f"load.{size}": {figure: statistics.median(each) for figure, each in figures.items()}
        for size, figures in taken.items()
    }
    if options.json:
        print(json.dumps({"machine": facts(), "figures": rows}, indent=2))
    if options.svg:
        from plot import growth  # noqa: PLC0415 (matplotlib is not needed for figures)

        growth(rows, ("cold_ms", "warm_ms"), Path(options.svg), "ms until a set can decide")
    return tell(rows, check=options.check, quiet=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what a policy set costs to load")
    parser.add_argument("--rules", default="10,100,1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="end with 1 above a budget")
    parser.add_argument("--svg", metavar="FILE", help="draw the figures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_policies(folder: Path, rules: int) -> None:
    """The workload as a gateway's folder."""
    (folder / "policies").mkdir(parents=True)
    for source in workload(rules, 1).sources:
        (folder / "policies" / source.name).write_text(source.text)


def _round(folder: Path, taken: dict[str, list[float]]) -> None:
    shutil.rmtree(folder / "state", ignore_errors=True)
    taken["cold_ms"].append(_process(folder)["ms"])
    warm = [_process(folder) for _ in range(WARM_STARTS)]
    taken["warm_ms"] += [each["ms"] for each in warm]
    taken["memory_mib"] += [each["memory_mib"] for each in warm]
    taken["empty_mib"] += [each["empty_mib"] for each in warm]


def _process(folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _one(folder: Path) -> dict[str, float]:
    """Within a process of its own."""
    from pbac.app.config import Config  # noqa: PLC0415
    from pbac.app.policies import open_policies  # noqa: PLC0415
    from pbac.base.clock import SystemClock  # noqa: PLC0415

    async def start() -> float:
        started = time.perf_counter()
        policies, _ = await open_policies(Config(directory=str(folder)), SystemClock())
        taken = time.perf_counter() - started
        await policies.close()
        return taken

    empty = resident_mib(os.getpid())
    taken = asyncio.run(start())
    return {"ms": taken * 1000, "memory_mib": resident_mib(os.getpid()), "empty_mib": empty}


def resident_mib(process: int) -> float:
    """What a process has in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
