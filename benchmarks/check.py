"""Seconds to check and compile a whole policy set: cold, nothing changed, one file changed.

Cold is a new process each time, imports and parse tables included. The other two are what a gateway, an
editor or `pbac test --watch` does: the earlier run's trees, names and functions are at hand. Sizes
take turns, round by round; the medians are shown.

    python benchmarks/check.py [--rules 1000,10000] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from workload import workload

CASES = ("cold", "unchanged", "one file changed")


def main() -> int:
    options = _options()
    sizes = [int(size) for size in options.rules.split(",")]
    if options.one:
        print(json.dumps(_one_process(sizes[0])))
        return 0
    taken: dict[tuple[int, str], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for size in sizes:
            for case, seconds in _new_process(size).items():
                taken[size, case].append(seconds)
    rows = [{"rules": size, **_medians(taken, size)} for size in sizes]
    print(json.dumps(rows, indent=2) if options.json else _table(rows))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="seconds to check and compile a policy set")
    parser.add_argument("--rules", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _new_process(size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", "--rules", str(size)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _one_process(size: int) -> dict[str, float]:
    sources = workload(size, 1).sources
    changed = [*sources[:-1], type(sources[-1])(sources[-1].name, sources[-1].text + "\n# changed")]
    started = time.perf_counter()
    from pbac.base.collector import collect_seldom  # noqa: PLC0415  # imports are part of it
    from pbac.lang.compile import compile_program  # noqa: PLC0415

    collect_seldom()  # as `pbac check` does

    first = compile_program(sources, {})
    cold = time.perf_counter() - started
    if first.program is None:
        sys.exit(f"the workload does not compile: {first.diagnostics[:3]}")
    started = time.perf_counter()
    compile_program(sources, {}, previous=first)
    unchanged = time.perf_counter() - started
    started = time.perf_counter()
    compile_program(changed, {}, previous=first)
    return dict(zip(CASES, (cold, unchanged, time.perf_counter() - started), strict=True))


def _medians(taken: dict[tuple[int, str], list[float]], size: int) -> dict[str, float]:
    return {case: round(statistics.median(taken[size, case]), 3) for case in CASES}


def _table(rows: Sequence[dict]) -> str:
    lines = ["   rules" + "".join(f"{case + ', s':>20}" for case in CASES)]
    lines += [
        f"{row['rules']:>8,}" + "".join(f"{row[case]:>20.3f}" for case in CASES) for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
