"""Who floods, drips or hoards harms nobody else, and is told so at once."""

from __future__ import annotations

import contextlib
import gzip
import json
import resource
import secrets
import socket
import tempfile
import time
import zlib
from binascii import b2a_base64
from pathlib import Path

from hostile.policies import POLICIES
from support.bad_input import NAMES, World, call, eventually
from support.recorder import Recorder
from support.served import serving

from pbac.app.config import BackendConfig
from pbac.base.limits import CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX, HEADERS_SECONDS_MAX

MIB = 2**20
MEMORY_BYTES_MAX = 32 * MIB
"""How much a flood may make the gateway grow (DOS-06)."""


def resident(world: World) -> int:
    """Bytes of memory the gateway holds (proc(5))."""
    pages = Path(f"/proc/{world.gateway.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


@contextlib.contextmanager
def small(world: World):
    """Memory stays within its bound whatever is done within."""
    before = resident(world)
    yield
    assert resident(world) - before < MEMORY_BYTES_MAX


@contextlib.contextmanager
def held(world: World, count: int, data: bytes = b""):
    """Open connections, each having sent this much."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(world.connect())
            connection.sendall(data)
            connections.append(connection)
        yield connections


def slow_heads(stage):
    """Heads that never end are cut at their deadline; others are served all the while."""
    world = stage.plain
    head = world.request().partition(b"Content-Length")[0]
    with held(world, 300, head[:-20]) as dripping, held(world, 50) as silent:
        begun = time.monotonic()
        while time.monotonic() - begun < HEADERS_SECONDS_MAX - 3:
            for connection in dripping:
                connection.sendall(b"x")
            stage.honest("echo")
            time.sleep(1)
        for connection in (*dripping, *silent):
            connection.settimeout(10)
            yield world.read(connection)


def idle_sockets(stage):
    """Ten thousand sockets that say nothing: the next one that asks is answered."""
    world = stage.plain
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with held(world, min(10_000, soft - 500)):
        for _ in range(20):
            stage.honest("echo")
    yield stage.honest("echo")


def bombs(stage):
    """No coding is unpacked, whatever it would become."""
    world = stage.plain
    packed = gzip.compress(b" " * 50 * MIB)
    many = gzip.compress(b"{}") * 1_000
    bodies = {
        "gzip": (packed, many),
        "deflate": (zlib.compress(b" " * 50 * MIB),),
        "br": (secrets.token_bytes(1_000),),
        "zstd": (b"\x28\xb5\x2f\xfd" + secrets.token_bytes(1_000),),
        "gzip, gzip": (gzip.compress(packed),),
        "identity, gzip": (packed,),
        "x-gzip": (packed,),
    }
    with small(world):
        for coding, variants in bodies.items():
            for body in variants:
                yield world.send(body, more=[("Content-Encoding", coding)])


def costly_tokens(stage):
    """What looks like a signed token is refused by its form: no key is touched."""
    world = stage.plain
    for algorithm, signature_bytes in (("RS256", 512), ("ES512", 132), ("PS512", 2_048)) * 100:
        head = {"alg": algorithm, "typ": "at+jwt", "kid": secrets.token_hex(8)}
        parts = [json.dumps(head), json.dumps({"iss": "x", "exp": 2**31})]
        text = ".".join(map(base64url, [*parts, secrets.token_bytes(signature_bytes)]))
        yield world.send(replace={"Authorization": f"Bearer {text}"})
    stage.honest("echo")


def many_tokens(stage):
    """Well-formed tokens nobody issued, and as many tools: nothing grows with them."""
    world = stage.plain
    with small(world), world.connect() as connection:
        for number in range(3_000):
            token = unknown_token()
            tool = f"shop__tool{number}"
            sent = {"Authorization": f"Bearer {token}", "Mcp-Name": tool}
            if number % 3 == 0:
                sent = {"Mcp-Name": tool}  # of a known caller, but no such tool
            body = call("echo").replace(NAMES["echo"].encode(), tool.encode())
            connection.sendall(world.request(body, replace=sent))
            answer = world.read(connection)
            world.bodies.clear()
            if number % 3:
                yield answer
    stage.honest("echo")


def one_greedy_agent(stage):
    """One agent with hundreds of calls running: others are served, its own next is told 429."""
    world = stage.plain
    _, _, token = world.agent("greedy")
    before = len(stage.upstream.calls("slow"))
    stage.upstream.release.clear()
    slow = request_of(world, "slow", token)
    with held(world, CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX, slow) as running:
        arrived = before + CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX
        eventually(
            lambda: len(stage.upstream.calls("slow")) >= arrived, "the calls did not arrive", 20
        )
        for _ in range(40):
            answer = stage.call("slow", token=token)
            assert answer.headers["retry-after"] == "1"
            yield answer
        stage.honest("echo")
        stage.upstream.release.set()
        for connection in running:
            assert b"slow ran" in world.read(connection).body
    stage.honest_calls += CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX


def hanging_upstreams(stage):
    """A hundred servers that accept and say nothing: the gateway starts and serves the others."""
    good = Recorder(tools={"echo": {"type": "object"}}).start()
    with socket.socket() as silent, tempfile.TemporaryDirectory() as folder:
        silent.bind(("127.0.0.1", 0))
        silent.listen(512)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        backends = [BackendConfig(name=f"hanging{n}", url=url) for n in range(100)]
        backends.append(BackendConfig(name="shop", url=good.url))
        with serving(Path(folder)) as serve:
            gateway = serve(backends=backends, policy=POLICIES)
            world = World(gateway, good, good, token="")
            *_, world.token = world.agent("patient")
            assert world.call("echo").status == 200
            assert good.calls("echo")
    good.stop()
    yield stage.honest("echo")


def overload(stage):
    """More calls than one server may have: the rest is refused at once, other things go on."""
    world = stage.plain
    agents = [world.agent(f"crowd {number}") for number in range(20)]
    before = len(stage.upstream.calls("slow"))
    stage.upstream.release.clear()
    with contextlib.ExitStack() as stack:
        running = []
        for _, _, token in agents:
            slow = request_of(world, "slow", token)
            running += stack.enter_context(held(world, CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX, slow))
        refused = [connection for connection in running if is_answered(connection)]
        assert refused, "every call was taken"
        for connection in refused:
            yield world.read(connection)
        # Another server is not affected, nor is taking back a token.
        assert stage.call("fetch").status == 200
        client_id, secret, token = agents[0]
        body = f"token={token}&client_id={client_id}&client_secret={secret}".encode()
        form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
        assert world.send(body, line="POST /revoke HTTP/1.1", replace=form).status == 200
        assert stage.call("echo", token=token).status == 401
        stage.upstream.release.set()
        answers = [world.read(each) for each in running if each not in refused]
    ran = sum(b"slow ran" in answer.body for answer in answers)
    assert {answer.status for answer in answers} <= {200, 503}
    assert ran == len(stage.upstream.calls("slow")) - before
    stage.honest_calls += ran


def parts_and_cookies(stage):
    """Nothing reads multipart bodies or cookies."""
    world = stage.plain
    part = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n"
    media = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (part * 100_000, b"--x" * 10_000, part):
        yield world.send(body[: 4 * MIB - 1], replace=media)
    for cookie in (";=" * 2_000, "a=b;" * 1_500, "a=" + "x" * 7_000, "\x7f" * 100):
        answer = world.send(more=[("Cookie", cookie)])
        assert answer.status in (200, 400), answer.body
        stage.honest_calls += answer.status == 200


# --- what the attacks are made of -------------------------------------------------------------


def base64url(value) -> str:
    data = value if isinstance(value, bytes) else value.encode()
    text = b2a_base64(data, newline=False).translate(bytes.maketrans(b"+/", b"-_"))
    return text.rstrip(b"=").decode()


def unknown_token() -> str:
    """A token with a sound checksum that was never issued."""
    body = "pbac_at_" + base64url(secrets.token_bytes(32))
    return body + base64url(zlib.crc32(body.encode()).to_bytes(4, "big"))


def request_of(world: World, tool: str, token: str) -> bytes:
    return world.request(
        call(tool), replace={"Authorization": f"Bearer {token}", "Mcp-Name": NAMES[tool]}
    )


def is_answered(connection: socket.socket) -> bool:
    """Whether an answer is there already."""
    connection.settimeout(0.002)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(20)


ATTACKS = {
    "DOS-01": slow_heads,
    "DOS-03": idle_sockets,
    "DOS-06": bombs,
    "DOS-08": costly_tokens,
    "DOS-09": many_tokens,
    "DOS-11": one_greedy_agent,
    "DOS-14": hanging_upstreams,
    "DOS-17": overload,
    "DOS-18": parts_and_cookies,
}
