"""The valid requests that are mutated, and the tools and policies they are valid for."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
NEWEST = VERSIONS[-1]

TOOLS = [
    {"name": "note", "inputSchema": {"type": "object"}},
    {
        "name": "pay",
        "inputSchema": {
            "type": "object",
            "properties": {
                "amount": {"type": "number"},
                "to": {"type": "string", "default": "nobody"},
            },
        },
    },
    {
        "name": "route",
        "inputSchema": {
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "count": {"type": "integer", "x-mcp-header": "Count"},
                "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            },
        },
    },
]
"""`route` mirrors its arguments in headers towards the upstream: text that gets into a head."""


def policies(backends):
    """What may be called, with one rule that looks into arguments."""
    found = {}
    for at, backend in enumerate(backends):
        tiers = "tiers read_only < developer < trusted\n" if at == 0 else ""
        found[f"{backend}.pbac"] = (
            f"package {backend} on server {backend}\n{tiers}"
            "permit everything\n  for tier >= read_only\n  on  tool *\n"
            'forbid big\n  on   tool pay\n  when args.amount > 100\n  because "too much"\n'
        )
    return found


TREES = (
    {"text": "the quick brown fox"},
    {"amount": 7, "to": "maria"},
    {"amount": 99.5},
    {"amount": 250},
    {"region": "eu-west", "count": 3, "dry": True},
    {"region": "Grüße, 世界", "count": -1},
    {"a": [1, 2.5, -3e10, None, True, False, "x", {"b": {"c": []}}], "": {"d": '\u0001\n"\\/'}},
    {"path": "../../etc/passwd", "query": "a=1&b=2", "emoji": "😀", "n": 9007199254740991},
    {},
)


@dataclass(frozen=True, slots=True)
class Base:
    """One valid request, in two halves. `length` is False when the body is sent in chunks."""

    head: bytes
    body: bytes
    length: bool = True

    @property
    def whole(self) -> bytes:
        return sized(self.head, self.body) if self.length else self.head + b"\r\n" + self.body


def sized(head: bytes, body: bytes) -> bytes:
    return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


def bases(origin, token, backends, sessions) -> list[Base]:
    """All of them: every tool and backend in every revision, and what is beside calls."""
    found = []
    common = {
        "Host": origin.removeprefix("http://"),
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    for backend in backends:
        for version in VERSIONS:
            for at, tree in enumerate(TREES):
                tool = "route" if "region" in tree else "pay" if "amount" in tree else "note"
                params = {"name": f"{backend}__{tool}", "arguments": tree}
                if at % 3 == 0:
                    params["_meta"] = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
                found += _forms(
                    common, sessions, version, "tools/call", params, chunked=at % 4 == 1
                )
    for version in VERSIONS:
        found += _forms(common, sessions, version, "tools/list", {})
    found += _forms(common, sessions, "2025-11-25", "ping", {})
    return found


def _forms(common, sessions, version, method, params, *, chunked=False) -> list[Base]:
    headers = dict(common)
    if version == NEWEST:
        meta = {
            **params.get("_meta", {}),
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {**params, "_meta": meta}
        headers |= {"Mcp-Method": method}
        if "name" in params:
            headers |= {"Mcp-Name": params["name"]} | mirrored(params["arguments"])
    else:
        headers["Mcp-Session-Id"] = sessions[version]
    if version != VERSIONS[0]:
        headers["MCP-Protocol-Version"] = version
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    body = json.dumps(message, ensure_ascii=False).encode()
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"POST /mcp HTTP/1.1\r\n{''.join(lines)}".encode()
    forms = [Base(head, body)]
    if chunked:
        cut = len(body) // 2
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:cut], body[cut:]))
        forms.append(Base(head + b"Transfer-Encoding: chunked\r\n", pieces + b"0\r\n\r\n", False))
    return forms


def mirrored(arguments) -> dict[str, str]:
    """The headers of a modern call of `route`, as an honest client writes them."""
    found = {}
    for name in ("region", "count", "dry"):
        value = arguments.get(name)
        if isinstance(value, bool | int | str):
            text = json.dumps(value) if isinstance(value, bool | int) else value
            plain = text.isascii() and text.isprintable() and text == text.strip() and text
            coded = f"=?base64?{base64.b64encode(text.encode()).decode()}?="
            found[f"Mcp-Param-{name.title()}"] = text if plain else coded
    return found
