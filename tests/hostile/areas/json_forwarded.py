"""What upstreams get: bytes written from the tree that was decided, whatever bytes came in."""

from __future__ import annotations

import json
import random

import orjson
from hostile.areas.speaking import last_call, message, passes
from hostile.stage import NEWEST
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bad_input import NAMES, eventually

from pbac.adapters.audit_keys import open_audit_keys
from pbac.audit.redact import arguments_digest

# --- trees and their spellings ------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "",
        "\0",
        "a\0b",
        '"',
        "\\",
        "/",
        "\u2028",
        "\x7f",
        "é",
        "😀",
        "</script>",
        "${x}",
        "1",
        "null",
    ]
)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(TEXTS, TREES, max_size=5)
BLANKS = ("", "", "", " ", "\n", "\t", "\r\n", "  \t")
SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
DRESSED = settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def escaped(character, case):
    """`\\uXXXX`, in two halves beyond the basic plane."""
    units = character.encode("utf-16-be")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair.upper() if case else pair}" for pair in pairs)


def spell_text(by, text):
    """One text in one of its many spellings."""
    told = []
    for character in text:
        ways = [escaped(character, case=False), escaped(character, case=True)]
        if character in SHORT:
            ways.append(SHORT[character])
        if character >= " " and character not in '"\\':
            ways += [character] * 3
        told.append(by.choice(ways))
    return f'"{"".join(told)}"'


def spell_float(by, number):
    """One double in one of its spellings: all of them read back as the same double."""
    ways = [repr(number), f"{number:.17e}", f"{number:.17E}"]
    if abs(number) < 1e15 and float(f"{number:.20f}") == number:
        ways += [f"{number:.20f}", f"{number:.20f}000"]
    return by.choice(ways)


def spell(by, tree):
    """JSON of a tree with blanks, escapes and number spellings as they come."""

    def gap():
        return by.choice(BLANKS)

    if isinstance(tree, dict):
        members = [
            f"{gap()}{spell_text(by, name)}{gap()}:{gap()}{spell(by, value)}{gap()}"
            for name, value in tree.items()
        ]
        return "{" + (",".join(members) or gap()) + "}"
    if isinstance(tree, list):
        items = [f"{gap()}{spell(by, value)}{gap()}" for value in tree]
        return "[" + (",".join(items) or gap()) + "]"
    if isinstance(tree, str):
        return spell_text(by, tree)
    if isinstance(tree, float):
        return spell_float(by, tree)
    return json.dumps(tree)


DROPPED = {"requestState": "s", "inputResponses": {}, "task": {"ttl": 1}, "extra": [1], "é": None}
"""Parameters that nobody decides on."""


@st.composite
def bodies(draw, version):
    """(arguments, body): one call, its members in any order, in any spelling."""
    arguments, by = draw(ARGUMENTS), random.Random(draw(st.integers(0)))
    params = {"name": NAMES["echo"], "arguments": arguments}
    params |= {name: value for name, value in DROPPED.items() if by.random() < 0.3}
    tree = message(params=params, version=version, id=draw(INTEGERS | TEXTS))
    tree["params"] = shuffled(by, tree["params"])
    tree = shuffled(by, tree)
    return arguments, f"{by.choice(BLANKS)}{spell(by, tree)}{by.choice(BLANKS)}".encode()


def shuffled(by, tree):
    return dict(by.sample(list(tree.items()), len(tree)))


# --- attacks ------------------------------------------------------------------------------------


def reserialised(stage, version):
    """Whatever was accepted, the upstream got the canonical bytes of the tree policy saw."""
    forwarded, answers = {}, []

    @DRESSED
    @given(bodies(version))
    def every_body(drawn):
        arguments, body = drawn
        answer = passes(stage, body, version=version)
        got = last_call(stage)
        tree = json.loads(got)
        # An independent reader of what was sent, and one writer for both.
        sent = json.loads(body)
        assert got == orjson.dumps(tree), "these are not the bytes of a tree"
        assert orjson.dumps(sent["params"]["arguments"]) == orjson.dumps(arguments)
        assert b'"arguments":' + orjson.dumps(arguments) in got
        assert orjson.dumps(tree["params"]["arguments"]) == orjson.dumps(arguments)
        assert list(tree) == ["jsonrpc", "id", "method", "params"]
        assert tree["params"].keys() == {"name", "arguments", "_meta"}
        assert tree["params"]["name"] == "echo"
        assert answer.json["id"] == sent["id"]
        forwarded[answer.headers["pbac-decision"]] = tree["params"]["arguments"]
        answers[:] = [answer]

    every_body()
    assert len(forwarded) > 10
    was_decided_on(stage, forwarded)
    yield answers[0]


def was_decided_on(stage, forwarded):
    """The record's digest is of the tree that was decided: these are the same trees."""
    state = stage.plain.gateway.directory / "state/keys"
    digest = arguments_digest(open_audit_keys(state, "unused").arguments_key)
    decisions = decisions_of(stage.plain, forwarded)
    for decision_id, arguments in forwarded.items():
        assert decisions[decision_id]["effect"] == "permit"
        assert decisions[decision_id]["arguments"] == digest(arguments)


def decisions_of(world, ids):
    """The decision records with these ids, by id. One reading for all: the log grows long."""
    found = {record["decision_id"]: record for record in world.gateway.records("decision")}
    assert found.keys() >= set(ids)
    return {id_: found[id_] for id_ in ids}


NUL = [
    {"text": "a\0b"},
    {"a\0b": 1},
    {"text": "\0"},
    {"\0": ["\0", {"\0\0": "x\0"}]},
    {"": "\0" * 99},
]


def nul_in_a_value(stage, version):
    """NUL is a character like another: forwarded, recorded, and nothing behind it is lost."""
    forwarded = {}
    for arguments in NUL:
        answer = stage.honest("echo", arguments, version=version)
        assert b'"arguments":' + orjson.dumps(arguments) in last_call(stage)
        forwarded[answer.headers["pbac-decision"]] = arguments
        yield answer
    # The same in what a caller says of itself, which the record keeps as text.
    for token in ("t\0race", "\0"):
        meta = {"progressToken": token, "traceparent": token}
        params = {"name": NAMES["echo"], "arguments": {}, "_meta": meta}
        answer = passes(stage, json.dumps(message(params=params, version=version)), version=version)
        forwarded[answer.headers["pbac-decision"]] = {}
    was_decided_on(stage, forwarded)

    def completed():
        outcomes = stage.plain.gateway.records("outcome")
        return {each["decision_id"] for each in outcomes if each["outcome"] == "completed"}

    eventually(lambda: completed() >= forwarded.keys(), "an outcome is not recorded")


KEYS = ["__proto", "constructor", "__class__", "__init__", "toString", "$ref", "a.b", "a[0]", ""]
KEYS += ["params.name", "args.name", "args", "agent.tier", "agent", "prototype", "__dict__", "$id"]
KEYS += ["a/b", "a~1b", "*", "..", "a.", ".a", "a b", "name", "_meta", "self", "{}", "%s", "\u202e"]


def plain_keys(stage, version):
    """Names with a meaning elsewhere are names: no path of a rule reaches one by its spelling."""
    for key in KEYS:
        for value in ("yes", {"b": "yes"}, [1]):
            arguments = {key: value}
            yield stage.honest("load0", arguments, version=version)
            assert b'"arguments":' + orjson.dumps(arguments) in last_call(stage)
    for arguments in ({"__proto__": {"b": "yes"}}, {"a": [{"__proto__": 1}]}):
        refused = stage.call("load0", arguments, version=version)
        assert refused.json["error"]["code"] == -32700, refused.body
        yield refused
    yield stage.honest("load0", dict.fromkeys(KEYS, "yes"), version=version)
    # What the rule means is what it stops, beside all those names.
    for told in ({"b": "yes"}, {"name": "yes"}):
        refused = stage.call("load0", {**dict.fromkeys(KEYS, "yes"), "a": told}, version=version)
        denial = refused.json["result"]["_meta"]["pbac/denial"]
        assert denial["rules"] == ["paths.dotted"], denial
    for arguments in ({"args.name": "yes"}, {"params.name": "yes"}, {"a": {"name": "yes"}}):
        yield stage.honest("load1", arguments, version=version)
    refused = stage.call("load1", {"name": "yes"}, version=version)
    assert refused.json["result"]["_meta"]["pbac/denial"]["rules"] == ["paths.plain"]


MISFITS = {
    "additional": {"region": "eu", "more": 1},
    "missing": {"note": "x"},
    "nothing": {},
    "wrong type": {"region": 5},
    "null": {"region": None},
    "list": {"region": ["eu"]},
    "too long": {"region": "eu", "note": "123456"},
    "not an integer": {"region": "eu", "count": 1.5},
    "text for a number": {"region": "eu", "count": "1"},
    "number for a boolean": {"region": "eu", "fragile": 1},
    "not of the enum": {"region": "eu", "kind": "Box"},
    "not an object": {"region": "eu", "to": []},
    "within an object": {"region": "eu", "to": {"zip": 1}},
}


def mirrored(arguments):
    """The headers that go with these arguments of `ship`, as far as a text has one."""
    told = {"Region": arguments.get("region"), "Count": arguments.get("count")}
    told["Fragile"] = arguments.get("fragile")
    inner = arguments.get("to")
    told["Zip"] = inner.get("zip") if isinstance(inner, dict) else None
    return {
        f"Mcp-Param-{name}": json.dumps(value).strip('"')
        for name, value in told.items()
        if isinstance(value, str | int | float)
    }


def ship(stage, arguments, version=NEWEST, more=()):
    """A call of `ship`; modern ones mirror what has to be mirrored."""
    headers = stage.dress("tools/call", "shop__ship", version=version)
    if version == NEWEST:
        headers |= mirrored(arguments) | dict(more)
    params = {"name": "shop__ship", "arguments": arguments}
    return stage.plain.send(
        json.dumps(message(params=params, version=version)).encode(), replace=headers
    )


def misfits(stage, version):
    """A permitted call that does not fit the schema is refused by name, and recorded as such."""
    refused = []
    for arguments in MISFITS.values():
        answer = ship(stage, arguments, version)
        assert answer.status == (400 if version == NEWEST else 200), answer.body
        refused.append(answer.headers["pbac-decision"])
        assert "arguments" in answer.json["error"]["message"]
        yield answer
    fits = {"region": "eu", "count": 2, "fragile": True, "to": {"zip": "1"}, "note": "12345"}
    answer = ship(stage, fits, version)
    assert b"ship ran" in answer.body, answer.body
    stage.honest_calls += 1
    causes = {each["cause"] for each in decisions_of(stage.plain, refused).values()}
    assert causes == {"invalid_params"}


ATTACKS = {
    "JSN-07": reserialised,
    "JSN-17": nul_in_a_value,
    "JSN-29": plain_keys,
    "JSN-30": misfits,
}
