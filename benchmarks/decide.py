"""µs a decision, with a full `Decision`, as the number of rules grows; and what loading costs.

Each size is measured in rounds over the same requests, one call at a time, the clock's own 0.06 µs
included; the best round by its median is shown. `first` is the first decision for a tool and tier,
which finds the rules that matter. `floor` only reads, of each request, what these rules ask about.
Below are the worst cases: rules that all name every tool and ask for the same thing in many ways. A
sample of the answers is compared with a scan of all rules by the interpreter in the same run: a wrong
answer ends it with 1.

    python benchmarks/decide.py [--rules 10,100,1000,10000] [--crowd 1000] [--requests 5000] [--json]
        [--check] [--svg FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from budgets import facts, tell
from workload import CROWDS, Workload, crowd, workload

from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.lang.evaluate.interpret import condition
from pbac.lang.evaluate.truth import Truth
from pbac.lang.syntax.parse import parse
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet

ROUNDS = 5
SCANNED_RULES_MAX = 200_000
SAMPLE_MAX = 200


def main() -> int:
    options = _options()
    sizes = map(int, options.rules.split(","))
    rows = [_measure("", workload(size, options.requests)) for size in sizes]
    crowded = [_measure(name, crowd(name, options.crowd, options.requests)) for name in CROWDS]
    if options.json:
        print(json.dumps({"machine": facts(), "figures": [*rows, *crowded]}, indent=2))
    else:
        _print_table(rows)
        _print_loading(rows)
        print(f"\n{options.crowd:,} rules that all name every tool:\n")
        _print_table(crowded)
    if options.svg:
        from plot import growth  # noqa: PLC0415 (matplotlib is not needed for figures)

        wanted = ("median_us", "p99_us", "floor_us")
        growth(_figures(rows), wanted, Path(options.svg), "µs a decision")
    wrong = any(row["wrong"] for row in [*rows, *crowded])
    return int(wrong or (options.check and _over(rows, crowded)))


def _over(rows: Sequence[dict], crowded: Sequence[dict]) -> bool:
    """Beside their budgets, with how much the largest set costs more than the smallest."""
    print()
    figures = {**_figures(rows), **{f"decide.{row['name']}": row for row in crowded}}
    growth = rows[-1]["median_us"] / rows[0]["median_us"]
    told = {
        what: {name: row[name] for name in ("median_us", "p99_us")} for what, row in figures.items()
    }
    return bool(tell({**told, "decide.growth": {"ratio": growth}}, check=True))


def _figures(rows: Sequence[dict]) -> dict[str, dict]:
    return {f"decide.{row['rules']}": row for row in rows}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="µs a decision, and what loading costs")
    parser.add_argument("--rules", default="10,100,1000,10000")
    parser.add_argument("--crowd", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="end with 1 above a budget")
    parser.add_argument("--svg", metavar="FILE", help="draw the figures")
    return parser.parse_args()


def _measure(name: str, given: Workload) -> dict:
    policy_set, stages = _load(given)
    first = _first_calls(policy_set, given.requests)
    best = min((_round(policy_set, given.requests) for _ in range(ROUNDS)), key=statistics.median)
    floor = min(statistics.median(_floor(given.requests)) for _ in range(ROUNDS))
    sample = given.requests[: min(SAMPLE_MAX, max(20, SCANNED_RULES_MAX // policy_set.rule_count))]
    decisions = [decide(policy_set, request) for request in given.requests]
    wrong = [r for r in sample if _answer(decide(policy_set, r)) != _scan(policy_set, r)]
    return {
        "name": name,
        "rules": policy_set.rule_count,
        "median_us": round(statistics.median(best), 2),
        "p99_us": round(_percentile(best, 99), 2),
        "floor_us": round(floor, 2),
        "first_median_us": round(statistics.median(first), 1),
        "permitted": round(sum(each.permitted for each in decisions) / len(decisions), 2),
        "compared": len(sample),
        "wrong": len(wrong),
        "load_ms": {stage: round(seconds * 1000, 1) for stage, seconds in stages.items()},
    }


def _load(given: Workload) -> tuple[PolicySet, dict[str, float]]:
    parse(Source("warm.pbac", "package warm"))  # the grammar's own tables, once a process
    compilation = compile_program(given.sources, {})
    if compilation.program is None:
        sys.exit(f"the workload does not compile: {compilation.diagnostics[:3]}")
    started = time.perf_counter()
    policy_set = PolicySet(compilation.program)
    indexed = time.perf_counter() - started
    return policy_set, {**compilation.timings, "index": indexed}


def _first_calls(policy_set: PolicySet, requests: Sequence[DecisionRequest]) -> list[float]:
    """The first decision for each tool and tier."""
    seen = {}
    for request in requests:
        seen.setdefault((request.call["tool"], request.agent["tier"]), request)
    return _round(policy_set, list(seen.values()))


def _round(policy_set: PolicySet, requests: Sequence[DecisionRequest]) -> list[float]:
    """µs of each decision. Collection is off, as a server would freeze what it has loaded."""
    clock, taken = time.perf_counter_ns, []
    gc.collect()
    gc.disable()
    for request in requests:
        started = clock()
        decide(policy_set, request)
        taken.append((clock() - started) / 1000)
    gc.enable()
    return taken


def _read(request: DecisionRequest) -> object:
    call, agent, args = request.call, request.agent, request.args
    asked = args.get("amount"), args.get("path"), agent.get("kind"), request.env.get("now")
    return (
        (call["method"], call["server"], call["tool"], call["scope"], agent["tier"]),
        request.chain.get("actors"),
        [value.__class__ for value in asked],
    )


def _floor(requests: Sequence[DecisionRequest]) -> list[float]:
    """µs to read what is asked of each request: it has to come from memory whoever decides."""
    clock, taken = time.perf_counter_ns, []
    for request in requests:
        started = clock()
        _read(request)
        taken.append((clock() - started) / 1000)
    return taken


def _percentile(taken: Sequence[float], percent: int) -> float:
    return sorted(taken)[len(taken) * percent // 100]


def _answer(decision: Decision) -> tuple[bool, tuple[str, ...]]:
    return decision.permitted, tuple(sorted(decision.rules))


def _scan(policy_set: PolicySet, request: DecisionRequest) -> tuple[bool, tuple[str, ...]]:
    """Laws 1 and 2, word for word, over every rule."""
    data, tiers = policy_set.data, policy_set.tiers
    truths = [(r, condition(r.node, request, data, tiers, r.servers)) for r in policy_set.rules]
    forbids = [r.name for r, t in truths if r.effect == "forbid" and t is not Truth.FALSE]
    permits = [r.name for r, t in truths if r.effect == "permit" and t is Truth.TRUE]
    return bool(permits) and not forbids, tuple(sorted(forbids or permits))


def _print_table(rows: Sequence[dict]) -> None:
    width = max(len(row["name"]) for row in rows)
    print(
        f"{'':{width}}   rules  median µs   p99 µs  floor µs  first µs  permitted  compared  wrong"
    )
    for row in rows:
        print(
            f"{row['name']:{width}}{row['rules']:>8,}  {row['median_us']:>9}  {row['p99_us']:>7}"
            f"  {row['floor_us']:>8}  {row['first_median_us']:>8}  {row['permitted']:>9.0%}"
            f"  {row['compared']:>8}  {row['wrong']:>5}"
        )


def _print_loading(rows: Sequence[dict]) -> None:
    stages = list(rows[0]["load_ms"])
    print("\n   rules  " + "".join(f"{stage:>10}" for stage in [*stages, "all, ms"]))
    for row in rows:
        spent = [row["load_ms"][stage] for stage in stages]
        print(f"{row['rules']:>8,}  " + "".join(f"{ms:>10,.1f}" for ms in [*spent, sum(spent)]))


if __name__ == "__main__":
    sys.exit(main())
