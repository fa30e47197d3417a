"""A revoked token is useless from the moment its revocation was acknowledged."""

from __future__ import annotations

import threading
import time

from support.bad_input import eventually

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}


def revoke(world, client, token):
    """One POST to /revoke by this client."""
    body = f"token={token}&client_id={client[0]}&client_secret={client[1]}".encode()
    return world.send(body, line="POST /revoke HTTP/1.1", replace=FORM)


def in_flight(stage):
    """Revoke while a call runs: it finishes, and no other begins."""
    world = stage.plain
    *client, token = world.agent("revoked in flight")
    stage.upstream.release.clear()
    answers = []
    calling = threading.Thread(
        target=lambda: answers.append(stage.call("slow", world=world, token=token))
    )
    calling.start()
    eventually(lambda: stage.upstream.calls("slow"), "the call did not arrive")
    assert revoke(world, client, token).status == 200
    assert stage.call("echo", world=world, token=token).status == 401
    stage.upstream.release.set()
    calling.join(20)
    assert b"slow ran" in answers[0].body
    yield answers[0]
    decision = world.decision(answers[0])
    assert world.outcome(decision["decision_id"])["outcome"] == "completed"
    revoked = [r for r in world.gateway.records("token") if r["event"] == "revoked"]
    assert revoked[-1]["agent"]["name"] == "revoked in flight"


def by_another_client(stage):
    """RFC 7009 2.1: a client revokes its own tokens only, and learns nothing of others'."""
    world = stage.plain
    _, _, token = world.agent("victim")
    *foreign, _ = world.agent("foreign")
    yield revoke(world, foreign, token)
    stage.honest("echo", world=world, token=token)


def kill_switches(stage):
    """An agent is suspended: every token it holds is dead on its next call."""
    world = stage.plain
    client_id, _, token = world.agent("switched off")
    stage.honest("echo", world=world, token=token)
    before = time.monotonic()
    world.gateway.pbac("agent", "suspend", client_id, "--config", str(world.gateway.config))
    yield stage.call("echo", world=world, token=token)
    assert time.monotonic() - before < 30


ATTACKS = {
    "REV-03": in_flight,
    "REV-07": by_another_client,
    "REV-09": kill_switches,
}
