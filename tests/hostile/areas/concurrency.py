"""Many at once: nobody's call, identity or answer becomes another's."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field

from hostile.areas import concurrency_faults
from hostile.faults import faulty
from hostile.lines import Line, at_once
from hostile.policies import POLICIES
from hostile.ruled import RULED_TOOLS
from support.bad_input import TOOLS, both, call, eventually, legacy_session
from support.recorder import Recorder

from pbac.app.config import BackendConfig
from pbac.oauth.access_token import hash_access_token

# --- CON-01: identities -------------------------------------------------------------------------

AGENTS, CALLS = 50, 20


@dataclass
class Caller:
    """One agent of the crowd, and what it was answered."""

    name: str
    client_id: str
    token: str
    answered: list = field(default_factory=list)

    def calls(self, world):
        """Its own name is permitted, its neighbour's is not, and the refusal is about itself."""
        line = Line(world)
        for number in range(CALLS):
            own = number % 3 != 0
            owner = self.name if own else f"neighbour of {self.name}"
            arguments = {"owner": owner, "n": f"{self.name} {number}"}
            asked = f"{self.name}#{number}"
            answer = line.ask("shop__ruled_mine", arguments, token=self.token, request_id=asked)
            assert (answer.status, answer.json["id"]) == (200, asked)
            result = answer.json["result"]
            assert result.get("isError", False) is not own, answer.body
            assert own or f"{self.name} is not neighbour of {self.name}." in _text(result)
            self.answered.append((answer.headers["pbac-decision"], own, arguments))
        line.close()


def _text(result):
    return result["content"][0]["text"]


def identities(stage):
    """1,000 interleaved calls of 50 agents: every row names whose token it was."""
    upstream = Recorder(tools=TOOLS | RULED_TOOLS).start()
    with faulty(stage, backends=both(upstream, stage.plain.frail)) as (world, _):
        crowd = []
        for number in range(AGENTS):
            client_id, _, token = world.agent(f"agent {number:02}")
            crowd.append(Caller(f"agent {number:02}", client_id, token))
        at_once([lambda caller=caller: caller.calls(world) for caller in crowd])
        _rows_name_their_callers(world, crowd)
        permitted = [each[2] for caller in crowd for each in caller.answered if each[1]]
        forwarded = [arguments for _, arguments in upstream.calls("ruled_mine")]
        assert sorted(map(str, forwarded)) == sorted(map(str, permitted))
        _a_limit_is_not_outrun(world, crowd)
    upstream.stop()
    yield stage.honest("echo")


def _rows_name_their_callers(world, crowd):
    rows = {r["decision_id"]: r for r in world.gateway.records("decision")}
    for caller in crowd:
        token_id = f"at_{hash_access_token(caller.token)[:12].hex()}"
        for decision_id, own, _ in caller.answered:
            row = rows.pop(decision_id)
            assert row["agent"]["id"] == caller.client_id
            assert row["agent"]["name"] == caller.name
            assert row["token_id"] == token_id
            assert row["effect"] == ("permit" if own else "deny")
    assert not [row for row in rows.values() if row["tool"] == "ruled_mine"]
    assert len({caller.token for caller in crowd}) == AGENTS


def _a_limit_is_not_outrun(world, crowd):
    """Three an hour, thirty at once on as many connections, two agents: three each."""
    tool, who = "shop__ruled_counted", {"who": "a", "whom": "b"}

    def ask(caller):
        line = Line(world)
        answer = line.ask(tool, who, token=caller.token)
        line.close()
        return caller.name, "isError" not in answer.json["result"]

    told = at_once([lambda c=caller: ask(c) for caller in crowd[:2] for _ in range(15)])
    passed = Counter(name for name, permitted in told if permitted)
    assert passed == {crowd[0].name: 3, crowd[1].name: 3}


# --- CON-04: one connection, two tokens ---------------------------------------------------------


def tokens_on_one_connection(stage):
    """Whose call it is, is read from each request: pipelined, alternating, with none between."""
    world = stage.plain
    agents = [world.agent(name) for name in ("left", "right")]
    (left, _, first), (right, _, second) = agents
    whose = {first: left, second: right, None: None, "pbac_at_no": None}
    order = [first, second, None, first, "pbac_at_no", second, second, first, None, second]
    line = Line(world)
    line.send(*(line.request("shop__echo", token=token) for token in order))
    answers = [(token, line.answer()) for token in order]
    answers += [(token, line.ask("shop__echo", token=token)) for token in order]
    rows = {r["decision_id"]: r for r in world.gateway.records("decision")}
    for token, answer in answers:
        if whose[token] is None:
            assert (answer.status, answer.error) == (401, "invalid_token")
        else:
            yield answer
            assert rows[answer.headers["pbac-decision"]]["agent"]["id"] == whose[token]
    line.close()
    _sessions_on_one_connection(world, first, second)


def _sessions_on_one_connection(world, first, second):
    """A legacy session is of its agent, also on the connection that opened it."""
    line = Line(world)
    body = call("echo").replace(b"2026-07-28", b"2025-11-25")
    world_of_first = {"Authorization": f"Bearer {first}"}
    token, world.token = world.token, first
    session = legacy_session(world) | {"Mcp-Name": None, "Mcp-Method": None}
    world.token = token
    for bearer, status in ((first, 200), (second, 404), (first, 200), ("none", 401)):
        headers = session | world_of_first | {"Authorization": f"Bearer {bearer}"}
        line.send(world.request(body, replace=headers))
        assert line.answer().status == status
    line.close()


# --- CON-07: equal ids --------------------------------------------------------------------------

IDS = (1, "1", 0, "", "x" * 200, 2**53 - 1)
PIPE = """
package pipe on server pipe

permit everything
  for tier >= read_only
  on  tool *
"""
CHILD = r"""
import json, os, random, sys, threading, time
def say(id, result):
    tree = {"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", **result}}
    os.write(1, json.dumps(tree).encode() + b"\n")
def run(id, arguments):
    time.sleep(random.random() / 30)
    say(id, {"content": [{"type": "text", "text": json.dumps(arguments)}]})
for line in sys.stdin:
    tree = json.loads(line)
    method, params = tree.get("method"), tree.get("params", {})
    if method == "server/discover":
        say(tree["id"], {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
    elif method == "tools/list":
        tool = {"name": "echo", "inputSchema": {"type": "object"}}
        say(tree["id"], {"tools": [tool], "ttlMs": 0, "cacheScope": "private"})
    elif method == "tools/call":
        threading.Thread(target=run, args=(tree["id"], params["arguments"])).start()
"""
"""A server of one pipe for everybody, which answers in any order."""


def equal_ids(stage):
    """One id many times at once, of one client and of two: each call has its own answer."""
    world = stage.plain
    _, _, other = world.agent("same id")
    callers = (world.token, other)

    def ask(tool, token, request_id):
        line = Line(world)
        answer = line.ask(f"shop__{tool}", token=token, request_id=request_id)
        line.close()
        return tool, request_id, answer

    asked = [
        (lambda t=f"load{number}", c=token, i=request_id: ask(t, c, i))
        for request_id in IDS[:3]
        for token in callers
        for number in range(6)
    ]
    for tool, request_id, answer in at_once(asked):
        _is_answer_to(answer, request_id, f"{tool} ran")
        yield answer
    _a_held_call_is_not_answered_by_another(stage, other)
    yield from _over_one_pipe(stage)


def _is_answer_to(answer, request_id, said):
    assert answer.status == 200, answer.body
    found = answer.json["id"]
    assert (type(found), found) == (type(request_id), request_id)
    assert _text(answer.json["result"]) == said


def _a_held_call_is_not_answered_by_another(stage, other):
    """The first id 1 waits for its upstream while the same id is used up by others."""
    world = stage.plain
    stage.upstream.release.clear()
    held, before = Line(world), len(stage.upstream.calls("slow"))
    held.send(held.request("shop__slow", token=world.token))
    eventually(lambda: len(stage.upstream.calls("slow")) > before, "it was not forwarded")
    for token in (world.token, other, world.token):
        line = Line(world)
        _is_answer_to(line.ask("shop__echo", token=token), 1, "echo ran")
        line.close()
    stage.upstream.release.set()
    _is_answer_to(held.answer(), 1, "slow ran")
    held.close()


def _over_one_pipe(stage):
    pipe = BackendConfig(name="pipe", command=sys.executable, args=("-c", CHILD))
    shop = both(stage.plain.upstream, stage.plain.frail)
    with faulty(stage, policy=POLICIES | {"pipe.pbac": PIPE}, backends=[*shop, pipe]) as (world, _):
        _, _, other = world.agent("same id")

        def ask(token, number):
            line = Line(world)
            told = []
            for turn in range(4):
                request_id = IDS[(number + turn) % len(IDS)]
                sent = {"of": token[-6:], "n": number, "turn": turn}
                answer = line.ask("pipe__echo", sent, token=token, request_id=request_id)
                told.append((answer, request_id, json.dumps(sent)))
            line.close()
            return told

        asked = [
            (lambda t=token, n=number: ask(t, n))
            for number in range(12)
            for token in (world.token, other)
        ]
        for told in at_once(asked):
            for answer, request_id, said in told:
                _is_answer_to(answer, request_id, said)
                yield answer


ATTACKS = {
    "CON-01": identities,
    "CON-04": tokens_on_one_connection,
    "CON-07": equal_ids,
    **concurrency_faults.ATTACKS,
}
