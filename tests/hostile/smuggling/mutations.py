"""Mutations of valid requests, each made from a seed and its number alone.

Three forms, because a byte changed anywhere mostly ends in the refusal of the first reader:

- `body`: the JSON is changed, the head stays sound and tells the new length;
- `mirror`: as `body`, and the headers that repeat parts of it say the same, as an attacker would;
- `raw`: head, chunks and body are one text of which any byte may change, so framing lies too.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass

from hostile.smuggling.corpus import Base, mirrored, sized

VALUES = [
    "0", "-0", "-0.0", "1.0", "100.0", "1e2", "1E+2", "0.1e1", "100.00000000000000001", "1e15",
    "1e16", "1e21", "1e22", "5e-324", "1.7976931348623157e308", "0.1", "1e-7", "123456.789e-3",
    "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993",
    "9223372036854775808", "18446744073709551616", "1e400", "-1e400", "1e-400", "NaN", "Infinity",
    "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000", "9" * 70, "0." + "3" * 70, "1e0000001",
    "true", "false", "null", "True", "None", "undefined", "[]", "{}", '""', '"100"', '"1e400"',
    '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\uD83D"',
    '"\\u0041"', '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u2028\\u2029"', '"\u2028"', '"\u0085"',
    '"\ufeff"', '"\\ufeff"', '"\ufffe\uffff"', '"\u202e"', '"e\u0301"', '"\u00e9"',
    '"\u017f\u212a"', '"\\x41"', "'a'", '"\\u00"', '"a\nb"', '"a\tb"', '"\x7f"', '"\x00"',
    '"\U0010ffff"', '"\\uffff"', '"=?base64?AA==?="', '"=?base64?!?="', '"x\\r\\nMcp-Name: note"',
    '"x\\r\\n\\r\\nGET / HTTP/1.1"', '" lead"', '"trail "', '"\\t"', '"__proto__"',
    '{"__proto__":{"amount":1000}}', '{"constructor":{"prototype":{"amount":1}}}',
    '{"toJSON":"x"}', '{"$ref":"#/x"}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":1,"A":2}',
    '{"":1,"\\u0000":2}', '{"2":0,"10":1,"1":2}', '{"length":5,"0":"a"}', '{"then":1}',
    "[[[[[[[[1]]]]]]]]", "[" * 60 + "]" * 60, "[" * 70 + "]" * 70, '{"a":' * 30 + "1" + "}" * 30,
    "[1,]", "[,1]", "[1 2]", '{"a":1,}', "[1]//x", "[/**/1]", "[1,\u00a02]", "[1,\v2]", "[1,\f2]",
    "[ \r\n\t1 ]", '{"a":undefined}',
]  # fmt: skip

MEMBERS = [
    '"name":"{b}__pay"', '"name":"{b}__note"', '"Name":"{b}__pay"', '"NAME":"{b}__pay"',
    '"n\\u0061me":"{b}__pay"', '"name\\u0000":"{b}__pay"', '"name ":"x"',
    '"\\u006eame":"{b}__note"', '"arguments":{"amount":1000}', '"Arguments":{"amount":1000}',
    '"arguments":null', '"arguments":[]', '"arguments":"{}"', '"argument\\u017f":{}',
    '"params":{}', '"params":[]', '"Params":{}', '"method":"tools/call"', '"method":"tools/list"',
    '"Method":"tools/call"', '"method\\u0000x":"ping"', '"jsonrpc":"2.0"', '"jsonrpc":"1.0"',
    '"id":2', '"id":null', '"id":1.0', '"id":"1"', '"ID":3', '"amount":1', '"amount":1000',
    '"am\\u006funt":1000', '"Amount":1000', '"amount\\u0000":1000', '"to":"eve"', '"To":"eve"',
    '"region":"us"', '"Region":"us"', '"count":4', '"count":4.0', '"dry":false',
    '"__proto__":{"amount":1000}', '"__proto__":null', '"__proto__":"x"', '"constructor":1',
    '"prototype":{}', '"toString":1', '"hasOwnProperty":1', '"valueOf":1', '"":1', '"_meta":{}',
    '"_meta":{"progressToken":1}', '"_meta":{"traceparent":"a\\r\\nb: c"}', '"task":{"ttl":1}',
    '"result":{}', '"error":{}', '"0":1', '"-1":1', '"00":1', '"a.b":1', '"a[0]":1', '"$type":"x"',
    '"\\ud800":1', '"\u017f":1', '"\uff4eame":"x"',
]  # fmt: skip

BYTES = [
    b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc0\xaf", b"\xc1\xbf", b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xe2\x80\xa8", b"\xf4\x90\x80\x80", b"\x80", b"\xc3", b"\r\n", b"\n", b"\r", b"\t", b" ",
    b"\v", b"\f", b"\xc2\xa0", b"\xe3\x80\x80", b"\x1b", b"\x7f", b'"', b"\\", b"\\u0000",
    b"\\u0022", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"//", b"/**/", b"'", b"#",
    b"+AG0-", b"0\r\n\r\n", b"\r\n0\r\n\r\nPOST /mcp HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n",
]  # fmt: skip

BLANKS = [b" ", b"  ", b"\t", b"\r\n", b"\n", b"\v", b"\f", b"\xc2\xa0", b"\x00", b"\xef\xbb\xbf"]

LINES = [
    "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding : chunked",
    "Transfer-Encoding:\vchunked", "Transfer-Encoding: chunked, identity",
    "transfer-encoding: xchunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
    "Transfer_Encoding: chunked", " Transfer-Encoding: chunked", "Content-Length: 0",
    "Content-Length: 5", "Content-Length: 99999", "Content-Length: +7", "Content-Length: -1",
    "Content-Length: 0x10", "Content-Length: 7, 7", "Content-Length : 7",
    "Content-Length: 7\r\nContent-Length: 8", "Content-Length: 18446744073709551616",
    "Content_Length: 3", "Content-Encoding: gzip", "Content-Encoding: identity",
    "Content-Type: application/json", "Content-Type: application/json; charset=utf-7",
    "Content-Type: application/json; charset=utf-16", "Content-Type: text/plain",
    "Mcp-Name: {b}__pay", "Mcp-Name: {b}__note", "mcp-name: {b}__route",
    "MCP-NAME: =?base64?cHk=?=", "Mcp_Name: {b}__pay", "Mcp-Name : {b}__pay",
    "Mcp-Method: tools/call", "Mcp-Method: tools/list", "mcp-method: ping",
    "MCP-Protocol-Version: 2025-03-26", "MCP-Protocol-Version: 2025-11-25",
    "MCP-Protocol-Version: 2026-07-28", "MCP-Protocol-Version: 1", "Mcp-Session-Id: x",
    "Mcp-Param-Region: us", "Mcp-Param-Count: 4", "Mcp-Param-Count: 4.0", "Mcp-Param-Dry: TRUE",
    "Mcp-Param-Region: =?base64?ZXUtd2VzdA==?=", "Authorization: Bearer x",
    "Authorization: Basic eDp4", "Host: evil.example", "Origin: http://evil.example",
    "Cookie: a=b", "Expect: 100-continue", "Upgrade: h2c", "Connection: Upgrade",
    "Connection: close", "TE: trailers", "Connection: Mcp-Name, Authorization",
    "Trailer: Mcp-Name", "X-HTTP-Method-Override: DELETE", "X-Original-URL: /healthz",
    "X-Forwarded-For: 10.0.0.1", "X: a\r\n folded", "X: \x00", "X: \x80\xff", ": empty",
    "no colon", "X:", "X: " + "a" * 9000, "Accept: */*", "DPoP: x",
]  # fmt: skip

CHUNKS = [
    b";x=y", b';x="\r\n"', b";\n", b" ", b"0x", b"+", b"-", b"00000000", b"ffffffffffffffff",
    b"\n", b"0\r\nMcp-Name: note\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\n\r\n",
    b"1\r\nZ\r\n", b"\r\n", b"G\r\n", b"1e\r\n", b";" + b"a" * 9000,
]  # fmt: skip

# No DELETE: it would end a session that other requests are sent in.
REQUEST_LINES = [
    b"POST /mcp HTTP/1.0", b"POST /mcp HTTP/0.9", b"POST /mcp HTTP/1.2", b"POST /mcp HTTP/2.0",
    b"POST //mcp HTTP/1.1", b"POST /mcp/ HTTP/1.1", b"POST /%6dcp HTTP/1.1",
    b"POST /mcp?x=1 HTTP/1.1", b"POST http://evil.example/mcp HTTP/1.1",
    b"POST /x/../mcp HTTP/1.1", b"GET /mcp HTTP/1.1", b"DELET /mcp HTTP/1.1", b"PUT /mcp HTTP/1.1",
    b"post /mcp HTTP/1.1", b"POST  /mcp HTTP/1.1", b"POST /mcp  HTTP/1.1", b"POST\t/mcp HTTP/1.1",
    b" POST /mcp HTTP/1.1", b"\r\nPOST /mcp HTTP/1.1", b"POST /mcp#x HTTP/1.1",
    b"POST /mcp;x HTTP/1.1", b"POST /MCP HTTP/1.1", b"POST /mcp\x00 HTTP/1.1",
]  # fmt: skip

_STRING = rb'"(?:[^"\\]|\\.)*"'
_NUMBER = rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rb"(?P<name>%b(?=\s*:))|(?P<text>%b)|(?P<other>%b|true|false|null)"
    % (_STRING, _STRING, _NUMBER)
)
_MEMBER = re.compile(rb"%b\s*:\s*(?:%b|[-\d.eE+]+|true|false|null)" % (_STRING, _STRING))
_OPENING = re.compile(rb"\{")
_CLOSING = re.compile(rb"[^{\[]\}")
_MARK = re.compile(rb"[{}\[\],:]")
_ARGUMENTS = b'"arguments": '


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is sent. `framed`: its head is sound, so that exactly one answer comes."""

    number: int
    form: str
    data: bytes
    framed: bool


def mutation(bases: list[Base], seed: int, number: int) -> Mutation:
    """The mutation of this number: the same one whenever seed and bases are the same."""
    rng = random.Random(f"{seed}:{number}")
    base = bases[rng.randrange(len(bases))]
    form = rng.choices(("body", "mirror", "raw"), (45, 25, 30))[0] if base.length else "raw"
    steps = 1 + (rng.random() < 0.3) + (rng.random() < 0.1)
    if form == "raw":
        return Mutation(number, form, _raw(base, rng, steps), framed=False)
    body = base.body
    for _ in range(steps):
        # Mostly behind the envelope: that is checked first, and what it refuses goes no further.
        at = body.find(_ARGUMENTS) + len(_ARGUMENTS) if rng.random() < 0.75 else 0
        at = at if body.startswith(_ARGUMENTS, at - len(_ARGUMENTS)) else 0
        body = body[:at] + _changed_json(body[at:], rng, b"ts" if b'"ts__' in body else b"py")
    head = base.head if form == "body" else _mirrored(base.head, body)
    return Mutation(number, form, sized(head, body), framed=True)


def _changed_json(body: bytes, rng: random.Random, backend: bytes) -> bytes:
    how = rng.choices(range(9), (14, 20, 20, 8, 9, 6, 4, 8, 11))[0]
    if how == 0:
        return _anywhere(body, rng)
    if how == 1:
        return _at_token(body, rng, _VALUES, lambda _: rng.choice(VALUES).encode())
    if how == 2:
        return _at_token(body, rng, _VALUES, lambda value: _respelt(value, rng))
    if how == 3:
        return _at_token(body, rng, _NAMES, lambda name: _other_name(name, rng))
    if how == 4:
        member = rng.choice(MEMBERS).encode().replace(b"{b}", backend)
        return _at_match(body, rng, _OPENING, lambda _: b"{" + member + b",")
    if how == 5:
        member = rng.choice(MEMBERS).encode().replace(b"{b}", backend)
        return _at_match(body, rng, _CLOSING, lambda end: end[:1] + b"," + member + b"}")
    if how == 6:
        return _at_match(body, rng, _MEMBER, lambda member: member + b"," + member)
    if how == 7:
        blank = rng.choice(BLANKS)
        return _at_match(body, rng, _MARK, lambda mark: mark + blank)
    return _at_token(body, rng, _TEXTS, lambda text: b'"' + _anywhere(text[1:-1], rng) + b'"')


def _other_name(name: bytes, rng: random.Random) -> bytes:
    inner = name[1:-1]
    change = rng.randrange(6)
    if change == 0:
        return b'"' + inner.swapcase() + b'"'
    if change == 1:
        return b'"' + inner + rng.choice((b"\\u0000", b" ", b"\\t", b"\\u200b")) + b'"'
    if change < 5 and inner:
        return _respelt(name, rng)
    return rng.choice(
        (b'"__proto__"', b'"amount"', b'"name"', b'"arguments"', b'"params"', b'""', b'"region"')
    )


def _respelt(value: bytes, rng: random.Random) -> bytes:
    """The same value in another spelling, where there is one."""
    text = value.decode("utf-8", "replace")
    if text.startswith('"') and len(text) > 2:
        at = rng.randrange(1, len(text) - 1)
        if text[at] not in '\\"' and ord(text[at]) < 0x10000 and text[at - 1] != "\\":
            return f"{text[:at]}\\u{ord(text[at]):04{rng.choice('xX')}}{text[at + 1 :]}".encode()
    if text[-1:].isdigit():
        ends = (".0", "e0", "E+0", ".00000", "0e-1", "e1")
        return (text + rng.choice(ends)).encode()
    return value


_NAMES, _TEXTS, _VALUES = ("name",), ("text",), ("text", "other")


def _at_token(text: bytes, rng: random.Random, kinds: tuple[str, ...], put) -> bytes:
    found = [match.span() for match in _TOKEN.finditer(text) if match.lastgroup in kinds]
    return _at_span(text, rng, found, put)


def _at_match(text: bytes, rng: random.Random, pattern: re.Pattern[bytes], put) -> bytes:
    return _at_span(text, rng, [match.span() for match in pattern.finditer(text)], put)


def _at_span(text: bytes, rng: random.Random, found: list[tuple[int, int]], put) -> bytes:
    if not found:
        return _anywhere(text, rng)
    start, end = found[rng.randrange(len(found))]
    return text[:start] + put(text[start:end]) + text[end:]


def _anywhere(text: bytes, rng: random.Random, pieces=BYTES) -> bytes:
    """One change that knows nothing of what the bytes mean."""
    at = rng.randrange(len(text) + 1)
    span = min(len(text), at + rng.choice((1, 1, 1, 2, 4, 16)))
    how = rng.randrange(8)
    if how == 0 and at < len(text):
        return text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1 :]
    if how == 1:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    if how == 2:
        return text[:at] + text[span:]
    if how == 3:
        return text[:at] + rng.randbytes(span - at) + text[at:]
    if how == 4:
        return text[:span] + text[at:span] + text[span:]
    if how == 5:
        other = rng.randrange(len(text) + 1)
        a, b, c, d = sorted((at, span, other, min(len(text), other + span - at)))
        return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]
    return text[:at] + rng.choice(pieces) + text[at if how == 6 else span :]


def _raw(base: Base, rng: random.Random, steps: int) -> bytes:
    data = base.whole
    for _ in range(steps):
        head, gap, rest = data.partition(b"\r\n\r\n")
        how = rng.randrange(10)
        if how < 4:
            backend = "ts" if b"ts__" in data else "py"
            line = rng.choice(LINES).replace("{b}", backend).encode("latin-1")
            lines = head.split(b"\r\n")
            lines.insert(rng.randrange(1, len(lines) + 1), line)
            data = rng.choice((b"\r\n",) * 12 + (b"\n", b"\r")).join(lines) + gap + rest
        elif how == 4:
            line, _, others = head.partition(b"\r\n")
            data = rng.choice(REQUEST_LINES) + b"\r\n" + others + gap + rest
        elif how == 5:
            lines = head.split(b"\r\n")
            at = rng.randrange(1, len(lines)) if len(lines) > 1 else 0
            name, colon, value = lines[at].partition(b":")
            lines[at : at + 1] = rng.choice(
                (
                    [],
                    [lines[at]] * 2,
                    [name.swapcase() + colon + value],
                    [name + b" " + colon + value],
                    [name + colon + value.strip()],
                    [name + colon + b"\t " + value + b" \t"],
                    [name + colon + b"\r\n" + value],
                    [name.replace(b"-", b"_") + colon + value],
                )
            )
            data = b"\r\n".join(lines) + gap + rest
        elif how == 6:
            data = _anywhere(head + gap, rng) + rest
        elif not base.length:
            data = head + gap + _anywhere(rest, rng, CHUNKS)
        else:
            data = head + gap + _anywhere(rest, rng)
    return data


def _mirrored(head: bytes, body: bytes) -> bytes:
    """The head with every mirror of the body renewed, if the body can still be read at all."""
    try:
        message = json.loads(body)
        params = message["params"]
        headers = {"Mcp-Method": message["method"], "Mcp-Name": params["name"]}
        headers |= mirrored(params["arguments"])
        lines = [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return head
    if b"Mcp-Method" not in head:
        return head
    kept = [
        line
        for line in head.split(b"\r\n")[:-1]
        if not line.startswith((b"Mcp-Method", b"Mcp-Name", b"Mcp-Param"))
    ]
    return b"\r\n".join(kept) + b"\r\n" + b"".join(lines)
