"""What figures must stay within, and the facts about the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

BUDGETS = Path(__file__).with_name("budgets.toml")


def facts() -> dict[str, object]:
    """What figures depend on, beside the program."""
    return {
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def tell(rows: Mapping[str, Mapping[str, float]], *, check: bool, quiet: bool = False) -> int:
    """Print figures beside their budgets. The exit code: 1 when checked and one is exceeded.

    Args:
        rows: name of what was measured → figure → value.
        check: budgets count.
        quiet: say only what is exceeded, on standard error.
    """
    budgets = tomllib.loads(BUDGETS.read_text())
    exceeded = 0
    for what, figures in rows.items():
        most = budgets
        for part in what.split("."):
            most = most.get(part, {})
        for name, value in figures.items():
            budget = most.get(name)
            over = budget is not None and value > budget
            exceeded += over
            if not quiet or over:
                beside = (
                    "" if budget is None else f"  of {budget:>8,}{'  EXCEEDED' if over else ''}"
                )
                line = f"{what:<24} {name:<16} {value:>12,.2f}{beside}"
                print(line, file=sys.stderr if quiet else sys.stdout)
    return int(check and exceeded > 0)
