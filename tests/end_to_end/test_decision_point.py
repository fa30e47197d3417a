"""A served gateway asked by another enforcement point: one token, one record, and hostile askers."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import time

import pytest
from support.bad_input import ANY, POLICIES, TOOLS, TRACE, World, both
from support.served import post

SECRET = "an introspector's secret of tests"
INTROSPECTOR = '\n[[introspectors]]\nid = "edge"\nsecret = "env:PBAC_EDGE"\n'
ONE, MANY, OPA = "/access/v1/evaluation", "/access/v1/evaluations", "/v1/data/pbac/decision"


@pytest.fixture(scope="module")
def world(serve_session, record_upstream):
    upstream, frail = record_upstream(TOOLS), record_upstream({"fetch": ANY})
    gateway = serve_session(
        backends=both(upstream, frail),
        policy=POLICIES,
        edit=lambda text: text + INTROSPECTOR,
        PBAC_EDGE=SECRET,
    )
    world = World(gateway, upstream, frail, token="", secrets=[SECRET])
    world.client_id, world.client_secret, world.token = world.agent("asked about")
    return world


@pytest.fixture(autouse=True)
def nothing_reaches_an_upstream(world):
    before = len(world.upstream.calls())
    yield
    assert len(world.upstream.calls()) == before
    assert world.gateway.process.poll() is None
    assert b'code="internal_error"' not in send(world, "GET", "/metrics")[2]


def basic(name="edge", secret=SECRET):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def send(world, method, path, body=b"", **headers):
    """(status, headers, body) of one request by the enforcement point."""
    sent = {"Content-Type": "application/json", "Authorization": basic(), **headers}
    sent = {name: text for name, text in sent.items() if text is not None}
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=20)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, body=data or None, headers=sent)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert not TRACE.search(text), text
    assert SECRET.encode() not in text
    return response.status, response.headers, text


def asked(world, path, body, **headers):
    status, _, text = send(world, "POST", path, body, **headers)
    assert status == 200, text
    return json.loads(text)


def evaluation(world, tool, arguments=None, agent=None):
    return {
        "subject": {"type": "agent", "id": agent or world.client_id},
        "action": {"name": "tools/call", "properties": {"arguments": arguments or {}}},
        "resource": {"type": "tool", "id": tool},
    }


# --- what it is for ---------------------------------------------------------------------------


def test_discovery_leads_to_the_doors(world):
    status, _, text = send(world, "GET", "/.well-known/authzen-configuration", Authorization=None)
    found = json.loads(text)
    assert (status, found.pop("policy_decision_point")) == (200, world.gateway.origin)
    for url in found.values():
        assert asked(world, url.removeprefix(world.gateway.origin), evaluation(world, "shop__echo"))


def test_a_decision_stands_in_the_record_as_it_was_told_and_the_log_verifies(world):
    told = [
        asked(world, ONE, evaluation(world, "shop__pay", {"amount": amount})) for amount in (1, 101)
    ]
    assert [each["decision"] for each in told] == [True, False]
    assert told[1]["context"]["reason_user"]["en"] == "payments beyond 100 need a person"
    records = {each["decision_id"]: each for each in world.gateway.records("decision")}
    for each, effect in zip(told, ("permit", "deny"), strict=True):
        record = records[each["context"]["id"]]
        assert (record["effect"], record["door"], record["asked_by"]) == (effect, "authzen", "edge")
        assert (record["tool"], record["server"]) == ("pay", "shop")
        assert record["agent"]["tier"] == "developer"
        assert record["arguments"].startswith("hmac-sha256:")
        assert record["cause"] == each["context"]["cause"]
    config = str(world.gateway.config)
    assert world.gateway.pbac("audit", "verify", "--config", config).stdout.startswith("ok: ")


def test_opa_is_answered_alike_and_the_tool_may_be_named_with_its_server(world):
    call = {"method": "tools/call", "tool": "pay", "server": "shop"}
    body = {"input": {"agent": {"id": world.client_id}, "call": call, "args": {"amount": 101}}}
    answer = asked(world, OPA, body)
    assert answer["result"]["allow"] is False
    assert answer["result"]["rules"] == ["shop.big_payments"]
    assert answer["decision_id"].startswith("d_")
    call["tool"] = "shop__pay"
    assert asked(world, OPA, body)["result"]["code"] == "unknown_tool"


def test_suspending_an_agent_acts_on_the_next_question(world):
    client_id, *_ = world.agent("to be stopped")
    body = evaluation(world, "shop__echo", agent=client_id)
    assert asked(world, ONE, body)["decision"] is True
    config = str(world.gateway.config)
    world.gateway.pbac("agent", "suspend", "--config", config, client_id)
    assert asked(world, ONE, body)["context"]["code"] == "agent_suspended"
    world.gateway.pbac("agent", "resume", "--config", config, client_id)
    assert asked(world, ONE, body)["decision"] is True


def test_questions_are_counted_with_the_decisions_on_calls(world):
    before = counted(world)
    asked(world, MANY, {"evaluations": [evaluation(world, "shop__echo")] * 3})
    asked(world, ONE, evaluation(world, "shop__nothing"))
    after = counted(world)
    assert after["permit", ""] - before["permit", ""] == 3
    assert after["deny", "unknown_tool"] - before.get(("deny", "unknown_tool"), 0) == 1


def counted(world):
    text = send(world, "GET", "/metrics")[2].decode()
    lines = [line for line in text.splitlines() if line.startswith("pbac_decisions_total{")]
    found = {}
    for line in lines:
        labels, value = line.rsplit(" ", 1)
        code, effect = (labels.split(f'{name}="')[1].split('"')[0] for name in ("code", "effect"))
        found[effect, code] = float(value)
    return found


def test_a_question_takes_no_token_and_a_token_no_question(world):
    """What `/introspect` says of a scope, and what the decision point says of a call, are two."""
    assert asked(world, ONE, evaluation(world, "shop__pay", {"amount": 101}))["decision"] is False
    form = f"token={world.token}".encode()
    status, _, text = send(
        world,
        "POST",
        "/introspect",
        form,
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (status, json.loads(text)["active"]) == (200, True)


# --- hostile askers ---------------------------------------------------------------------------


def test_nobody_but_an_enforcement_point_is_told_anything(world):
    before = len(world.gateway.records("decision"))
    for path in (ONE, MANY, OPA):
        for credential in (
            None,
            basic("edge", "x"),
            basic("EDGE"),
            basic(world.client_id, world.client_secret),
            f"Bearer {world.token}",
            f"Bearer {SECRET}",
            "Basic ",
        ):
            body = evaluation(world, "shop__echo")
            status, headers, text = send(world, "POST", path, body, Authorization=credential)
            assert status == 401, (path, credential)
            assert headers["WWW-Authenticate"].startswith("Basic ")
            assert set(json.loads(text)) == {"error", "message"}
    assert len(world.gateway.records("decision")) == before


def test_a_secret_in_a_body_or_an_address_is_no_credential(world):
    body = {**evaluation(world, "shop__echo"), "client_id": "edge", "client_secret": SECRET}
    assert send(world, "POST", ONE, body, Authorization=None)[0] == 401
    target = f"{ONE}?client_id=edge&client_secret=x"
    assert send(world, "POST", target, body, Authorization=None)[0] == 401
    assert send(world, "POST", target, body)[0] == 400


def test_what_somebody_says_of_an_agent_counts_for_nothing(world):
    """A tier beyond its own, wherever it may be put: refused, or ignored where AuthZEN says so."""
    client_id = world.gateway.register("read_only", "lowly")["client_id"]
    sound = evaluation(world, "shop__echo", agent=client_id)
    claimed = {"tier": "trusted", "id": client_id}
    for body, status in (
        ({**sound, "subject": {**sound["subject"], "properties": claimed}}, 400),
        ({**sound, "context": claimed}, 400),
        ({**sound, "action": {**sound["action"], "properties": {**claimed, "arguments": {}}}}, 400),
        ({**sound, "subject": {**sound["subject"], "tier": "trusted"}}, 200),
        ({**sound, **claimed, "agent": claimed}, 200),
    ):
        assert send(world, "POST", ONE, body)[0] == status, body
    roots = {"agent": claimed, "call": {"method": "tools/call", "tool": "shop__echo"}, "args": {}}
    assert send(world, "POST", OPA, {"input": roots})[0] == 400
    records = [r for r in world.gateway.records("decision") if r["agent"].get("id") == client_id]
    assert {record["agent"]["tier"] for record in records} == {"read_only"}


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
def test_bodies_that_are_bombs_are_refused_quickly(world, path):
    begun = time.monotonic()
    deep = b'{"subject":' * 5_000 + b"1" + b"}" * 5_000
    flat = json.dumps({"evaluations": [{}] * 1_000_000}).encode()
    wide = json.dumps({str(number): 0 for number in range(20_000)}).encode()
    for body in (deep, flat, wide, b"[" * 100_000, b'{"a":1,"a":2}', b"\xff\xfe{\x00}\x00"):
        assert send(world, "POST", path, body)[0] == 400, body[:20]
    # It may be refused before everything was sent.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert send(world, "POST", path, b'"' + b"x" * (5 * 2**20) + b'"')[0] == 413
    assert time.monotonic() - begun < 10


def test_two_members_of_one_name_are_never_two_questions(world):
    sound = json.dumps(evaluation(world, "shop__echo"))
    doubled = sound[:-1] + ', "resource": {"type": "tool", "id": "shop__close"}}'
    assert send(world, "POST", ONE, doubled.encode())[0] == 400


def test_a_batch_bomb_is_refused_and_nothing_of_it_recorded(world):
    before = len(world.gateway.records("decision"))
    body = {**evaluation(world, "shop__echo"), "evaluations": [{}] * 101}
    status, _, text = send(world, "POST", MANY, body)
    assert (status, json.loads(text)["error"]) == (400, "invalid_question")
    assert len(world.gateway.records("decision")) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/policies/x"),
        ("GET", "/v1/policies"),
        ("DELETE", "/v1/policies/x"),
        ("PUT", "/v1/data/pbac"),
        ("PATCH", "/v1/data/pbac"),
        ("PUT", OPA),
        ("PATCH", OPA),
        ("DELETE", OPA),
        ("GET", OPA),
        ("POST", "/v1/data"),
        ("POST", "/v1/data/pbac"),
        ("POST", "/v0/data/pbac/decision"),
        ("POST", "/v1/query"),
        ("POST", "/v1/compile"),
        ("GET", "/v1/config"),
        ("POST", "/"),
        ("POST", "/access/v1/search/subject"),
    ],
)
def test_no_other_door_of_opa_or_authzen_exists(world, method, path):
    version = world.gateway.version()
    status, _, _ = send(world, method, path, b"package pbac")
    assert status == (405 if path == OPA else 404)
    assert world.gateway.version() == version


def test_the_doors_stand_behind_the_same_checks_as_all_routes(world):
    body = evaluation(world, "shop__echo")
    assert send(world, "POST", ONE, body, Host="evil.example")[0] == 403
    assert send(world, "POST", ONE, body, Origin="https://evil.example")[0] == 403
    assert send(world, "POST", ONE, body, **{"Content-Encoding": "gzip"})[0] == 415
    assert send(world, "POST", "/access/v1/%65valuation", body)[0] == 404
    form = {"Content-Type": "text/plain"}
    assert send(world, "POST", ONE, body, **form)[0] == 415


def test_a_gateway_without_introspectors_answers_nobody(served):
    body = {"subject": {"type": "agent", "id": "x"}}
    assert post(f"{served.gateway.origin}{ONE}", body, Authorization=basic())[0] == 401
