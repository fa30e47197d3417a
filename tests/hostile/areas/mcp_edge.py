"""Which doors there are: paths, methods, and none for the gateway itself."""

from __future__ import annotations

import json

from hostile.areas.speaking import counted, message, number_of, sound
from hostile.stage import VERSIONS
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.web.oauth_routes import PATHS as OAUTH_PATHS

PUBLISHED = {"/mcp", "/healthz", "/readyz", "/metrics", *OAUTH_PATHS}

CHANGES = st.sampled_from(["encode", "ENCODE", "twice", "double", "case", "insert", "drop"])
SPELLINGS = [
    "//mcp",
    "/mcp/",
    "/MCP",
    "/mcp;x=1",
    "/%6Dcp",
    "/mcp/%2e%2e/admin",
    "/mcp%00",
    "/mcp%20",
]
SPELLINGS += [
    "/servers/a%2f..%2fb/mcp",
    "/./mcp",
    "/x/../mcp",
    "/mcp/.",
    "/mcp/..",
    "\\mcp",
    "/mcp\\",
    "/",
]
SPELLINGS += [
    "/mcp#x",
    "/%2fmcp",
    "/%2F%2Fmcp",
    "/mcp%3Fx",
    "/%256Dcp",
    "/mcp/..;/admin",
    "/mcp.json",
    "*",
]
SPELLINGS += [
    "/mcp%",
    "/mcp%zz",
    "/mcp%c0%af",
    "/admin",
    "/mcp/admin",
    "/.env",
    "/mcp,/token",
    "/mcp:80",
    "mcp",
]


@st.composite
def respelt(draw):
    """A published path, changed in one to three places."""
    path = draw(st.sampled_from(sorted(PUBLISHED)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(path) - 1))
        before, this, after = path[:at], path[at], path[at + 1 :]
        match draw(CHANGES):
            case "encode":
                this = f"%{ord(this):02x}"
            case "ENCODE":
                this = f"%{ord(this):02X}"
            case "twice":
                this = f"%25{ord(this):02x}"
            case "double":
                this *= 2
            case "case":
                this = this.swapcase()
            case "insert":
                this += draw(
                    st.sampled_from(["/", "/.", "/..", ";", "%2f", "%00", "\\", "//", ":"])
                )
            case "drop":
                this = ""
        path = f"/{(before + this + after).removeprefix('/')}"
    return path


def paths(stage):
    """One spelling of every path: whatever a proxy makes of another, here it is nothing."""
    for path in SPELLINGS:
        for method in ("POST", "GET", "DELETE"):
            answer = stage.plain.send(line=f"{method} {path} HTTP/1.1")
            if answer.status == 400:
                # Without a slash it is no target at all, and the parser says so.
                assert (path[0] == "/", answer.error) == (False, "malformed_http"), path
            else:
                yield answer
    found = []

    @settings(max_examples=150, deadline=None, database=None)
    @given(respelt().filter(lambda path: path not in PUBLISHED))
    def every_spelling(path):
        answer = stage.plain.send(line=f"POST {path} HTTP/1.1")
        assert (answer.status, answer.error) == (404, "not_found"), path
        found.append(answer)

    every_spelling()
    assert len(found) > 50


def virtual_servers(stage):
    """There is no server behind a path: an unknown one is not the union of all."""
    names = ["xyz", "shop", "frail", "0", "", "*", "..", "shop/frail", "%73hop", "null", "default"]
    for name in names:
        for path in (
            f"/servers/{name}/mcp",
            f"/{name}/mcp",
            f"/mcp/{name}",
            f"/mcp/servers/{name}",
        ):
            for body in (message("tools/list", {}), message()):
                headers = stage.dress(body["method"], body["params"].get("name"))
                line = f"POST {path} HTTP/1.1"
                answer = stage.plain.send(json.dumps(body).encode(), line=line, replace=headers)
                if path != "//mcp":
                    assert b"shop__" not in answer.body
                yield answer
    for query in ("?server=xyz", "?backend=shop"):
        answer = stage.plain.send(line=f"POST /mcp{query} HTTP/1.1")
        assert b"echo ran" in answer.body, "a query names no server either"
        stage.honest_calls += 1


METHODS = [
    "GET",
    "PUT",
    "PATCH",
    "TRACE",
    "OPTIONS",
    "PROPFIND",
    "LOCK",
    "REPORT",
    "SEARCH",
    "PURGE",
]


def methods(stage):
    """POST, and DELETE of a legacy session: everything else is not allowed, in every version."""
    for version in VERSIONS:
        dressed = stage.dress("tools/call", "shop__echo", version=version)
        for method in METHODS:
            for body in (b"", sound(version).encode()):
                answer = stage.plain.send(body, line=f"{method} /mcp HTTP/1.1", replace=dressed)
                assert "POST" in answer.headers["allow"], method
                yield answer
        head = stage.plain.send(b"", line="HEAD /mcp HTTP/1.1", replace=dressed)
        assert (head.status, head.body) == (405, b"")
        for line in (
            "post /mcp HTTP/1.1",
            "Post /mcp HTTP/1.1",
            "BREW /mcp HTTP/1.1",
            "POSTS /mcp HTTP/1.1",
        ):
            answer = stage.plain.send(line=line, replace=dressed)
            assert (answer.status, answer.error) == (400, "malformed_http")
        # CONNECT has an authority where others have a path, and this is none.
        for target in (
            "/mcp",
            "evil.example:443",
            stage.plain.gateway.origin.removeprefix("http://"),
        ):
            answer = stage.plain.send(b"", line=f"CONNECT {target} HTTP/1.1", replace=dressed)
            assert answer.status == 404, answer.body
        override = {
            "X-HTTP-Method-Override": "POST",
            "X-Method-Override": "POST",
            "X-HTTP-Method": "POST",
        }
        yield stage.plain.send(line="GET /mcp HTTP/1.1", replace=dressed | override)
    yield stage.plain.send(b"", line="DELETE /mcp HTTP/1.1")
    nothing = {"MCP-Protocol-Version": None}
    answer = stage.plain.send(b"", line="DELETE /mcp HTTP/1.1", replace=nothing)
    assert (answer.status, number_of(answer)) == (400, -32600), "a session has to be named"


INTERNAL = {
    "X-Internal": "1",
    "X-Internal-Token": "internal",
    "X-Gateway-Internal": "true",
    "X-Pbac-Internal": "true",
    "Pbac-Decision": "d_00000000000000000000000000000000",
    "X-Router-Key": "router",
    "Router-Key": "router",
    "Mcp-Init-Host": "127.0.0.1",
    "X-Envoy-Internal": "true",
    "X-Original-Url": "/internal",
    "X-Rewrite-Url": "/internal",
    "X-Forwarded-Host": "127.0.0.1",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-User": "admin",
    "X-Real-Ip": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;host=localhost",
    "X-Agent-Tier": "trusted",
    "X-Remote-User": "admin",
    "X-Client-Cert": "x",
    "Via": "1.1 pbac",
}
ROUTES = [
    "/internal",
    "/_internal/mcp",
    "/mcp/internal",
    "/_pbac",
    "/admin",
    "/debug",
    "/route",
    "/init",
]
ROUTES += [
    "/backends/shop/mcp",
    "/proxy",
    "/upstream",
    "/rpc",
    "/v1/data/pbac",
    "/access/v1/search/subject",
]
POINTS = ["/access/v1/evaluation", "/access/v1/evaluations", "/v1/data/pbac/decision"]


def loop_back(stage):
    """The gateway never calls itself: nothing that claims to be it is treated otherwise."""
    world = stage.strict
    for sent in (*({name: value} for name, value in INTERNAL.items()), INTERNAL):
        named = {"Mcp-Name": "shop__close"}
        yield world.send(
            sound().replace("shop__echo", "shop__close").encode(), replace=sent | named
        )
        big = sound().replace("shop__echo", "shop__pay").replace('"text": "x"', '"amount": 500')
        yield world.send(big.encode(), replace=sent | {"Mcp-Name": "shop__pay"})
        nobody = world.send(replace=sent | {"Authorization": None})
        assert (nobody.status, nobody.error) == (401, "invalid_token")
        rebound = world.send(replace=sent | {"Host": "evil.example"})
        assert rebound.status == 403
    for path in ROUTES:
        for method in ("POST", "GET"):
            answer = world.send(line=f"{method} {path} HTTP/1.1", replace=INTERNAL)
            assert (answer.status, answer.error) == (404, "not_found"), path
    for path in POINTS:
        answer = world.send(line=f"POST {path} HTTP/1.1", replace=INTERNAL)
        assert (answer.status, answer.error) == (401, "invalid_client"), path


ATTACKS = {
    "MCP-20": loop_back,
    "MCP-22": counted(paths),
    "MCP-23": counted(virtual_servers),
    "MCP-24": counted(methods),
}
