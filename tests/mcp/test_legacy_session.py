"""Sessions: whose they are, how they end, and that nobody learns of another's."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from multidict import CIMultiDict

from pbac.mcp.legacy_session import (
    Gone,
    LegacySessions,
    SessionError,
    initialize_result,
    plain,
    require_session_id,
)
from pbac.mcp.messages import Initialize
from pbac.mcp.modern import ServerInfo
from pbac.mcp.wire_errors import JsonRpcError, http_status

HELLO = Initialize(version="2025-06-18", client_name="c", client_version="1", capabilities={})


def seed(number):
    return number.to_bytes(24, "big")


def why(sessions, session_id, principal, now=0.0):
    with pytest.raises(SessionError) as caught:
        sessions.find(session_id, principal, now=now)
    assert http_status(caught.value.code, modern=False) == 404
    return caught.value


def test_a_session_is_found_by_its_principal_with_what_was_negotiated():
    sessions = LegacySessions()
    opened = sessions.open("alice", HELLO, random=seed(1), now=0)
    assert opened.version == "2025-06-18"
    assert all(0x21 <= ord(c) <= 0x7E for c in opened.id)
    assert sessions.find(opened.id, "alice", now=5).last_used == 5


def test_unknown_foreign_idle_and_ended_sessions_look_alike_to_the_caller():
    sessions = LegacySessions()
    ids = [sessions.open("alice", HELLO, random=seed(n), now=0).id for n in (1, 2, 3)]
    sessions.end(ids[1], "alice", now=1)
    errors = [
        why(sessions, "never", "alice"),
        why(sessions, ids[0], "mallory"),
        why(sessions, ids[1], "alice"),
        why(sessions, ids[2], "alice", now=3_601),
    ]
    assert len({str(e.answer()) for e in errors}) == 1
    assert [e.gone for e in errors] == [Gone.UNKNOWN, Gone.FOREIGN, Gone.UNKNOWN, Gone.IDLE]


def test_a_thief_neither_keeps_a_session_alive_nor_ends_it():
    sessions = LegacySessions()
    opened = sessions.open("alice", HELLO, random=seed(1), now=0)
    why(sessions, opened.id, "mallory", now=3_000)
    with pytest.raises(SessionError):
        sessions.end(opened.id, "mallory", now=3_000)
    assert sessions.find(opened.id, "alice", now=3_600)
    why(sessions, opened.id, "alice", now=7_201)


def test_a_principal_crowds_out_only_its_own_oldest_session():
    sessions = LegacySessions(per_principal_max=2)
    other = sessions.open("bob", HELLO, random=seed(9), now=0)
    first, second, third = (sessions.open("alice", HELLO, random=seed(n), now=n) for n in (1, 2, 3))
    why(sessions, first.id, "alice", now=4)
    for session, owner in ((second, "alice"), (third, "alice"), (other, "bob")):
        assert sessions.find(session.id, owner, now=4)


def test_the_table_never_holds_more_than_its_bound():
    sessions = LegacySessions(sessions_max=5)
    for n in range(50):
        sessions.open(f"p{n}", HELLO, random=seed(n), now=n)
    assert len(sessions) == 5


def test_revocation_ends_every_session_of_a_principal():
    sessions = LegacySessions()
    mine = [sessions.open("alice", HELLO, random=seed(n), now=0) for n in range(3)]
    sessions.end_all("alice")
    sessions.end_all("nobody")
    for session in mine:
        why(sessions, session.id, "alice")


def test_an_id_needs_enough_randomness():
    with pytest.raises(ValueError):
        LegacySessions().open("alice", HELLO, random=b"short", now=0)


def test_the_session_header_is_required_once_and_well_formed():
    assert require_session_id(CIMultiDict([("MCP-Session-Id", "abc")])) == "abc"
    for headers, code in [
        ([], "session_required"),
        ([("mcp-session-id", "")], "session_not_found"),
        ([("mcp-session-id", "a b")], "session_not_found"),
        ([("mcp-session-id", "x" * 200)], "session_not_found"),
        ([("mcp-session-id", "a"), ("Mcp-Session-Id", "b")], "header_mismatch"),
    ]:
        with pytest.raises(JsonRpcError) as caught:
            require_session_id(CIMultiDict(headers))
        assert caught.value.code == code


def test_initialize_is_answered_with_the_negotiated_version():
    session = LegacySessions().open("alice", HELLO, random=seed(1), now=0)
    answer = initialize_result(session, ServerInfo(name="g", version="1"), {"tools": {}}, "hi")
    assert answer == {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "g", "version": "1"},
        "instructions": "hi",
    }


def test_a_legacy_client_sees_no_modern_members():
    key = "io.modelcontextprotocol/serverInfo"
    modern = {"tools": [], "resultType": "complete", "ttlMs": 5, "cacheScope": "private"}
    assert plain({**modern, "_meta": {key: {}}}) == {"tools": []}
    assert plain({**modern, "_meta": {key: {}, "x": 1}}) == {"tools": [], "_meta": {"x": 1}}
    assert plain({"content": [], "_meta": {"y": 1}}) == {"content": [], "_meta": {"y": 1}}


class SessionsAgainstAModel(RuleBasedStateMachine):
    """The table against a dictionary that anybody can follow."""

    def __init__(self):
        super().__init__()
        self.sessions = LegacySessions(sessions_max=6, per_principal_max=3, idle_seconds_max=10)
        self.now, self.opened = 0.0, []

    @rule(principal=st.sampled_from("abc"))
    def open(self, principal):
        session = self.sessions.open(principal, HELLO, random=seed(len(self.opened)), now=self.now)
        self.opened.append(session)

    @rule(seconds=st.sampled_from([0, 1, 4, 11]))
    def wait(self, seconds):
        self.now += seconds

    @rule(data=st.data(), principal=st.sampled_from("abc"))
    def use(self, data, principal):
        if not self.opened:
            return
        session = data.draw(st.sampled_from(self.opened))
        try:
            found = self.sessions.find(session.id, principal, now=self.now)
        except SessionError:
            return
        assert found.principal == principal == session.principal

    @rule(data=st.data())
    def end(self, data):
        if not self.opened:
            return
        session = data.draw(st.sampled_from(self.opened))
        try:
            self.sessions.end(session.id, session.principal, now=self.now)
        except SessionError:
            return
        why(self.sessions, session.id, session.principal, self.now)

    @invariant()
    def bounded_ordered_and_indexed(self):
        live = list(self.sessions._sessions.values())
        assert len(live) <= 6
        assert [s.last_used for s in live] == sorted(s.last_used for s in live)
        owned = {i for ids in self.sessions._by_principal.values() for i in ids}
        assert owned == set(self.sessions._sessions)
        assert all(1 <= len(ids) <= 3 for ids in self.sessions._by_principal.values())


TestSessionsAgainstAModel = SessionsAgainstAModel.TestCase
TestSessionsAgainstAModel.settings = settings(max_examples=60, deadline=None)
