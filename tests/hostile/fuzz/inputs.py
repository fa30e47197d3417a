"""Sound inputs of every target, and the pieces that readers stumble over."""

from __future__ import annotations

import json
from pathlib import Path

from hostile.fuzz.targets import CLAIMS, NOW, bundle_payload, honest_bundle, honest_token

ROOT = Path(__file__).parents[3]

JSON = [
    b'{"a": 1, "b": [true, null, "x\\u00e9"], "": {"c": -1.5e10}}', b'"\\ud83d\\ude00"',
    b"[1, 2.0]", b'[{"a":{"a":{"a":[[[]]]}}}]', b"9007199254740991", b"-0.0", b'{"__proto__":1}',
    b'"a\\u0000"',
]  # fmt: skip

JSON_PIECES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\\udc00", b"\\u0000",
    b"e", b"E+", b"-", b".", b"0", b"1e400", b"1e-400", b"9007199254740992", b"NaN", b"Infinity",
    b"true", b"null", b"\xef\xbb\xbf", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x00",
    b" ", b"\t", b"\r\n", b'"a":1', b'"a":', b'"\\u0061":', b'"__proto__":', b"[[[[[[[[",
    b"9" * 65,
]  # fmt: skip

MESSAGE_PIECES = [b'"method":', b'"params":', b'"id":null', b'"_meta":', b'"Name":1,', b'"name":']

JWT_PIECES = [
    b".", b"=", b"+", b"/", b"-", b"_", b'"alg":"none"', b'"exp":1e9', b'"jwk":{}', b'"aud":[]',
]  # fmt: skip

BUNDLE_PIECES = [
    b"../", b"/", b"\\\\", b".pbac", b"_bad", b"data/", b"tools/x.json", b'"shop.pbac":""', b"7.0",
    b'"number":8', b'"files":{}', b'"typ":"JWT"', b'"crit":[]', b"SHOP", b"e\xcc\x81", b"\xc3\xa9",
]  # fmt: skip

POLICY_PIECES = [
    b"package", b"permit", b"forbid", b"require", b"define", b"test", b"when", b"unless", b"for",
    b"on", b"tool", b"tier", b"tiers", b"scope", b"args.a", b"default", b"in", b"not", b"and",
    b"or", b"like", b"matches", b"=>", b"==", b"<", b">=", b"(", b")", b"[", b"]", b"{", b"}",
    b'"', b'"""', b'r"', b"#", b"@shadow", b"@expires", b"any", b"all", b"is", b"has", b"then",
    b"because", b"call", b"agent", b"lower(", b"count(", b"1.5", b"-1", b"9e9", b"10m",
    b"2026-01-01", b"*", b"**", b"except", b",", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xed\xa0\x80",
    b"\x00", b"\r", b"\t", b"\n", b"\\", b"\\u0000", b"\xf0\x9f\x98\x80", b"((((((((",
    b"not not not", b"(a|b)*", b"[^a]{2,9}",
]  # fmt: skip

EVENTS = [
    b"data: YHOO\ndata: +2\n\n", b"\xef\xbb\xbfid: 1\r\nevent: x\r\ndata:\r\r\n",
    b": c\n\ndata\n\nretry: 15\ndata: a\xc3\xa9\n\n", b"data: " + b"x" * 50 + b"\n\n",
]  # fmt: skip

EVENT_PIECES = [
    b"data", b"data:", b"event:", b"id:", b"retry:", b": ", b":", b"\n", b"\r", b"\r\n", b"\n\n",
    b"\r\r", b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xff", b"\x00", b"\xe2\x80\xa8", b"x" * 41,
    b"9" * 10,
]  # fmt: skip

ANSWERS = [
    b"HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
    b"HTTP/1.0 200 X\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\nabc",
]

ANSWER_PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b"0\r\n\r\n",
    b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 101 S\r\n",
    b"HTTP/1.1 304 N\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"chunked",
    b"Connection: close\r\n", b"Upgrade: h2c\r\n", b"+", b"-", b"0x", b"3", b"ff", b"\x00",
    b"\x0b", b"\x80", b"abc",
]  # fmt: skip

VALUES = [
    b"plain", b"Gr\xc3\xbc\xc3\x9fe", b"=?base64?YQ==?=", b" lead", b"x\r\ny: z", b"42.0",
    b"10.0.0.1, 8.8.8.8, [::1]:80", b"a=1&b=%C3%A9&a=2", b"Host: x\nhost: y",
]  # fmt: skip

VALUE_PIECES = [
    b"=?base64?", b"?=", b"=", b"\r", b"\n", b"\r\n", b"\x00", b"\t", b" ", b"\x7f", b"\x85",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b",", b"&", b"%", b"%ff", b"::1", b"10.0.0.1", b"127.1",
    b"host:",
]  # fmt: skip

PIECES = {
    "bundle": [*JSON_PIECES, *JWT_PIECES, *BUNDLE_PIECES],
    "event_stream": EVENT_PIECES,
    "header_values": VALUE_PIECES,
    "http_answer": ANSWER_PIECES,
    "json": JSON_PIECES,
    "jwt": [*JSON_PIECES, *JWT_PIECES],
    "message": [*JSON_PIECES, *MESSAGE_PIECES],
    "policy": POLICY_PIECES,
}


def seeds() -> dict[str, list[bytes]]:
    """Target → sound inputs."""
    return {
        "bundle": [
            honest_bundle(),
            bundle_payload(),
            b'{"alg":"EdDSA","kid":"KID","typ":"pbac-bundle+jws"}',
        ],
        "event_stream": EVENTS,
        "header_values": VALUES,
        "http_answer": ANSWERS,
        "json": JSON,
        "jwt": _tokens(),
        "message": _messages(),
        "policy": _policies(),
    }


def _tokens() -> list[bytes]:
    """A whole token, then claims and headers, which the target signs itself."""
    return [
        honest_token(),
        json.dumps(CLAIMS).encode(),
        json.dumps({**CLAIMS, "nbf": NOW, "jti": "x", "client_id": "y"}).encode(),
        b'{"alg":"EdDSA","typ":"statement+jwt","kid":"KID"}',
        b'{"alg":"EdDSA","typ":"application/statement+jwt"}',
    ]


def _messages() -> list[bytes]:
    meta = {
        f"io.modelcontextprotocol/{k}": v
        for k, v in (("protocolVersion", "2026-07-28"), ("clientCapabilities", {}))
    }
    params = {"name": "n", "arguments": {"a": 1}, "_meta": {**meta, "progressToken": 1}}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x"}}
    trees = [
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        {"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {"cursor": ""}},
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}},
    ]
    return [json.dumps(tree).encode() for tree in [*trees, trees[:2]]]


def _policies() -> list[bytes]:
    texts = [path.read_bytes() for path in sorted((ROOT / "policies").rglob("*.pbac"))]
    for path in sorted((ROOT / "tests/lang/front").glob("*.pbac")):
        chunks = path.read_bytes().split(b"\n---\n")
        texts += [b"package t tiers lo < hi " + chunk for chunk in chunks[::7]]
    return texts
