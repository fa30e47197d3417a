"""Many at once: nobody's call, identity or answer becomes another's, and locks refuse, never skip."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hostile.faults import faulty
from hostile.policies import POLICIES
from hostile.ruled import RULED_TOOLS
from support.bad_input import META, TOOLS, Answer, both, call, eventually, legacy_session
from support.recorder import Recorder

from pbac.adapters.sqlite_migrations import MIGRATIONS, migrate
from pbac.adapters.sqlite_state import FILE_NAME, open_state
from pbac.app.config import BackendConfig
from pbac.oauth.access_token import hash_access_token
from pbac.oauth.storage import StorageError


def rpc(tool, arguments=None, request_id=1):
    """A modern call of a public tool name, with any id."""
    params = {"name": tool, "arguments": arguments or {}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return json.dumps(body).encode()


class Line:
    """One connection that is kept: many requests, answers in their order."""

    def __init__(self, world):
        self.world, self.connection = world, world.connect()
        self.incoming = self.connection.makefile("rb")

    def send(self, *requests):
        self.connection.sendall(b"".join(requests))

    def request(self, tool, arguments=None, *, token, request_id=1):
        headers = {"Mcp-Name": tool, "Authorization": token and f"Bearer {token}"}
        return self.world.request(rpc(tool, arguments, request_id), replace=headers)

    def answer(self):
        """The next answer; None when the other side has closed."""
        status = self.incoming.readline()
        if not status:
            return None
        headers = {}
        while (line := self.incoming.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self.incoming.read(int(headers.get("content-length", 0)))
        self.world.bodies.append(body)
        return Answer(int(status.split()[1]), headers, body)

    def ask(self, tool, arguments=None, **how):
        self.send(self.request(tool, arguments, **how))
        return self.answer()

    def close(self):
        self.incoming.close()
        self.connection.close()


def at_once(jobs):
    """What every job returned, all of them begun together."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait(30)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


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


# --- CON-08: locks ------------------------------------------------------------------------------


def locks(stage):
    """A locked state lets calls go on and refuses writes; a hung log refuses calls; none is skipped."""
    with faulty(stage) as (world, faults):
        heard = len(stage.upstream.calls())
        assert stage.call("echo", world=world).status == 200
        with _locked_state(world) as writing:
            yield from _hung_log(stage, world, faults)
            refused = writing()
        assert (refused.status, refused.error) == (503, "temporarily_unavailable")
        assert refused.headers["retry-after"] == "1"
        world.agent("afterwards")
        _slow_log(stage, world, faults)
        permits = [r for r in world.gateway.records("decision") if r["effect"] == "permit"]
        forwarded = len(stage.upstream.calls()) - heard
        stage.honest_calls += forwarded
        assert len(permits) >= forwarded
        assert world.gateway.stop() == 0
        counts = Counter()
        for row in world.gateway.records("refusals"):
            counts.update(row["counts"])
        assert counts["audit_unavailable"] >= 5
        assert counts["storage_unavailable"] >= 1


@contextlib.contextmanager
def _locked_state(world):
    """A long writer and a long reader hold the state; yields what a write is answered meanwhile."""
    path = world.gateway.directory / "state" / FILE_NAME
    client = world.gateway.register("developer", "locked out")
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM clients").fetchone()
        writer.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(_token_answer, world, client).result
            writer.execute("ROLLBACK")


def _token_answer(world, client):
    body = (
        f"grant_type=client_credentials&client_id={client['client_id']}"
        f"&client_secret={client['client_secret']}"
    ).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    return world.send(body, line="POST /token HTTP/1.1", replace=form)


def _hung_log(stage, world, faults):
    """No sync returns: within five seconds 503, then at once, and the upstream hears nothing."""
    assert stage.call("load1", world=world).status == 200, "the state is locked, and calls go on"
    faults.begin("hang")
    before, started = len(stage.upstream.calls()), time.monotonic()
    yield from at_once([lambda: stage.call("load2", world=world) for _ in range(4)])
    assert 4 < time.monotonic() - started < 10
    for _ in range(3):
        started = time.monotonic()
        answer = stage.call("load2", world=world)
        assert answer.headers["retry-after"] == "1"
        yield answer
        assert time.monotonic() - started < 4, "not the whole deadline once more"
    assert len(stage.upstream.calls()) == before, "nothing is forwarded without its record"
    assert world.send(b"", line="GET /readyz HTTP/1.1").status == 503
    faults.end("hang")
    eventually(lambda: stage.call("load3", world=world).status == 200, "it did not recover")


def _slow_log(stage, world, faults):
    """Each sync takes a while: everyone waits, together, and everyone is answered."""
    faults.begin("slow", 0.25)
    started = time.monotonic()
    answers = at_once([lambda: stage.call("load4", world=world) for _ in range(20)])
    assert {answer.status for answer in answers} == {200}
    assert 0.25 <= time.monotonic() - started < 20 * 0.25, "they shared syncs"
    faults.end("slow")


# --- CON-09: before the first request and after the last ----------------------------------------


def starts_and_stops(stage):
    """Nothing listens before everything is sound, nor once a stop began; what runs is finished."""
    with faulty(stage) as (world, _):
        before = len(stage.upstream.calls())
        _stops(stage, world)
        _does_not_start_unsound(world)
        told = _hammered(world, world.gateway.start)
        assert set(told) <= {200, "refused"}, told
        assert told["refused"], "it was asked before it was ready"
        eventually(lambda: stage.call("echo", world=world).status == 200, "it does not serve")
        stage.honest_calls += len(stage.upstream.calls()) - before
        permits = [r for r in world.gateway.records("decision") if r["effect"] == "permit"]
        assert len(permits) >= len(stage.upstream.calls()) - before


def _stops(stage, world):
    stage.upstream.release.clear()
    slow = len(stage.upstream.calls("slow"))
    held, idle = Line(world), Line(world)
    held.send(
        held.request("shop__slow", token=world.token),
        held.request("shop__load5", token=world.token, request_id=2),
    )
    assert idle.ask("shop__echo", token=world.token).status == 200
    eventually(lambda: len(stage.upstream.calls("slow")) > slow, "it was not forwarded")
    told = _hammered(world, lambda: _begins_to_stop(world))
    assert set(told) <= {200, "refused", "closed"}, told
    assert told["refused"]
    late = len(stage.upstream.calls())
    with contextlib.suppress(OSError):
        idle.send(idle.request("shop__load5", token=world.token))
        assert idle.answer() is None, "an idle connection is closed, not answered"
    stage.upstream.release.set()
    finished = held.answer()
    assert b"slow ran" in finished.body
    assert held.answer() is None, "what stood behind it was not begun"
    assert world.gateway.process.wait(20) == 0
    assert len(stage.upstream.calls()) == late, "nothing new was forwarded"
    records = world.gateway.records()
    assert (records[-1]["kind"], records[-1]["event"]) == ("gateway", "stopped")
    outcome = [r for r in records if r["kind"] == "outcome"][-1]
    assert outcome["decision_id"] == finished.headers["pbac-decision"]
    held.close()
    idle.close()


def _begins_to_stop(world):
    world.gateway.process.terminate()
    eventually(lambda: _once(world) == "refused", "it still accepts connections")


def _once(world):
    """One call on a connection of its own: its status, or how the connection failed."""
    try:
        return world.call("echo").status
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException):
        return "closed"


def _hammered(world, meanwhile):
    """How calls were answered that never ceased to come while something happened."""
    told, over = Counter(), threading.Event()

    def hammer():
        while not over.is_set():
            told[_once(world)] += 1
            time.sleep(0.002)

    hammering = threading.Thread(target=hammer)
    hammering.start()
    try:
        meanwhile()
    finally:
        over.set()
        hammering.join()
    return told


def _does_not_start_unsound(world):
    """Before policies are loaded there is no one to ask: a set that cannot be used ends the start."""
    broken = world.gateway.directory / "policies/broken.pbac"
    broken.write_text("package broken permit everything on any when")
    arguments = ("serve", "--config", str(world.gateway.config))
    told = _hammered(world, lambda: _starts_in_vain(world.gateway.pbac(*arguments, check=False)))
    assert set(told) == {"refused"}, told
    broken.unlink()


def _starts_in_vain(done):
    assert done.returncode == 1
    assert "broken.pbac" in done.stderr
    assert "Traceback" not in done.stderr


# --- CON-10: two versions of the program --------------------------------------------------------


def two_versions(stage):
    """One state, two programs: the older one is refused by what a newer one wrote, and never both."""
    world = stage.plain
    done = world.gateway.pbac("serve", "--config", str(world.gateway.config), check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "another process" in done.stderr
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "state"
        copy.mkdir()
        with contextlib.closing(_opened(world.gateway.directory / "state")) as running:
            running.execute("VACUUM INTO ?", (str(copy / FILE_NAME),))
        _tokens_outlive_the_program(copy, world.token)
        _newer_or_foreign_is_refused(copy)
        _older_is_brought_forward(Path(folder))
    yield stage.honest("echo")


def _opened(directory):
    return sqlite3.connect(directory / FILE_NAME, isolation_level=None)


def _tokens_outlive_the_program(copy, token):
    state = open_state(copy, 0)
    record = state.find_principal_record(hash_access_token(token))
    state.close()
    assert record is not None
    assert record.client.client_name == "everyday"


def _newer_or_foreign_is_refused(copy):
    newest = MIGRATIONS[-1].version
    for code, statement in (
        (
            "schema_too_new",
            f"INSERT INTO schema_migrations VALUES ({newest + 1}, 'of tomorrow', 0)",
        ),
        ("schema_unknown", "UPDATE schema_migrations SET name = 'of somebody' WHERE version = 1"),
    ):
        tried = copy.with_name(code)
        shutil.copytree(copy, tried)
        with contextlib.closing(_opened(tried)) as newer:
            newer.execute(statement)
            newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = (tried / FILE_NAME).read_bytes()
        with pytest.raises(StorageError) as refused:
            open_state(tried, 0)
        assert refused.value.code == code
        assert (tried / FILE_NAME).read_bytes() == before, "what it does not know it leaves alone"


def _older_is_brought_forward(folder):
    for known in range(len(MIGRATIONS)):
        directory = folder / f"older{known}"
        directory.mkdir()
        with contextlib.closing(_opened(directory)) as older:
            migrate(older, 0, MIGRATIONS[:known])
        for _ in range(2):
            state = open_state(directory, 0)
            assert state.find_principal_record(b"\0" * 32) is None
            state.close()
        with contextlib.closing(_opened(directory)) as done:
            query = "SELECT version FROM schema_migrations ORDER BY version"
            assert [row[0] for row in done.execute(query)] == [m.version for m in MIGRATIONS]


ATTACKS = {
    "CON-01": identities,
    "CON-04": tokens_on_one_connection,
    "CON-07": equal_ids,
    "CON-08": locks,
    "CON-09": starts_and_stops,
    "CON-10": two_versions,
}
