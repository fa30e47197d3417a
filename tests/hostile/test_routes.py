"""Every route that the served application has, attacked in every way that fits any route.

The table of routes is the application's own, so a route is attacked from the day it appears: one
that is not named in `OPEN` or `CLIENTS` has to ask for an access token.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
from contextlib import contextmanager

import pytest
from support.bad_input import POLICIES, World, both, call
from support.recorder import Recorder
from support.served import RunningGateway, prepared

from pbac.app import listen
from pbac.app.config import load_config
from pbac.app.run import serving

OPEN = {
    ("GET", "/healthz"): 200,
    ("GET", "/readyz"): 200,
    ("GET", "/metrics"): 200,
    ("GET", "/.well-known/oauth-authorization-server"): 200,
    ("GET", "/.well-known/oauth-protected-resource"): 200,
    ("GET", "/.well-known/oauth-protected-resource/mcp"): 200,
    ("GET", "/.well-known/authzen-configuration"): 200,
    ("GET", "/authorize"): 400,
}
"""Routes that ask for nobody's credential, and what they answer to an empty request."""

POINTS = {
    ("POST", "/access/v1/evaluation"),
    ("POST", "/access/v1/evaluations"),
    ("POST", "/v1/data/pbac/decision"),
}
"""Routes for enforcement points, which have to say who they are before anything is read."""

CLIENTS = {
    ("POST", "/register"): {400},
    ("POST", "/token"): {400, 401},
    ("POST", "/introspect"): {400, 401},
    ("POST", "/revoke"): {400, 401},
}
"""Routes that authenticate by what is in the body, and what they answer without it."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
FORM = "application/x-www-form-urlencoded"


class InProcess(RunningGateway):
    """A gateway served by a thread of this process, so that its application can be looked at."""

    def start(self):
        ready = threading.Event()
        self.routes = []
        self.stopping = None

        async def run():
            self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
            async with serving(load_config(str(self.config))):
                ready.set()
                await self.stopping.wait()

        self.thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self.thread.start()
        assert ready.wait(30)
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(20)


@contextmanager
def seeing_the_application(found):
    original = listen.application

    def application(*arguments):
        found.append(original(*arguments))
        return found[-1]

    listen.application = application
    try:
        yield
    finally:
        listen.application = original


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    upstream, frail = Recorder(tools={"echo": {}}).start(), Recorder().start()
    folder = tmp_path_factory.mktemp("routes") / "gateway"
    directory = prepared(
        folder,
        backends=both(upstream, frail),
        story="starter",
        edit=lambda text: text,
        policy=POLICIES,
    )
    gateway, applications = InProcess(directory.directory, directory.origin), []
    with seeing_the_application(applications):
        gateway.start()
    world = World(gateway, upstream, frail, token="")
    _, _, world.token = world.agent("walker")
    routes = {
        (route.method, route.resource.canonical)
        for route in applications[0].router.routes()
        if route.method != "HEAD"
    }
    yield world, sorted(routes)
    gateway.stop()
    upstream.stop()
    frail.stop()


def ask(world, method, path, *, headers=(), body=b"", drop=()):
    """One request with nothing to it but what is given."""
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=10)
    sent = {"Accept": "application/json, text/event-stream", **dict(headers)}
    for name in drop:
        sent.pop(name, None)
    connection.request(method, path, body=body or None, headers=sent)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    assert response.status != 500, data
    assert response.headers["Server"] == "pbac", "no answer names the versions of what answers"
    assert b"Traceback" not in data
    assert world.token.encode() not in data
    return response


def media(path):
    return {"Content-Type": FORM if path in ("/token", "/introspect", "/revoke") else
            "application/json"}  # fmt: skip


def expected_without_credential(route):
    if route in OPEN:
        return {OPEN[route]}
    return CLIENTS.get(route, {401})


def test_every_route_is_known_to_be_open_or_asks_who_is_there(walked):
    world, routes = walked
    assert set(routes) >= OPEN.keys() | CLIENTS.keys() | POINTS | {
        ("POST", "/mcp"),
        ("DELETE", "/mcp"),
    }
    for method, path in routes:
        answer = ask(world, method, path, headers=media(path))
        assert answer.status in expected_without_credential((method, path)), (method, path)


def test_a_token_that_is_none_opens_nothing(walked):
    world, routes = walked
    for method, path in routes:
        allowed = expected_without_credential((method, path))
        for text in ("Bearer x", "Bearer ", "Basic eDp5", "Bearer " + world.token[:-1], "x" * 4000):
            answer = ask(world, method, path, headers={**media(path), "Authorization": text})
            assert answer.status in allowed, (method, path, text[:20])


def test_an_agents_token_opens_nothing_but_the_endpoint_of_its_calls(walked):
    """The wrong role: what an agent holds is no credential of a client or a resource server."""
    world, routes = walked
    bearer = {"Authorization": f"Bearer {world.token}"}
    for method, path in routes:
        if path == "/mcp":
            continue
        answer = ask(world, method, path, headers={**media(path), **bearer})
        assert answer.status in expected_without_credential((method, path)), (method, path)
    body = f"token={world.token}".encode()
    for path in ("/introspect", "/revoke"):
        answer = ask(world, "POST", path, headers={**media(path), **bearer}, body=body)
        assert answer.status == 401, path
    assert world.call("echo").status == 200


def test_every_other_method_is_405_and_says_which_there_are(walked):
    world, routes = walked
    by_path = {}
    for method, path in routes:
        by_path.setdefault(path, set()).add(method)
    for path, there in by_path.items():
        for method in METHODS:
            if method not in there:
                answer = ask(world, method, path, headers=media(path))
                assert answer.status == 405, (method, path)
                assert there <= set(answer.headers["Allow"].replace(" ", "").split(",")), path


def test_every_other_spelling_of_a_path_is_404(walked):
    world, routes = walked
    for method, path in routes:
        last = path[-1]
        for spelled in (
            path + "/", "/" + path, path.upper(), path + ";x=1", path[:-1] + f"%{ord(last):02x}",
            path + "/..", "/x/.." + path, path + "%00", path + "%2f", "/." + path, path + ".json",
        ):  # fmt: skip
            answer = ask(world, method, spelled, headers=media(path))
            assert answer.status == 404, (method, spelled)


DOOR = [
    ({"Host": "evil.example"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Content-Encoding": "gzip"}, 415),
    ({"Upgrade": "websocket", "Connection": "Upgrade"}, 400),
]


@pytest.mark.parametrize(("headers", "status"), DOOR, ids=[str(row[0]) for row in DOOR])
def test_the_door_stands_before_every_route(walked, headers, status):
    world, routes = walked
    for method, path in routes:
        answer = ask(world, method, path, headers={**media(path), **headers})
        assert answer.status == status, (method, path)


def test_no_answer_may_be_kept_by_a_cache_or_read_as_another_kind(walked):
    world, routes = walked
    for method, path in routes:
        answer = ask(world, method, path, headers=media(path))
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache"), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert "Access-Control-Allow-Origin" not in answer.headers, path
        assert "Set-Cookie" not in answer.headers, path


def test_no_route_reads_a_body_without_end(walked):
    world, routes = walked
    for method, path in routes:
        if method != "POST":
            continue
        bearer = {"Authorization": f"Bearer {world.token}"}
        body = b"a=" + b"x" * (5 * 2**20)
        try:
            answer = ask(world, method, path, headers={**media(path), **bearer}, body=body)
        except (BrokenPipeError, ConnectionResetError):
            continue  # refused before everything was sent
        assert answer.status == (401 if (method, path) in POINTS else 413), path


def test_forms_of_another_site_are_refused(walked):
    """No route is reachable by what a web page can send by itself: there are no cookies, and
    whatever changes something wants a credential in the request."""
    world, routes = walked
    for method, path in routes:
        if method != "POST":
            continue
        for kind in ("text/plain", "multipart/form-data; boundary=x", FORM):
            answer = ask(world, method, path, headers={"Content-Type": kind}, body=call("echo"))
            assert answer.status in (400, 401, 415), (path, kind)
