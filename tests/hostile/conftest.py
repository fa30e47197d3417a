"""The stage of all hostile cases, served once."""

from __future__ import annotations

from collections import Counter

import pytest
from hostile import trust
from hostile.areas import ATTACKS
from hostile.catalogue import IN_FORCE, catalogue
from hostile.policies import POLICIES, TOOLS
from hostile.ruled import RULED_TOOLS
from hostile.stage import Stage
from support.bad_input import ANY, World, both
from support.recorder import Recorder
from support.served import serving


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    upstream = Recorder(tools=TOOLS | RULED_TOOLS).start()
    frail = Recorder(tools={"fetch": ANY}).start()
    trusted = tmp_path_factory.mktemp("trusted")
    with serving(tmp_path_factory.mktemp("hostile")) as serve:
        worlds = []
        for denials in ("result", "403"):
            gateway = serve(
                backends=both(upstream, frail),
                policy=POLICIES,
                edit=lambda text, denials=denials: trust.trusting(text, trusted).replace(
                    'denials = "result"', f'denials = "{denials}"'
                ),
                **trust.SECRETS,
            )
            world = World(gateway, upstream, frail, token="", secrets=[*trust.SECRETS.values()])
            _, _, world.token = world.agent("everyday")
            worlds.append(world)
        yield Stage(*worlds, serve=serve)
    for recorder in (upstream, frail):
        recorder.release.set()
        recorder.stop()


def pytest_terminal_summary(terminalreporter):
    """How far the areas are, in every run: what is pending is never skipped in silence."""
    tried, pending = Counter(), Counter()
    for id_, case in catalogue().items():
        (tried if id_ in ATTACKS else pending)[case.area] += 1
    write = terminalreporter.write_line
    write("hostile cases by area: tried, pending (* in force)")
    for area in sorted({case.area for case in catalogue().values()}):
        mark = "*" if area in IN_FORCE else " "
        write(f"  {mark} {area:<16} {tried[area]:>4} {pending[area]:>4}")
    write(f"    {'all':<16} {tried.total():>4} {pending.total():>4}")
