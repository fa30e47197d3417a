"""Bad input against a served gateway: a clear error, nothing forwarded, nothing lost.

The last tests look at what all tests of bad input left behind: the record, and where the
credentials are not.
"""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from support.bad_input import call, eventually


def test_a_sound_call_passes(world):
    answer = world.call("echo", {"text": "hello"})
    assert (answer.status, answer.json["result"]["content"][0]["text"]) == (200, "echo ran")
    assert world.upstream.calls("echo")[-1] == ("echo", {"text": "hello"})


# --- calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool",
    [
        "no_such_tool",
        "echo2",
        "shop__ECHO",
        "shop__",
        "__echo",
        "frail__echo",
        "shop__echo__",
        "x" * 128,
    ],
)
def test_an_unknown_tool_is_refused_and_recorded(world, tool):
    with world.nothing_forwarded():
        answer = world.call(tool)
    assert (answer.status, answer.error) == (400, "unknown_tool")
    assert world.decision(answer)["cause"] == "unknown_tool"


def test_a_tool_no_rule_permits_is_refused_with_the_reason(world):
    with world.nothing_forwarded():
        answer = world.call("close")
    assert (answer.status, answer.error) == (403, "policy_denied")
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "arguments",
    [{}, {"count": "3"}, {"count": 3.5}, {"count": None}, {"count": [3]}, {"count": 3, "more": 1}],
)
def test_arguments_of_the_wrong_kind_are_refused_before_the_upstream(world, arguments):
    with world.nothing_forwarded():
        answer = world.call("count", arguments)
    assert (answer.status, answer.error) == (400, "invalid_params")
    assert world.decision(answer)["cause"] == "invalid_params"


@pytest.mark.parametrize(
    "arguments", [{}, {"amount": None}, {"amount": "5"}, {"amount": [5]}, {"Amount": 5}]
)
def test_an_argument_a_forbid_cannot_read_is_a_denial_that_names_it(world, arguments):
    with world.nothing_forwarded():
        answer = world.call("pay", arguments)
    denial = answer.json["result"]["_meta"]["pbac/denial"]
    assert (answer.status, denial["code"]) == (200, "policy_denied")
    assert denial["rules"] == ["shop.big_payments"]
    assert denial["unknown"] == ["args.amount"]
    assert "args.amount" in answer.json["result"]["content"][0]["text"]
    assert world.decision(answer)["unknown"] == ["args.amount"]


def test_the_same_forbid_knows_small_and_large_payments(world):
    assert "pay ran" in world.call("pay", {"amount": 5}).body.decode()
    with world.nothing_forwarded():
        assert "need a person" in world.call("pay", {"amount": 500}).body.decode()


# --- bodies -----------------------------------------------------------------------------------

SOUND = call("echo", {"text": "x"}).decode()


def with_text(text):
    """The sound body with this JSON in the place of the argument."""
    return SOUND.replace('"x"', text).encode()


BODIES = {
    "empty": (b"", 400, -32700),
    "blank": (b"   ", 400, -32700),
    "no json": (b"name=echo", 400, -32700),
    "torn": (SOUND.encode()[:-3], 400, -32700),
    "two values": (SOUND.encode() * 2, 400, -32700),
    "array": (f"[{SOUND}]".encode(), 400, -32600),
    "null": (b"null", 400, -32600),
    "number": (b"1", 400, -32600),
    "deep": (with_text("[" * 100 + "]" * 100), 400, -32700),
    "very deep": (b"[" * 1_000_000, 400, -32700),
    "very deep objects": (b'{"a":' * 500_000, 400, -32700),
    "duplicate argument": (with_text('1, "text": 2'), 400, -32700),
    "duplicate name": (
        SOUND.replace('"name"', '"name": "shop__close", "name"').encode(),
        400,
        -32700,
    ),
    "escaped duplicate": (with_text('1, "t\\u0065xt": 2'), 400, -32700),
    "nan": (with_text("NaN"), 400, -32700),
    "infinity": (with_text("-Infinity"), 400, -32700),
    "1e999": (with_text("1e999"), 400, -32700),
    "1e-999": (with_text("1e-999"), 400, -32700),
    "beyond 53 bits": (with_text("9007199254740993"), 400, -32602),
    "long number": (with_text("1" * 100_000), 400, -32602),
    "byte order mark": (b"\xef\xbb\xbf" + SOUND.encode(), 400, -32700),
    "utf-16": (SOUND.encode("utf-16"), 400, -32700),
    "utf-16 without mark": (SOUND.encode("utf-16-le"), 400, -32700),
    "utf-32": (SOUND.encode("utf-32"), 400, -32700),
    "latin-1": (with_text('"ü"').decode().encode("latin-1"), 400, -32700),
    "overlong": (with_text('"@"').replace(b"@", b"\xc0\xaf"), 400, -32700),
    "half a surrogate": (with_text('"\\ud800"'), 400, -32700),
    "raw control": (with_text('"\x01"'), 400, -32700),
    "comment": (b"/* */" + SOUND.encode(), 400, -32700),
    "trailing comma": (with_text('"x",'), 400, -32700),
    "single quotes": (SOUND.replace('"', "'").encode(), 400, -32700),
    "unknown member": (SOUND.replace('"id": 1', '"id": 1, "Method": "x"').encode(), 400, -32600),
    "unknown parameter": (SOUND.replace('"name"', '"Name": "x", "name"').encode(), 400, -32600),
    "id null": (SOUND.replace('"id": 1', '"id": null').encode(), 400, -32600),
    "id true": (SOUND.replace('"id": 1', '"id": true').encode(), 400, -32600),
    "id object": (SOUND.replace('"id": 1', '"id": {}').encode(), 400, -32600),
    "jsonrpc 1": (SOUND.replace('"2.0"', '"1.0"').encode(), 400, -32600),
    "params list": (
        SOUND.replace('"params": {', '"params": [{').encode()[:-1] + b"]}",
        400,
        -32600,
    ),
    "name number": (SOUND.replace('"shop__echo"', "7").encode(), 400, -32020),
    "arguments list": (SOUND.replace('{"text": "x"}', "[]").encode(), 400, -32602),
    "no meta": (SOUND.replace('"_meta"', '"meta"').encode(), 400, -32602),
    "other method": (SOUND.replace("tools/call", "tools/list").encode(), 400, -32020),
    "other tool": (SOUND.replace('"shop__echo"', '"shop__pay"').encode(), 400, -32020),
    "unknown method": (SOUND.replace("tools/call", "tools/burn").encode(), 400, -32020),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_two_readers_could_read_differently_is_refused(world, name):
    body, status, number = BODIES[name]
    with world.nothing_forwarded():
        answer = world.send(body)
    assert (answer.status, answer.json["error"]["code"]) == (status, number), answer.body
    assert len(answer.body) < 2_000
    assert answer.headers["content-type"] == "application/json"


def test_a_body_over_the_limit_is_refused_before_it_is_read(world):
    head = world.request(b"", replace={"Content-Length": str(4 * 1024 * 1024 + 1)})
    with world.nothing_forwarded():
        answer = world.raw(head)
    assert (answer.status, answer.error) == (413, "payload_too_large")


def test_a_body_without_a_length_is_cut_at_the_limit(world):
    body = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = world.request(
        b"", replace={"Content-Length": None}, more=[("Transfer-Encoding", "chunked")]
    )
    with world.nothing_forwarded():
        answer = world.raw(head, then=body * 70)
    assert (answer.status, answer.error) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "chunk",
    [b"zz\r\n", b"-1\r\n", b"5;a=\x00\r\n", b"2\r\nabc\r\n", b"f" * 20],
)
def test_a_body_in_broken_chunks_goes_nowhere(world, chunk):
    """The parser tells nobody that it gave up, so the answer is the body's deadline: too long here."""
    head = world.request(
        b"", replace={"Content-Length": None}, more=[("Transfer-Encoding", "chunked")]
    )
    with world.nothing_forwarded(), world.connect() as connection:
        connection.sendall(head)
        time.sleep(0.05)
        connection.sendall(chunk + b"\r\n0\r\n\r\n")
        time.sleep(0.05)


def test_a_client_that_goes_away_within_its_body_harms_nobody(world):
    with world.nothing_forwarded():
        for sent in (b"", b'{"jsonrpc"'):
            with world.connect() as connection:
                connection.sendall(world.request(b"", replace={"Content-Length": "50"}) + sent)
                time.sleep(0.05)


def test_a_body_in_chunks_is_read_as_one(world):
    body = call("echo", {"text": "in chunks"})
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[n : n + 1]) for n in range(len(body)))
    head = world.request(
        b"", replace={"Content-Length": None}, more=[("Transfer-Encoding", "chunked")]
    )
    assert world.raw(head, then=chunks + b"0\r\n\r\n").status == 200
    assert world.upstream.calls("echo")[-1][1] == {"text": "in chunks"}


# --- tokens -----------------------------------------------------------------------------------


def challenged(world, **replace):
    """The challenge of a 401, which names only our own metadata."""
    with world.nothing_forwarded():
        answer = world.send(replace={name.replace("_", "-"): v for name, v in replace.items()})
    assert answer.status == 401, answer.body
    told = answer.headers["www-authenticate"]
    metadata = f"{world.gateway.origin}/.well-known/oauth-protected-resource/mcp"
    assert f'resource_metadata="{metadata}"' in told
    return told


def test_no_token_is_challenged_without_an_error(world):
    assert "error=" not in challenged(world, Authorization=None)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YTpi",
        "Bearer pbac_at_" + "A" * 43,
        "Bearer  {token}",
        "Bearer {token} ",
        "Bearer {token}x",
        "Bearer {token},{token}",
        "{token}",
        "Token {token}",
        "Bearer " + "a" * 7_000,
        "Bearer ../../etc/passwd",
        "Bearer ' OR 1=1 --",
    ],
)
def test_a_token_that_is_none_is_challenged(world, value):
    sent = value.format(token=world.token)
    if value == "Bearer {token} ":  # blanks around a field value are not part of it
        assert world.send(replace={"Authorization": sent}).status == 200
    else:
        assert 'error="invalid_token"' in challenged(world, Authorization=sent)


def test_our_own_name_is_told_whatever_forwarded_headers_say(world):
    told = challenged(
        world,
        Authorization=None,
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
        X_Forwarded_For="203.0.113.9",
        X_Original_URL="/evil",
        Forwarded="host=evil.example",
    )
    assert "evil" not in told
    answer = world.send(
        b"",
        line="GET /.well-known/oauth-protected-resource/mcp HTTP/1.1",
        replace={"X-Forwarded-Host": "evil.example"},
    )
    assert answer.json["resource"] == world.gateway.url
    assert b"evil" not in answer.body


def test_an_expired_token_is_refused_and_a_rule_for_scanners_shortens_no_other_token(world):
    _, _, short = world.agent("scanner", kind="scanner")
    _, _, long = world.agent("assistant")
    assert world.call("echo", token=short).status == 200
    time.sleep(1.1)
    assert 'error="invalid_token"' in challenged(world, Authorization=f"Bearer {short}")
    assert world.call("echo", token=long).status == 200


def test_a_revoked_token_is_refused_at_once(world):
    client_id, secret, token = world.agent("leaver")
    assert world.call("echo", token=token).status == 200
    form = f"token={token}&client_id={client_id}&client_secret={secret}".encode()
    plain = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    assert world.send(form, line="POST /revoke HTTP/1.1", replace=plain).status == 200
    challenged(world, Authorization=f"Bearer {token}")


def test_a_suspended_agents_token_is_refused_at_once_and_the_record_says_who_did_it(world):
    client_id, _, token = world.agent("suspect")
    config = ("--config", str(world.gateway.config))
    world.gateway.pbac("agent", "suspend", client_id, *config)
    challenged(world, Authorization=f"Bearer {token}")
    record = eventually(
        lambda: [t for t in world.gateway.records("token") if t["event"] == "suspended"],
        "the suspension is not recorded",
        2.0,
    )[-1]
    assert (record["agent"]["id"], record["outbox_id"] > 0) == (client_id, True)
    assert record["actor"] in record["detail"]
    world.gateway.pbac("agent", "resume", client_id, *config)
    assert world.call("echo", token=token).status == 200


# --- policies ---------------------------------------------------------------------------------

BROKEN = {
    "syntax": "package broken\n\npermit everything\n  on any\n  when\n",
    "unknown name": "package broken on server shop\n\npermit a\n  on any\n  when nobody.knows\n",
    "no text": "\xff\xfe",
    "failing test": 'package broken\n\ntest "wrong"\n  agent { tier: read_only }\n'
    "  call close {} => permit\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_policy_leaves_the_old_one_serving_until_it_is_mended(world, name):
    gateway = world.gateway
    path, before = gateway.directory / "policies/more.pbac", gateway.version()
    refusals = len(refused_policies(gateway))
    path.write_bytes(BROKEN[name].encode("latin-1"))
    record = eventually(
        lambda: refused_policies(gateway)[refusals:], "the broken policy is not in the record"
    )[0]
    assert gateway.version() == before == record["previous_version"]
    assert world.call("echo").status == 200
    told = re.fullmatch(r"(more\.pbac:\d+:\d+): error: .+ \[([a-z0-9-]+)\]", record["problems"][0])
    assert told, record["problems"]
    output = gateway.output.read_text()
    assert f"--> {told[1]}" in output, "the log names no place"
    assert f"error[{told[2]}]" in output, "the log names no code"
    path.write_text("package broken on server shop\n\nforbid no_echo\n  on tool echo\n")
    eventually(lambda: gateway.version() != before, "the mended policy is not in force")
    with world.nothing_forwarded():
        assert world.call("echo").status == 403
    path.unlink()
    eventually(lambda: gateway.version() == before, "the first policy is not in force again")
    assert world.call("echo").status == 200


def refused_policies(gateway):
    return [p for p in gateway.records("policy") if p["event"] == "refused"]


# --- what is left behind ----------------------------------------------------------------------


def test_the_record_of_all_this_verifies(world):
    done = world.gateway.pbac("audit", "verify", "--config", str(world.gateway.config))
    assert done.stdout.startswith("ok:")
    permits = Counter(
        d["tool"] for d in world.gateway.records("decision") if d["effect"] == "permit"
    )
    forwarded = Counter(tool for tool, _ in world.upstream.calls())
    assert forwarded == {tool: permits[tool] for tool in forwarded}


def test_no_credential_of_an_agent_is_anywhere_but_with_the_agent(world):
    state = {
        path: path.read_bytes()
        for path in (world.gateway.directory / "state").rglob("*")
        if path.is_file()
    }
    places = {**state, "output": world.gateway.output.read_bytes()}
    places |= {f"request {n}": raw for n, raw in enumerate(world.upstream.raw)}
    assert len(world.secrets) > 2
    for secret in world.secrets:
        for place, content in places.items():
            assert secret.encode() not in content, place
    assert not any(b"authorization" in raw.lower() for raw in world.upstream.raw)


def test_the_gateway_met_no_unexpected_error(world):
    output = world.gateway.output.read_text()
    assert "Traceback" not in output, output[-3_000:]
    metrics = world.send(b"", line="GET /metrics HTTP/1.1").body.decode()
    assert 'code="internal_error"' not in metrics
