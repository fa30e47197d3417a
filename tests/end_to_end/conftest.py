"""Gateways, upstreams and the world of bad input, as fixtures."""

from __future__ import annotations

import pytest
from support.bad_input import ANY, POLICIES, TOOLS, TRACE, World, both
from support.recorder import Recorder
from support.served import post, serving


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def serve_session(tmp_path_factory):
    """`serve`, for gateways that many tests share."""
    with serving(tmp_path_factory.mktemp("served")) as start:
        yield start


@pytest.fixture
def http_post():
    return post


@pytest.fixture(scope="session")
def record_upstream():
    """`record_upstream({tool: inputSchema})` → a running `Recorder`."""
    started = []

    def start(tools):
        started.append(Recorder(tools=tools).start())
        return started[-1]

    yield start
    for recorder in started:
        recorder.release.set()
        recorder.stop()


# --- the world of bad input ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def served(serve_session, record_upstream):
    upstream, frail = record_upstream(TOOLS), record_upstream({"fetch": ANY})
    gateway = serve_session(backends=both(upstream, frail), policy=POLICIES)
    world = World(gateway, upstream, frail, token="")
    _, _, world.token = world.agent("everyday")
    return world


@pytest.fixture
def world(served):
    served.bodies.clear()
    yield served
    for body in served.bodies:
        assert not TRACE.search(body), body
    assert served.gateway.process.poll() is None
    health = served.send(b"", line="GET /healthz HTTP/1.1")
    assert (health.status, health.json) == (200, {"status": "ok"})
