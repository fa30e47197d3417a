"""Records for people: selection, outcomes, and nothing that can act on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.audit.lines import render_line
from pbac.audit.query import (
    UNREADABLE,
    Entry,
    Selection,
    Wanted,
    newest,
    outcome_text,
    printable,
    read_record,
    row,
)
from pbac.audit.record import (
    DecisionRecord,
    GatewayRecord,
    OutcomeRecord,
    PolicyRecord,
    RefusalsRecord,
    TokenRecord,
    render,
    stamp,
)


def decision(name, agent="claude", tool="get_pull_request", effect="permit", **more):
    return DecisionRecord(
        decision_id=f"d_{name}",
        now_ms=1,
        agent={"id": f"id-{agent}", "name": agent, "tier": "developer"},
        user={"id": "u1", "login": "alice"},
        effect=effect,
        cause="permitted" if effect == "permit" else "forbidden",
        policy_version="sha256:aa",
        method="tools/call",
        server="github",
        tool=tool,
        rules=("github.read",),
        **more,
    )


def outcome(name):
    return OutcomeRecord(
        decision_id=f"d_{name}", outcome="completed", http_status=200, total_us=12_345
    )


def backwards(*records):
    data = [render(r, n, stamp(1, 1_700_000_000_000, 0)) for n, r in enumerate(records, 1)]
    return [render_line(bytes(32), line) for line in data][::-1]


def ids(entries):
    return [entry.record.get("decision_id") for entry in entries]


def test_the_newest_come_last_and_carry_their_outcome():
    lines = backwards(decision("a"), decision("b"), outcome("a"), decision("c"), outcome("b"))
    entries = newest(lines, Selection(Wanted()), 2)
    assert ids(entries) == ["d_b", "d_c"]
    assert entries[0].outcome["http_status"] == 200
    assert entries[1].outcome is None
    assert entries[0].as_json()["outcome"]["total_us"] == 12_345
    assert "outcome" not in entries[1].as_json()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["d_a", "d_b", "d_c", None]),
        (Wanted(agent="cla*"), ["d_a", "d_c"]),
        (Wanted(agent="id-ci"), ["d_b"]),
        (Wanted(tool="merge*"), ["d_c"]),
        (Wanted(tool="github.get_*"), ["d_a", "d_b"]),
        (Wanted(denied=True), ["d_c"]),
        (Wanted(denied=True, agent="ci"), []),
    ],
)
def test_filters_leave_what_was_asked_for(wanted, expected):
    lines = backwards(
        decision("a"),
        decision("b", agent="ci"),
        decision("c", tool="merge_pull_request", effect="deny"),
        GatewayRecord(event="started"),
    )
    assert ids(newest(lines, Selection(wanted), 10)) == expected


def test_a_row_tells_who_did_what_and_why():
    denied = decision("a", effect="deny", reason="someone else has to merge", unknown=("args.x",))
    (entry,) = newest(backwards(denied), Selection(Wanted()), 1)
    line = row(entry)
    assert (line.word, line.mood, line.id) == ("deny", "bad", "d_a")
    assert line.who == "claude (developer) for alice"
    assert line.what == "github.get_pull_request"
    assert line.note == "by github.read; unknown args.x; someone else has to merge"
    assert line.time == "2023-11-14T22:13:20.000Z"
    asked = decision("b", door="authzen", asked_by="edge")
    (entry,) = newest(backwards(asked), Selection(Wanted()), 1)
    assert row(entry).note == "by github.read; asked by edge"


@pytest.mark.parametrize(
    ("record", "word", "texts"),
    [
        (TokenRecord(event="issued", agent={"id": "a1"}, granted=("x:y",)), "token issued", "x:y"),
        (TokenRecord(event="refused", agent={"id": "a1"}, code="bad"), "token refused", "bad"),
        (PolicyRecord(event="published", policy_version="sha256:ab"), "policy published", "sha256"),
        (PolicyRecord(event="refused", problems=("a:1:1: no",)), "policy refused", "a:1:1: no"),
        (GatewayRecord(event="fault", detail={"why": "x"}), "gateway fault", "why x"),
        (RefusalsRecord(from_ms=1, to_ms=2, counts={"bad": 3}), "refused", "3 x bad"),
    ],
)
def test_every_kind_has_a_row(record, word, texts):
    (entry,) = newest(backwards(record), Selection(Wanted()), 1)
    line = row(entry)
    assert line.word == word
    assert texts in f"{line.what} {line.note}"


def test_a_broken_line_is_shown_as_one():
    for line in (b"", b"x\n", b"0" * 64 + b" [1]\n", b"\xff" * 80 + b"\n"):
        record = read_record(line)
        assert record["kind"] == UNREADABLE
        assert "pbac audit verify" in row(Entry(record=record)).note


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "decision"},
        {"kind": "decision", "agent": "x", "rules": "y", "user": 1, "unknown": None, "reason": 5},
        {"kind": "refusals", "counts": []},
        {"kind": ["decision"]},
        {"kind": "token", "granted": 1, "detail": [1]},
    ],
)
def test_records_of_other_shapes_do_not_stop_the_list(broken):
    row(Entry(record=broken, outcome={"total_us": "x"}))
    Selection(Wanted(agent="*", tool="x")).holds(broken)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\x00\x7f\x9b", "a\\x0ab\\x0d\\x00\\x7f\\x9b"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2028\u2066\u200b", "\\u2028\\u2066\\u200b"),
        ("größe 日本", "größe 日本"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


@given(st.text(), st.text(), st.text())
def test_no_row_holds_a_control_character(name, tool, reason):
    record = {
        "kind": "decision", "agent": {"name": name, "tier": tool}, "tool": tool, "reason": reason,
        "time": reason, "effect": name, "decision_id": tool, "rules": [name],
    }  # fmt: skip
    line = row(Entry(record=record, outcome={"outcome": reason}))
    for text in (line.time, line.word, line.who, line.what, line.note, line.id):
        assert text == printable(text)
        assert "\x1b" not in text
        assert "\n" not in text


def test_an_outcome_is_one_short_text():
    assert outcome_text({"outcome": "completed", "http_status": 200, "total_us": 12_345}) == (
        "completed 200 in 12.3 ms"
    )
    assert outcome_text({"outcome": "cancelled"}) == "cancelled"
