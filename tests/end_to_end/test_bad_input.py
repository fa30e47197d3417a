"""Bad input against a served gateway: a clear error, nothing forwarded, nothing lost.

One gateway for the module, real sockets, and an upstream that keeps every byte it is sent. Cases
are data; after each the gateway is well and no answer has shown a stack trace. The last tests
look at what all the others left behind: the record, and where the credentials are not.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from pbac.app.config import BackendConfig

SHOP = """
package shop on server shop
"Anything but closing; large payments need a person."

tiers read_only < developer < trusted

permit everything
  for tier >= read_only
  on  tool * except close

forbid big_payments
  on   tool pay
  when args.amount > 100
  because "payments beyond 100 need a person"
"""

FRAIL = """
package frail on server frail

permit everything
  for tier >= read_only
  on  tool *
"""

SHORT_LIVED = """
package tokens

require short_lived
  for kind scanner
  on  token
  then expire in 1s
"""

POLICIES = {"shop.pbac": SHOP, "frail.pbac": FRAIL, "tokens.pbac": SHORT_LIVED}

ANY = {"type": "object"}
NUMBER = {"type": "object", "properties": {"amount": {"type": "number"}, "note": {}}}
STRICT = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}
TOOLS = {
    "echo": ANY,
    "pay": NUMBER,
    "count": STRICT,
    "close": ANY,
    "slow": ANY,
    "redirects": ANY,
    **{f"load{n}": ANY for n in range(6)},
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
NAMES = {tool: f"shop__{tool}" for tool in TOOLS} | {"fetch": "frail__fetch"}
"""What agents call the tools of two backends."""
TRACE = re.compile(rb"Traceback|File \"|\.py\b|site-packages")


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The symbolic word; the number of an envelope's error, which has none."""
        told = self.json["error"]
        return told if isinstance(told, str) else told.get("data", {}).get("code", told["code"])


@dataclass
class World:
    """The module's gateway, its upstreams and one agent's token."""

    gateway: object
    upstream: object
    frail: object
    token: str
    bodies: list = field(default_factory=list)
    secrets: list = field(default_factory=list)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.gateway.port), 10)

    def raw(self, data, *, then=None):
        """Send bytes, read one answer. `then` is sent after a moment."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # refused before everything was sent
                connection.sendall(data)
                if then is not None:
                    time.sleep(0.05)
                    connection.sendall(then)
            return self.read(connection, data.partition(b" ")[0].decode("latin-1"))

    def read(self, connection, method="POST"):
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
        self.bodies.append(answer.body)
        return answer

    def request(self, body=None, *, line="POST /mcp HTTP/1.1", replace=(), more=()):
        """The bytes of one request: a sound call of `echo`, but for what is replaced or added."""
        body = call("echo") if body is None else body
        headers = {
            "Host": self.gateway.origin.removeprefix("http://"),
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": NAMES["echo"],
            "Content-Length": str(len(body)),
            **dict(replace),
        }
        sent = [(name, value) for name, value in headers.items() if value is not None]
        text = "".join(f"{name}: {value}\r\n" for name, value in [*sent, *more])
        return f"{line}\r\n{text}\r\n".encode("latin-1") + body

    def send(self, body=None, **how):
        return self.raw(self.request(body, **how))

    def call(self, tool, arguments=None, token=None):
        return self.send(
            call(tool, arguments),
            replace={
                "Mcp-Name": NAMES.get(tool, tool),
                "Authorization": f"Bearer {token or self.token}",
            },
        )

    @contextlib.contextmanager
    def nothing_forwarded(self):
        before = len(self.upstream.calls())
        yield
        assert len(self.upstream.calls()) == before, "the upstream heard of it"

    def agent(self, name, kind="assistant"):
        """(client id, secret, token) of a new agent."""
        client = self.gateway.register("developer", name, kind=kind)
        token = self.sign_in(client)
        self.secrets += [token, client["client_secret"]]
        return client["client_id"], client["client_secret"], token

    def sign_in(self, client):
        body = (
            f"grant_type=client_credentials&client_id={client['client_id']}"
            f"&client_secret={client['client_secret']}"
        ).encode()
        form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
        answer = self.send(body, line="POST /token HTTP/1.1", replace=form)
        assert answer.status == 200, answer.body
        self.bodies.pop()
        return answer.json["access_token"]

    def decision(self, answer):
        """The decision record of an answer to a call."""
        wanted = answer.headers["pbac-decision"]
        return next(d for d in self.gateway.records("decision") if d["decision_id"] == wanted)

    def outcome(self, decision_id):
        return eventually(
            lambda: next(
                (o for o in self.gateway.records("outcome") if o["decision_id"] == decision_id),
                None,
            ),
            "the outcome is not recorded",
        )


def call(tool, arguments=None):
    params = {"name": NAMES.get(tool, tool), "arguments": arguments or {}, "_meta": META}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()


def eventually(look, otherwise, seconds=5.0):
    """The first true answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


def both(upstream, frail):
    return [
        BackendConfig(name="shop", url=upstream.url),
        BackendConfig(name="frail", url=frail.url),
    ]


@pytest.fixture(scope="module")
def served(serve_module, record_upstream):
    upstream, frail = record_upstream(TOOLS), record_upstream({"fetch": ANY})
    gateway = serve_module(backends=both(upstream, frail), policy=POLICIES)
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


# --- the HTTP dress ---------------------------------------------------------------------------

HEADERS = {
    "text/plain": ({"Content-Type": "text/plain"}, 415),
    "no content type": ({"Content-Type": None}, 415),
    "charset utf-7": ({"Content-Type": "application/json; charset=utf-7"}, 415),
    "charset utf-16": ({"Content-Type": "application/json; charset=utf-16"}, 415),
    "two charsets": ({"Content-Type": "application/json; charset=utf-8; charset=utf-7"}, 415),
    "form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "json-seq": ({"Content-Type": "application/json-seq"}, 415),
    "accept html": ({"Accept": "text/html"}, 406),
    "accept nothing": ({"Accept": None}, 406),
    "accept half": ({"Accept": "application/json"}, 406),
    "gzip": ({"Content-Encoding": "gzip"}, 415),
    "brotli": ({"Content-Encoding": "br"}, 415),
    "gzip, identity": ({"Content-Encoding": "identity, gzip"}, 415),
    "upgrade": ({"Upgrade": "websocket", "Connection": "Upgrade"}, 400),
    "h2c": ({"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}, 400),
    "expectation": ({"Expect": "100-continue"}, 417),
    "odd expectation": ({"Expect": "magic"}, 417),
    "origin": ({"Origin": "https://evil.example"}, 403),
    "origin null": ({"Origin": "null"}, 403),
    "origin prefix": ({"Origin": "http://127.0.0.1.evil.example"}, 403),
    "host": ({"Host": "evil.example"}, 403),
    "host port": ({"Host": "127.0.0.1:1"}, 403),
    "host empty": ({"Host": ""}, 403),
    "host absent": ({"Host": None}, 400),
    "version unknown": ({"MCP-Protocol-Version": "2099-01-01"}, 400),
    "version not ascii": ({"MCP-Protocol-Version": "2026-07-28\xff"}, 400),
    "version of another era": ({"MCP-Protocol-Version": "2025-11-25"}, 400),
    "method missing": ({"Mcp-Method": None}, 400),
    "method other": ({"Mcp-Method": "tools/list"}, 400),
    "name missing": ({"Mcp-Name": None}, 400),
    "name other": ({"Mcp-Name": "shop__pay"}, 400),
    "name broken base64": ({"Mcp-Name": "=?base64?!!?="}, 400),
    "length signed": ({"Content-Length": "+5"}, 400),
    "length list": ({"Content-Length": "5, 5"}, 400),
    "length negative": ({"Content-Length": "-1"}, 400),
    "both lengths": ({"Transfer-Encoding": "chunked"}, 400),
    "coding unknown": ({"Content-Length": None, "Transfer-Encoding": "gzip"}, 400),
    "coding twice": ({"Content-Length": None, "Transfer-Encoding": "chunked, chunked"}, 400),
    "header too long": ({"X-Long": "a" * 20_000}, 400),
    "header name": ({"X Bad": "1"}, 400),
    "folded": ({"X-Folded": "a\r\n b"}, 400),
    "bare cr": ({"X-Bare": "a\rb"}, 400),
    "nul": ({"X-Nul": "a\0b"}, 400),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_request_in_the_wrong_dress_is_refused(world, name):
    replace, status = HEADERS[name]
    with world.nothing_forwarded():
        answer = world.send(replace=replace)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer x"),
        ("Mcp-Name", "shop__pay"),
        ("mcp-name", "shop__echo"),
        ("Host", "evil.example"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", "tools/list"),
        ("Content-Type", "text/plain"),
        ("Origin", "https://evil.example"),
    ],
)
def test_a_header_that_decides_anything_is_refused_when_sent_twice(world, header, value):
    more = [(header, value)] * (2 if header == "Origin" else 1)
    with world.nothing_forwarded():
        answer = world.send(more=more)
    assert answer.status == 400, answer.body


@pytest.mark.parametrize(
    "path",
    ["//mcp", "/%6Dcp", "/mcp/", "/mcp/.", "/./mcp", "/x/../mcp", "/MCP", "/mcp;x", "/mcp%00", "/"],
)
def test_another_spelling_of_the_path_is_not_found(world, path):
    with world.nothing_forwarded():
        answer = world.send(line=f"POST {path} HTTP/1.1")
    assert (answer.status, answer.error) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_not_allowed(world, method):
    answer = world.send(b"", line=f"{method} /mcp HTTP/1.1")
    assert answer.status in ((405,) if method != "BREW" else (400, 405)), answer.body
    if answer.status == 405:
        assert "POST" in answer.headers["allow"]


def test_a_modern_client_has_no_session_to_delete(world):
    assert world.send(b"", line="DELETE /mcp HTTP/1.1").status == 405


@pytest.mark.parametrize(
    "line",
    ["POST /mcp HTTP/1.0", "POST /mcp HTTP/0.9", "POST /mcp HTTP/2.0", "POST /mcp", "\x16\x03"],
)
def test_another_version_of_http_is_refused(world, line):
    with world.nothing_forwarded(), world.connect() as connection:
        connection.sendall(world.request(line=line, more=[("Connection", "close")]))
        with connection.makefile("rb") as answer:  # the server repeats the version it was told
            assert re.match(rb"HTTP/\d\.\d 400 ", answer.readline())


def test_an_absolute_address_of_another_host_is_refused(world):
    with world.nothing_forwarded():
        answer = world.send(line="POST http://evil.example/mcp HTTP/1.1")
    assert answer.status in (400, 403, 404)


def test_a_second_request_hidden_in_a_body_is_never_answered(world):
    hidden = world.request(call("echo", {"text": "smuggled"}))
    with world.connect() as connection:
        connection.sendall(world.request(hidden, replace={"Content-Length": str(len(hidden))}))
        assert world.read(connection).status == 400
    assert ("echo", {"text": "smuggled"}) not in world.upstream.calls()


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


def legacy_session(world):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    dropped = {"MCP-Protocol-Version": None, "Mcp-Method": None, "Mcp-Name": None}
    answer = world.send(json.dumps(body).encode(), replace=dropped)
    session = answer.headers["mcp-session-id"]
    return {**dropped, "MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}


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
def small_world(serve, record_upstream, tmp_path):
    """A gateway of its own, its audit log on a small file system where that can be had."""
    log = tmp_path / "gateway0/state/audit"
    log.mkdir(parents=True, mode=0o700)
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", str(log)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    upstream, frail = record_upstream(TOOLS), record_upstream({"fetch": ANY})
    gateway = serve(backends=both(upstream, frail), policy=POLICIES)
    world = World(gateway, upstream, frail, token="")
    _, _, world.token = world.agent("everyday")
    yield world, mounted
    if gateway.process.poll() is None:
        gateway.stop()
    if mounted:
        subprocess.run(["umount", "-l", str(log)], check=True)


@pytest.mark.parametrize("how", ["tmpfs", "rlimit"])
def test_without_room_for_the_record_nothing_is_forwarded_until_there_is_room(small_world, how):
    world, mounted = small_world
    if how == "tmpfs" and not mounted:
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
    world, _ = small_world
    gateway = world.gateway
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
