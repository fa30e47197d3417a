"""From where and to whom: origins, hosts, and what a browser is told."""

from __future__ import annotations

from hostile.areas.mcp_edge import PUBLISHED
from hostile.areas.speaking import counted

EVIL = "https://evil.example"


def origins(stage):
    """Only our own origin, to the letter, on every path."""
    for world in stage.worlds:
        own, port = world.gateway.origin, world.gateway.port
        hostile = [
            EVIL,
            "null",
            "NULL",
            "",
            " ",
            f"{own}.evil.example",
            f"https://127.0.0.1:{port}",
        ]
        hostile += [
            "http://127.0.0.1",
            f"http://127.0.0.1:{port + 1}",
            f"{own}/",
            f"{own}:80",
            f"{own}0",
        ]
        hostile += [
            f"http://x@127.0.0.1:{port}",
            f"{own}@evil.example",
            f"{own}, {EVIL}",
            f"{own} {EVIL}",
        ]
        hostile += [
            f"http://127.1:{port}",
            f"http://2130706433:{port}",
            f"http://[::ffff:127.0.0.1]:{port}",
        ]
        hostile += [
            f"http://0.0.0.0:{port}",
            f"http://localhost.:{port}",
            own.upper(),
            "file://",
            "*",
        ]
        hostile += [
            f"http://evil.example?{own}",
            f"http://evil.example#{own}",
            f"http://sub.localhost:{port}",
        ]
        for sent in hostile:
            yield world.send(replace={"Origin": sent})
        for path in PUBLISHED:
            yield world.send(b"", line=f"GET {path} HTTP/1.1", replace={"Origin": EVIL})
        twice = world.send(replace={"Origin": own}, more=[("Origin", EVIL)])
        assert (twice.status, twice.error) == (400, "duplicate_header")
        for sent in (own, f"http://localhost:{port}", f"http://[::1]:{port}"):
            answer = world.send(replace={"Origin": sent})
            assert answer.status == 200, answer.body
            stage.honest_calls += 1


def hosts(stage):
    """A rebound name reaches no gateway on loopback: Host is checked where Origin is absent."""
    world = stage.plain
    own, port = world.gateway.origin.removeprefix("http://"), world.gateway.port
    hostile = [
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1:{port}0",
        f"{own}.evil.example",
    ]
    hostile += [
        "localhost",
        f"localhost.:{port}",
        f"evil.example:{port}",
        f"127.1:{port}",
        f"0.0.0.0:{port}",
    ]
    hostile += [
        f"x@{own}",
        f"{own}@evil.example",
        f"{own},evil.example",
        f"evil.example, {own}",
        f"{own}/",
    ]
    hostile += [
        f"{own}#",
        f"{own}?",
        f"http://{own}",
        f"[::ffff:127.0.0.1]:{port}",
        f"2130706433:{port}",
        "",
    ]
    hostile += [
        f"{own} evil.example",
        f"\u0031{own}",
        f"127.0.0.1:0{port}",
        "::1",
        f"sub.localhost:{port}",
    ]
    for sent in hostile:
        yield world.send(replace={"Host": sent})
        yield world.send(b"", line="GET /healthz HTTP/1.1", replace={"Host": sent})
    for sent in (f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert world.send(replace={"Host": sent}).status == 200
        stage.honest_calls += 1
    twice = world.send(more=[("Host", "evil.example")])
    assert twice.status == 400
    # The absolute form names a host of its own: whichever it is, that is no path of ours.
    for target in (
        f"http://evil.example:{port}/mcp",
        "http://evil.example/mcp",
        f"//{own}/mcp",
        f"{EVIL}/mcp",
    ):
        answer = world.send(line=f"POST {target} HTTP/1.1")
        assert (answer.status, answer.error) == (404, "not_found"), answer.body


def cors(stage):
    """No other origin is invited, on no path, by no method; and none is ever reflected."""
    for world in stage.worlds:
        for sent in (EVIL, "null", f"{world.gateway.origin}.evil.example"):
            for path in sorted(PUBLISHED):
                for asked in ("POST", "DELETE", "GET"):
                    headers = {
                        "Origin": sent,
                        "Access-Control-Request-Method": asked,
                        "Authorization": None,
                    }
                    headers |= {"Access-Control-Request-Headers": "authorization, content-type"}
                    headers |= {"Access-Control-Request-Private-Network": "true"}
                    answer = world.send(b"", line=f"OPTIONS {path} HTTP/1.1", replace=headers)
                    yield unshared(answer)
            yield unshared(world.send(replace={"Origin": sent}))
        own = {"Origin": world.gateway.origin, "Access-Control-Request-Method": "POST"}
        answer = unshared(world.send(b"", line="OPTIONS /mcp HTTP/1.1", replace=own))
        assert answer.status == 405
        unshared(world.send(replace={"Origin": world.gateway.origin}))
        stage.honest_calls += 1


def unshared(answer):
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    return answer


ATTACKS = {
    "MCP-15": counted(origins),
    "MCP-16": counted(hosts),
    "MCP-36": counted(cors),
}
