"""Bodies that two readers could read differently: none gets as far as a decision."""

from __future__ import annotations

import json

from hostile.areas.speaking import counted, everywhere, message, passes, sound, speak, with_text
from hostile.stage import VERSIONS
from support.bad_input import NAMES

from pbac.base.limits import BATCH_MESSAGES_MAX, JSON_DEPTH_MAX
from pbac.mcp.methods import METHODS

# --- numbers ------------------------------------------------------------------------------------

PLACES = ('{"id": %s}', '{"a": [1, {"b": %s}]}', "[%s]", "%s")


def in_places(texts):
    """Each of these texts where an argument stands, at several depths."""

    def bodies(version):
        for text in texts:
            for place in PLACES:
                yield with_text(place % text, version)

    return bodies


def not_numbers(stage):
    texts = ["NaN", "Infinity", "-Infinity", "-NaN", "+Infinity", "nan", "inf", "-inf", "INF"]
    texts += ["1.#INF", "undefined", "None", "True", "nul", "NULL", "Number.NaN"]
    yield from everywhere(stage, in_places(texts))
    for version in VERSIONS:
        yield speak(stage, sound(version).replace('"id": 1', '"id": NaN'), version=version)


def overflowing_floats(stage):
    texts = ["1e400", "-1e400", "1e-400", "1E+999", "1e99999999999999999999", "1.8e308", "1e309"]
    texts += ["2e-324", "-1e-9999", "1" * 400 + ".0", "0." + "0" * 400 + "1", "1" * 65 + "e0"]
    yield from everywhere(stage, in_places(texts))
    for text in ("1e308", "5e-324", "0e999", "-0.0", "1.7976931348623157e308"):
        passes(stage, with_text(text))


def huge_integers(stage):
    texts = ["1" * 5_000, "9" * 4_299, str(2**63), str(-(2**63)), str(2**64 + 1), str(2**53)]
    texts += ["9007199254740993", str(-(2**53)), "1" * 65, "-" + "1" * 64]
    yield from everywhere(stage, in_places(texts))
    for text in texts:
        for version in VERSIONS:
            body = sound(version).replace('"id": 1', f'"id": {text}')
            yield speak(stage, body, version=version)
        meta = {"progressToken": "here"}
        params = {"name": NAMES["echo"], "arguments": {}, "_meta": meta}
        yield speak(stage, json.dumps(message(params=params)).replace('"here"', text))
    for text in (str(2**53 - 1), str(-(2**53) + 1), "-0"):
        passes(stage, with_text(text))


def not_json(stage):
    texts = ["01", "-01", "+1", "0x1F", "0b1", "0o7", "1_000", ".5", "5.", "1e", "1e+", "--1", "-"]
    texts += ["'x'", '"x",', '["a",]', '{"a":1,}', "[1 2]", "/* */ 1", "1 // one\n", "# 1\n1"]
    texts += ["{a: 1}", "[,1]", '{"a" 1}', '{1: "a"}', "{null: 1}", '"\\x41"', '"\\u12"', '"\\a"']
    texts += ['"\t"', '"\n"', '"\x00"', '"\x1f"', '"open', "`x`", "1\x0b", "\xa01", "\u2028 1"]
    texts += ["(1)", "1;", "b'x'", '"a" "b"', "[1]]", "{}}", "1n", "１", "−1", "“x”"]
    yield from everywhere(stage, in_places(texts))
    for body in (b"", b" ", b"\n\n", b"name=shop__echo", b"<xml/>", b"\x00", b"\x80"):
        for version in VERSIONS:
            yield speak(stage, body, version=version)


# --- depth --------------------------------------------------------------------------------------

ARGUMENT_LEVEL = 3
"""Of a message: the message, `params`, `arguments`."""
DEEPEST = JSON_DEPTH_MAX - ARGUMENT_LEVEL
TOWERS = {
    "lists": lambda n: "[" * n + "]" * n,
    "objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "mixed": lambda n: '[{"a":' * (n // 2) + "[" * (n % 2) + "]" * (n % 2) + "}]" * (n // 2),
    "brackets in text": lambda n: '["]]]}}}",' * n + "0" + "]" * n,
}


def towers(levels):
    """Every kind of nesting this many levels deep."""

    def bodies(version):
        for tower in TOWERS.values():
            for level in levels:
                yield with_text(tower(level), version)

    return bodies


def deep(stage):
    yield from everywhere(stage, towers([DEEPEST + 1, 100, 20_000]))
    for body in (b"[" * 100_000, b'{"a":' * 20_000, b'[{"a":' * 50_000, b"[" * 65 + b"]" * 65):
        for version in VERSIONS:
            yield speak(stage, body, version=version)


def deep_for_every_walker(stage):
    """What the reader lets through, every later walker can walk: the deepest call is a call."""
    yield from everywhere(stage, towers([900, 990, 3_000]))
    for tower in TOWERS.values():
        for version in VERSIONS:
            passes(stage, with_text(tower(DEEPEST), version), version=version)
    # Brackets within texts are no depth, and many objects side by side are not deep.
    passes(stage, with_text('"' + "[{" * 5_000 + '"'))
    passes(stage, with_text("[" + ",".join(["[{}]"] * 2_000) + "]"))
    deepest = json.loads(TOWERS["objects"](DEEPEST))
    answer = stage.call("pay", {"amount": deepest})
    assert answer.json["result"]["_meta"]["pbac/denial"]["unknown"] == ["args.amount"]
    answer = stage.call("ship", {"region": deepest})
    assert answer.status == 400, answer.body


# --- bytes --------------------------------------------------------------------------------------

MARK = b"\xef\xbb\xbf"


def byte_order_mark(stage):
    def bodies(version):
        body = sound(version).encode()
        yield from (MARK + body, MARK * 2 + body, b" " + MARK + body, body + MARK)
        yield from (body.replace(b'{"name"', b"{" + MARK + b'"name"'), MARK)

    yield from everywhere(stage, bodies)
    passes(stage, with_text('"\ufeff"'))


def wide_encodings(stage):
    def bodies(version):
        for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
            yield sound(version).encode(coding)
        yield from (sound(version).encode(coding) for coding in ("utf-7", "cp037", "utf-8-sig"))

    def unlike_json(version):
        return (body for body in bodies(version) if body != sound(version).encode())

    yield from everywhere(stage, unlike_json)


BROKEN = [b"\xff", b"\xfe\xff", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"]
BROKEN += [b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80"]
BROKEN += [b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x28\xa1", b"\xbf", "é".encode("l1")]
HALVES = [b"\\ud800", b"\\udc00", b"\\udc00\\ud800", b"\\uD83Dx", b"\\ud83d\\u0041", b"a\\uDFFF"]


def invalid_utf8(stage):
    def bodies(version):
        for odd in (*BROKEN, *HALVES):
            yield with_text(b'"a%sb"' % odd, version)
            yield with_text(b'{"a%sb": 1}' % odd, version)
        yield sound(version).encode() + b"\xff"

    yield from everywhere(stage, bodies)
    passes(stage, with_text(b'"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\u0000 \\uFFFF"'))


# --- messages -----------------------------------------------------------------------------------


def batches(stage):
    """Only 2025-03-26 had batches, and the gateway takes none: one message, one decision."""

    def bodies(version):
        one = sound(version)
        two = sound(version, id=2)
        notice = json.dumps(message("notifications/initialized", {}, version=version, id=...))
        answer = '{"jsonrpc":"2.0","id":1,"result":{}}'
        handshake = json.dumps(message("initialize", {"protocolVersion": version}, version=version))
        for items in ([], [one], [one, two], [one, one], [notice], [notice, notice], [answer]):
            yield f"[{','.join(items)}]"
        yield from ("[1]", "[null]", "[[]]", f"[[{one}]]", f"[[[{one}]],{two}]", f"[{handshake}]")
        many = (json.dumps({"jsonrpc": "2.0", "id": n, "method": "ping"}) for n in range(10_000))
        yield f"[{','.join(many)}]"
        yield f"[{','.join(sound(version, id=n) for n in range(BATCH_MESSAGES_MAX + 1))}]"

    yield from everywhere(stage, bodies)


def two_texts(stage):
    def bodies(version):
        one = sound(version)
        for between in ("", "\n", " ", ",", "\0", "\x1e", "\r\n\r\n", "]"):
            yield one + between + one
        for behind in ("x", "\0", "}", "]", ",", "null", "//", ";", "\x1a", "\ufeff", "0"):
            yield one + behind
            yield behind + one

    yield from everywhere(stage, bodies)
    passes(stage, f" \t\r\n{sound()}\r\n\t ")


def calls_without_id(stage):
    """A request's method without an id: a side effect that nobody answers for."""
    asked = [name for name, row in METHODS.items() if not row.notification]
    for method in asked:
        for version in VERSIONS:
            body = json.dumps(message(method, version=version, id=...))
            yield speak(stage, body, version=version, method=method)
            body = json.dumps(message(method, version=version, id=None))
            yield speak(stage, body, version=version, method=method)
    # JSON-RPC has unknown notifications ignored: they are, and reach nobody.
    for version in VERSIONS:
        body = json.dumps(message("tools/call/later", version=version, id=...))
        answer = speak(stage, body, version=version, method="tools/call/later")
        assert (answer.status, answer.body) == (202, b"")


def answers_of_a_caller(stage):
    """The gateway asks callers nothing, so nothing can be an answer."""
    trees = [
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": "1", "result": {"content": []}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no"}},
        {"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "no"}},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": -1, "message": "no"}},
        {"jsonrpc": "2.0", "id": 1, "result": []},
        {"jsonrpc": "2.0", "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": "no"},
        {"jsonrpc": "2.0", "id": 1},
    ]
    yield from everywhere(stage, lambda version: map(json.dumps, trees))
    yield from everywhere(
        stage, lambda version: [sound(version, result={}), sound(version, error={})]
    )


def other_json_rpc(stage):
    values = [
        "1.0",
        2.0,
        2,
        "2",
        "2.00",
        " 2.0",
        "2.0 ",
        "2.0\0",
        "２.0",
        None,
        True,
        ["2.0"],
        {},
        ...,
    ]

    def bodies(version):
        for value in values:
            yield sound(version, jsonrpc=value)
        for tree in (None, True, 1, "2.0", {}, {"method": "tools/call"}):
            yield json.dumps(tree)

    yield from everywhere(stage, bodies)


ODD_METHODS = [
    5,
    None,
    [],
    {},
    True,
    "",
    "tools/call ",
    " tools/call",
    "tools/call\n",
    "Tools/Call",
]
ODD_METHODS += [
    "TOOLS/CALL",
    "tools//call",
    "tools/call/",
    "/tools/call",
    "tools\\call",
    "tools.call",
]
ODD_METHODS += ["tools/call\0", "tools/call;x", "tools/call?x=1", "tools%2Fcall", "tools/./call"]
ODD_METHODS += [
    "tools/ｃall",
    "toolſ/call",
    "call",
    "tools",
    "__class__",
    "a" * 129,
    "x/../tools/call",
]


def odd_methods(stage):
    """A method is one of the table, to the letter: nothing is trimmed or folded before policy."""
    for version in VERSIONS:
        for method in ODD_METHODS:
            said = method if isinstance(method, str) and method.isprintable() else "tools/call"
            said = said.strip() if said.isascii() else "tools/call"
            body = sound(version, method=method)
            answer = speak(stage, body, version=version, method=said)
            assert "result" not in answer.json, answer.body
            if version == VERSIONS[-1]:
                assert answer.status in (400, 404), answer.body
            yield answer
        yield speak(stage, sound(version, method=...), version=version)


ATTACKS = {
    "JSN-08": counted(not_numbers),
    "JSN-09": counted(overflowing_floats),
    "JSN-10": counted(huge_integers),
    "JSN-12": counted(not_json),
    "JSN-13": counted(deep),
    "JSN-14": counted(deep_for_every_walker),
    "JSN-18": counted(byte_order_mark),
    "JSN-19": counted(wide_encodings),
    "JSN-20": counted(invalid_utf8),
    "JSN-21": counted(batches),
    "JSN-22": counted(two_texts),
    "JSN-24": counted(calls_without_id),
    "JSN-25": counted(answers_of_a_caller),
    "JSN-26": counted(other_json_rpc),
    "JSN-27": counted(odd_methods),
}
