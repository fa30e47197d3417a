"""The record format: what is in it, what is not, and that nothing can keep it from being made."""

from __future__ import annotations

import hmac
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.audit import redact
from pbac.audit.record import (
    ESSENTIAL,
    GatewayRecord,
    OutcomeRecord,
    PolicyRecord,
    RefusalsRecord,
    TokenRecord,
    decision_id,
    decision_record,
    render,
    stamp,
)
from pbac.base.limits import AUDIT_RECORD_BYTES_MAX
from pbac.model.decision import Cause, Decision, Duty, Effect
from pbac.model.request import DecisionRequest

STAMP = stamp(1, 1_700_000_000_123, 0)
SECRET = "hunter2"


def request(**changes):
    values = {
        "agent": {"id": "a1", "name": "Claude", "tier": "developer", "kind": "assistant"},
        "user": {"id": "u1", "login": "alice", "email": "alice@example.org"},
        "chain": {"depth": 1, "actors": [{"id": "planner", "kind": "agent"}]},
        "call": {
            "method": "tools/call",
            "server": "github",
            "tool": "merge_pull_request",
            "scope": "github:prs:merge",
        },
        "args": {"password": SECRET},
        "env": {"now": 1_700_000_000_000},
    }
    return DecisionRequest(**{**values, **changes})


def decision():
    return Decision(
        effect=Effect.DENY,
        cause=Cause.FORBIDDEN,
        policy_version="sha256:aa",
        rules=("github.self_approval",),
        duties=(Duty(kind="limit", rule="github.few", parameters={"count": 1}),),
        unknown=("facts.pull.author",),
        reason="someone else has to merge this",
        internal="a1 tried",
    )


def body(record, **options):
    return orjson.loads(render(record, options.pop("sequence", 7), options.pop("mark", STAMP)))


def made(req=None):
    req = req or request()
    return decision_record(
        req,
        decision(),
        decision_id=decision_id(bytes(16)),
        token_id="t1",
        protocol="2025-11-25",
        arguments=redact.arguments_digest(b"k" * 32)(req.args),
    )


def test_a_decision_is_recorded_whole():
    assert body(made()) == {
        "v": 1,
        "kind": "decision",
        "sequence": 7,
        "batch": 1,
        "time": "2023-11-14T22:13:20.123Z",
        "time_ms": 1_700_000_000_123,
        "decision_id": "d_" + "0" * 32,
        "now_ms": 1_700_000_000_000,
        "agent": {"id": "a1", "name": "Claude", "tier": "developer", "kind": "assistant"},
        "user": {"id": "u1", "login": "alice"},
        "chain": [{"id": "planner", "kind": "agent"}],
        "token_id": "t1",
        "protocol": "2025-11-25",
        "method": "tools/call",
        "server": "github",
        "tool": "merge_pull_request",
        "scope": "github:prs:merge",
        "arguments": "hmac-sha256:"
        + hmac.digest(b"k" * 32, b'{"password":"hunter2"}', "sha256").hex(),
        "effect": "deny",
        "cause": "forbidden",
        "rules": ["github.self_approval"],
        "duties": [{"kind": "limit", "rule": "github.few", "parameters": {"count": 1}}],
        "unknown": ["facts.pull.author"],
        "reason": "someone else has to merge this",
        "internal": "a1 tried",
        "policy_version": "sha256:aa",
    }


def test_no_argument_stands_in_a_record():
    assert SECRET.encode() not in render(made(), 1, STAMP)


def test_an_agent_that_acts_for_itself_has_the_user_null():
    assert body(made(request(user=None)))["user"] is None


@pytest.mark.parametrize(
    "record",
    [
        OutcomeRecord(decision_id="d_1", outcome="completed", http_status=200, total_us=900),
        TokenRecord(event="issued", agent={"id": "a1"}, granted=("github:prs:read",)),
        PolicyRecord(event="refused", problems=("a.pbac:1:1: no",)),
        GatewayRecord(event="started", detail={"version": "1"}),
        RefusalsRecord(from_ms=1, to_ms=2, counts={"invalid_token": 4000}),
    ],
)
def test_every_kind_says_which_it_is(record):
    found = body(record)
    assert found["kind"] == type(record).__name__.removesuffix("Record").lower()
    assert found["v"] == 1
    assert found["sequence"] == 7


def test_equal_arguments_have_equal_digests_and_others_do_not():
    digest = redact.arguments_digest(b"k")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0})
    assert digest({"a": "b|c"}) != digest({"a|b": "c"})
    assert digest({"a": "\u00e9"}) != digest({"a": "e\u0301"})
    assert digest({"pin": "1234"}) != redact.arguments_digest(b"j")({"pin": "1234"}), "keyed"


def test_a_clock_that_goes_back_is_flagged_and_never_reorders():
    assert "clock_back_ms" not in body(made())
    back = stamp(8, 1_700_000_000_000, 1_700_003_600_000)
    assert body(made(), sequence=8, mark=back)["clock_back_ms"] == 3_600_000


@pytest.mark.parametrize(
    "odd",
    [
        "\ud800",
        "a\udfffb",
        "\x00",
        "\n2026-01-01 ALLOW admin",
        "\x1b[2Jgone",
        "</script>",
        '"}\n{"kind":"decision"',
        2**63,
        2**64,
        10**400,
        -(2**70),
        math.nan,
        math.inf,
        "\u2028",
    ],
)
def test_odd_values_are_recorded_in_one_line(odd):
    line = render(made(request(agent={"id": odd, "name": "x"})), 1, STAMP)
    assert b"\n" not in line
    assert b"\x1b" not in line
    assert "id" in orjson.loads(line)["agent"]
    assert orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS) == line


@pytest.mark.parametrize(
    "huge",
    [
        {"text": "x" * 5_000_000},
        {"text": "\ud800" * 100_000},
        {str(n): n for n in range(50_000)},
        {"list": ["é" * 5000] * 1000},
        {str(n): {str(m): "y" * 200 for m in range(100)} for n in range(1000)},
    ],
    ids=["text", "surrogates", "members", "list", "nested"],
)
def test_a_record_is_cut_rather_than_refused(huge):
    line = render(GatewayRecord(event="fault", detail=huge), 3, STAMP)
    assert len(line) <= AUDIT_RECORD_BYTES_MAX
    found = orjson.loads(line)
    assert (found["sequence"], found["kind"], found["event"]) == (3, "gateway", "fault")
    assert redact.CUT.encode() in line or found.get("cut")


def test_what_can_not_be_cut_enough_keeps_the_essentials(monkeypatch):
    monkeypatch.setattr(redact, "AUDIT_RECORD_BYTES_MAX", 300)
    found = body(made())
    assert found["cut"] is True
    assert found["decision_id"] == "d_" + "0" * 32
    assert found["effect"] == "deny"
    assert {"door", "asked_by"} <= set(ESSENTIAL)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(anything)
def test_whatever_stands_in_a_record_it_is_written_and_reads_back_canonical(value):
    line = render(GatewayRecord(event="fault", detail={"value": value}), 1, STAMP)
    assert orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS) == line
