"""Old versions, other methods, foreign sessions: none is a way around a decision."""

from __future__ import annotations

import json

from hostile.areas.json_forwarded import decisions_of
from hostile.areas.speaking import counted, message, number_of, passes, sound, speak
from hostile.stage import NEWEST, VERSIONS
from support.bad_input import NAMES

from pbac.mcp.methods import METHODS

LEGACY = VERSIONS[:-1]

# --- versions -----------------------------------------------------------------------------------


def two_versions(stage):
    """The header names one version and the body another, in either direction."""
    for version in (*LEGACY, "2024-11-05", "2099-01-01", "", f"{NEWEST} ", NEWEST.replace("-", "")):
        yield stage.plain.send(sound().replace(NEWEST, version).encode())
    for version in LEGACY[1:]:
        headers = stage.dress("tools/call", version=version)
        yield stage.plain.send(sound().encode(), replace=headers)
        yield stage.plain.send(sound().encode(), replace=headers | {"Mcp-Session-Id": None})
    headers = stage.dress("tools/call", version=LEGACY[0])
    yield stage.plain.send(sound().encode(), replace=headers)


def unknown_versions(stage):
    versions = ["2099-01-01", "", "2024-11-05", "2024-10-07", "1.0", "DRAFT-2026", "2026-07-28.1"]
    versions += ["latest", "*", "2026-7-28", "26-07-28", "2026-07-28;q=1", "x" * 500, "2025-06-19"]
    for version in versions:
        body = sound().replace(NEWEST, version).encode()
        yield stage.plain.send(body, replace={"MCP-Protocol-Version": version})
        yield stage.plain.send(
            sound("2025-11-25").encode(), replace={"MCP-Protocol-Version": version}
        )
        session = stage.dress("tools/call", version="2025-11-25")
        answer = stage.plain.send(
            sound("2025-11-25").encode(), replace=session | {"MCP-Protocol-Version": version}
        )
        assert answer.json["error"]["data"]["supported"] == [NEWEST]
        yield answer
    # NUL never gets as far as a header; within the body it is another version than the header's.
    refused = stage.plain.send(replace={"MCP-Protocol-Version": f"{NEWEST}\0"})
    assert refused.status == 400, refused.body
    refused = stage.plain.send(sound().replace(NEWEST, f"{NEWEST}\\u0000").encode())
    assert (refused.status, number_of(refused)) == (400, -32020)


CALLS = [
    ("echo", {"text": "x"}),
    ("pay", {"amount": 5}),
    ("pay", {"amount": 500}),
    ("pay", {"amount": 100.5}),
    ("pay", {"amount": "5"}),
    ("pay", {}),
    ("close", {}),
    ("close", {"force": False}),
    ("count", {"count": 3}),
    ("count", {"count": "3"}),
    ("load0", {"a": {"b": "yes"}}),
    ("load0", {"a": {"b": "no"}}),
    ("load0", {"a": 5}),
    ("no_such_tool", {}),
    ("shop__ECHO", {}),
]
SAME_IN_ALL = ("effect", "cause", "rules", "unknown", "reason", "arguments", "policy_version")


def old_versions(stage):
    """One decision in every version: the same effect for the same reason, by the same rules."""
    for world in stage.worlds:
        ids = [
            [decided(stage, world, tool, arguments, version) for version in VERSIONS]
            for tool, arguments in CALLS
        ]
        found = decisions_of(world, {id_ for row in ids for id_ in row})
        for call, row in zip(CALLS, ids, strict=True):
            told = [{name: found[id_].get(name) for name in SAME_IN_ALL} for id_ in row]
            assert all(each == told[0] for each in told), (call, told)
        protocols = [found[id_]["protocol"] for id_ in ids[0]]
        assert protocols == list(VERSIONS)
    for version in VERSIONS:
        for arguments in ({"amount": 500}, {"amount": "5"}, {}):
            yield from stage.denied("pay", arguments, version=version)
        for world in stage.worlds:
            yield stage.call("close", version=version, world=world)
    yield from versions_that_are_none(stage)
    scopes_in_every_version(stage)


def decided(stage, world, tool, arguments, version):
    """The id of the decision on one call in one version; forwarded ones are honest."""
    answer = stage.call(tool, arguments, version=version, world=world)
    if (
        answer.status == 200
        and "result" in answer.json
        and not answer.json["result"].get("isError")
    ):
        stage.honest_calls += 1
    return answer.headers["pbac-decision"]


def versions_that_are_none(stage):
    """A version from before authorization, or that the session has not, decides nothing."""
    for version in LEGACY:
        for other in ("2024-11-05", "2024-10-07", "2025-03-27"):
            headers = stage.dress("tools/call", version=version) | {"MCP-Protocol-Version": other}
            yield stage.plain.send(sound(version).encode(), replace=headers)
        for other in LEGACY:
            headers = stage.dress("tools/call", version=version) | {"MCP-Protocol-Version": other}
            if other != version:
                answer = stage.plain.send(sound(version).encode(), replace=headers)
                assert (answer.status, number_of(answer)) == (400, -32600), answer.body
    headers = {"MCP-Protocol-Version": None, "Mcp-Method": None, "Mcp-Name": None}
    for version in (None, *LEGACY):
        answer = stage.plain.send(
            sound("2025-11-25").encode(), replace=headers | {"MCP-Protocol-Version": version}
        )
        assert answer.status == 400, "a call without a session"


def scopes_in_every_version(stage):
    """CVE-2026-11719: the scope was looked at in the newest version alone."""
    narrow = stage.plain.gateway.token("developer", "narrow", scope="shop:echo")
    stage.plain.secrets.append(narrow)
    for version in VERSIONS:
        stage.honest("echo", token=narrow, version=version)
        refused = stage.call("pay", {"amount": 5}, token=narrow, version=version)
        assert (refused.status, refused.error) == (403, "insufficient_scope"), refused.body
        assert 'scope="shop:pay"' in refused.headers["www-authenticate"]
        hidden = stage.call("close", token=narrow, version=version)
        assert (number_of(hidden), hidden.error) == (-32602, "unknown_tool")
        listed = stage.ask("tools/list", token=narrow, version=version).json["result"]["tools"]
        assert "shop__close" not in [tool["name"] for tool in listed]


# --- sessions, tasks, methods -------------------------------------------------------------------


def foreign_sessions(stage):
    """A session is no credential: another's is answered as one that never was."""
    _, _, thief = stage.plain.agent("thief")
    for version in LEGACY:
        own = stage.dress("tools/call", version=version)
        stolen = own | {"Authorization": f"Bearer {thief}"}
        invented = stolen | {"Mcp-Session-Id": "A" * 32}
        for method in ("tools/call", "tools/list", "ping", "tools/burn"):
            params = None if method == "tools/call" else {}
            body = json.dumps(message(method, params, version=version)).encode()
            answer = stage.plain.send(body, replace=stolen)
            assert answer.body == stage.plain.send(body, replace=invented).body
            yield answer
        gone = {"Content-Type": None, "Accept": None}
        yield stage.plain.send(b"", line="DELETE /mcp HTTP/1.1", replace=stolen | gone)
        for odd in ("", " ", "x" * 129, "../x", "a b", own["Mcp-Session-Id"].swapcase()):
            answer = stage.plain.send(
                sound(version).encode(), replace=own | {"Mcp-Session-Id": odd}
            )
            assert "result" not in answer.json, answer.body
        # It lives on, and its owner's calls pass.
        passes(stage, sound(version), version=version)
    # 2026-07-28 has no sessions: whose token it is decides, whatever else is sent along.
    session = stage.dress("tools/call", version=LEGACY[-1])["Mcp-Session-Id"]
    answer = stage.plain.send(
        sound().encode(), replace={"Authorization": f"Bearer {thief}", "Mcp-Session-Id": session}
    )
    assert stage.plain.decision(answer)["agent"]["name"] == "thief"
    stage.honest_calls += 1


def unserved(stage, methods, params):
    """These methods in every version: none is answered with a result."""
    for version in VERSIONS:
        for method in methods:
            named = params.get(METHODS[method].resource) if method in METHODS else None
            body = json.dumps(message(method, params, version=version))
            answer = speak(stage, body, version=version, method=method, named=named)
            assert answer.status == (404 if version == NEWEST else 200), (method, answer.body)
            assert "result" not in answer.json
            yield answer


def foreign_tasks(stage):
    """No task can be asked for while none is kept apart by principal; a call makes none either."""
    tasks = [name for name in METHODS if name.startswith("tasks/")]
    for handle in ("task-of-another", "", "*"):
        yield from unserved(stage, tasks, {"taskId": handle})
    for version in VERSIONS:
        params = {"name": NAMES["echo"], "arguments": {}, "task": {"ttl": 60_000}}
        answer = passes(stage, json.dumps(message(params=params, version=version)), version=version)
        assert "task" not in answer.json["result"]
        assert b'"task"' not in stage.upstream.raw[-1]


DECIDED_ABOUT = ("tools/call", "tools/list")
"""The methods that act, and that policy decides about."""
POWERFUL = {
    "name": "x",
    "uri": "file:///etc/passwd",
    "taskId": "1",
    "level": "debug",
    "arguments": {},
}
POWERFUL |= {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}}
INVENTED = ["x/y", "tools/describe", "roots/list", "sampling/createMessage", "elicitation/create"]
INVENTED += ["admin/reload", "rpc.discover", "server/discover2", "tools.call", "resources/write"]


def other_methods_with_power(stage):
    """Every method is decided about, or denied by default: nobody has to think of it first."""
    acting = [name for name, row in METHODS.items() if row.action and name not in DECIDED_ABOUT]
    housekeeping = ["logging/setLevel", "initialize", "ping", "server/discover"]
    known = {name for name, row in METHODS.items() if not row.notification}
    assert known == {*acting, *housekeeping, *DECIDED_ABOUT}, "a method this attack does not know"
    before = len(stage.upstream.raw)
    yield from unserved(stage, [*acting, *INVENTED, "logging/setLevel"], POWERFUL)
    for world in stage.worlds:
        found = stage.ask("server/discover", world=world).json["result"]
        assert found["capabilities"] == {"tools": {}}
        assert found["cacheScope"] == "private"
        for version in VERSIONS:
            listed = stage.ask("tools/list", version=version, world=world).json["result"]["tools"]
            assert "shop__close" not in [tool["name"] for tool in listed]
    called = [raw for raw in stage.upstream.raw[before:] if b'"tools/list"' not in raw]
    assert not called, "one of them went upstream"


ATTACKS = {
    "MCP-10": old_versions,
    "MCP-11": counted(two_versions),
    "MCP-12": counted(unknown_versions),
    "MCP-39": counted(foreign_sessions),
    "MCP-40": counted(foreign_tasks),
    "MCP-41": counted(other_methods_with_power),
}
