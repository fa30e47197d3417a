"""A stopped agent stays stopped: no second registration, no request begun before."""

from __future__ import annotations

import json
import socket
import time

from pbac.app.config import BackendConfig
from pbac.app.scaffold import ISSUER
from pbac.crypto.keys import parse_private_pem
from pbac.oauth.software_statement import sign_statement


def test_a_suspended_agent_cannot_come_back_with_its_statement(serve, http_post):
    gateway = serve()
    key = parse_private_pem((gateway.directory / "keys/local.pem").read_bytes())
    now_ms = time.time_ns() // 1_000_000
    statement = sign_statement(key, issuer=ISSUER, name="Bot", tier="developer", now_ms=now_ms)
    body = {"software_statement": statement}
    status, _, client = http_post(f"{gateway.origin}/register", body)
    assert status == 201
    config = ("--config", str(gateway.config))
    gateway.pbac("agent", "suspend", client["client_id"], *config)
    status, _, refused = http_post(f"{gateway.origin}/register", body)
    assert (status, refused["error"]) == (400, "invalid_software_statement")
    assert "suspended" in refused["error_description"]
    gateway.pbac("agent", "resume", client["client_id"], *config)
    status, _, _ = http_post(f"{gateway.origin}/register", body)
    assert status == 201


def test_a_request_held_back_is_decided_for_the_agent_as_it_is_then(serve, record_upstream):
    """Another tier acts on the very next decision, also where its body came late."""
    upstream = record_upstream({"merge": {"type": "object"}})
    gateway = serve(
        backends=[BackendConfig(name="shop", url=upstream.url)],
        policy="package p on server shop\ntiers read_only < developer < trusted\n"
        "permit merge\n  for tier >= developer\n  on tool merge\n",
    )
    token = gateway.token(name="slow")
    config = ("--config", str(gateway.config))
    client_id = json.loads(gateway.pbac("agent", "list", "--json", *config).stdout)["client_id"]
    params = {
        "name": "merge",
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: merge\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as held:
        held.sendall((head + body[:20]).encode())
        time.sleep(0.3)
        gateway.pbac("agent", "tier", client_id, "read_only", *config)
        held.sendall(body[20:].encode())
        assert held.recv(4096).startswith(b"HTTP/1.1 403")
    assert upstream.calls("merge") == []


def test_a_request_held_back_is_refused_when_its_agent_was_suspended(serve, record_upstream):
    upstream = record_upstream({"get_price": {"type": "object"}})
    gateway = serve(backends=[BackendConfig(name="shop", url=upstream.url)])
    token = gateway.token(name="slow")
    config = ("--config", str(gateway.config))
    client_id = json.loads(gateway.pbac("agent", "list", "--json", *config).stdout)["client_id"]
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}'
    )
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as held:
        held.sendall(head.encode() + body[:20])
        time.sleep(0.3)
        gateway.pbac("agent", "suspend", client_id, *config)
        held.sendall(body[20:])
        assert held.recv(4096).startswith(b"HTTP/1.1 401")
