"""HTTP upstreams: a scripted one that misbehaves in every known way, and the official server."""

import asyncio
import contextlib
import json
import socket
import threading

import pytest

from pbac.adapters.http_pool import HttpPool
from pbac.adapters.http_upstream import HttpUpstream
from pbac.base.limits import RESPONSE_BODY_BYTES_MAX
from pbac.gateway.upstream import UpstreamError, UpstreamFailure
from pbac.mcp.modern import ServerInfo
from pbac.mcp.versions import Era

IDENTITY = ServerInfo(name="pbac-gateway", version="0")
SERVER = {"name": "fake", "version": "9"}


class Seen:
    """One request as it came over the wire."""

    def __init__(self, head, body):
        line, *fields = head.decode().split("\r\n")
        self.verb = line.split()[0]
        self.raw = head + b"\r\n\r\n" + body
        self.headers = {k.lower(): v for k, _, v in (f.partition(": ") for f in fields)}
        self.tree = json.loads(body) if body else {}
        self.id, self.method = self.tree.get("id"), self.tree.get("method")
        self.params = self.tree.get("params", {})


def http(status, body=b"", kind="application/json", extra=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def ok(seen, result, extra=""):
    return http(200, {"jsonrpc": "2.0", "id": seen.id, "result": result}, extra=extra)


def rpc_error(seen, status, number, request_id=...):
    answered = seen.id if request_id is ... else request_id
    return http(
        status,
        {"jsonrpc": "2.0", "id": answered, "error": {"code": number, "message": "told", "data": 1}},
    )


def events(*trees, line_end="\n"):
    """An event stream without a length: it ends when the connection does."""
    body = "".join(f"event: message{line_end}data: {json.dumps(t)}{line_end * 2}" for t in trees)
    return b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\n" + body.encode()


class FakeUpstream:
    """Answers with what `script(seen)` returns; records everything it was sent."""

    def __init__(self):
        self.seen = []
        self.script = lambda _seen: None
        self.era = "legacy"
        self.sessions = set()
        self.closed, self.reached = asyncio.Event(), asyncio.Event()

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                length = next(
                    (
                        int(f.split(b":")[1])
                        for f in head.split(b"\r\n")
                        if f.lower().startswith(b"content-length")
                    ),
                    0,
                )
                seen = Seen(head, await reader.readexactly(length))
                self.seen.append(seen)
                answer = self.script(seen) or self.default(seen)
                if hasattr(answer, "__await__"):
                    answer = await answer
                if callable(answer):
                    await answer(reader, writer)
                    break
                writer.write(answer)
                await writer.drain()
                if b"content-length" not in answer[:200].lower():
                    break
        writer.close()

    def default(self, seen):
        if seen.verb == "DELETE":
            self.sessions.discard(seen.headers.get("mcp-session-id"))
            return http(200)
        if seen.method == "server/discover":
            return self.discover(seen)
        if seen.method == "initialize":
            name = f"session-{len(self.seen)}"
            self.sessions.add(name)
            return ok(
                seen,
                {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": SERVER,
                },
                extra=f"mcp-session-id: {name}\r\n",
            )
        if self.era == "legacy" and seen.headers.get("mcp-session-id") not in self.sessions:
            return http(404)
        if seen.id is None:
            return http(202)
        return ok(seen, {"content": [{"type": "text", "text": seen.params.get("name", "")}]})

    def discover(self, seen):
        if self.era == "legacy":
            return rpc_error(seen, 400, -32000, None)
        meta = {"io.modelcontextprotocol/serverInfo": SERVER}
        return ok(
            seen,
            {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "instructions": "be kind",
                "_meta": meta,
            },
        )

    def calls(self, method="tools/call"):
        return [seen for seen in self.seen if seen.method == method]


@pytest.fixture
async def fake():
    upstream = FakeUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    yield upstream
    server.close()


@pytest.fixture
async def client():
    pool = HttpPool()
    yield pool
    await pool.close()


@pytest.fixture
async def upstream(fake, client):
    made = HttpUpstream(client, fake.url, IDENTITY, call_seconds_max=2)
    yield made
    await made.close()


async def call(upstream, name="t", arguments=None, key="alice", **more):
    return await upstream.call_tool(
        name, arguments or {}, principal_key=key, meta=more.pop("meta", {}), **more
    )


async def failure(upstream, **more):
    with pytest.raises(UpstreamError) as caught:
        await call(upstream, **more)
    return caught.value.failure, caught.value.executed


# --- eras -----------------------------------------------------------------------------------


async def test_a_legacy_upstream_is_met_with_a_handshake_of_no_capabilities(fake, upstream):
    facts = await upstream.start()
    assert (facts.era, facts.version, facts.name) == (Era.LEGACY, "2025-11-25", "fake")
    (hello,) = fake.calls("initialize")
    assert hello.params["capabilities"] == {}
    await call(upstream)
    assert [s.method for s in fake.seen] == [
        "server/discover", "initialize", "notifications/initialized",
        "initialize", "notifications/initialized", "tools/call",
    ]  # fmt: skip
    assert fake.seen[-1].headers["mcp-protocol-version"] == "2025-11-25"
    assert "mcp-method" not in fake.seen[-1].headers


async def test_a_modern_upstream_gets_described_requests_and_mirrored_headers(fake, upstream):
    fake.era = "modern"
    schema = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    tool = {"name": "größe", "inputSchema": schema}
    fake.script = lambda s: ok(s, {"tools": [tool]}) if s.method == "tools/list" else None
    facts = await upstream.start()
    assert (facts.era, facts.instructions) == (Era.MODERN, "be kind")
    assert await upstream.list_tools() == [tool]
    await call(upstream, "größe", {"region": "eu"}, meta={"traceparent": "00-a"})
    seen = fake.seen[-1]
    assert seen.headers["mcp-protocol-version"] == "2026-07-28"
    assert seen.headers["mcp-method"] == "tools/call"
    assert seen.headers["mcp-name"] == "=?base64?Z3LDtsOfZQ==?="
    assert seen.headers["mcp-param-region"] == "eu"
    assert "mcp-session-id" not in seen.headers
    assert seen.params["_meta"] == {
        "traceparent": "00-a",
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "pbac-gateway", "version": "0"},
    }


async def test_parameter_headers_that_are_out_of_date_are_looked_up_and_sent_again(fake, upstream):
    fake.era = "modern"
    schema = {"properties": {"a": {"type": "integer", "x-mcp-header": "A"}}}

    def script(seen):
        if seen.method == "tools/list":
            return ok(seen, {"tools": [{"name": "t", "inputSchema": schema}]})
        if seen.method == "tools/call" and "mcp-param-a" not in seen.headers:
            return rpc_error(seen, 400, -32020)
        return None

    fake.script = script
    assert await call(upstream, "t", {"a": 5})
    assert [s.headers.get("mcp-param-a") for s in fake.calls()] == [None, "5"]


# --- isolation ------------------------------------------------------------------------------


async def test_principals_have_sessions_of_their_own_and_a_session_is_opened_once(fake, upstream):
    await asyncio.gather(*(call(upstream, key=key) for key in ("alice", "bob") * 5))
    by_session = {}
    for seen in fake.calls():
        by_session.setdefault(seen.headers["mcp-session-id"], []).append(seen)
    assert sorted(map(len, by_session.values())) == [5, 5]
    assert len(fake.calls("initialize")) == 3, "alice, bob and the gateway's own"


async def test_two_callers_may_use_equal_progress_tokens(fake, upstream):
    async def progress(reader, writer):
        seen = fake.calls()[-1]
        note = {"jsonrpc": "2.0", "method": "notifications/progress"}
        own = seen.params["_meta"]["progressToken"]
        writer.write(
            events(
                {**note, "params": {"progressToken": own, "progress": 1}},
                {**note, "params": {"progressToken": "someone else's", "progress": 2}},
                {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}},
                {"jsonrpc": "2.0", "method": "notifications/of/tomorrow"},
                {"jsonrpc": "2.0", "id": seen.id, "result": {"content": []}},
            )
        )
        await writer.drain()

    fake.script = lambda s: progress if s.method == "tools/call" else None
    heard = []

    async def hear(tree):
        heard.append((tree["method"], tree["params"].get("progressToken")))

    await call(upstream, meta={"progressToken": "p"}, on_notification=hear)
    await call(upstream, key="bob", meta={"progressToken": "p"}, on_notification=hear)
    own = [s.params["_meta"]["progressToken"] for s in fake.calls()]
    assert len(set(own)) == 2
    assert heard == [("notifications/progress", "p"), ("notifications/message", None)] * 2


async def test_nothing_of_a_caller_but_the_call_travels_and_the_operators_headers_do(fake, client):
    upstream = HttpUpstream(client, fake.url, IDENTITY, headers={"Authorization": "Bearer ours"})
    await call(upstream, key="SECRET-KEY", meta={"progressToken": "SECRET", "other": "SECRET"})
    await upstream.close()
    assert not any(b"SECRET" in seen.raw for seen in fake.seen)
    assert {seen.headers["authorization"] for seen in fake.seen} == {"Bearer ours"}
    assert {seen.headers["accept-encoding"] for seen in fake.seen if seen.verb == "POST"} == {
        "identity"
    }
    assert set(fake.calls()[0].headers) == {
        "host", "authorization", "content-type", "accept", "accept-encoding", "user-agent",
        "content-length", "mcp-session-id", "mcp-protocol-version",
    }  # fmt: skip


async def test_a_cookie_of_one_answer_is_not_sent_with_the_next(fake, upstream):
    fake.script = lambda s: (
        ok(s, {"content": []}, extra="set-cookie: a=b; Path=/\r\n")
        if s.id and s.method == "tools/call"
        else None
    )
    await call(upstream)
    await call(upstream, key="bob")
    assert not any("cookie" in seen.headers for seen in fake.seen)


async def test_proxy_variables_are_ignored(fake, upstream, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert await call(upstream)


async def test_the_least_recently_used_session_is_ended_when_there_are_too_many(fake, client):
    upstream = HttpUpstream(client, fake.url, IDENTITY, sessions_max=2)
    for key in ("a", "b", "c", "d"):
        await call(upstream, key=key)
    await asyncio.sleep(0.05)
    assert len(fake.sessions) == 2
    await upstream.close()
    assert not fake.sessions


# --- stale sessions -------------------------------------------------------------------------


async def test_a_forgotten_session_is_opened_anew_and_the_call_sent_again_once(fake, upstream):
    await call(upstream)
    fake.sessions.clear()
    assert (await call(upstream, "again"))["content"][0]["text"] == "again"
    assert [s.params["name"] for s in fake.calls()] == ["t", "again", "again"]


async def test_the_400_of_the_reference_servers_is_understood_too(fake, upstream):
    await call(upstream)
    fake.sessions.clear()
    fake.script = lambda s: (
        rpc_error(s, 400, -32000, None)
        if s.method == "tools/call" and s.headers["mcp-session-id"] not in fake.sessions
        else None
    )
    assert await call(upstream)


async def test_an_upstream_that_forgets_at_once_is_not_asked_for_ever(fake, upstream):
    fake.script = lambda s: http(404) if s.method == "tools/call" else None
    assert await failure(upstream) == (UpstreamFailure.PROTOCOL, False)
    assert len(fake.calls()) == 2


# --- misbehaviour ---------------------------------------------------------------------------


def raw(text):
    async def answer(_reader, writer):
        writer.write(text if isinstance(text, bytes) else text(writer))
        await writer.drain()

    return answer


async def huge_body(_reader, writer):
    writer.write(b'HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n"')
    with contextlib.suppress(ConnectionError):
        for _ in range(RESPONSE_BODY_BYTES_MAX // 65_536 + 2):
            writer.write(b"x" * 65_536)
            await writer.drain()


async def huge_event(_reader, writer):
    writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
    with contextlib.suppress(ConnectionError):
        for _ in range(RESPONSE_BODY_BYTES_MAX // 65_536 + 2):
            writer.write(b"x" * 65_536)
            await writer.drain()


async def silence(reader, _writer):
    await reader.read()


async def comments_for_ever(_reader, writer):
    writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)


P, U, T, L, A = (
    UpstreamFailure.PROTOCOL,
    UpstreamFailure.UNREACHABLE,
    UpstreamFailure.TIMEOUT,
    UpstreamFailure.TOO_LARGE,
    UpstreamFailure.AUTH,
)
RESULT = {"content": []}
ANSWERS = {
    "a redirect": (lambda s: http(307, extra="location: http://127.0.0.1:1/\r\n"), P, False),
    "a huge body": (lambda s: huge_body, L, None),
    "a huge event": (lambda s: huge_event, L, None),
    "another id": (lambda s: http(200, {"jsonrpc": "2.0", "id": s.id + 1, "result": RESULT}), P, None),
    "the id as text": (lambda s: http(200, {"jsonrpc": "2.0", "id": str(s.id), "result": RESULT}), P, None),
    "another id in a stream": (
        lambda s: raw(events({"jsonrpc": "2.0", "id": s.id + 1, "result": RESULT})), P, None,
    ),
    "an error for nobody": (lambda s: rpc_error(s, 200, -1, None), P, None),
    "silence": (lambda s: silence, T, None),
    "comments for ever": (lambda s: comments_for_ever, T, None),
    "a body that ends early": (
        lambda s: raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"), P, None,
    ),
    "a stream that ends early": (lambda s: raw(events()), P, None),
    "an event that is never ended": (
        lambda s: raw(events({"jsonrpc": "2.0", "id": s.id, "result": RESULT})[:-1]), P, None,
    ),
    "a closed connection": (lambda s: raw(b""), U, None),
    "no HTTP": (lambda s: raw(b"SSH-2.0-hello\r\n\r\n"), P, None),
    "no JSON": (lambda s: http(200, b"<html>"), P, None),
    "HTML": (lambda s: http(200, b"<html>", kind="text/html"), P, None),
    "duplicate names": (
        lambda s: http(200, b'{"jsonrpc":"2.0","id":%d,"result":{},"result":{}}' % s.id), P, None,
    ),
    "a batch": (lambda s: http(200, [{"jsonrpc": "2.0", "id": s.id, "result": {}}]), P, None),
    "an accepted notification": (lambda s: http(202), P, None),
    "compressed bytes": (lambda s: http(200, b"\x1f\x8b", extra="content-encoding: gzip\r\n"), P, None),
    "JSON that is called compressed": (
        lambda s: ok(s, RESULT, extra="content-encoding: br\r\n"), P, None,
    ),
    "401": (lambda s: http(401, extra='www-authenticate: Bearer realm="inner"\r\n'), A, False),
    "401 with our id": (lambda s: rpc_error(s, 401, -31001), A, False),
    "403": (lambda s: http(403), A, False),
    "500": (lambda s: http(500, b"Traceback: secret"), P, None),
    "a header beyond all bounds": (
        lambda s: http(200, {}, extra="x: " + "y" * 70_000 + "\r\n"), P, None,
    ),
    "a question": (
        lambda s: ok(s, {"resultType": "input_required", "requestState": "x"}), P, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_upstream_that_misbehaves_fails_the_call_and_nothing_else(fake, upstream, name):
    await upstream.start()
    await call(upstream, "warm up")
    answer, expected, executed = ANSWERS[name]
    fake.script = lambda s: answer(s) if s.params.get("name") == "bad" else None
    with pytest.raises(UpstreamError) as caught:
        await call(upstream, "bad")
    assert (caught.value.failure, caught.value.executed) == (expected, executed)
    assert not {"secret", "inner"} & set(caught.value.message.split())
    assert [s.params["name"] for s in fake.calls()].count("bad") == 1, "never sent twice"
    assert await call(upstream, "after")


async def test_an_error_of_the_upstream_is_told_with_its_number(fake, upstream):
    for status, number, executed in [(200, -32602, False), (400, -32602, False), (200, 7, None)]:
        fake.script = lambda s, a=(status, number): (
            rpc_error(s, *a) if s.method == "tools/call" else None
        )
        with pytest.raises(UpstreamError) as caught:
            await call(upstream)
        error = caught.value
        assert (error.failure, error.number, error.message, error.data) == (
            UpstreamFailure.RPC, number, "told", 1,
        )  # fmt: skip
        assert error.executed is executed


async def test_an_upstream_that_quotes_our_credential_is_not_quoted(fake, client):
    def script(seen):
        error = {"code": 7, "message": f"bad {seen.headers['authorization']}", "data": seen.headers}
        told = http(200, {"jsonrpc": "2.0", "id": seen.id, "error": error})
        return told if seen.method == "tools/call" else None

    fake.script = script
    headers = {"Authorization": "Bearer abcdefghij"}
    upstream = HttpUpstream(client, fake.url, IDENTITY, headers=headers)
    with pytest.raises(UpstreamError) as caught:
        await call(upstream)
    assert (caught.value.message, caught.value.data) == ("bad Bearer [redacted]", None)
    assert caught.value.number == 7
    await upstream.close()


async def test_nobody_listening_is_unreachable_and_was_not_executed(client):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/mcp"
        upstream = HttpUpstream(client, url, IDENTITY)
        assert await failure(upstream) == (UpstreamFailure.UNREACHABLE, False)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_a_stream_that_comes_byte_by_byte_is_read(fake, upstream, line_end):
    async def drip(_reader, writer):
        seen = fake.calls()[-1]
        whole = events(
            {"jsonrpc": "2.0", "id": seen.id, "result": {"content": ["é"]}}, line_end=line_end
        )
        for byte in whole:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    fake.script = lambda s: drip if s.method == "tools/call" else None
    assert await call(upstream) == {"content": ["é"]}


async def test_a_stream_that_ends_soon_after_its_answer_leaves_the_connection_usable(
    fake, upstream
):
    peers = []

    async def stream(reader, writer):
        peers.append(writer.get_extra_info("peername"))
        event = events({"jsonrpc": "2.0", "id": fake.calls()[-1].id, "result": {"content": []}})
        head, body = event.split(b"\r\n\r\n")
        writer.write(head + b"\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%s\r\n" % (len(body), body))
        await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
        await fake.serve(reader, writer)

    fake.script = lambda s: stream if s.method == "tools/call" else None
    for _ in range(2):
        assert await call(upstream) == {"content": []}
        await asyncio.sleep(0.1)
    assert peers[0] == peers[1]


async def test_a_caller_that_takes_no_notifications_cannot_hold_a_call_beyond_its_time(
    fake, client
):
    async def stream(reader, writer):
        writer.write(events({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}))
        await reader.read()

    fake.script = lambda s: stream if s.method == "tools/call" else None
    upstream = HttpUpstream(client, fake.url, IDENTITY, call_seconds_max=0.2)

    async def never(_tree):
        await asyncio.sleep(30)

    assert await failure(upstream, on_notification=never) == (T, None)
    await upstream.close()


async def test_a_legacy_upstream_that_asks_us_is_told_that_we_serve_nothing_but_ping(
    fake, upstream
):
    async def ask(_reader, writer):
        seen = fake.calls()[-1]
        writer.write(
            events(
                {"jsonrpc": "2.0", "id": "a", "method": "ping"},
                {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}},
                {"jsonrpc": "2.0", "id": seen.id, "result": {"content": []}},
            )
        )
        await writer.drain()

    fake.script = lambda s: ask if s.method == "tools/call" else None
    assert await call(upstream) == {"content": []}
    answers = {s.id: s.tree for s in fake.seen if s.method is None and s.verb == "POST"}
    assert answers["a"]["result"] == {}
    assert answers[1]["error"]["code"] == -32601


async def test_a_modern_upstream_that_asks_us_breaks_the_protocol(fake, upstream):
    fake.era = "modern"
    asks = raw(events({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}}))
    fake.script = lambda s: asks if s.method == "tools/call" else None
    assert await failure(upstream) == (UpstreamFailure.PROTOCOL, None)


async def test_giving_up_tells_a_legacy_upstream_and_closes_the_stream_of_a_modern_one(
    fake, upstream
):
    async def until_closed(reader, _writer):
        fake.reached.set()
        await reader.read()
        fake.closed.set()

    fake.script = lambda s: until_closed if s.method == "tools/call" else None
    for era in ("legacy", "modern"):
        fake.era = era
        await upstream.close()
        fake.closed.clear()
        fake.reached.clear()
        task = asyncio.create_task(call(upstream))
        await fake.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(fake.closed.wait(), 1)
        await asyncio.sleep(0.05)
    assert [s.params["requestId"] for s in fake.calls("notifications/cancelled")] == [
        fake.calls()[0].id
    ]


async def test_one_caller_that_gives_up_does_not_take_the_handshake_from_another(fake, upstream):
    async def slowly(seen):
        await asyncio.sleep(0.1)
        return fake.default(seen)

    await upstream.start()
    fake.script = lambda s: slowly(s) if s.method == "initialize" else None
    first = asyncio.create_task(call(upstream))
    second = asyncio.create_task(call(upstream))
    await asyncio.sleep(0.03)
    first.cancel()
    assert await second
    assert len(fake.calls("initialize")) == 2


# --- lists ----------------------------------------------------------------------------------


async def test_every_page_of_a_list_is_read_in_order(fake, upstream):
    pages = {None: (["a", "b"], ""), "": (["c"], "third"), "third": (["d"], None)}

    def script(seen):
        if seen.method != "tools/list":
            return None
        names, cursor = pages[seen.params.get("cursor")]
        following = {} if cursor is None else {"nextCursor": cursor}
        return ok(seen, {"tools": [{"name": n} for n in names], **following})

    fake.script = script
    assert [tool["name"] for tool in await upstream.list_tools()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"tools": [], "nextCursor": "same"}, P),
        ({"tools": [], "nextCursor": 5}, P),
        ({"tools": {}}, P),
        ({}, P),
        ({"tools": [{}] * 3_000}, L),
    ],
)
async def test_a_list_that_never_ends_or_is_none_is_refused(fake, upstream, result, expected):
    fake.script = lambda s: ok(s, result) if s.method == "tools/list" else None
    with pytest.raises(UpstreamError) as caught:
        await upstream.list_tools()
    assert caught.value.failure is expected


async def test_a_list_of_too_many_pages_is_refused(fake, upstream):
    fake.script = lambda s: (
        ok(s, {"tools": [], "nextCursor": str(len(fake.seen))})
        if s.method == "tools/list"
        else None
    )
    with pytest.raises(UpstreamError) as caught:
        await upstream.list_tools()
    assert caught.value.failure is L


# --- the official server --------------------------------------------------------------------


@pytest.fixture
def official():
    """`MCPServer` of the official SDK, which speaks both eras, on a port of its own."""
    import uvicorn
    from mcp.server.mcpserver import Context, MCPServer

    server = MCPServer("official", instructions="count with me")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def count(to: int, ctx: Context) -> str:
        """Count, telling how far."""
        for step in range(1, to + 1):
            await ctx.report_progress(step, to)
        return f"counted to {to}"

    @server.tool()
    def fail() -> str:
        """Fail."""
        raise ValueError("on purpose")

    config = uvicorn.Config(
        server.streamable_http_app(), port=0, log_level="critical", lifespan="on", ws="none"
    )
    runner = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not runner.started:
        threading.Event().wait(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    runner.should_exit = True
    thread.join(5)


class Legacy(HttpUpstream):
    """The same, for an upstream of both eras that is to be met as a legacy one."""

    async def _discover(self):
        return None


@pytest.mark.parametrize(("kind", "era"), [(HttpUpstream, Era.MODERN), (Legacy, Era.LEGACY)])
async def test_the_official_server_is_listed_and_called_in_both_eras(official, client, kind, era):
    upstream = kind(client, official, IDENTITY)
    facts = await upstream.start()
    assert (facts.era, facts.name, facts.instructions) == (era, "official", "count with me")
    assert [t["name"] for t in await upstream.list_tools()] == ["add", "count", "fail"]
    added = await call(upstream, "add", {"a": 2, "b": 3})
    assert added["content"][0]["text"] == "5"
    assert added["structuredContent"] == {"result": 5}
    failed = await call(upstream, "fail")
    assert failed["isError"] is True
    heard = []

    async def hear(tree):
        heard.append((tree["params"]["progressToken"], tree["params"]["progress"]))

    counted = await call(
        upstream, "count", {"to": 3}, meta={"progressToken": "mine"}, on_notification=hear
    )
    assert counted["content"][0]["text"] == "counted to 3"
    assert heard == [("mine", 1), ("mine", 2), ("mine", 3)]
    results = await asyncio.gather(
        *(call(upstream, "add", {"a": n, "b": n}, key=f"p{n % 3}") for n in range(30))
    )
    assert [r["structuredContent"]["result"] for r in results] == [2 * n for n in range(30)]
    await upstream.close()
