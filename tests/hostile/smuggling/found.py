"""Requests that two readers once read differently, minimised: tried in every run.

`run.py` prints a line for this list when it finds a difference. `{host}`, `{token}` and
`{session VERSION}` stand for those of the run; of a sound head, the length is told anew.
"""

from __future__ import annotations

FOUND = [
    # `__proto__` is a member to the policy; the TypeScript SDK's reader drops it.
    (
        (
            b"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            b"Mcp-Session-Id: {session 2025-11-25}\r\n\r\n"
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
            b'{"name":"ts__note","arguments":{"":true,"__proto__":null}}}'
        ),
        True,
    ),
    (
        (
            b"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            b"Mcp-Session-Id: {session 2025-03-26}\r\n\r\n"
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
            b'{"name":"ts__pay","arguments":{"\\u005f_proto__":{"amount":1000}}}}'
        ),
        True,
    ),
]
