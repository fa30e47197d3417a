"""Our HTTP client on real sockets and both event loops: lending, closing, what is sent, TLS."""

import asyncio
import datetime
import inspect
import ipaddress
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pbac.adapters import http_pool
from pbac.adapters.http_connection import HttpConnection
from pbac.adapters.http_exchange import Endpoint
from pbac.adapters.http_pool import HttpPool
from pbac.base.limits import UPSTREAM_READ_AHEAD_BYTES_MAX
from pbac.catalog.backends import BackendError
from pbac.gateway.upstream import UpstreamError, UpstreamFailure

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
P, U, T = UpstreamFailure.PROTOCOL, UpstreamFailure.UNREACHABLE, UpstreamFailure.TIMEOUT


async def body_of(exchange):
    whole = b""
    while chunk := await exchange.read():
        whole += chunk
    return whole


# --- lending, on real sockets -----------------------------------------------------------------


class Server:
    """Serves every connection with `script(reader, writer)`, or with one answer a request."""

    def __init__(self):
        self.script = self.answer
        self.connections, self.requests, self.open = 0, [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def request(self, reader):
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))

    async def answer(self, reader, writer):
        while True:
            await self.request(reader)
            writer.write(ANSWER)


@asynccontextmanager
async def stand():
    """A server, a pool of two connections and the server's origin in it."""
    server, pool = Server(), HttpPool(connections_max=2)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    origin = pool.origin("http", "127.0.0.1", server.port)
    yield {"server": server, "pool": pool, "origin": origin}
    await pool.close()
    listening.close()


def loops():
    yield asyncio.new_event_loop
    with suppress(ImportError):  # there is none for Windows
        import uvloop

        yield uvloop.new_event_loop


def on_both_loops(test):
    """Run a test on either loop, with those things of `stand` that it names."""
    wanted = inspect.signature(test).parameters.values()
    things = {"server", "pool", "origin"}

    def run(new_loop, **given):
        async def with_stand():
            async with stand() as made:
                own = {each.name: made[each.name] for each in wanted if each.name in things}
                await test(**own, **given)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(asyncio.wait_for(with_stand(), 20))

    new_loop = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature(
        [new_loop, *(each for each in wanted if each.name not in things)]
    )
    run.pytestmark = [
        *getattr(test, "pytestmark", []),
        pytest.mark.parametrize("new_loop", list(loops())).mark,
    ]
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def ask(origin, seconds=5.0):
    exchange = await origin.exchange(REQUEST, seconds)
    try:
        return exchange.status, await body_of(exchange)
    finally:
        exchange.release()


async def failed(awaited):
    with pytest.raises(UpstreamError) as caught:
        await awaited
    return caught.value.failure, caught.value.executed


async def until(true):
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


@on_both_loops
async def test_calls_in_turn_share_one_connection_until_the_pool_is_closed(server, pool, origin):
    for _ in range(5):
        assert await ask(origin) == (200, b"abc")
    assert (server.connections, len(server.requests), server.open) == (1, 5, 1)
    await pool.close()
    await until(lambda: not server.open)


@on_both_loops
async def test_never_more_connections_than_allowed_and_everybody_is_served(server, origin):
    most = 0

    async def slowly(reader, writer):
        nonlocal most
        while True:
            await server.request(reader)
            most = max(most, server.open)
            await asyncio.sleep(0.005)
            writer.write(ANSWER)

    server.script = slowly
    assert await asyncio.gather(*(ask(origin) for _ in range(20))) == [(200, b"abc")] * 20
    assert most == server.connections == 2


@on_both_loops
async def test_who_waited_longest_is_next_and_nobody_overtakes(server):
    pool = HttpPool(connections_max=1)
    origin = pool.origin("http", "127.0.0.1", server.port)
    done = []

    async def twice(number):
        for turn in range(2):
            await ask(origin)
            done.append((turn, number))

    await asyncio.gather(*map(twice, range(10)))
    assert done == sorted(done)
    assert server.connections == 1
    await pool.close()


@on_both_loops
async def test_a_connection_that_is_closed_when_idle_is_never_used(server, origin):
    async def once(reader, writer):
        await server.request(reader)
        writer.write(ANSWER)

    server.script = once
    for number in range(5):
        assert await ask(origin) == (200, b"abc")
        assert server.connections == len(server.requests) == number + 1
        await until(lambda: not origin._idle)
    assert not origin._open
    assert origin._slots == 0


@on_both_loops
async def test_a_peer_that_says_something_between_two_answers_loses_its_connection(server, origin):
    async def chatty(reader, writer):
        await server.request(reader)
        writer.write(ANSWER)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(ANSWER.replace(b"abc", b"bad"))
        await reader.read()

    server.script = chatty
    await ask(origin)
    await until(lambda: not server.open)
    assert await ask(origin) == (200, b"abc")
    assert server.connections == 2


@on_both_loops
async def test_an_idle_connection_is_dropped_in_time(server, origin, monkeypatch):
    monkeypatch.setattr(http_pool, "UPSTREAM_KEEPALIVE_SECONDS_MAX", 0.05)
    await asyncio.gather(ask(origin), ask(origin))
    assert server.open == 2
    await asyncio.sleep(0.03)
    await ask(origin)
    await until(lambda: server.open == 1)
    await until(lambda: server.open == 0)
    assert origin._slots == 0
    assert await ask(origin) == (200, b"abc")


@on_both_loops
async def test_an_idle_connection_is_too_old_even_if_nobody_swept(server, origin, monkeypatch):
    await ask(origin)
    monkeypatch.setattr(http_pool, "UPSTREAM_KEEPALIVE_SECONDS_MAX", 0.0)
    await ask(origin)
    assert server.connections == 2


@on_both_loops
async def test_a_request_that_was_sent_is_not_sent_again(server, origin):
    async def second_is_lost(reader, writer):
        await server.request(reader)
        writer.write(ANSWER)
        await server.request(reader)

    server.script = second_is_lost
    await ask(origin)
    assert await failed(ask(origin)) == (U, None)
    assert (server.connections, len(server.requests)) == (1, 2)


@on_both_loops
async def test_the_queue_is_bounded_in_time_and_nothing_was_sent(server, origin, monkeypatch):
    async def hang(reader, writer):
        await server.request(reader)
        await reader.read()

    server.script = hang
    monkeypatch.setattr(http_pool, "UPSTREAM_CONNECT_SECONDS_MAX", 0.05)
    hung = [asyncio.create_task(ask(origin)) for _ in range(2)]
    await until(lambda: len(server.requests) == 2)
    assert await failed(ask(origin)) == (U, False)
    assert not origin._queue
    for task in hung:
        task.cancel()
    await asyncio.gather(*hung, return_exceptions=True)
    server.script = server.answer
    assert await ask(origin) == (200, b"abc")


@pytest.mark.parametrize("kept", [True, False])
@on_both_loops
async def test_who_gives_up_in_the_queue_passes_on_what_it_was_given(
    server, origin, monkeypatch, kept
):
    answer = ANSWER if kept else ANSWER.replace(b"Content", b"Connection: close\r\nContent")
    gate = asyncio.Event()

    async def gated(reader, writer):
        while True:
            await server.request(reader)
            await gate.wait()
            writer.write(answer)

    server.script = gated
    callers = [asyncio.create_task(ask(origin)) for _ in range(6)]
    await until(lambda: len(server.requests) == 2 and len(origin._queue) == 4)
    callers[2].cancel()
    last, offer = origin._queue[1], origin._offer

    def offering(offered):
        taken = offer(offered)
        if last.done():
            callers[3].cancel()  # it has been given something and does not know yet
        return taken

    monkeypatch.setattr(origin, "_offer", offering)
    gate.set()
    results = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)
    assert [type(result).__name__ for result in results] == [
        "tuple", "tuple", "CancelledError", "CancelledError", "tuple", "tuple",
    ]  # fmt: skip
    await until(lambda: len(origin._open) == origin._slots == len(origin._idle))
    assert bool(origin._idle) is kept
    assert not origin._queue
    assert server.connections == (2 if kept else 4)


@on_both_loops
async def test_a_slot_that_becomes_free_without_a_connection_goes_to_the_queue(server, origin):
    async def once(reader, writer):
        await server.request(reader)
        await asyncio.sleep(0.01)
        writer.write(ANSWER.replace(b"Content", b"Connection: close\r\nContent"))
        await reader.read()

    server.script = once
    assert await asyncio.gather(*(ask(origin) for _ in range(7))) == [(200, b"abc")] * 7
    assert server.connections == 7
    assert origin._slots == 0


@on_both_loops
async def test_nobody_there_takes_no_slot(pool, server, monkeypatch):
    gone = pool.origin("http", "127.0.0.1", 9)
    for _ in range(5):
        assert await failed(ask(gone)) == (U, False)
    assert gone._slots == 0
    assert await failed(ask(pool.origin("http", "no.such.host.invalid", 80))) == (U, False)


@on_both_loops
async def test_the_next_address_is_tried_when_one_refuses_or_is_silent(server, origin, monkeypatch):
    loop = asyncio.get_running_loop()
    family, kind = 2, 1
    connect = loop.create_connection
    for first in ("127.0.0.9", "192.0.2.1"):
        places = [(family, kind, 6, "", (host, server.port)) for host in (first, "127.0.0.1")]

        class Patched:
            """The loop with other addresses, one of which never answers."""

            def __getattr__(self, name):
                return getattr(loop, name)

            async def getaddrinfo(self, *_, places=places, **__):
                return places

            async def create_connection(self, made, host, port, **how):
                if host == "192.0.2.1":
                    await asyncio.sleep(60)
                return await connect(made, host, port, **how)

        monkeypatch.setattr(http_pool, "UPSTREAM_CONNECT_SECONDS_MAX", 0.5)
        monkeypatch.setattr(origin, "_loop", Patched())
        assert await ask(origin) == (200, b"abc")
        monkeypatch.setattr(origin, "_loop", loop)
        for connection in tuple(origin._open):
            connection.abort()


@on_both_loops
async def test_the_time_of_one_exchange_is_not_that_of_the_next(server, origin):
    async def slower(reader, writer):
        while True:
            await server.request(reader)
            await asyncio.sleep(0.1 * (len(server.requests) - 1))
            writer.write(ANSWER)

    server.script = slower
    assert await ask(origin, 0.05) == (200, b"abc")
    assert await ask(origin) == (200, b"abc")
    assert server.connections == 1


@on_both_loops
async def test_time_runs_out_before_the_head_and_within_the_body(server, origin):
    async def half(reader, writer):
        await server.request(reader)
        if len(server.requests) > 1:
            writer.write(ANSWER[:-1])
        await reader.read()

    server.script = half
    assert await failed(ask(origin, 0.05)) == (T, None)
    assert await failed(ask(origin, 0.05)) == (T, None)
    await until(lambda: not server.open)
    assert origin._slots == 0


@on_both_loops
async def test_a_reader_that_is_cancelled_closes_the_connection(server, origin):
    async def stream(reader, writer):
        await server.request(reader)
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await reader.read()

    server.script = stream
    exchange = await origin.exchange(REQUEST, 5)
    assert await exchange.read() == b"abc"
    task = asyncio.create_task(body_of(exchange))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    exchange.release()
    await until(lambda: not server.open)
    waiting = asyncio.create_task(ask(origin))
    server.script = lambda reader, _: reader.read()
    await until(lambda: server.open)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not server.open)
    assert origin._slots == 0


@on_both_loops
async def test_pieces_of_a_body_arrive_when_they_are_sent(server, origin):
    told = asyncio.Event()

    async def stream(reader, writer):
        await server.request(reader)
        writer.write(CHUNKED)
        for piece in (b"one", b"two"):
            writer.write(b"3\r\n%s\r\n" % piece)
            await told.wait()
            told.clear()
        writer.write(b"0\r\n\r\n")
        await reader.read()

    server.script = stream
    exchange = await origin.exchange(REQUEST, 5)
    for expected in (b"one", b"two"):
        assert await exchange.read() == expected
        told.set()
    assert await exchange.read() == b""
    exchange.release()
    assert origin._idle


@on_both_loops
async def test_an_upstream_faster_than_its_reader_has_to_wait(server, origin):
    sent = 0
    size = 32 * 1024 * 1024

    async def flood(reader, writer):
        nonlocal sent
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65_536):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536
        await reader.read()

    server.script = flood
    exchange = await origin.exchange(REQUEST, 30)
    await asyncio.sleep(0.3)
    assert exchange._unread_bytes <= 2 * UPSTREAM_READ_AHEAD_BYTES_MAX
    assert sent < size
    received = 0
    while chunk := await exchange.read():
        received += len(chunk)
    assert received == size
    exchange.release()
    assert origin._idle


@on_both_loops
async def test_closing_the_pool_ends_everything_and_nothing_begins_again(server, pool, origin):
    async def stream(reader, writer):
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 X\r\n\r\nabc")
        await reader.read()

    server.script = stream
    exchange = await origin.exchange(REQUEST, 5)
    second = await origin.exchange(REQUEST, 5)
    queued = asyncio.create_task(failed(ask(origin)))
    await until(lambda: origin._queue)
    await pool.close()
    for each in (exchange, second):
        assert await each.read() == b"abc"
        assert await failed(each.read()) == (P, None), "an end of ours is not the end of an answer"
        each.release()
    assert await queued == (U, False)
    assert await failed(ask(origin)) == (U, False)
    await until(lambda: not server.open)
    assert server.connections == 2
    assert origin._slots == 0


# --- what is sent -----------------------------------------------------------------------------


@on_both_loops
async def test_a_request_is_one_write_of_exactly_these_bytes(server, pool, monkeypatch):
    writes = []
    made = HttpConnection.connection_made

    def spied(self, transport):
        made(self, transport)
        write = transport.write

        class Spy:
            def __getattr__(self, name):
                return getattr(transport, name)

            def write(self, data):
                writes.append(data)
                write(data)

        self._transport = Spy()

    monkeypatch.setattr(HttpConnection, "connection_made", spied)
    url = f"http://127.0.0.1:{server.port}/m%20cp/é?a=b c"
    endpoint = Endpoint(pool, url, {"authorization": "Bearer x", "USER-AGENT": "y"}, seconds=5)
    (await endpoint.post({"mcp-session-id": "s"}, {"a": "é"})).finish()
    (await endpoint.delete({"mcp-session-id": "s"})).finish()
    target = f"/m%20cp/%C3%A9?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    post, delete = (
        (
            f"POST {target}Content-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\nAccept-Encoding: identity\r\n"
            "USER-AGENT: y\r\nauthorization: Bearer x\r\nmcp-session-id: s\r\nContent-Length: 10\r\n\r\n"
            '{"a":"é"}'
        ),
        (
            f"DELETE {target}Accept-Encoding: identity\r\nUSER-AGENT: y\r\n"
            "authorization: Bearer x\r\nmcp-session-id: s\r\n\r\n"
        ),
    )
    assert writes == [post.encode(), delete.encode()]


@on_both_loops
@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x01b", "a\x7fb", "€"])
async def test_a_header_that_could_end_its_line_is_never_sent(server, pool, bad):
    url = f"http://127.0.0.1:{server.port}/"
    endpoint = Endpoint(pool, url, {}, seconds=5)
    for headers in ({"x": bad}, {bad: "x"}, {"": "x"}, {"x:y": "x"}):
        assert await failed(endpoint.post(headers, {})) == (P, False)
        with pytest.raises(BackendError):
            Endpoint(pool, url, headers, seconds=5)
    assert not server.connections


@on_both_loops
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example", b"a.example"),
        ("http://a.example:80/x", b"a.example"),
        ("https://A.example:443", b"a.example"),
        ("https://a.example:80", b"a.example:80"),
        ("http://[::1]/", b"[::1]"),
        ("http://[2001:db8::1]:8080/", b"[2001:db8::1]:8080"),
        ("http://bücher.example/", b"xn--bcher-kva.example"),
    ],
)
async def test_the_host_header_is_the_urls(pool, url, host):
    head = Endpoint(pool, url, {}, seconds=5)._heads["POST"]
    assert head.split(b"\r\n")[:2] == [
        b"POST /x HTTP/1.1" if url.endswith("/x") else b"POST / HTTP/1.1",
        b"Host: " + host,
    ]


@on_both_loops
@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "http:///x", "a", "http://a:99999/", "http://a..b/", "http://[/"]
)
async def test_a_url_that_cannot_be_called_is_refused_when_it_is_configured(pool, url):
    with pytest.raises(BackendError):
        Endpoint(pool, url, {}, seconds=5)


@on_both_loops
async def test_ipv6_is_spoken(pool):
    server = Server()
    try:
        listening = await asyncio.start_server(server.serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no ::1")
    url = f"http://[::1]:{listening.sockets[0].getsockname()[1]}/"
    server.script = server.answer
    answer = await Endpoint(pool, url, {}, seconds=5).delete({})
    assert answer.status == 200
    answer.finish()
    listening.close()


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for `localhost`: the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@on_both_loops
async def test_tls_is_verified_by_name_and_the_name_is_told(certificate, monkeypatch):
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificate)
    served.set_alpn_protocols(["h2", "http/1.1"])
    names = []
    served.sni_callback = lambda _socket, name, _context: names.append(name)
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=served)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    trusting = HttpPool()
    origin = trusting.origin("https", "localhost", port)
    for _ in range(3):
        assert await ask(origin) == (200, b"abc")
    (connection,) = origin._open
    spoken = connection._transport.get_extra_info("ssl_object").selected_alpn_protocol()
    assert (server.connections, names, spoken) == (1, ["localhost"], "http/1.1")
    assert await failed(ask(trusting.origin("https", "127.0.0.1", port))) == (U, False), (
        "no such name"
    )
    await trusting.close()
    monkeypatch.delenv("SSL_CERT_FILE")
    doubting = HttpPool()
    assert await failed(ask(doubting.origin("https", "localhost", port))) == (U, False)
    await doubting.close()
    assert len(server.requests) == 3
    listening.close()
