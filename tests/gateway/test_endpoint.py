"""The protocol's own ladder: what is refused before it is a call, and what lists show."""

from __future__ import annotations

import json

import pytest

MODERN = "2026-07-28"


def error(answer):
    return json.loads(answer.body)["error"]


async def test_a_list_shows_only_what_could_ever_be_called(world, version):
    answer = await world.ask("tools/list", version=version)
    result = json.loads(answer.body)["result"]
    names = [tool["name"] for tool in result["tools"]]
    assert names == ["get_price", "get_card", "get_secret", "pay", "refund", "ship"]
    assert result.get("cacheScope") == ("private" if version == MODERN else None)


@pytest.mark.parametrize(
    ("tier", "scopes", "names"),
    [
        ("read_only", ("shop:read", "shop:pay"), ["get_price", "get_card", "get_secret", "ship"]),
        ("trusted", ("shop:close",), ["close_shop"]),
        ("unheard_of", ("shop:read", "shop:pay", "shop:close"), []),
        ("trusted", (), []),
    ],
)
async def test_what_is_listed_follows_tier_and_consent(world, tier, scopes, names):
    principal = world.principal(tier, scopes)
    answer = await world.ask("tools/list", principal=principal)
    assert [tool["name"] for tool in json.loads(answer.body)["result"]["tools"]] == names


async def test_a_cursor_of_somebody_else_is_refused(world, version):
    answer = await world.ask("tools/list", {"cursor": "abc"}, version=version)
    assert error(answer)["code"] == -32602


async def test_initialize_negotiates_and_opens_a_session(world):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    answer = await world.send(body)
    assert json.loads(answer.body)["result"]["protocolVersion"] == "2025-06-18"
    assert dict(answer.headers)["Mcp-Session-Id"]


async def test_a_session_belongs_to_the_principal_that_opened_it(world):
    session = await world.open_session("2025-11-25")
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    stranger = world.principal(id="somebody-else")
    answer = await world.send(body, [("Mcp-Session-Id", session)], stranger)
    assert answer.status == 404
    answer = await world.send(body, [("Mcp-Session-Id", session)])
    assert answer.status == 200


async def test_a_legacy_call_without_a_session_is_refused(world):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_price"}}
    answer = await world.send(body, [("MCP-Protocol-Version", "2025-11-25")])
    assert answer.status == 400
    assert world.upstream.calls == []


async def test_discovery_names_modern_versions_only(world):
    answer = await world.ask("server/discover")
    result = json.loads(answer.body)["result"]
    assert result["supportedVersions"] == [MODERN]
    assert result["cacheScope"] == "private"


async def test_ping_is_answered_here_for_legacy_and_gone_for_modern(world, version):
    answer = await world.ask("ping", version=version)
    assert answer.status == (404 if version == MODERN else 200)


@pytest.mark.parametrize(
    "method", ["resources/read", "prompts/get", "completion/complete", "tasks/get", "x/y"]
)
async def test_what_has_no_decision_yet_is_not_served(world, version, method):
    answer = await world.ask(method, {"name": "x", "uri": "x", "taskId": "x"}, version=version)
    assert error(answer)["code"] in (-32601, -32020)
    assert world.upstream.calls == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":NaN}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":1e400}}', 400, -32700),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":9223372036854775808}}',
            400,
            -32602,
        ),
        (b"[" * 100 + b"]" * 100, 400, -32700),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"pay"}}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', 400, -32600),
        (b"[]", 400, -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400, -32600),
        (b"", 400, -32700),
    ],
)
async def test_a_body_two_readers_could_read_differently_is_refused(world, body, status, code):
    answer = await world.send(body)
    assert (answer.status, error(answer)["code"]) == (status, code)
    assert world.upstream.calls == []
    assert world.audit.records == []
    assert len(world.counters.refusals) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Mcp-Name", "get_card")], -32020),
        ([("Mcp-Name", "GET_PRICE")], -32020),
        ([("Mcp-Name", "get_price, get_card")], -32020),
        ([("Mcp-Name", "get_price"), ("Mcp-Name", "get_price")], -32020),
        ([], -32020),
    ],
)
async def test_a_header_that_disagrees_with_the_body_is_refused(world, headers, code):
    prefix = "io.modelcontextprotocol"
    meta = {f"{prefix}/protocolVersion": MODERN, f"{prefix}/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body["params"] = {"name": "get_price", "arguments": {}, "_meta": meta}
    sent = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), *headers]
    answer = await world.send(body, sent)
    assert (answer.status, error(answer)["code"]) == (400, code)
    assert world.upstream.calls == []


async def test_an_unknown_version_is_told_which_are_known(world):
    prefix = "io.modelcontextprotocol"
    meta = {f"{prefix}/protocolVersion": "2099-01-01", f"{prefix}/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    answer = await world.send(
        body, [("MCP-Protocol-Version", "2099-01-01"), ("Mcp-Method", "tools/list")]
    )
    assert (answer.status, error(answer)["code"]) == (400, -32022)
    assert error(answer)["data"]["supported"] == [MODERN]


async def test_a_notification_is_accepted_and_forwarded_nowhere(world):
    answer = await world.send({"jsonrpc": "2.0", "method": "notifications/cancelled"})
    assert (answer.status, answer.body) == (202, b"")
    assert world.upstream.calls == []


LOGS = [
    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": level, "data": "x"}}
    for level in ("debug", "warning", "error", "made_up")
]
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}


@pytest.mark.parametrize(
    ("wanted", "levels"),
    [
        (None, []),
        ("loud", []),
        ("warning", ["warning", "error", "made_up"]),
        ("debug", ["debug", "warning", "error", "made_up"]),
    ],
)
async def test_a_modern_request_gets_the_log_messages_it_asked_for(world, wanted, levels):
    world.upstream.notifications = [*LOGS, PROGRESS]
    key = "io.modelcontextprotocol/logLevel"
    meta = {} if wanted is None else {key: wanted}
    await world.ask("tools/call", {"name": "get_price", "arguments": {}, "_meta": meta})
    told = [message["params"]["level"] for message in world.told[:-1]]
    assert told == levels
    assert world.told[-1] == PROGRESS, "progress is asked for by its token, not by a level"


async def test_a_legacy_session_that_set_no_level_gets_every_log_message(world):
    """2025-11-25 logging: "If no logging/setLevel [...] the server MAY decide"."""
    world.upstream.notifications = LOGS
    await world.call("get_price", version="2025-11-25")
    assert world.told == LOGS
