"""Where one message ends and the next begins, byte for byte: nobody is left to guess."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import time

from hostile.areas.speaking import counted, passes, sound
from support.bad_input import Answer, call

SMUGGLED = {"text": "smuggled"}
CHUNKS = {"Content-Length": None}
STATUS = re.compile(rb"HTTP/\d\.\d \d{3} ")
SECONDS = 5.0


def exchange(world, *sent):
    """Everything the gateway says to these bytes until it closes; what is late is a defect."""
    heard = b""
    with world.connect() as connection:
        connection.settimeout(SECONDS)
        with contextlib.suppress(OSError):  # refused before everything was sent
            connection.sendall(b"".join(sent))
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65_536):
                heard += more
    return heard


class Heard(io.BytesIO):
    """Bytes that came over a connection, for the reader of responses."""

    def makefile(self, _mode):
        return self


def answer_in(world, heard):
    """The answer in these bytes; None when the connection was closed without one."""
    if not heard:
        return None
    # The server repeats the version that it was told; only 1.x can be read as a response.
    response = http.client.HTTPResponse(Heard(re.sub(rb"^HTTP/\d\.\d", b"HTTP/1.0", heard)))
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    answer = Answer(response.status, headers, response.read())
    world.bodies.append(answer.body)
    return answer


def smuggles(stage, first):
    """Bytes that one reader may take for two requests: refused, closed, nothing read behind."""
    world, before = stage.plain, len(stage.upstream.raw)
    heard = exchange(world, first, world.request(call("echo", SMUGGLED)))
    assert len(STATUS.findall(heard)) <= 1, heard
    assert not smuggled(stage, before), first
    answer = answer_in(world, heard)
    if answer is not None:
        assert world.token.encode() not in heard
        yield answer


def smuggled(stage, before):
    """Whether the hidden request came through, among what the upstream heard since then."""
    return any(b"smuggled" in raw for raw in stage.upstream.raw[before:])


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def codings(world):
    """A length and a coding, or a coding that is none."""
    body = sound().encode()
    for coding in (
        "xchunked", "identity, chunked", "gzip, chunked", "chunked, identity", "chunked, chunked",
        "chunked;q=1", "\x0bchunked", "\x0cchunked", '"chunked"', "chunked,", ",chunked", "",
        "identity", "gzip", "deflate", "chun ked", "chunkedx", "chunked\x00", "\xa0chunked",
        "\r\n chunked", "compress, chunked", "trailers", "chunked\t ,",
    ):  # fmt: skip
        more = [("Transfer-Encoding", coding)]
        yield world.request(b"", replace=CHUNKS, more=more) + chunked(body)
        yield world.request(body, more=more)
    for coding in ("chunked", "Chunked", "identity"):
        yield world.request(
            b"", replace={"Content-Length": "6"}, more=[("Transfer-Encoding", coding)]
        ) + chunked(body)
        yield world.request(body, more=[("transfer-encoding", coding), ("Content-Length", "4")])
        for other in ("identity", "chunked", "gzip"):
            more = [("Transfer-Encoding", coding), ("Transfer-Encoding", other)]
            yield world.request(b"", replace=CHUNKS, more=more) + chunked(body)
    for name in (
        "Transfer-Encoding ",
        " Transfer-Encoding",
        "Transfer-Encoding\t",
        "Transfer\x00-Encoding",
    ):
        yield world.request(b"", replace=CHUNKS, more=[(name, "chunked")]) + chunked(body)


def lengths(world):
    """A length that two readers could count differently."""
    body = sound().encode()
    n = len(body)
    for length in (
        f"+{n}", f"-{n}", hex(n), f"{n},{n}", f"{n}, {n}", f"1_{n}", f"{n}.0", f"{n}e0", "9" * 40,
        "", "\xb2\xb3", f"{n} {n}", f"{n};", str(2**64 + n), f"0o{n}", f"\x0b{n}", "-0",
        f"{n}\x00", "NaN", f"'{n}'",
    ):  # fmt: skip
        yield world.request(body, replace={"Content-Length": length})
    for other in (n, n + 7, n - 7, 0, 5):
        yield world.request(body, more=[("Content-Length", str(other))])
        yield world.request(body, more=[("content-length", str(other))])
    yield world.request(body, replace={"Content-Length": None}, more=[("Content-Length ", str(n))])


def chunks(world):
    """Chunks whose size, extension or end is not as RFC 9112 7.1 has it."""
    body = sound().encode()
    n = len(body)
    head = world.request(b"", replace=CHUNKS, more=[("Transfer-Encoding", "chunked")])
    for size in (
        b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"%x\t", b"1%016x", b"%x;a\n", b"%x;\nxx", b"%x\n",
        b"g%x", b"%x_", b"%x;a=\x00", b"%x;\r", b"\r\n%x", b"%x,", b"0%x\r",
    ):  # fmt: skip
        yield head + size % n + b"\r\n" + body + b"\r\n0\r\n\r\n"
    yield head + b"%x\n%s\n0\n\n" % (n, body)
    yield head + b"2\r\n" + body + b"\r\n0\r\n\r\n"
    yield head + b"%x\r\n%s0\r\n\r\n" % (n, body)
    yield head + b"%x\r\n%sXX0\r\n\r\n" % (n, body)
    for trailer in (
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"X : a",
        b"X: a\n b",
        b"X: a\r\n b",
    ):
        yield head + b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (n, body, trailer)


def lines(world):
    """Lines that end early, late or nowhere, and what is no line at all."""
    body = sound().encode()
    plain = world.request(body)
    yield plain.replace(b"\r\n", b"\n")
    yield plain.replace(b"\r\n", b"\r")
    yield plain.replace(b"Accept:", b"X: y\nAccept:")
    yield plain.replace(b"Accept:", b"X: y\rAccept:")
    yield plain.replace(b"Accept:", b"X: y\r\r\nAccept:")
    yield plain.replace(b"Accept:", b"Foo\r\nAccept:")
    yield plain.replace(b"\r\nHost", b"\r\n Host")
    yield plain.replace(b"\r\nHost", b"\r\n\tHost")
    yield plain.replace(b"Authorization:", b"Authorization :")
    for name, value in (
        ("X", "a\r\n b"), ("X", "a\r\n\tb"), ("X", "a\x00b"), ("X", "a\x0bb"), ("X", "a\x7fb"),
        ("X\x00", "a"), ("X ", "a"), ("", "a"), ("X Y", "a"), ("X(", "a"), ("X\xff", "a"),
        ('"X"', "a"),
    ):  # fmt: skip
        yield world.request(body, more=[(name, value)])
    for line in (
        "POST /mcp x HTTP/1.1", "POST\t/mcp\tHTTP/1.1", "POST /mcp HTTP/1.10", "POST /mcp http/1.1",
        "POST /mcp HTTP/1.2", "POST /mcp HTTP/2.0", "POST /mcp HTTP/3.0", "POST /mcp HTTP/+1.1",
        "POST /mcp HTTP/1.1 ", "POST /mcp HTTP/1,1", "POST /mcp XTTP/1.1", "POST", "POST ",
        "\x16\x03\x01",
        "PRI * HTTP/2.0", "POST /m\x00cp HTTP/1.1", "POST /mcp\x0bHTTP/1.1", "post /mcp HTTP/1.1",
        "P\xd6ST /mcp HTTP/1.1", " POST /mcp HTTP/1.1",
    ):  # fmt: skip
        yield world.request(body, line=line)


def smuggling(stage):
    """Two readers, one connection: what only one of them takes for a request is never answered."""
    world = stage.plain
    for kind in (codings, lengths, chunks, lines):
        for request in kind(world):
            yield from smuggles(stage, request)
    # In two packets: the head is sound, and what follows it is not.
    head = world.request(b"", replace=CHUNKS, more=[("Transfer-Encoding", "chunked")])
    for chunk in (b"0x10\r\n", b"zz\r\n", b"-1\r\n", b"2\r\nabc\r\n", b"f" * 20 + b"\r\n"):
        before = len(stage.upstream.raw)
        with world.connect() as connection:
            connection.sendall(head)
            time.sleep(0.02)
            connection.sendall(chunk + world.request(call("echo", SMUGGLED)))
            time.sleep(0.02)
        assert not smuggled(stage, before), chunk
    sound_framing(stage)


def sound_framing(stage):
    """What RFC 9112 lets a sender do, passes: so it was the framing that was refused above."""
    world, body = stage.plain, sound().encode()
    n = len(body)
    chunks_in = world.request(b"", replace=CHUNKS, more=[("Transfer-Encoding", "Chunked")])
    for request in (
        world.request(body),
        world.request(body, replace={"Content-Length": f"00{n}"}),
        chunks_in + chunked(body),
        chunks_in + b"%x;a=b\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n" % (n, body),
        chunks_in + b"%s0\r\n\r\n" % b"".join(b"1\r\n%c\r\n" % byte for byte in body),
        b"\r\n" + world.request(body),
    ):
        closing = request.replace(b"Accept:", b"Connection: close\r\nAccept:")
        answer = answer_in(world, exchange(world, closing))
        assert answer.status == 200, (request, answer.body)
        stage.honest_calls += 1
    # Two requests on one connection are two, in their order.
    passes(stage, body)
    last = {"Mcp-Name": "shop__pay", "Connection": "close"}
    both = world.request(call("echo")) + world.request(call("pay", {"amount": 500}), replace=last)
    heard = exchange(world, both)
    assert len(STATUS.findall(heard)) == 2, heard
    assert 0 < heard.index(b"echo ran") < heard.index(b"need a person")
    stage.honest_calls += 1


def versions_of_http(stage):
    """HTTP/1.0 and 0.9 have no Host to check and other rules for a body."""
    world = stage.plain
    host = world.gateway.origin.removeprefix("http://")
    for line in (
        "POST /mcp HTTP/1.0",
        "POST /mcp",
        "POST /mcp HTTP/0.9",
        "POST /mcp HTTP/1.0\r\nX: y",
    ):
        for named in (None, host):
            for keep in ("close", "keep-alive"):
                replace = {"Host": named, "Connection": keep}
                yield from smuggles(stage, world.request(line=line, replace=replace))
    for request in (
        b"GET /mcp\r\n\r\n",
        b"POST /mcp\r\n\r\n",
        world.request(replace={"Host": None}),
    ):
        yield from smuggles(stage, request)


def upgrades(stage):
    """The connection stays what it is, and no header is dropped because another one names it."""
    world = stage.plain
    for upgrade in ("h2c", "websocket", "TLS/1.0", "HTTP/2.0", "h2c, websocket", "", "x"):
        for connection in ("Upgrade", "Upgrade, Authorization", "upgrade, HTTP2-Settings", "close"):
            more = [("Upgrade", upgrade), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")]
            replace = {"Connection": connection}
            yield from smuggles(stage, world.request(replace=replace, more=more))
            keys = [
                ("Upgrade", upgrade),
                ("Sec-WebSocket-Key", "x" * 24),
                ("Sec-WebSocket-Version", "13"),
            ]
            request = world.request(b"", line="GET /mcp HTTP/1.1", replace=replace, more=keys)
            yield from smuggles(stage, request)
    # Hop-by-hop names do not take the credential, or what it is bound to, from the request.
    for named in (
        "Authorization",
        "Host",
        "Mcp-Name, Mcp-Method",
        "Content-Type",
        "Origin, Accept",
    ):
        answer = world.send(replace={"Connection": f"close, {named}"})
        assert answer.status == 200, answer.body
        stage.honest_calls += 1
        evil = {"Connection": f"close, {named}", "Origin": "https://evil.example"}
        assert world.send(replace=evil).status == 403
        nobody = {"Connection": f"close, {named}", "Authorization": None}
        assert world.send(replace=nobody).status == 401


def expectations(stage):
    """Nobody is invited to send a body before the token was looked at."""
    world = stage.plain
    for expected in ("100-continue", "100-Continue"):
        for authorization in (None, "Bearer pbac_at_" + "A" * 43, "Bearer x", "Basic YTpi"):
            replace = {"Expect": expected, "Content-Length": str(10**10)}
            head = world.request(b"", replace=replace | {"Authorization": authorization})
            yield first_answer(world, head)
    good = {"Expect": "100-continue"}
    head = world.request(b"", replace=good | {"Content-Length": str(10**10)})
    assert first_answer(world, head).status == 413
    head = world.request(b"", replace=good | {"Content-Length": "9", "Content-Type": "text/plain"})
    assert first_answer(world, head).status == 415
    head = world.request(b"", replace=good | {"Content-Length": "9", "Host": "evil.example"})
    assert first_answer(world, head).status == 403
    for odd in ("magic", "100-continue, magic", "200-ok", "100"):
        assert first_answer(world, world.request(replace={"Expect": odd})).status == 417
    # A token that is good is invited, once, and then answered.
    body = sound().encode()
    request = world.request(body, replace=good)
    with world.connect() as connection:
        connection.sendall(request.removesuffix(body))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        answer = world.read(connection)
    assert (answer.status, b"echo ran" in answer.body) == (200, True)
    stage.honest_calls += 1


def first_answer(world, head):
    """What is said to a head whose body never comes: at once, and no invitation."""
    started = time.monotonic()
    with world.connect() as connection:
        connection.sendall(head)
        heard = connection.recv(65_536)
    assert time.monotonic() - started < 2
    assert not heard.startswith(b"HTTP/1.1 100"), heard
    return answer_in(world, heard)


ATTACKS = {
    "MCP-17": counted(versions_of_http),
    "MCP-32": counted(smuggling),
    "MCP-34": counted(upgrades),
    "MCP-35": counted(expectations),
}
