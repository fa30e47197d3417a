"""A gateway in memory: real policy, catalogue and protocol code, with an upstream and a record
that keep what they are given."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from multidict import CIMultiDict

from pbac.audit.storage import AuditUnavailable
from pbac.base.source import Source
from pbac.catalog.backends import HttpTransport, backend
from pbac.catalog.tools import read_tools
from pbac.duties.quota import Quotas
from pbac.gateway.endpoint import HttpRequest, serve
from pbac.gateway.gateway import Gateway, Settings
from pbac.gateway.offer import offer
from pbac.gateway.ports import Published
from pbac.gateway.principal import Principal
from pbac.gateway.upstream import UpstreamError
from pbac.mcp.modern import ServerInfo
from pbac.mcp.parameter_headers import annotation_problem
from pbac.pdp.administration import prepare

POLICY = """
package shop on server shop

tiers read_only < developer < trusted

permit read
  for tier >= read_only
  on  tool get_*

permit pay
  for tier >= developer
  on  tool pay, refund
  when args.currency == "EUR"

permit close
  for tier >= trusted
  on  tool close_shop

forbid big_refunds
  on   tool refund
  when args.amount > 100
  because "refunds beyond 100 need a person"

permit ship
  for tier >= read_only
  on  tool ship

forbid no_express
  on   tool ship
  when args.express

require payments_are_slow
  on   tool pay
  then limit 2 per 1h by agent

require no_card_numbers
  on   tool get_card
  then redact result.structuredContent.number

require a_person
  on   tool get_secret
  then approval from group "owners" within 15m
"""

SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}},
}
TOOLS = {
    "get_price": {"type": "object"},
    "get_card": {"type": "object"},
    "get_secret": {"type": "object"},
    "pay": {**SCHEMA, "required": ["amount", "currency"], "additionalProperties": False},
    "refund": SCHEMA,
    "close_shop": {"type": "object"},
    "ship": {
        "type": "object",
        "properties": {"to": {"type": "string"}, "express": {"type": "boolean", "default": False}},
    },
}
SCOPES = {
    "shop:read": ("get_*",),
    "shop:pay": ("pay", "refund", "ship"),
    "shop:close": ("close_shop",),
}
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
VERSIONS = (*LEGACY, "2026-07-28")
NOW_MS = 1_767_261_600_000


class FakeUpstream:
    """Keeps what arrived; answers `result`, or raises it."""

    def __init__(self):
        self.calls = []
        self.result = {"content": [{"type": "text", "text": "done"}]}
        self.notifications = []
        self.before_answer = None

    async def call_tool(self, name, arguments, *, principal_key, meta, on_notification=None):
        self.calls.append((name, arguments, principal_key, meta))
        for message in self.notifications:
            if on_notification is not None:
                await on_notification(message)
        if self.before_answer is not None:
            await self.before_answer()
        if isinstance(self.result, UpstreamError):
            raise self.result
        return self.result


class FakeAudit:
    """Keeps records in order, together with how many calls the upstream had seen by then."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.records = []
        self.calls_seen = []
        self.fails = False
        self.enqueue_fails = False

    async def append(self, record):
        if self.fails:
            raise AuditUnavailable("no room")
        self._keep(record)
        return len(self.records)

    def enqueue(self, record):
        if self.enqueue_fails:
            raise AuditUnavailable("no room")
        self._keep(record)

    def _keep(self, record):
        self.records.append(record)
        self.calls_seen.append(len(self.upstream.calls))


class FakeClock:
    """`set_ms` is how far somebody has put the wall clock forward (or back)."""

    def __init__(self):
        self.time_ms = NOW_MS
        self.set_ms = 0

    def now_ms(self):
        return self.time_ms + self.set_ms

    def monotonic(self):
        return self.time_ms / 1000


@dataclass
class CountersSeen:
    decisions: list = field(default_factory=list)
    refusals: list = field(default_factory=list)

    def decided(self, effect, code):
        self.decisions.append((effect, code))

    def refused(self, code):
        self.refusals.append(code)

    def answered(self, seconds):
        assert seconds >= 0


@dataclass
class World:
    """One gateway with one agent and the ways to ask it."""

    gateway: Gateway
    upstream: FakeUpstream
    audit: FakeAudit
    clock: FakeClock
    counters: CountersSeen
    told: list = field(default_factory=list)
    session: str = ""

    def principal(self, tier="developer", scopes=("shop:read", "shop:pay", "shop:close"), id="a1"):
        return Principal(
            key=id,
            agent={"id": id, "name": "Agent", "tier": tier, "verified": True},
            user=None,
            chain={"depth": 0, "actors": []},
            token_id="at_1",
            token={
                "scopes": sorted(scopes),
                "grant": "client_credentials",
                "issued_at": NOW_MS - 60_000,
                "expires_at": NOW_MS + 60_000,
            },
            scopes=frozenset(scopes),
            issued_at_ms=NOW_MS - 60_000,
        )

    async def send(self, body, headers=(), principal=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        http = HttpRequest(headers=CIMultiDict(headers), body=data, ip="192.0.2.1")

        async def notify(message):
            self.told.append(message)

        return await serve(self.gateway, principal or self.principal(), http, notify)

    async def ask(self, method, params=None, *, version="2026-07-28", principal=None):
        """One request of the given revision, with everything that revision demands."""
        params = dict(params or {})
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        if version != "2026-07-28":
            session = await self.open_session(version, principal)
            sent = [("MCP-Protocol-Version", version), ("Mcp-Session-Id", session)]
            return await self.send(body, sent, principal)
        prefix = "io.modelcontextprotocol"
        meta = {f"{prefix}/protocolVersion": version, f"{prefix}/clientCapabilities": {}}
        params["_meta"] = {**meta, **params.get("_meta", {})}
        sent = [("MCP-Protocol-Version", version), ("Mcp-Method", method)]
        if "name" in params:
            sent.append(("Mcp-Name", params["name"]))
        return await self.send(body, sent, principal)

    async def open_session(self, version, principal=None):
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        answer = await self.send(body, (), principal)
        return dict(answer.headers)["Mcp-Session-Id"]

    async def call(self, tool, arguments=None, **how):
        params = {"name": tool, "arguments": arguments or {}}
        answer = await self.ask("tools/call", params, **how)
        return answer, json.loads(answer.body)

    def publish(self, policy):
        self.gateway.policies.current = policy_set(policy)


def policy_set(text):
    return prepare([Source("test.pbac", text)]).require()


def make_world(*, denials="result", policy=POLICY):
    upstream = FakeUpstream()
    audit, clock, counters = FakeAudit(upstream), FakeClock(), CountersSeen()
    shop = backend("shop", HttpTransport(url="http://127.0.0.1:1/mcp"), SCOPES)
    definitions = [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]
    toolset = read_tools(shop, definitions, objection=annotation_problem)
    assert not toolset.quarantined
    random = iter(range(1, 10_000))
    gateway = Gateway(
        settings=Settings(
            resource="https://gw.example/mcp",
            resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp",
            environment="test",
            denials=denials,
            server=ServerInfo(name="gw", version="1"),
        ),
        policies=Published(policy_set(policy)),
        offer=Published(offer([toolset])),
        upstreams={"shop": upstream},
        find_principal=lambda _: None,
        audit=audit,
        counters=counters,
        clock=clock,
        entropy=lambda n: next(random).to_bytes(n, "big"),
        digest_arguments=lambda arguments: f"digest of {json.dumps(arguments, sort_keys=True)}",
        quotas=Quotas(),
    )
    return World(gateway, upstream, audit, clock, counters)
