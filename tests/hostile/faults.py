"""A gateway of an attack's own, whose disk and wall clock can be made to misbehave from outside.

The served program is the one that ships; faults are put into the system calls under it: Python
loads `sitecustomize` before anything else, and files in a folder say what is wrong now.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostile.policies import POLICIES
from hostile.stage import decisions, metrics, verifier
from support.bad_input import World, both
from support.served import serving

from pbac.adapters.audit_reader import read_segments
from pbac.audit.verify import verify_log

_SITE = """
import os, pathlib, time

faults = pathlib.Path(os.environ["PBAC_TEST_FAULTS"])
sync, time_ns = os.fdatasync, time.time_ns

def said(name):
    try:
        return float((faults / name).read_text() or 0)
    except FileNotFoundError:
        return None

def fdatasync(descriptor):
    while said("hang") is not None:
        time.sleep(0.01)
    time.sleep(said("slow") or 0)
    sync(descriptor)

os.fdatasync = fdatasync
time.time_ns = lambda: time_ns() + int((said("clock") or 0) * 1_000_000_000)
"""


@dataclass
class Faults:
    """What is wrong with the machine; a name is a file, what is in it a number of seconds."""

    folder: Path

    def begin(self, name, seconds=0.0):
        waiting = self.folder / f".{name}"
        waiting.write_text(str(seconds))
        waiting.replace(self.folder / name)

    def end(self, name):
        (self.folder / name).unlink()


@contextmanager
def faulty(stage, *, policy=POLICIES, backends=None):
    """(its world, its faults) of one more gateway before the stage's upstreams.

    Its record has to verify in the end, and nothing unexpected may have happened inside.
    """
    upstream, frail = stage.plain.upstream, stage.plain.frail
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "own") as serve:
        site = Path(folder) / "site"
        (site / "faults").mkdir(parents=True)
        (site / "sitecustomize.py").write_text(_SITE)
        gateway = serve(
            backends=backends or both(upstream, frail),
            policy=policy,
            PYTHONPATH=str(site),
            PBAC_TEST_FAULTS=str(site / "faults"),
        )
        world = World(gateway, upstream, frail, token="")
        _, _, world.token = world.agent("everyday")
        yield world, Faults(site / "faults")
        if gateway.process.poll() is None:
            assert 'code="internal_error"' not in metrics(world)
            assert gateway.stop() == 0
        assert decisions(world), "it was never asked anything"
        found = verify_log(read_segments(gateway.directory / "state/audit"), verifier(world))
        assert found.ok, found.problems
        assert b"Traceback" not in gateway.output.read_bytes()
