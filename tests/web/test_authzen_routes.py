"""The decision point over real sockets: AuthZEN 1.0 held to its text, OPA's shape, and every no."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket

import aiohttp
import pytest
from aiohttp import web
from support.in_memory import POLICY, make_world, policy_set

from pbac.audit.record import DecisionRecord
from pbac.base.limits import EVALUATIONS_MAX, REQUEST_BODY_BYTES_MAX
from pbac.gateway.decision_point import DecisionPoint
from pbac.gateway.opa import read_input
from pbac.oauth.model import Client, ResourceServer
from pbac.oauth.storage import StorageError
from pbac.web.authzen_routes import DOORS, routes
from pbac.web.connections import Connections
from pbac.web.middleware import faults

SECRET = "a secret of an enforcement point"
ONE, MANY, OPA = (door.path for door in DOORS)
CONFIGURATION = "/.well-known/authzen-configuration"


def client(client_id, tier, status="active"):
    return Client(
        client_id=client_id,
        client_name=client_id.title(),
        tier=tier,
        tier_source="operator",
        status=status,
        scopes=("**",),
        grant_types=("client_credentials",),
        auth_method="client_secret_basic",
        secret_hash=hashlib.sha256(b"the agent's own").digest(),
        registered_at_ms=1,
    )


CLIENTS = {
    each.client_id: each
    for each in (
        client("a1", "developer"),
        client("reader", "read_only"),
        client("held", "trusted", "suspended"),
    )
}


def basic(name="rs1", secret=SECRET):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


class Asked:
    """The decision point on a port, before a gateway in memory."""

    def __init__(self):
        self.world = make_world()
        self.clients = dict(CLIENTS)
        self.broken = False
        hashed = hashlib.sha256(SECRET.encode()).digest()
        self.point = DecisionPoint(
            origin="https://gw.example",
            gateway=self.world.gateway,
            enforcement_points=(
                ResourceServer(id="rs1", secret_hash=hashed, resource="https://gw.example/mcp"),
            ),
            find_client=self.find,
        )

    def find(self, client_id):
        if self.broken:
            raise StorageError("no state")
        return self.clients.get(client_id)

    @property
    def records(self):
        return self.world.audit.records

    async def start(self):
        count = self.world.counters.refused
        app = web.Application(
            middlewares=[faults(count, Connections(count))], client_max_size=REQUEST_BODY_BYTES_MAX
        )
        app.add_routes(routes(self.point))
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self.runner, listener).start()
        self.http = aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}")

    async def stop(self):
        await self.http.close()
        await self.runner.cleanup()

    async def send(self, path, body, *, headers=None, method="POST"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(basic() if headers is None else headers)}
        async with self.http.request(method, path, data=data, headers=sent) as answer:
            self.headers = answer.headers
            text = await answer.read()
            assert b"Traceback" not in text
            return answer.status, json.loads(text) if text else None

    async def told(self, path, body):
        status, tree = await self.send(path, body)
        assert status == 200, tree
        return tree


@pytest.fixture
async def asked():
    started = Asked()
    await started.start()
    yield started
    await started.stop()


def evaluation(tool="get_price", agent="a1", arguments=None, **more):
    return {
        "subject": {"type": "agent", "id": agent},
        "action": {"name": "tools/call", "properties": {"arguments": arguments or {}}},
        "resource": {"type": "tool", "id": tool},
        **more,
    }


def question(tool="get_price", agent="a1", arguments=None, **roots):
    call = {"method": "tools/call", "tool": tool}
    return {"input": {"agent": {"id": agent}, "call": call, "args": arguments or {}, **roots}}


# --- one evaluation -----------------------------------------------------------------------------

EUR = {"amount": 1, "currency": "EUR"}
DECIDED = [
    ("get_price", "a1", {}, ""),
    ("get_price", "reader", {}, ""),
    ("pay", "a1", EUR, ""),
    ("pay", "reader", EUR, "policy_denied"),
    ("pay", "a1", {"amount": 1, "currency": "USD"}, "policy_denied"),
    ("pay", "a1", {"amount": "1", "currency": "EUR"}, "invalid_params"),
    ("refund", "a1", {"amount": 500, "currency": "EUR"}, "policy_denied"),
    ("refund", "a1", {"amount": "500", "currency": "EUR"}, "policy_denied"),
    ("refund", "a1", {"currency": "EUR"}, "policy_denied"),
    ("ship", "a1", {}, ""),  # with the default of `express`, as its server would fill it in
    ("ship", "a1", {"express": True}, "policy_denied"),
    ("close_shop", "a1", {}, "policy_denied"),
    ("no_such_tool", "a1", {}, "unknown_tool"),
    ("get_price", "nobody", {}, "unknown_agent"),
    ("close_shop", "held", {}, "agent_suspended"),
]


@pytest.mark.parametrize(("tool", "agent", "arguments", "code"), DECIDED)
async def test_every_door_decides_alike_records_and_counts(asked, tool, agent, arguments, code):
    one = await asked.told(ONE, evaluation(tool, agent, arguments))
    many = await asked.told(MANY, {"evaluations": [evaluation(tool, agent, arguments)]})
    opa = await asked.told(OPA, question(tool, agent, arguments))
    assert one["decision"] is (code == "")
    assert one["context"].get("code", "") == code
    told = [one["context"], many["evaluations"][0]["context"], opa["result"]]
    assert [many["evaluations"][0]["decision"], opa["result"].pop("allow")] == [code == ""] * 2
    ids = [told[0].pop("id"), told[1].pop("id"), opa["decision_id"]]
    assert told == [told[0]] * 3
    assert [record.decision_id for record in asked.records] == ids
    assert len({*ids}) == 3
    assert [record.door for record in asked.records] == ["authzen", "authzen", "opa"]
    for record in asked.records:
        assert isinstance(record, DecisionRecord)
        assert (record.asked_by, record.tool) == ("rs1", tool)
        assert record.effect == ("deny" if code else "permit")
        assert record.agent["id"] == agent
    effect = "deny" if code else "permit"
    assert asked.world.counters.decisions == [(effect, code)] * 3
    assert asked.world.upstream.calls == []


async def test_a_decision_is_that_of_a_call_with_the_same_arguments(asked):
    for tool, agent, arguments, code in DECIDED:
        if agent != "a1":
            continue
        answer, body = await asked.world.call(tool, arguments)
        context = (await asked.told(ONE, evaluation(tool, agent, arguments)))["context"]
        denial = body.get("result", {}).get("_meta", {}).get("pbac/denial")
        denial = denial or body.get("error", {}).get("data", {})
        if code in ("", "invalid_params", "unknown_tool"):
            assert (answer.status == 200 and not denial.get("code")) is (code == ""), body
        else:
            assert denial["code"] == code
            assert denial["reason"] == context["reason_user"]["en"]


async def test_reasons_for_the_agent_and_for_the_enforcement_point_are_apart(asked):
    asked.world.publish(
        "package shop on server shop\n"
        "permit anything\n  on tool *\n"
        'forbid it\n  on tool pay\n  because "not for you"\n  internal "{agent.id} tried"\n'
    )
    context = (await asked.told(ONE, evaluation("pay", arguments=EUR)))["context"]
    assert context == {
        "id": context["id"],
        "code": "policy_denied",
        "cause": "forbidden",
        "policy_version": asked.world.gateway.policies.current.version,
        "rules": ["shop.it"],
        "reason_user": {"en": "not for you"},
        "reason_admin": {"en": "a1 tried"},
    }


async def test_an_agent_does_not_learn_why_it_is_not_admitted_and_the_record_does(asked):
    told = [(await asked.told(ONE, evaluation(agent=each)))["context"] for each in ("x", "held")]
    users = [context["reason_user"]["en"] for context in told]
    assert users == ["this agent is not admitted here"] * 2
    assert [record.internal for record in asked.records] == [
        "no agent `x` is registered",
        "the agent `held` is suspended",
    ]


async def test_the_registry_is_asked_for_each_question(asked):
    assert (await asked.told(ONE, evaluation("close_shop")))["decision"] is False
    asked.clients["a1"] = client("a1", "trusted")
    assert (await asked.told(ONE, evaluation("close_shop")))["decision"] is True
    asked.clients["a1"] = client("a1", "trusted", "suspended")
    assert (await asked.told(ONE, evaluation("close_shop")))["decision"] is False
    assert [record.agent["tier"] for record in asked.records] == ["developer", "trusted", "trusted"]


async def test_duties_go_out_as_obligations_and_are_counted_nowhere(asked):
    for _ in range(5):  # the limit is two; a question is no call
        answer = await asked.told(ONE, evaluation("pay", arguments=EUR))
    assert answer["decision"] is True
    assert answer["context"]["obligations"] == [
        {
            "id": "1",
            "type": "custom",
            "properties": {
                "kind": "limit",
                "rule": "shop.payments_are_slow",
                "parameters": {"count": 2, "per_ms": 3_600_000, "by": ["agent"]},
            },
        }
    ]
    context = (await asked.told(ONE, evaluation("get_secret")))["context"]
    assert context["obligations"][0]["properties"]["kind"] == "approval"
    assert asked.records[-1].duties


async def test_a_duty_that_nobody_can_carry_out_denies(asked):
    asked.world.publish(
        "package shop on server shop\n"
        "permit anything\n  on tool *\n"
        'require told\n  on tool get_price\n  then notify "owners"\n'
    )
    answer = await asked.told(ONE, evaluation())
    assert (answer["decision"], answer["context"]["code"]) == (False, "duty_failed")
    assert "obligations" not in answer["context"]


async def test_what_the_enforcement_point_sees_of_the_agent_counts(asked):
    asked.world.publish(
        "package shop on server shop\n"
        'permit inside\n  on tool get_price\n  when env.ip in cidr "10.0.0.0/8"\n'
        '  and env.client == "cli/1" and env.environment == "test"\n'
    )
    seen = {"ip": "10.1.2.3", "client": "cli/1"}
    assert (await asked.told(ONE, evaluation(context=seen)))["decision"] is True
    assert (await asked.told(OPA, question(env=seen)))["result"]["allow"] is True
    mapped = {**seen, "ip": "::FFFF:10.1.2.3"}
    assert (await asked.told(ONE, evaluation(context=mapped)))["decision"] is True
    assert read_input(json.dumps(question(env=mapped)).encode()).questions[0].ip == "10.1.2.3"
    for other in ({}, {**seen, "ip": "11.0.0.1"}, {**seen, "client": "x"}):
        assert (await asked.told(ONE, evaluation(context=other)))["decision"] is False


async def test_the_token_is_unknown_so_rules_about_it_apply(asked):
    asked.world.publish(
        "package shop on server shop\n"
        "permit anything\n  on tool *\n"
        "forbid old\n  on tool pay\n  when token.age > 1h\n"
        "forbid at_night\n  on tool refund\n  when session.calls > 10\n"
    )
    denied = await asked.told(ONE, evaluation("pay", arguments=EUR))
    assert (denied["decision"], denied["context"]["unknown"]) == (False, ["token.age"])
    assert (await asked.told(ONE, evaluation("refund", arguments=EUR)))["decision"] is True


async def test_the_session_is_that_of_the_agents_own_calls(asked):
    asked.world.publish(
        "package shop on server shop\npermit few\n  on tool *\n  when session.calls < 2\n"
    )
    for _ in range(3):
        assert (await asked.told(ONE, evaluation()))["decision"] is True
    for _ in range(2):
        await asked.world.call("get_price")
    assert (await asked.told(ONE, evaluation()))["decision"] is False


# --- COAZ-MCP -----------------------------------------------------------------------------------


async def test_the_default_mapping_of_coaz_with_arguments_in_the_context(asked):
    body = {
        "subject": {"type": "identity", "id": "a1"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "pay"},
        "context": {"agent": "a1", "arguments": EUR},
    }
    assert (await asked.told(ONE, body))["decision"] is True
    del body["context"]["agent"]
    assert (await asked.told(ONE, body))["decision"] is True


async def test_another_subject_than_the_agent_is_denied(asked):
    body = evaluation(subject={"type": "identity", "id": "alice"}, context={"agent": "a1"})
    answer = await asked.told(ONE, body)
    assert (answer["decision"], answer["context"]["code"]) == (False, "unknown_subject")
    body = evaluation(agent="a1", context={"agent": "reader"})
    assert (await asked.told(ONE, body))["context"]["code"] == "unknown_subject"


@pytest.mark.parametrize("name", ["tools/list", "initialize", "ping", "token/issue", "x"])
async def test_a_method_without_a_mapping_is_denied(asked, name):
    asked.world.publish("package shop on server shop\npermit anything\n  on any\n")
    body = evaluation()
    body["action"]["name"] = name
    answer = await asked.told(ONE, body)
    assert (answer["decision"], answer["context"]["code"]) == (False, "unknown_action")
    assert asked.records[-1].method == name
    # As the draft maps `initialize`: on a server, without arguments, with a member of its own.
    body = {
        "subject": {"type": "identity", "id": "a1"},
        "action": {"name": name},
        "resource": {"type": "mcp_server", "id": "https://gw.example/mcp"},
        "context": {"agent": "a1", "protocol_version": "2026-07-28"},
    }
    assert (await asked.told(ONE, body))["context"]["code"] == "unknown_action"
    body["subject"]["properties"] = {"tier": "trusted"}
    assert (await asked.send(ONE, body))[0] == 400


@pytest.mark.parametrize(("server", "decided"), [("shop", True), ("other", False)])
async def test_a_tool_may_be_named_with_its_server(asked, server, decided):
    resource = {"type": "tool", "id": "get_price", "properties": {"server": server}}
    assert (await asked.told(ONE, evaluation(resource=resource)))["decision"] is decided
    call = {"method": "tools/call", "tool": "get_price", "server": server}
    assert (await asked.told(OPA, question(call=call)))["result"]["allow"] is decided


# --- several ------------------------------------------------------------------------------------

YES, NO = evaluation(), evaluation("close_shop")
WRONG = {**YES, "subject": {"type": "agent"}}
SEMANTICS = [
    ("execute_all", [YES, NO, YES], [True, False, True]),
    (None, [NO, YES], [False, True]),
    ("deny_on_first_deny", [YES, NO, YES], [True, False]),
    ("deny_on_first_deny", [YES, YES], [True, True]),
    ("deny_on_first_deny", [YES, WRONG, YES], [True, False]),
    ("permit_on_first_permit", [NO, YES, NO], [False, True]),
    ("permit_on_first_permit", [NO, WRONG, YES, YES], [False, False, True]),
    ("permit_on_first_permit", [NO, NO], [False, False]),
    ("execute_all", [WRONG, YES, {}, 7], [False, True, False, False]),
]


@pytest.mark.parametrize(("semantic", "items", "decisions"), SEMANTICS)
async def test_semantics_of_several_evaluations(asked, semantic, items, decisions):
    body = {"evaluations": items}
    if semantic:
        body["options"] = {"evaluations_semantic": semantic, "another_option": "value"}
    answer = await asked.told(MANY, body)
    assert set(answer) == {"evaluations"}
    assert [each["decision"] for each in answer["evaluations"]] == decisions
    decided = [each for each in answer["evaluations"] if "error" not in each["context"]]
    assert [record.decision_id for record in asked.records] == [
        each["context"]["id"] for each in decided
    ]
    wrong = [e["context"]["error"] for e in answer["evaluations"] if "error" in e["context"]]
    assert all(error["status"] == 400 for error in wrong)
    assert all("`evaluations[" in error["message"] for error in wrong)


async def test_defaults_are_taken_as_a_whole_and_replaced_as_a_whole(asked):
    items = [
        {},
        {"resource": {"type": "tool", "id": "close_shop"}},
        {"subject": {"type": "agent", "id": "held"}},
        {"resource": {"id": "get_price"}},  # no `type`: nothing is merged within
    ]
    answer = await asked.told(MANY, {**YES, "evaluations": items})
    assert [each["decision"] for each in answer["evaluations"]] == [True, False, False, False]
    assert "`evaluations[3].resource.type` is missing" in str(answer["evaluations"][3])


async def test_a_batch_lets_others_go_on_and_keeps_the_set_it_began_with(asked):
    published, turns = asked.world.gateway.policies, []
    sets = [published.current, policy_set(POLICY.replace("amount > 100", "amount > 99"))]

    async def publishing():
        while True:
            turns.append(published.current.version)
            published.current = sets[len(turns) % 2]
            await asyncio.sleep(0)

    other = asyncio.ensure_future(publishing())
    answer = await asked.told(MANY, {**YES, "evaluations": [{}] * 50})
    other.cancel()
    assert len({each["context"]["policy_version"] for each in answer["evaluations"]}) == 1
    assert len(turns) > 50


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
async def test_without_items_it_is_a_single_evaluation(asked, more):
    assert (await asked.told(MANY, {**YES, **more}))["decision"] is True
    status, told = await asked.send(MANY, {**WRONG, **more})
    assert (status, told["error"]) == (400, "invalid_question")


async def test_a_batch_is_bounded(asked):
    answer = await asked.told(MANY, {**YES, "evaluations": [{}] * EVALUATIONS_MAX})
    assert len(answer["evaluations"]) == len(asked.records) == EVALUATIONS_MAX
    status, told = await asked.send(MANY, {**YES, "evaluations": [{}] * (EVALUATIONS_MAX + 1)})
    assert (status, told["error"]) == (400, "invalid_question")
    assert "more than 100 items; ask in several requests" in told["message"]
    assert len(asked.records) == EVALUATIONS_MAX


# --- the binding ----------------------------------------------------------------------------------


async def test_who_the_decision_point_is_and_where_it_answers(asked):
    async with asked.http.get(CONFIGURATION) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == {
            "policy_decision_point": "https://gw.example",
            "access_evaluation_endpoint": "https://gw.example/access/v1/evaluation",
            "access_evaluations_endpoint": "https://gw.example/access/v1/evaluations",
        }


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [(None, None, 200), (b"{", None, 400), (b"{}", {}, 401), (b"{}", {**basic("rs1", "x")}, 401)],
)
async def test_the_identifier_of_a_request_comes_back_whatever_becomes_of_it(
    asked, path, body, headers, status
):
    body = body or (question() if path == OPA else evaluation())
    sent = {**(basic() if headers is None else headers), "X-Request-ID": "bfe9eb29 ~/x"}
    assert (await asked.send(path, body, headers=sent))[0] == status
    assert asked.headers["X-Request-ID"] == "bfe9eb29 ~/x"
    await asked.send(path, body)
    assert "X-Request-ID" not in asked.headers


@pytest.mark.parametrize("sent", ["é", "x" * 257])
async def test_an_identifier_that_cannot_come_back_is_refused(asked, sent):
    status, told = await asked.send(ONE, YES, headers={**basic(), "X-Request-ID": sent})
    assert (status, told["error"]) == (400, "invalid_question")
    assert asked.records == []


async def test_members_that_the_api_may_get_later_are_ignored(asked):
    """AuthZEN 10.1.1: "receivers MUST ignore unknown fields present in request … bodies"."""
    body = {**evaluation(), "later": 1}
    for name in ("subject", "action", "resource"):
        body[name] = {**body[name], "later": {"tier": "trusted"}}
    assert (await asked.told(ONE, body))["decision"] is True
    assert (await asked.told(MANY, {**body, "evaluations": [{"later": 1}]}))["evaluations"][0][
        "decision"
    ] is True


def changed(path, value):
    """A sound evaluation with one place of it changed; `...` takes it out."""
    body = json.loads(json.dumps(evaluation()))
    *steps, last = path.split(".")
    at = body
    for step in steps:
        at = at.setdefault(step, {})
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return body


REFUSED = [
    (changed("subject", ...), "`subject` is missing; send `subject`, an object"),
    (changed("action", ...), "`action` is missing"),
    (changed("resource", ...), "`resource` is missing"),
    (changed("subject", []), '`subject` is no object; write `"subject": {'),
    (changed("context", "x"), "`context` is no object"),
    (changed("subject.type", "user"), "`subject.type` is `user`, of which nothing is known"),
    (changed("resource.type", "record"), "`resource.type` is `record`"),
    (changed("subject.id", ...), "`subject.id` is missing"),
    (changed("subject.id", ""), "`subject.id` is no text"),
    (changed("subject.id", 7), "`subject.id` is no text"),
    (changed("subject.id", "x" * 201), "`subject.id` is longer than 200 characters"),
    (changed("action.name", None), "`action.name` is no text"),
    (changed("action.name", "x" * 129), "`action.name` is longer than 128 characters"),
    (changed("resource.id", {}), "`resource.id` is no text"),
    (changed("subject.properties.tier", "trusted"), "`subject.properties.tier` is not read; leave"),
    (changed("subject.properties.tier", "trusted"), "comes from the registry"),
    (changed("resource.properties.scope", "x"), "comes from the gateway's own offer"),
    (changed("action.properties.argumnets", {}), "did you mean `arguments`?"),
    (changed("action.properties.arguments", ...), "`action.properties.arguments` is missing"),
    (changed("action.properties.arguments", ...), "`{}` when it has none"),
    (changed("action.properties.arguments", []), "`action.properties.arguments` is no object"),
    (changed("context.arguments", {}), "the arguments are sent twice"),
    (changed("context.tier", "trusted"), "`context.tier` is not read; known here: `agent`"),
    (changed("context.agent", 7), "`context.agent` is no text"),
    (changed("context.ip", "127.1"), "`context.ip` is no IP address; write one like"),
    (changed("context.client", []), "`context.client` is no text"),
    (b"[]", "the body is no JSON object"),
    (b"{", "the body: "),
    (b'{"subject": {}, "subject": {}}', "the name `subject` appears twice"),
    (b"\xff", "not UTF-8"),
    (b'{"a":' + b"[" * 65 + b"]" * 65 + b"}", "nested deeper than 64 levels"),
]


@pytest.mark.parametrize(("body", "told"), REFUSED)
async def test_what_is_no_evaluation_is_refused_with_its_place_and_a_remedy(asked, body, told):
    for path in (ONE, MANY):
        status, answer = await asked.send(path, body)
        assert (status, answer["error"]) == (400, "invalid_question"), answer
        assert told in answer["message"]
        assert "; " in answer["message"]
    assert asked.records == []
    assert asked.world.counters.refusals == ["invalid_question"] * 2
    assert asked.world.counters.decisions == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"options": {"evaluations_semantic": "first"}}, "it is one of `execute_all`"),
        ({"options": {"evaluations_semantic": []}}, "`options.evaluations_semantic`"),
        ({"options": 1}, "`options` is no object"),
        ({"evaluations": {}}, "`evaluations` is no list"),
    ],
)
async def test_what_is_about_the_whole_batch_is_refused_as_a_whole(asked, options, told):
    status, answer = await asked.send(MANY, {"evaluations": [YES], **options})
    assert (status, answer["error"]) == (400, "invalid_question")
    assert told in answer["message"]
    assert asked.records == []


# --- OPA ------------------------------------------------------------------------------------------


def given(path, value):
    body = question()
    *steps, last = path.split(".")
    at = body
    for step in steps:
        at = at.setdefault(step, {})
    at[last] = value
    return body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "`input` is missing"),
        ({"input": []}, "`input` is no object"),
        ({**question(), "query": "data"}, "`query` is not read"),
        ({"input": {}}, "`input.agent` is missing"),
        (given("input.args", []), "`input.args` is no object"),
        (given("input.agent.tier", "trusted"), "leave it out: it comes from the registry"),
        (given("input.agent.teir", "trusted"), "`input.agent.teir` is not read"),
        (given("input.call.scope", "x"), "it comes from the gateway's own offer"),
        (given("input.token.scopes", []), "leave it out: the gateway knows it, or nobody does"),
        (given("input.chain.depth", 0), "leave it out"),
        (given("input.data.x", 0), "leave it out"),
        (given("input.user.id", "alice"), "leave it out"),
        (given("input.arg.x", 1), "did you mean `args`?"),
        (given("input.env.now", 0), "it comes from the gateway"),
        (given("input.env.ip", "::1%x y"), "is no IP address"),
        (given("input.call.tool", None), "`input.call.tool` is no text"),
    ],
)
async def test_what_is_no_input_is_refused_with_its_place_and_a_remedy(asked, body, told):
    status, answer = await asked.send(OPA, body)
    assert (status, answer["error"]) == (400, "invalid_question")
    assert told in answer["message"]
    assert asked.records == []


# --- who asks, and how ----------------------------------------------------------------------------

CREDENTIALS = [
    {},
    basic("rs1", "wrong"),
    basic("rs1", ""),
    basic("rs2"),
    basic("RS1"),
    basic("a1", "the agent's own"),
    {"Authorization": "Basic !"},
    {"Authorization": "Bearer pbac_at_x"},
    {"Authorization": f"Bearer {SECRET}"},
    {"Authorization": SECRET},
]


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
@pytest.mark.parametrize("headers", CREDENTIALS)
async def test_nobody_else_may_ask(asked, path, headers):
    status, told = await asked.send(path, b"not even JSON", headers=headers)
    assert (status, told["error"]) == (401, "invalid_client")
    assert asked.headers["WWW-Authenticate"].startswith("Basic ")
    assert asked.records == []
    assert asked.world.counters.refusals == ["invalid_client"]


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
async def test_a_body_is_json_in_utf_8_of_a_bounded_size_and_nothing_is_in_the_address(asked, path):
    text = {**basic(), "Content-Type": "text/plain"}
    assert (await asked.send(path, b"{}", headers=text))[0] == 415
    utf_16 = {**basic(), "Content-Type": "application/json; charset=utf-16"}
    assert (await asked.send(path, b"{}", headers=utf_16))[0] == 415
    huge = b'{"x":"' + b"x" * REQUEST_BODY_BYTES_MAX + b'"}'
    assert (await asked.send(path, huge))[0] == 413
    assert (await asked.send(path + "?metrics=true", b"{}"))[0] == 400
    assert asked.records == []


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_a_door_takes_one_method(asked, path, method):
    status, _ = await asked.send(path, {}, method=method)
    assert (status, asked.headers["Allow"]) == (405, "POST")


# --- when something is broken ---------------------------------------------------------------------


@pytest.mark.parametrize("path", [ONE, MANY, OPA])
async def test_without_a_record_there_is_no_decision(asked, path):
    asked.world.audit.fails = True
    status, told = await asked.send(path, question() if path == OPA else evaluation())
    assert (status, told["error"]) == (503, "audit_unavailable")
    assert asked.headers["Retry-After"] == "1"
    assert not {"decision", "result", "evaluations"} & told.keys()
    assert asked.world.counters.decisions == []
    assert asked.world.counters.refusals == ["audit_unavailable"]


async def test_a_batch_of_which_one_record_cannot_be_written_tells_nothing(asked, monkeypatch):
    append, seen = asked.world.audit.append, []

    async def failing(record):
        seen.append(record)
        asked.world.audit.fails = len(seen) == 2
        return await append(record)

    monkeypatch.setattr(asked.world.audit, "append", failing)
    status, told = await asked.send(MANY, {"evaluations": [YES, YES, YES]})
    assert (status, told["error"]) == (503, "audit_unavailable")
    assert "evaluations" not in told


async def test_nothing_is_decided_about_agents_that_cannot_be_looked_up(asked):
    asked.broken = True
    status, told = await asked.send(ONE, YES)
    assert (status, told["error"]) == (503, "authn_unavailable")
    assert asked.records == []


async def test_a_defect_denies_and_its_trace_stays_inside(asked, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("pbac.pdp.engine._find_plan", broken)
    monkeypatch.setattr("pbac.pdp.engine.narrowed", broken)
    asked.world.gateway.policies.current.index.plans.clear()
    answer = await asked.told(ONE, YES)
    assert (answer["decision"], answer["context"]["cause"]) == (False, "engine_fault")
    assert "reason_admin" not in answer["context"]
    assert "ZeroDivisionError" in asked.records[-1].internal


async def test_an_answer_is_made_behind_its_record(asked, monkeypatch):
    """Whatever a rule of the door does, what goes out was recorded before, and as it goes out."""
    order = []
    append = asked.world.audit.append

    async def appending(record):
        order.append(("recorded", record.decision_id, record.effect))
        return await append(record)

    monkeypatch.setattr(asked.world.audit, "append", appending)
    answer = await asked.told(ONE, NO)
    order.append(("told", answer["context"]["id"], "permit" if answer["decision"] else "deny"))
    assert [step for step, *_ in order] == ["recorded", "told"]
    assert order[0][1:] == order[1][1:]
