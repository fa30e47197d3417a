"""What every attack is given: two served gateways before one upstream, and the five invariants.

`plain` answers refusals as results, `strict` (`denials = "403"`) as 403; all else is the same. An
attack sends what it likes through them and *yields* each answer it wants held against its case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hostile.catalogue import Case
from hostile.decided import DECIDED
from support.bad_input import TRACE, Answer, World, eventually

from pbac.adapters.audit_keys import open_audit_keys
from pbac.adapters.audit_reader import read_segments
from pbac.audit.verify import verify_log

VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
NEWEST = VERSIONS[-1]
_COUNTED = re.compile(r"^pbac_refusals_total\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass
class Stage:
    """The gateways under attack. `sessions` holds one legacy session a gateway and version.

    `serve` starts another one; what is put into `others` is held to the same invariants.
    """

    plain: World
    strict: World
    serve: Callable
    others: dict[str, World] = field(default_factory=dict)
    sessions: dict[tuple[int, str], str] = field(default_factory=dict)
    honest_calls: int = 0

    @property
    def worlds(self) -> tuple[World, World]:
        """The two that every attack may use."""
        return self.plain, self.strict

    @property
    def every_world(self) -> tuple[World, ...]:
        """All that have to be well after every case."""
        return self.plain, self.strict, *self.others.values()

    @property
    def upstream(self):
        return self.plain.upstream

    def call(self, tool, arguments=None, *, version=NEWEST, world=None, token=None) -> Answer:
        """One `tools/call` in the way of this protocol version."""
        world = world or self.plain
        params = {"name": world.names.get(tool, tool), "arguments": arguments or {}}
        return self.ask("tools/call", params, version=version, world=world, token=token)

    def honest(self, tool, arguments=None, **how) -> Answer:
        """A call that has nothing wrong with it, for comparison: it has to be forwarded."""
        answer = self.call(tool, arguments, **how)
        assert answer.status == 200, answer.body
        assert not answer.json["result"].get("isError"), answer.body
        self.honest_calls += 1
        return answer

    def ask(self, method, params=None, *, version=NEWEST, world=None, token=None) -> Answer:
        """One request of any method, in the way of this protocol version."""
        world = world or self.plain
        params = dict(params or {})
        if version == NEWEST:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
                **params.get("_meta", {}),
            }
        named = params.get("name") or params.get("uri")
        headers = self.dress(method, named, version=version, world=world, token=token)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return world.send(json.dumps(body).encode(), replace=headers)

    def dress(self, method, named=None, *, version=NEWEST, world=None, token=None) -> dict:
        """The headers that a request of any body wears in this protocol version."""
        world = world or self.plain
        headers = {"Authorization": f"Bearer {token or world.token}"}
        if version == NEWEST:
            headers |= {"Mcp-Method": method, "Mcp-Name": named}
        else:
            session = self._session(world, version, token)
            headers |= {"Mcp-Method": None, "Mcp-Name": None, "Mcp-Session-Id": session}
        return headers | {"MCP-Protocol-Version": None if version == VERSIONS[0] else version}

    def denied(self, tool, arguments=None, *, version=NEWEST, token=None) -> Iterator[Answer]:
        """A call that policy refuses: 403 where that is wanted, the same word in the result."""
        told = self.call(tool, arguments, version=version, token=token)
        assert told.status == 200, told.body
        denial = told.json["result"]["_meta"]["pbac/denial"]
        assert told.json["result"]["isError"] is True
        strict = self.call(tool, arguments, version=version, world=self.strict, token=token)
        assert denial["code"] == strict.error, (told.body, strict.body)
        yield strict

    def _session(self, world: World, version: str, token: str | None) -> str:
        key = (id(world), version, token)
        if key not in self.sessions:
            hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "old"}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            sent = {"Authorization": f"Bearer {token or world.token}"}
            dropped = {"MCP-Protocol-Version": None, "Mcp-Method": None, "Mcp-Name": None}
            answer = world.send(json.dumps(body).encode(), replace=sent | dropped)
            self.sessions[key] = answer.headers["mcp-session-id"]
        return self.sessions[key]


def hold(case: Case, answer: Answer) -> None:
    """The answer is one of those the case allows."""
    allowed = DECIDED.get(case.id, case)
    if allowed.http:
        assert answer.status in allowed.http, (answer.status, answer.body[:300])
    if allowed.errors:
        assert words_of(answer) & allowed.errors, (allowed.errors, answer.body[:300])


def words_of(answer: Answer) -> set[str]:
    """Every name and number by which an answer says what is wrong."""
    tree = answer.json if answer.body else {}
    error = tree.get("error", {})
    if isinstance(error, str):
        return {error}
    denial = tree.get("result", {}).get("_meta", {}).get("pbac/denial", {})
    data = error.get("data") if isinstance(error.get("data"), dict) else {}
    found = (error.get("code"), data.get("code"), denial.get("code"))
    return {str(word) for word in found if word is not None}


@contextmanager
def under_attack(case: Case, stage: Stage) -> Iterator[None]:
    """What has to hold after every case, whatever it did."""
    calls, counted = len(stage.upstream.calls()), sum(map(refusals, stage.every_world))
    stage.honest_calls = 0
    decided = sum(map(decisions, stage.every_world))
    for world in stage.every_world:
        world.bodies.clear()
    yield
    if not case.forwarded:
        heard = len(stage.upstream.calls()) - calls - stage.honest_calls
        assert heard == 0, "the upstream heard of it"
    _is_audited(case, stage, counted, decided)
    for world in stage.every_world:
        _says_nothing_it_should_not(world)
        _is_well(world)
    raw = b"".join(stage.upstream.raw)
    for world in stage.every_world:
        for secret in (world.token, *world.secrets):
            assert secret.encode() not in raw, "a credential of a caller went upstream"


def _is_audited(case: Case, stage: Stage, counted: float, decided: int) -> None:
    """Refusals are counted (and summed up in the record), decisions have a row each."""
    decided_otherwise = DECIDED.get(case.id)
    expected = case.audit
    if decided_otherwise is not None and decided_otherwise.audit is not None:
        expected = decided_otherwise.audit
    refused = ("request.rejected", "authn.failed", "edge.rejected", "oauth.dcr.refused")
    if expected.startswith(refused):
        assert sum(map(refusals, stage.every_world)) > counted, "the refusal was not counted"
    if expected.startswith(("authz.denied", "call.allowed")):
        eventually(
            lambda: sum(map(decisions, stage.every_world)) > decided, "the decision is not recorded"
        )


def _says_nothing_it_should_not(world: World) -> None:
    for body in world.bodies:
        assert not TRACE.search(body), body
        for secret in world.secrets:
            assert secret.encode() not in body, "a secret came back"


def _is_well(world: World) -> None:
    assert world.gateway.process.poll() is None
    health = world.send(b"", line="GET /healthz HTTP/1.1")
    assert (health.status, health.json) == (200, {"status": "ok"})
    found = verify_log(read_segments(world.gateway.directory / "state/audit"), verifier(world))
    assert found.ok, found.problems
    counted = metrics(world)
    assert 'code="internal_error"' not in counted, "something unexpected happened inside"


def verifier(world: World):
    """The public half of the log's key, as anyone may have it."""
    directory: Path = world.gateway.directory / "state/keys"
    return open_audit_keys(directory, "unused").verifier


def metrics(world: World) -> str:
    answer = world.send(b"", line="GET /metrics HTTP/1.1")
    return answer.body.decode()


def refusals(world: World) -> float:
    """How many requests were refused before they became a call."""
    return sum(map(float, _COUNTED.findall(metrics(world))))


def decisions(world: World) -> int:
    """How many decisions stand in the record."""
    total = 0
    for path in (world.gateway.directory / "state/audit").glob("log-*.jsonl"):
        total += path.read_bytes().count(b'"kind":"decision"')
    return total
