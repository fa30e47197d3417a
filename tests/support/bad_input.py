"""A gateway of two backends, one agent's token, and a raw HTTP client that sends what it is told."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from dataclasses import dataclass, field

from pbac.app.config import BackendConfig

SHOP = """
package shop on server shop
"Anything but closing; large payments need a person."

tiers read_only < developer < trusted

permit everything
  for tier >= read_only
  on  tool * except close

forbid big_payments
  on   tool pay
  when args.amount > 100
  because "payments beyond 100 need a person"
"""

FRAIL = """
package frail on server frail

permit everything
  for tier >= read_only
  on  tool *
"""

SHORT_LIVED = """
package tokens

require short_lived
  for kind scanner
  on  token
  then expire in 1s
"""

POLICIES = {"shop.pbac": SHOP, "frail.pbac": FRAIL, "tokens.pbac": SHORT_LIVED}

ANY = {"type": "object"}
NUMBER = {"type": "object", "properties": {"amount": {"type": "number"}, "note": {}}}
STRICT = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}
TOOLS = {
    "echo": ANY,
    "pay": NUMBER,
    "count": STRICT,
    "close": ANY,
    "slow": ANY,
    "redirects": ANY,
    **{f"load{n}": ANY for n in range(6)},
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
NAMES = {tool: f"shop__{tool}" for tool in TOOLS} | {"fetch": "frail__fetch"}
"""What agents call the tools of two backends."""
TRACE = re.compile(rb"Traceback|File \"|\.py\b|site-packages")


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The symbolic word; the number of an envelope's error, which has none."""
        told = self.json["error"]
        return told if isinstance(told, str) else told.get("data", {}).get("code", told["code"])


@dataclass
class World:
    """The module's gateway, its upstreams and one agent's token."""

    gateway: object
    upstream: object
    frail: object
    token: str
    bodies: list = field(default_factory=list)
    secrets: list = field(default_factory=list)
    names: dict = field(default_factory=lambda: NAMES)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.gateway.port), 10)

    def raw(self, data, *, then=None):
        """Send bytes, read one answer. `then` is sent after a moment."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # refused before everything was sent
                connection.sendall(data)
                if then is not None:
                    time.sleep(0.05)
                    connection.sendall(then)
            return self.read(connection, data.partition(b" ")[0].decode("latin-1"))

    def read(self, connection, method="POST"):
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
        self.bodies.append(answer.body)
        return answer

    def request(self, body=None, *, line="POST /mcp HTTP/1.1", replace=(), more=()):
        """The bytes of one request: a sound call of `echo`, but for what is replaced or added."""
        body = call("echo") if body is None else body
        headers = {
            "Host": self.gateway.origin.removeprefix("http://"),
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": NAMES["echo"],
            "Content-Length": str(len(body)),
            **dict(replace),
        }
        sent = [(name, value) for name, value in headers.items() if value is not None]
        text = "".join(f"{name}: {value}\r\n" for name, value in [*sent, *more])
        return f"{line}\r\n{text}\r\n".encode("latin-1") + body

    def send(self, body=None, **how):
        return self.raw(self.request(body, **how))

    def call(self, tool, arguments=None, token=None):
        return self.send(
            call(tool, arguments),
            replace={
                "Mcp-Name": NAMES.get(tool, tool),
                "Authorization": f"Bearer {token or self.token}",
            },
        )

    @contextlib.contextmanager
    def nothing_forwarded(self):
        before = len(self.upstream.calls())
        yield
        assert len(self.upstream.calls()) == before, "the upstream heard of it"

    def agent(self, name, kind="assistant"):
        """(client id, secret, token) of a new agent."""
        client = self.gateway.register("developer", name, kind=kind)
        token = self.sign_in(client)
        self.secrets += [token, client["client_secret"]]
        return client["client_id"], client["client_secret"], token

    def sign_in(self, client):
        body = (
            f"grant_type=client_credentials&client_id={client['client_id']}"
            f"&client_secret={client['client_secret']}"
        ).encode()
        form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
        answer = self.send(body, line="POST /token HTTP/1.1", replace=form)
        assert answer.status == 200, answer.body
        self.bodies.pop()
        return answer.json["access_token"]

    def decision(self, answer):
        """The decision record of an answer to a call."""
        wanted = answer.headers["pbac-decision"]
        return next(d for d in self.gateway.records("decision") if d["decision_id"] == wanted)

    def outcome(self, decision_id):
        return eventually(
            lambda: next(
                (o for o in self.gateway.records("outcome") if o["decision_id"] == decision_id),
                None,
            ),
            "the outcome is not recorded",
        )


def call(tool, arguments=None):
    params = {"name": NAMES.get(tool, tool), "arguments": arguments or {}, "_meta": META}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()


def eventually(look, otherwise, seconds=5.0):
    """The first true answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


def both(upstream, frail):
    return [
        BackendConfig(name="shop", url=upstream.url),
        BackendConfig(name="frail", url=frail.url),
    ]


def legacy_session(world):
    """The headers of a call within a new legacy session."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    dropped = {"MCP-Protocol-Version": None, "Mcp-Method": None, "Mcp-Name": None}
    answer = world.send(json.dumps(body).encode(), replace=dropped)
    session = answer.headers["mcp-session-id"]
    return {**dropped, "MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}
