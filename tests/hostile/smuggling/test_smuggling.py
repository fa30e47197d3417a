"""No request is read in two ways: refused and unheard, or heard as it was decided.

Seeded mutations of valid requests go through a served gateway to the servers of the official SDKs.
"""

from __future__ import annotations

import time

import pytest
from hostile.smuggling.arena import arena
from hostile.smuggling.client import Answer, Sent
from hostile.smuggling.corpus import bases, sized
from hostile.smuggling.found import FOUND
from hostile.smuggling.judge import Heard, Judge, same
from hostile.smuggling.mutations import Mutation, mutation
from hostile.smuggling.run import SEED, report, told, typescript_modules

from pbac.base import json

CI, FULL = 2_000, 1_000_000


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with arena(tmp_path_factory.mktemp("smuggling"), typescript_modules()) as made:
        yield made


def test_every_valid_request_reaches_its_server_as_it_was_decided(found):
    found.throw(Mutation(-1, "none", base.whole, base.length) for base in found.bases)
    judge, found.judge = found.judge, Judge(found.judge.digest)
    judge.end()
    assert not judge.differences
    assert judge.settled.keys() == {"forwarded", "denied", "answered here"}
    assert judge.settled["forwarded"] > judge.settled["denied"] > 0


@pytest.mark.timeout(7_200)
def test_no_mutated_request_is_read_in_two_ways(found, full, say):
    count = FULL if full else CI
    started = time.monotonic()
    judge = found.attack(SEED, range(count))
    say(report(judge, SEED, count, time.monotonic() - started))
    assert not judge.differences, told(found, judge)
    assert not judge.rejected, told(found, judge)
    assert judge.settled["forwarded"] > count / 8, "the mutations hardly get anywhere"
    assert judge.settled["cut"] < count / 100, "most of what is cut nobody looked at"


@pytest.mark.parametrize(("data", "framed"), FOUND, ids=range(len(FOUND)))
def test_what_was_once_read_in_two_ways_no_longer_is(found, data, framed):
    data = found.filled(data)
    if framed:
        head, _, body = data.partition(b"\r\n\r\n")
        data = sized(head + b"\r\n", body)
    judge = found.tried(data, framed=framed)
    assert not judge.differences, judge.differences
    assert judge.settled.total() == 1


def test_the_typescript_sdk_is_among_the_upstreams(found, typescript_sdk):
    assert [server.name for server in found.servers] == ["py", "ts"]


# --- the judge and the mutations themselves -----------------------------------------------------


def judged(arguments, heard, *, server="py", tool="note", effect="permit", n=1, sent=b""):
    """One forwarded call, decided on these arguments and heard as those."""
    judge = Judge(json.digest)
    record = {
        "effect": effect,
        "server": server,
        "tool": "note",
        "arguments": json.digest(arguments),
    }
    text = json.encode({"n": 1}).decode()
    answer = Answer(200, "d1", json.encode({"result": {"content": [{"text": text}]}}))
    mutated = Mutation(0, "body", sent, framed=True)
    calls = [] if heard is None else [Heard(server, n, tool, heard)]
    judge.take([Sent(mutated, [answer])], {"d1": record}, calls)
    judge.end()
    return [difference.what for difference in judge.differences]


def request(arguments):
    body = json.encode({"params": {"name": "ts__note", "arguments": arguments}})
    return sized(b"POST /mcp HTTP/1.1\r\nHost: x\r\n", body)


def test_the_judge_sees_what_it_is_there_to_see():
    assert judged({"a": 1}, {"a": 1}) == []
    for heard in ({"a": 1.0}, {"a": True}, {"a": "1"}, {}, {"a": 1, "b": 1}, None):
        assert judged({"a": 1}, heard), heard
    assert judged({"a": 1}, {"a": 1}, tool="pay")
    assert judged({"a": 1}, {"a": 1}, n=2)
    assert judged({"a": 1}, {"a": 1}, effect="deny")
    for arguments, heard, equal in (
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": 1.0}, {"a": 2}, False),
        ({"a": -0.0, "b": [1e2]}, {"a": 0, "b": [100]}, True),
        ({"a": 1.0}, {"a": True}, False),
        ({"a": 1.0, "b": 1}, {"a": 1}, False),
    ):
        differs = judged(arguments, heard, server="ts", sent=request(arguments))
        assert bool(differs) is not equal, (arguments, heard)


def test_a_call_that_no_answer_tells_of_must_have_been_permitted():
    for permitted, heard, sound in ((1, 1, True), (1, 2, False), (2, 1, True), (0, 1, False)):
        judge = Judge(json.digest)
        record = {
            "effect": "permit",
            "server": "py",
            "tool": "note",
            "arguments": json.digest({}),
        }
        decisions = {f"d{n}": record for n in range(permitted)}
        judge.take([], decisions, [Heard("py", n, "note", {}) for n in range(heard)])
        judge.end()
        assert (not judge.differences) is sound


def test_trees_are_the_same_but_for_the_spelling_of_numbers():
    assert same({"a": [1.0, None, "x", {}]}, {"a": [1, None, "x", {}]})
    assert same(1.2345678901234567e20, 123456789012345670000)
    rounded = (2**53 + 1, 2**53)
    for ours, theirs in (
        (1, True),
        (0, False),
        ([], {}),
        ({}, []),
        ([1], [1, 1]),
        ("1", 1),
        rounded,
    ):
        assert not same(ours, theirs), (ours, theirs)


def test_a_mutation_is_made_from_its_seed_and_number_alone():
    sessions = dict.fromkeys(("2025-03-26", "2025-06-18", "2025-11-25"), "s" * 32)
    requests = bases("http://127.0.0.1:10000", "t" * 40, ["py", "ts"], sessions)
    made = [mutation(requests, SEED, number) for number in range(500)]
    assert made == [mutation(requests, SEED, number) for number in range(500)]
    assert {each.form for each in made} == {"body", "mirror", "raw"}
    assert len({each.data for each in made}) > 450
    assert mutation(requests, SEED + 1, 7) != made[7]
