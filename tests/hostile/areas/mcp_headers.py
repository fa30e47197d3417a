"""Headers that say what the body says, or end the request."""

from __future__ import annotations

import json

from hostile.areas.json_forwarded import ship
from hostile.areas.speaking import counted, message, number_of, sound, speak
from hostile.stage import NEWEST, VERSIONS
from support.bad_input import META

from pbac.mcp.headers import encode_value

LEGACY = VERSIONS[:-1]

# --- headers that mirror the body ---------------------------------------------------------------


def worn(stage, **headers):
    """A sound call of `echo` in the newest version, with these headers in place of its own."""
    return stage.plain.send(replace={k.replace("_", "-"): v for k, v in headers.items()})


def other_names(stage):
    """A header that names another tool than the body, in whatever spelling."""
    names = ["shop__pay", "shop__close", "echo", "SHOP__ECHO", "shop__echo2", "shop__ech", ""]
    names += ["shop__echo\\0", "shop__echo;x", '"shop__echo"', "shop__echo?", "frail__echo", "*"]
    names += [encode_value("shop__ché"), "=?base64?c2hvcF9fcGF5?=", "=?base64?!!?=", "=?base64??="]
    names += ["=?BASE64?c2hvcF9fZWNobw==?=", "=?base64?c2hvcF9fZWNobw?=", "=?base64?/w==?="]
    names += ["=?utf-8?b?c2hvcF9fZWNobw==?=", "=?base64?c2hvcF9fZWNobw==?= x", "shop__%65cho"]
    for name in names:
        yield worn(stage, Mcp_Name=name)
    for tool in ("shop__close", "shop__pay", "SHOP__ECHO", "shop__echo "):
        yield stage.plain.send(sound().replace("shop__echo", tool).encode())
    yield stage.plain.send(more=[("Mcp-Name", "shop__echo")])
    yield stage.plain.send(more=[("mcp-name", "shop__pay")])
    for value in (7, None, ["shop__echo"], True, {"a": 1}):
        params = {"name": value, "arguments": {}, "_meta": META}
        yield stage.plain.send(json.dumps(message(params=params)).encode())
    # The honest spellings: as it is, between blanks, and in base64.
    for name in ("shop__echo", "  shop__echo\t", "=?base64?c2hvcF9fZWNobw==?="):
        passes_as(stage, Mcp_Name=name)


def passes_as(stage, **headers):
    answer = worn(stage, **headers)
    assert answer.status == 200, answer.body
    stage.honest_calls += 1


def other_methods(stage):
    methods = ["tools/list", "ping", "initialize", "server/discover", "resources/read", "call", ""]
    methods += [
        "tools/call/",
        "tools//call",
        "tools/call;x",
        "tools/ca",
        '"tools/call"',
        "tools%2Fcall",
    ]
    methods += ["=?base64?dG9vbHMvY2FsbA==?=", "notifications/initialized"]
    for method in methods:
        yield worn(stage, Mcp_Method=method)
    yield stage.plain.send(more=[("Mcp-Method", "tools/call")])
    yield stage.plain.send(more=[("MCP-METHOD", "tools/list")])
    for method in ("tools/list", "server/discover", "resources/read", "x/y"):
        yield stage.plain.send(json.dumps(message(method, {"_meta": META})).encode())
    passes_as(stage, Mcp_Method=" tools/call ")


def methods_of_other_case(stage):
    for method in ("TOOLS/CALL", "Tools/Call", "tools/Call", "toolS/call", "TOOLS/call"):
        yield worn(stage, Mcp_Method=method)
    # A body of another case agrees with its header, and is a method that nobody knows.
    answer = speak(stage, sound(method="Tools/Call"), method="Tools/Call")
    assert (answer.status, number_of(answer)) == (404, -32601)


def joined(stage):
    """A front proxy may fold two headers into one: what is decided is never half of it."""
    for name in (
        "shop__echo, shop__pay",
        "shop__echo,shop__echo",
        "shop__pay, shop__echo",
        ", shop__echo",
    ):
        yield worn(stage, Mcp_Name=name)
    for method in ("tools/call, tools/list", "tools/call,", "tools/list, tools/call"):
        yield worn(stage, Mcp_Method=method)
    for version in (f"{NEWEST}, 2025-11-25", f"{NEWEST},{NEWEST}", f"2025-11-25, {NEWEST}"):
        answer = worn(stage, MCP_Protocol_Version=version)
        assert (answer.status, number_of(answer)) == (400, -32022), answer.body


# --- headers that mirror arguments --------------------------------------------------------------

SENT = {"region": "eu", "count": 42, "fragile": True, "to": {"zip": "é1"}}
WRONG = {
    "Region": [
        "us",
        "EU",
        "",
        "eu,us",
        "eu, eu",
        encode_value("ü"),
        "=?base64?ZXU?=",
        '"eu"',
        "null",
    ],
    "Count": ["43", "42.5", "4.2e1", "0x2A", "forty-two", "", "42,42", "-42", "42.0.0", "٤٢"],
    "Fragile": ["True", "1", "false", "TRUE", "yes", ""],
    "Zip": ["é1", "e1", "=?base64?w6kx", encode_value("é2"), "1"],
}
SAME = {
    "Region": ["eu", " eu ", "=?base64?ZXU=?="],
    "Count": ["42", "42.0", "042", "42.000"],
    "Fragile": ["true"],
    "Zip": [encode_value("é1")],
}
ZIP = {"Mcp-Param-Zip": encode_value("é1")}


def parameter_headers_that_disagree(stage):
    """A proxy may route by a header, so it says what the argument says, or the call ends here."""
    for name, values in WRONG.items():
        for value in values:
            sent = value.encode().decode("latin-1")
            yield ship(stage, SENT, more={**ZIP, f"Mcp-Param-{name}": sent})
        yield ship(stage, SENT, more={**ZIP, f"Mcp-Param-{name}": None})
    for absent in ("count", "fragile", "to"):
        arguments = {name: value for name, value in SENT.items() if name != absent}
        header = {"count": "Count", "fragile": "Fragile", "to": "Zip"}[absent]
        more = ZIP if absent != "to" else {}
        yield ship(stage, arguments, more={**more, f"Mcp-Param-{header}": SAME[header][0]})
        yield ship(stage, {**arguments, absent: None}, more={f"Mcp-Param-{header}": "null"})
    for name, values in SAME.items():
        for value in values:
            answer = ship(stage, SENT, more={**ZIP, f"Mcp-Param-{name}": value})
            assert b"ship ran" in answer.body, (name, value, answer.body)
            stage.honest_calls += 1
    answer = ship(stage, {**SENT, "count": 42.0}, more={**ZIP, "Mcp-Param-Count": "42"})
    assert b"ship ran" in answer.body, answer.body
    stage.honest_calls += 1
    # No tool asked for these: they decide nothing, and nothing is made of them upstream.
    passes_as(stage, Mcp_Param_Text="another", Mcp_Param_Region="us")


def missing_headers(stage):
    """Each required header is missed, alone and with others; empty is not there either."""
    required = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"]
    for chosen in range(1, 8):
        gone = {name: None for at, name in enumerate(required) if chosen >> at & 1}
        yield stage.plain.send(replace=gone)
    yield worn(stage, Mcp_Method="")
    yield worn(stage, Mcp_Name="")
    for method in ("tools/list", "server/discover"):
        body = json.dumps(message(method, {})).encode()
        yield stage.plain.send(body, replace={"Mcp-Method": None, "Mcp-Name": None})
        yield stage.plain.send(
            body,
            replace={"Mcp-Method": method, "Mcp-Name": None, "MCP-Protocol-Version": None},
        )


def beyond_ascii(stage):
    """Bytes that arrive as halves of surrogates would break the record: they come to nothing."""
    odd = ["\xff\xfe", "shop__echo\xff", "é", "\x80", "shop__\xf0\x9f\x98\x80", "\xa0shop__echo"]
    for value in odd:
        for name in ("Mcp-Name", "Mcp-Method", "MCP-Protocol-Version", "Mcp-Session-Id"):
            yield stage.plain.send(replace={name: value})
    for version in LEGACY:
        for value in odd:
            headers = stage.dress("tools/call", version=version) | {"Mcp-Session-Id": value}
            yield stage.plain.send(sound(version).encode(), replace=headers)


ATTACKS = {
    "MCP-01": counted(other_names),
    "MCP-02": counted(other_methods),
    "MCP-03": counted(methods_of_other_case),
    "MCP-05": counted(joined),
    "MCP-08": counted(parameter_headers_that_disagree),
    "MCP-09": counted(missing_headers),
    "MCP-13": counted(beyond_ascii),
}
