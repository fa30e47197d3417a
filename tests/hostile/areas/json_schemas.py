"""An upstream whose tools have schemas that would fetch, explode or never end."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from socket import create_server

from hostile.areas.speaking import number_of
from hostile.stage import VERSIONS
from support.bad_input import ANY, World, both
from support.recorder import Recorder
from support.served import serving


def chain(length, width):
    """A schema that doubles, or worse, with every line."""
    lines = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * width} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**lines, f"d{length}": {"type": "object"}}}


def tools_of_a_hostile_server(canary):
    """(what must not be offered, what may be), by tool name."""
    here = f"http://127.0.0.1:{canary}"
    fetched = [here, f"{here}/x.json#/a", "http://169.254.169.254/latest", "file:///etc/passwd"]
    fetched += [f"//127.0.0.1:{canary}/x", "other.json", "ftp://127.0.0.1/x", "urn:x:y", "data:,{}"]
    hostile = {
        f"ref{n}_{keyword.strip('$')}": {"properties": {"a": {keyword: uri}}}
        for n, uri in enumerate(fetched)
        for keyword in ("$ref", "$dynamicRef")
    }
    hostile |= {
        "schema": {"$schema": f"{here}/schema"},
        "base": {"$id": f"{here}/", "properties": {"a": {"$id": "x", "$ref": "y"}}},
        "hidden": {"$defs": {"unused": {"allOf": [{"$ref": here}]}}},
        "wide": chain(9, 10),
        "long": chain(500, 1),
        "lookahead": {"properties": {"a": {"pattern": "(?=a)b"}}},
        "backreference": {"properties": {"a": {"pattern": r"(a+)\1"}}},
        "exploding": {"properties": {"a": {"pattern": "(((a{1,100}){1,100}){1,100}){1,100}"}}},
        "mirrored": {"properties": {"a": {"type": "string", "x-mcp-header": "A\r\nB: c"}}},
        "broken": {"type": "objekt"},
        "boolean": True,
        "missing": None,
    }
    fine = {
        "plain": ANY,
        "circular": {"type": "object", "properties": {"n": {"$ref": "#"}, "z": {"type": "string"}}},
        "twofold": {"properties": {"n": {"anyOf": [{"$ref": "#"}] * 2}, "z": {"type": "string"}}},
        "backtracking": {"properties": {"a": {"pattern": "^(a+)+$"}}},
    }
    return hostile, fine


def listens(server, heard):
    """Keep who connects, and what for."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.settimeout(1)
        heard.append(connection.recv(1_000))
        connection.close()


def hostile_schemas(stage):
    """A tool whose schema would cost or fetch something is not offered; the others are."""
    canary, heard = create_server(("127.0.0.1", 0)), []
    threading.Thread(target=listens, args=(canary, heard), daemon=True).start()
    hostile, fine = tools_of_a_hostile_server(canary.getsockname()[1])
    upstream = Recorder(tools={**hostile, **fine}).start()
    frail = Recorder(tools={"fetch": ANY}).start()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as serve:
        gateway = serve(backends=both(upstream, frail), policy=OPEN)
        world = World(gateway, upstream, frail, token="")
        _, _, world.token = world.agent("reader")
        yield from are_kept_apart(stage, world, hostile, fine)
        assert not heard, "a schema was fetched"
        output = gateway.output.read_text()
        for name in hostile:
            assert f"tool `{name}` of `shop` is not offered" in output, name
    for recorder in (upstream, frail):
        recorder.stop()
    canary.close()


OPEN = {
    "tiers.pbac": "package ranks\n\ntiers developer < trusted\n",
    "shop.pbac": "package shop on server shop\n\npermit everything on tool *\n",
    "frail.pbac": "package frail on server frail\n\npermit everything on tool *\n",
}


def are_kept_apart(stage, world, hostile, fine):
    calls = len(world.upstream.calls())
    for version in VERSIONS:
        listed = stage.ask("tools/list", version=version, world=world)
        names = {tool["name"] for tool in listed.json["result"]["tools"]}
        assert names == {f"shop__{name}" for name in fine} | {"frail__fetch"}
        yield listed
    for name in hostile:
        answer = stage.call(f"shop__{name}", {"a": "aaa"}, world=world)
        assert (answer.status, number_of(answer)) == (400, -32602), answer.body
    assert len(world.upstream.calls()) == calls
    deep: dict = {"z": 1}
    for _ in range(50):
        deep = {"n": deep}
    started = time.monotonic()
    for tool, arguments in (
        ("shop__backtracking", {"a": "a" * 50_000 + "!"}),
        ("shop__circular", deep),
        ("shop__twofold", deep),
    ):
        answer = stage.call(tool, arguments, world=world)
        assert (answer.status, number_of(answer)) == (400, -32602), answer.body[:300]
    assert time.monotonic() - started < 2, "a schema costs more than its arguments"


ATTACKS = {"JSN-31": hostile_schemas}
