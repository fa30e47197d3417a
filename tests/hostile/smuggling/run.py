"""Throws as many mutations as wanted: `run.py --mutations N --seed S`.

Everything goes over real sockets: a served gateway, and SDK servers in processes of their own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile.smuggling.arena import Arena, arena
from hostile.smuggling.judge import Judge
from hostile.smuggling.minimise import minimised

SEED = 20261
LINES_MAX = 10
_write = sys.stdout.write


def typescript_modules() -> Path | None:
    """The `node_modules` with Node and the TypeScript SDK that `.ci/run` installs, or None."""
    peers = Path(os.environ.get("PBAC_PEERS", Path.home() / ".cache" / "pbac-peers"))
    modules = peers / "node_modules"
    needed = (modules / "@modelcontextprotocol/sdk", modules / ".bin/node")
    return modules if all(path.exists() for path in needed) else None


def report(judge: Judge, seed: int, count: int, seconds: float) -> str:
    """What a run came to, in one line."""
    settled = ", ".join(f"{n} {what}" for what, n in sorted(judge.settled.items()))
    return (
        f"smuggling: seed {seed}, {count} mutations in {seconds:.0f} s "
        f"({count / seconds:.0f}/s): {settled}; {len(judge.differences)} differences"
    )


def told(found: Arena, judge: Judge) -> str:
    """Every difference with the case that shows it, ready to be pasted."""
    text = ""
    for difference in judge.differences[:LINES_MAX]:
        case = minimised(found, difference.mutation) if difference.mutation else None
        number = difference.mutation.number if difference.mutation else "-"
        text += f"\n{difference.what}\n  mutation {number}: {case or 'not seen again'}\n"
    for mutation, body in judge.rejected[:LINES_MAX]:
        text += f"\nforwarded, but rejected: mutation {mutation.number}: {body[:200]!r}\n"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="smuggling") as folder,
        arena(Path(folder), typescript_modules()) as found,
    ):
        upstreams = [server.name for server in found.servers]
        _write(f"seed {options.seed}, upstreams {upstreams}, {len(found.bases)} valid requests\n")
        started = time.monotonic()

        def progress(done: int) -> None:
            seconds = time.monotonic() - started
            _write(report(found.judge, options.seed, done, seconds) + "\n")
            sys.stdout.flush()

        judge = found.attack(options.seed, range(options.mutations), progress)
        progress(options.mutations)
        _write(told(found, judge))
    return bool(judge.differences or judge.rejected)


if __name__ == "__main__":
    raise SystemExit(main())
