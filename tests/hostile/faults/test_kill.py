"""SIGKILL at every stage of a call, and of issuing and revoking a token.

Whatever the stage: what the upstream heard of is in the record, what was answered is in the record,
what was acknowledged is still true, the log verifies, and the gateway starts again by itself.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from pathlib import Path

import pytest
from hostile.stage import verifier
from support.bad_input import NAMES, POLICIES, World, both, call
from support.recorder import Recorder
from support.served import RunningGateway, prepared

from pbac.adapters.audit_reader import read_segments
from pbac.audit.verify import verify_log

DYING = str(Path(__file__).with_name("dying"))

STAGES = {
    "before it is authenticated": "pbac.web.mcp_routes:_admit:before",
    "before it is decided": "pbac.gateway.pipeline:rule:before",
    "decided": "pbac.gateway.pipeline:rule:after",
    "its record is rendered": "pbac.audit.log:AuditLog.prepare:after",
    "its record is being written": "pbac.adapters.disk:Disk.write:before",
    "its record is written": "pbac.adapters.disk:Disk.write:after",
    "its record is durable": "pbac.adapters.disk:Disk.sync:after",
    "before it is forwarded": "pbac.adapters.http_upstream:HttpUpstream.call_tool:before",
    "forwarded and answered": "pbac.adapters.http_upstream:HttpUpstream.call_tool:after",
    "before its outcome is recorded": "pbac.gateway.pipeline:_record_outcome:before",
    "its outcome is enqueued": "pbac.gateway.pipeline:_record_outcome:after",
    "before it is answered": "pbac.web.answer_stream:plain_response:before",
}


class Mortal:
    """A directory that is served, killed and served again, before one upstream."""

    def __init__(self, folder):
        self.upstream = Recorder(tools={"echo": {"type": "object"}}).start()
        self.frail = Recorder().start()
        self.gateway = prepared(
            folder,
            backends=both(self.upstream, self.frail),
            story="starter",
            edit=lambda text: text,
            policy=POLICIES,
        )

    @property
    def deadly(self):
        """While this file exists, coming to the stage is deadly."""
        return self.gateway.directory.with_suffix(".deadly")

    def serve(self, stage=None):
        how = {"PYTHONPATH": DYING, "DIE_AT": stage, "DIE_WHEN": str(self.deadly)} if stage else {}
        self.gateway.start(RunningGateway.version, **how)
        return World(self.gateway, self.upstream, self.frail, token="")

    def close(self):
        for recorder in (self.upstream, self.frail):
            recorder.release.set()
            recorder.stop()
        if self.gateway.process.poll() is None:
            self.gateway.stop()

    def records(self, kind):
        return [record for record in self.gateway.records() if record["kind"] == kind]

    def verify(self, world):
        directory = self.gateway.directory / "state/audit"
        found = verify_log(read_segments(directory), verifier(world))
        assert found.ok, found.problems


@pytest.fixture
def mortal(tmp_path):
    made = Mortal(tmp_path / "gateway")
    yield made
    made.close()


def no_call_is_unrecorded(mortal, answered):
    """The invariant: the upstream never knows more than the record, nor does a caller."""
    decided = {record["decision_id"]: record for record in mortal.records("decision")}
    assert len(mortal.upstream.calls("echo")) <= len(decided), "forwarded without a record"
    assert set(answered) <= decided.keys(), "answered without a record"
    for record in mortal.records("outcome"):
        assert record["decision_id"] in decided


def die(mortal, ask):
    """Send the deadly request; the answer, if there was one before the end."""
    mortal.deadly.touch()
    answer = None
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer = ask()
    mortal.gateway.process.wait(10)
    mortal.deadly.unlink()
    assert mortal.gateway.process.returncode == -9
    return answer


def test_a_gateway_killed_at_any_stage_of_a_call_loses_nothing(mortal):
    """One directory, killed at one stage after another; each start finds what was left behind."""
    token, answered = None, []
    for name, stage in STAGES.items():
        world = mortal.serve(stage)
        no_call_is_unrecorded(mortal, answered)
        if token is None:
            *_, token = world.agent("mortal")
        world.token = token
        assert world.call("echo").status == 200, name
        answer = die(mortal, lambda world=world: world.call("echo"))
        if answer is not None:
            answered.append(answer.headers["pbac-decision"])
    world = mortal.serve()
    world.token = token
    assert world.call("echo").status == 200
    no_call_is_unrecorded(mortal, answered)
    mortal.gateway.stop()
    mortal.verify(world)


@pytest.mark.parametrize("seed", range(2))
def test_a_gateway_killed_under_load_loses_nothing_acknowledged(mortal, seed):
    """Eight callers at once and a kill at any moment; then the same directory goes on."""
    chance = random.Random(seed)
    world = mortal.serve()
    *_, token = world.agent("mortal")
    answered, stop = [], threading.Event()

    def calls():
        with contextlib.suppress(OSError, http.client.HTTPException), world.connect() as line:
            while not stop.is_set():
                sent = {"Authorization": f"Bearer {token}", "Mcp-Name": NAMES["echo"]}
                line.sendall(world.request(call("echo"), replace=sent))
                answer = world.read(line)
                assert answer.status == 200
                answered.append(answer.headers["pbac-decision"])

    callers = [threading.Thread(target=calls) for _ in range(8)]
    for caller in callers:
        caller.start()
    time.sleep(0.3 + chance.random() * 0.7)
    mortal.gateway.process.kill()
    stop.set()
    for caller in callers:
        caller.join(10)
    mortal.gateway.process.wait()
    assert len(answered) > 20
    world = mortal.serve()
    world.token = token
    no_call_is_unrecorded(mortal, answered)
    assert world.call("echo").status == 200
    mortal.gateway.stop()
    mortal.verify(world)


TOKEN_STAGES = {
    "the token is written": "pbac.adapters.sqlite_state:SqliteState.transact_now:after",
    "before the token is written": "pbac.adapters.sqlite_state:SqliteState.transact_now:before",
    "before the answer": "pbac.web.oauth_routes:_response:before",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}


@pytest.mark.parametrize("stage", TOKEN_STAGES.values(), ids=TOKEN_STAGES)
def test_a_revocation_that_was_acknowledged_outlives_a_kill(mortal, stage):
    """Acknowledged: revoked for ever. Not acknowledged: revoked or not, but never in between."""
    world = mortal.serve(stage)
    client_id, secret, token = world.agent("mortal")
    body = f"token={token}&client_id={client_id}&client_secret={secret}".encode()
    answer = die(mortal, lambda: world.send(body, line="POST /revoke HTTP/1.1", replace=FORM))
    world = mortal.serve()
    world.token = token
    assert world.call("echo").status in ((401,) if answer is not None else (200, 401))
    mortal.verify(world)
