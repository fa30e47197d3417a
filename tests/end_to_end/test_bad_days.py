"""Bad days: upstreams that fail, clients that leave, a full disk, a killed process."""

from __future__ import annotations

import contextlib
import http.client
import resource
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest
from support.bad_input import (
    ANY,
    NAMES,
    POLICIES,
    TOOLS,
    World,
    both,
    call,
    eventually,
    legacy_session,
)

# --- upstreams --------------------------------------------------------------------------------


def test_a_redirect_of_the_upstream_is_not_followed(world):
    answer = world.call("redirects")
    assert (answer.status, answer.error) == (502, "upstream_error")
    assert not any(raw.split()[1] == b"/elsewhere" for raw in world.upstream.raw)
    assert world.outcome(answer.headers["pbac-decision"])["outcome"] == "upstream_error"


def test_an_unreachable_upstream_is_named_and_the_others_serve(world):
    assert world.call("fetch").status == 200
    world.frail.stop()
    answer = world.call("fetch")
    assert (answer.status, answer.error) == (503, "upstream_unavailable")
    assert world.outcome(answer.headers["pbac-decision"])["outcome"] == "upstream_unavailable"
    assert world.call("echo").status == 200


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_outcome_is_recorded_when_the_client_goes_away(world, era):
    replace = {"Mcp-Name": NAMES["slow"]}
    if era == "legacy":
        replace |= legacy_session(world)
    body = call("slow") if era == "modern" else call("slow").replace(b"2026-07-28", b"2025-11-25")
    world.upstream.release.clear()
    calls = len(world.upstream.calls("slow"))
    with world.connect() as connection:
        connection.sendall(world.request(body, replace=replace))
        eventually(lambda: len(world.upstream.calls("slow")) > calls, "it was not forwarded")
    time.sleep(0.2)
    world.upstream.release.set()
    decided = [d for d in world.gateway.records("decision") if d["tool"] == "slow"][-1]
    expected = {"modern": "cancelled", "legacy": "completed"}[era]
    assert world.outcome(decided["decision_id"])["outcome"] == expected


def test_another_agents_session_is_not_found(world):
    _, _, other = world.agent("eavesdropper")
    session = legacy_session(world) | {"Authorization": f"Bearer {other}"}
    with world.nothing_forwarded():
        answer = world.send(call("echo").replace(b"2026-07-28", b"2025-11-25"), replace=session)
    assert answer.status == 404


# --- the disk, the process, the directory -----------------------------------------------------


def test_a_second_gateway_on_the_same_state_does_not_start(world):
    done = world.gateway.pbac("serve", "--config", str(world.gateway.config), check=False)
    assert done.returncode == 1
    assert "another process writes the audit log" in done.stderr
    assert "stop the other one first" in done.stderr
    assert "Traceback" not in done.stderr
    assert world.call("echo").status == 200


def answers_until(world, status):
    """Call until the status is answered; how many calls were answered 200 before."""
    served = 0
    while (answer := world.call("load0")).status != status:
        assert answer.status == 200
        served += 1
        assert served < 5_000
    return served, answer


@contextlib.contextmanager
def file_size_limited(gateway):
    """No file of the gateway may grow: what a full disk is to its writer."""
    log = max((gateway.directory / "state/audit").glob("log-*.jsonl"))
    pid, kind = gateway.process.pid, resource.RLIMIT_FSIZE
    _, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (log.stat().st_size + 20_000, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, (hard, hard))


@contextlib.contextmanager
def disk_filled(gateway):
    """The file system of the log is small, and somebody else has filled it."""
    filler = gateway.directory / "state/audit/filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 4_096):
                pass
        yield
    finally:
        filler.unlink()


@pytest.fixture
def small_disk(tmp_path):
    """A small file system where the first gateway of a test has its log; False without one."""
    log = tmp_path / "gateway0/state/audit"
    log.mkdir(parents=True, mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", str(log)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield mounted
    if mounted:
        subprocess.run(["umount", "-l", str(log)], check=True)


@pytest.fixture
def small_world(small_disk, serve, record_upstream):
    """A gateway of its own, its audit log on the small disk where that can be had."""
    upstream, frail = record_upstream(TOOLS), record_upstream({"fetch": ANY})
    gateway = serve(backends=both(upstream, frail), policy=POLICIES)
    world = World(gateway, upstream, frail, token="")
    _, _, world.token = world.agent("everyday")
    return world


@pytest.mark.parametrize("how", ["tmpfs", "rlimit"])
def test_without_room_for_the_record_nothing_is_forwarded_until_there_is_room(
    small_disk, small_world, how
):
    world = small_world
    if how == "tmpfs" and not small_disk:
        pytest.skip("mounting a tmpfs is for root")
    if how == "rlimit" and not hasattr(resource, "prlimit"):
        pytest.skip("prlimit is for Linux")
    full = {"tmpfs": disk_filled, "rlimit": file_size_limited}[how]
    with full(world.gateway):
        served, answer = answers_until(world, 503)
        assert answer.error == "audit_unavailable"
        assert answer.headers["retry-after"] == "1"
        for _ in range(5):
            assert world.call("load0").status == 503
        assert len(world.upstream.calls("load0")) == served
    answers = eventually(
        lambda: [a for a in [world.call("load0")] if a.status == 200], "it did not recover"
    )
    assert answers
    permits = [d for d in world.gateway.records("decision") if d["effect"] == "permit"]
    assert len(permits) == len(world.upstream.calls("load0")) == served + 1
    faults = eventually(
        lambda: [g for g in world.gateway.records("gateway") if g["event"] == "fault"],
        "the fault is not recorded",
    )
    assert faults[0]["detail"]["refused"] >= 6
    assert world.gateway.stop() == 0
    world.gateway.pbac("audit", "verify", "--config", str(world.gateway.config))


def test_a_killed_gateway_has_recorded_every_call_it_forwarded(small_world):
    world, gateway = small_world, small_world.gateway
    stopping = threading.Event()

    def hammer(tool):
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not stopping.is_set():
                world.call(tool)

    threads = [threading.Thread(target=hammer, args=(f"load{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(world.upstream.calls()) > 60, "there was no load", 10.0)
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()
    stopping.set()
    for thread in threads:
        thread.join()
    gateway.start()
    forwarded = Counter(tool for tool, _ in world.upstream.calls())
    recorded = Counter(d["tool"] for d in gateway.records("decision") if d["effect"] == "permit")
    assert all(forwarded[tool] <= recorded[tool] for tool in forwarded), (forwarded, recorded)
    assert gateway.records("gateway")[-1]["event"] == "started"
    assert world.call("echo").status == 200, "the token outlives the process"
    gateway.pbac("audit", "verify", "--config", str(gateway.config))
