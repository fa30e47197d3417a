"""The enforcement point: decision × duty × fault, once per protocol version."""

from __future__ import annotations

import asyncio

import pytest
from support.in_memory import POLICY

from pbac.audit.storage import AuditUnavailable
from pbac.gateway.upstream import UpstreamError, UpstreamFailure
from pbac.lang.check.duties import ENFORCED_DUTIES, ISSUANCE_DUTIES
from pbac.lang.syntax.duties import _DUTIES

EUR = {"amount": 10, "currency": "EUR"}


def denial(body):
    return body["result"]["_meta"]["pbac/denial"]


async def test_a_permitted_call_is_forwarded_and_answered(world, version):
    answer, body = await world.call("pay", EUR, version=version)
    assert answer.status == 200
    assert body["id"] == 7
    assert body["result"]["content"] == [{"type": "text", "text": "done"}]
    assert ("resultType" in body["result"]) == (version == "2026-07-28")
    assert [call[:3] for call in world.upstream.calls] == [("pay", EUR, "a1")]


async def test_nothing_is_forwarded_before_it_is_recorded(world, version):
    await world.call("pay", EUR, version=version)
    decision, outcome = world.audit.records
    assert world.audit.calls_seen == [0, 1]
    assert (decision.effect, decision.rules, decision.tool) == ("permit", ("shop.pay",), "pay")
    assert decision.policy_version == world.gateway.policies.current.version
    assert decision.arguments.startswith("digest of")
    assert (outcome.decision_id, outcome.outcome) == (decision.decision_id, "completed")


async def test_without_a_record_nothing_is_forwarded(world, version):
    session = await world.open_session(version) if version != "2026-07-28" else None
    world.audit.fails = True
    with pytest.raises(AuditUnavailable):
        if session:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
            body["params"] = {"name": "pay", "arguments": EUR}
            await world.send(body, [("Mcp-Session-Id", session)])
        else:
            await world.call("pay", EUR)
    assert world.upstream.calls == []


async def test_an_outcome_that_cannot_be_recorded_is_counted_and_the_answer_told(world):
    world.audit.enqueue_fails = True
    answer, _ = await world.call("pay", EUR)
    assert answer.status == 200
    assert world.counters.refusals == ["outcome_unrecorded"]


async def test_forbidden_arguments_are_a_result_the_model_can_read(world, version):
    answer, body = await world.call("refund", {"amount": 500, "currency": "EUR"}, version=version)
    assert answer.status == 200
    assert body["result"]["isError"] is True
    assert "refunds beyond 100 need a person" in body["result"]["content"][0]["text"]
    told = denial(body)
    assert (told["code"], told["rules"]) == ("policy_denied", ["shop.big_refunds"])
    assert told["decision_id"] == world.audit.records[-1].decision_id
    assert world.upstream.calls == []


async def test_under_403_the_same_refusal_is_an_error_with_the_same_code(strict_world, version):
    arguments = {"amount": 500, "currency": "EUR"}
    answer, body = await strict_world.call("refund", arguments, version=version)
    assert answer.status == 403
    assert "WWW-Authenticate" not in dict(answer.headers)
    assert body["error"]["data"]["code"] == "policy_denied"


@pytest.mark.parametrize("amount", ["500", None, [], True, "missing"])
async def test_a_forbid_that_cannot_be_ruled_out_denies_and_says_why(world, version, amount):
    arguments = (
        {"currency": "EUR"} if amount == "missing" else {"amount": amount, "currency": "EUR"}
    )
    answer, body = await world.call("refund", arguments, version=version)
    assert answer.status == 200
    assert denial(body)["unknown"] == ["args.amount"]
    assert "args.amount" in body["result"]["content"][0]["text"]
    assert world.audit.records[-1].unknown == ("args.amount",)
    assert world.upstream.calls == []


async def test_a_withheld_tool_is_403_without_a_challenge(world, version):
    answer, body = await world.call("close_shop", version=version)
    assert answer.status == 403
    assert "WWW-Authenticate" not in dict(answer.headers)
    assert body["error"]["data"]["code"] == "policy_denied"
    assert "trusted" in body["error"]["data"]["help"]


async def test_a_scope_that_was_not_consented_is_challenged_when_it_would_help(world, version):
    agent = world.principal(scopes=("shop:read",))
    answer, body = await world.call("pay", EUR, version=version, principal=agent)
    assert answer.status == 403
    challenge = dict(answer.headers)["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", scope="shop:pay"')
    assert 'resource_metadata="https://gw.example/' in challenge
    assert body["error"]["data"]["code"] == "insufficient_scope"
    assert world.upstream.calls == []


async def test_neither_consented_nor_permitted_looks_like_no_tool_at_all(world, version):
    agent = world.principal(scopes=("shop:read",))
    hidden, hidden_body = await world.call("close_shop", version=version, principal=agent)
    absent, absent_body = await world.call("no_such_tool", version=version, principal=agent)
    assert hidden.status == absent.status == (400 if version == "2026-07-28" else 200)
    assert hidden_body["error"]["code"] == absent_body["error"]["code"] == -32602
    same = hidden_body["error"]["message"].replace("close_shop", "no_such_tool")
    assert same == absent_body["error"]["message"]
    assert set(hidden_body["error"].get("data", {})) == set(absent_body["error"].get("data", {}))
    assert [record.cause for record in world.audit.records] == ["unknown_tool", "unknown_tool"]


async def test_arguments_that_do_not_fit_the_schema_are_refused_after_policy(world, version):
    answer, body = await world.call("pay", {"amount": "10", "currency": "EUR"}, version=version)
    assert answer.status == (400 if version == "2026-07-28" else 200)
    assert body["error"]["code"] == -32602
    assert "amount" in body["error"]["message"]
    assert world.audit.records[-1].cause == "invalid_params"
    assert world.upstream.calls == []


async def test_a_quota_is_used_by_calls_that_go_through_only(world, version):
    await world.call("pay", {"amount": "x", "currency": "EUR"}, version=version)
    for _ in range(2):
        answer, body = await world.call("pay", EUR, version=version)
        assert "isError" not in body["result"]
    answer, body = await world.call("pay", EUR, version=version)
    assert answer.status == 200
    assert denial(body)["code"] == "quota_exceeded"
    assert len(world.upstream.calls) == 2
    world.clock.time_ms += 2 * 3_600_000
    _, body = await world.call("pay", EUR, version=version)
    assert "isError" not in body["result"]


async def test_setting_the_clock_gives_no_used_call_back(world, version):
    for _ in range(2):
        await world.call("pay", EUR, version=version)
    for set_ms in (30 * 60_000, -30 * 60_000):
        world.clock.set_ms = set_ms
        _, body = await world.call("pay", EUR, version=version)
        assert denial(body)["code"] == "quota_exceeded"
    world.clock.time_ms += 2 * 3_600_000
    _, body = await world.call("pay", EUR, version=version)
    assert "isError" not in body["result"], "nor does it keep one for ever"


async def test_an_approval_nobody_can_give_is_refused_at_once(world, version):
    answer, body = await world.call("get_secret", version=version)
    assert answer.status == 200
    assert denial(body)["code"] == "approval_unavailable"
    assert world.upstream.calls == []


async def test_a_result_is_redacted_everywhere_the_rule_says(world, version):
    world.upstream.result = {
        "content": [{"type": "text", "text": "4111 1111"}],
        "structuredContent": {"number": "4111 1111", "name": "M"},
    }
    answer, body = await world.call("get_card", version=version)
    assert b"4111" not in answer.body
    assert body["result"]["structuredContent"]["name"] == "M"


async def test_a_redacted_call_has_no_side_door_for_notifications(world):
    world.upstream.notifications = [{"method": "notifications/progress", "params": {}}]
    await world.call("get_card")
    assert world.told == []
    await world.call("get_price")
    assert len(world.told) == 1


FAILURES = [
    (UpstreamFailure.UNREACHABLE, 503, -31020),
    (UpstreamFailure.TIMEOUT, 504, -31021),
    (UpstreamFailure.PROTOCOL, 502, -31022),
    (UpstreamFailure.TOO_LARGE, 502, -31023),
]


@pytest.mark.parametrize(("failure", "status", "number"), FAILURES)
async def test_a_broken_upstream_is_named_and_recorded(world, version, failure, status, number):
    world.upstream.result = UpstreamError(failure, "it broke", executed=None)
    answer, body = await world.call("get_price", version=version)
    assert answer.status == (status if version == "2026-07-28" else 200)
    assert body["error"]["code"] == number
    outcome = world.audit.records[-1]
    assert (outcome.outcome, outcome.detail) == (failure.value, "it broke; it may have run")


async def test_an_upstreams_own_error_is_passed_on(world, version):
    world.upstream.result = UpstreamError(
        UpstreamFailure.RPC, "bad cursor", executed=False, number=-32602, data={"at": 3}
    )
    answer, body = await world.call("get_price", version=version)
    assert answer.status == 200
    assert body["error"] == {"code": -32602, "message": "bad cursor", "data": {"at": 3}}


async def test_a_changed_rule_acts_on_the_next_call(world, version):
    answer, _ = await world.call("close_shop", version=version)
    assert answer.status == 403
    before = world.gateway.policies.current.version
    world.publish(
        "package shop\ntiers read_only < developer < trusted\n"
        "permit close\n  for tier >= developer\n  on tool close_shop\n"
    )
    answer, _ = await world.call("close_shop", version=version)
    assert answer.status == 200
    versions = [record.policy_version for record in world.audit.records[:2]]
    assert versions == [before, world.gateway.policies.current.version]


async def test_a_call_that_is_cancelled_has_its_outcome_recorded(world):
    begun = asyncio.Event()

    async def hang():
        begun.set()
        await asyncio.sleep(60)

    world.upstream.before_answer = hang
    call = asyncio.create_task(world.call("get_price"))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [type(r).__name__ for r in world.audit.records] == ["DecisionRecord", "OutcomeRecord"]
    assert world.audit.records[-1].outcome == "cancelled"


async def test_session_facts_count_what_was_forwarded(world):
    await world.call("get_price")
    await world.call("get_card")
    await world.call("close_shop")
    facts = world.gateway.sessions.describe("a1", world.clock.now_ms())
    assert (facts["calls"], facts["tools"]) == (2, ["get_price", "get_card"])
    world.clock.time_ms += 25 * 3_600_000
    assert world.gateway.sessions.describe("a1", world.clock.now_ms())["calls"] == 0


async def test_only_trace_context_and_the_progress_token_travel_on(world):
    meta = {"progressToken": "p", "traceparent": "00-1-2-01", "secret": "stays"}
    await world.ask("tools/call", {"name": "get_price", "_meta": meta})
    assert world.upstream.calls[0][3] == {"progressToken": "p", "traceparent": "00-1-2-01"}


async def test_what_a_redacted_tool_says_when_it_fails_is_kept_back(world, version):
    world.upstream.result = UpstreamError(
        UpstreamFailure.RPC, "card 4111 declined", executed=True, number=-32000, data={"n": "4111"}
    )
    answer, _ = await world.call("get_card", version=version)
    assert b"4111" not in answer.body


async def test_a_large_number_in_a_text_does_not_hide_what_a_rule_takes_out(world):
    text = '{"number":"4111 1111","id":1152921504606846977}'
    world.upstream.result = {"content": [{"type": "text", "text": text}]}
    answer, _ = await world.call("get_card")
    assert b"4111" not in answer.body


async def test_defaults_of_the_schema_are_decided_on_and_forwarded(world):
    await world.call("ship", {"to": "here"})
    assert world.upstream.calls[-1][1] == {"to": "here", "express": False}
    _, body = await world.call("ship", {"to": "here", "express": True})
    assert denial(body)["rules"] == ["shop.no_express"]


async def test_denied_calls_take_no_room_from_anybodys_session(world):
    await world.call("get_price")
    for number in range(50):
        await world.call("refund", {}, principal=world.principal(id=f"other{number}"))
    assert len(world.gateway.sessions._windows) == 1


async def test_a_double_of_what_a_rule_reads_is_refused_although_the_schema_is_open(world):
    """A rule that reads `args.path` would miss `Path`, and a Go upstream would not."""
    world.publish(
        POLICY
        + 'forbid secrets\n  on   tool get_price\n  when args.path default "" starts with "/secret"\n'
    )
    for name in ("Path", "PATH", "path\0", " path"):
        answer, body = await world.call("get_price", {name: "/secret"})
        assert (answer.status, body["error"]["code"]) == (400, -32602)
        assert "could be read as `path`" in body["error"]["message"]
    assert world.upstream.calls == []
    for tool, arguments in (("get_price", {"path": "/x"}), ("get_card", {"Path": "/secret"})):
        answer, _ = await world.call(tool, arguments)
        assert answer.status == 200, "no rule about this tool reads it"


async def test_a_limit_by_an_argument_counts_no_doubles_of_it(world):
    limit = "require few\n  on   tool get_price\n  then limit 1 per 1h by args.account\n"
    world.publish(POLICY + limit)
    for name in ("account", "Account"):
        answer, _ = await world.call("get_price", {name: "a"})
        assert answer.status == (200 if name == "account" else 400)


# --- duties that nobody can carry out yet -------------------------------------------------------

UNMET = {
    "keep": "keep only result.structuredContent.id",
    "truncate": "truncate to 20 items",
    "cap": "cap args.amount at 5",
    "set": 'set args.currency = "EUR"',
    "reauthenticate": 'reauthenticate at "idp" within 5m',
    "notify": 'notify "releases"',
    "record": "record full",
}


def test_every_duty_that_is_not_carried_out_is_tried_here():
    kinds = {kind for kind, _ in _DUTIES.values()}
    assert UNMET.keys() == kinds - ENFORCED_DUTIES - ISSUANCE_DUTIES


@pytest.mark.parametrize("kind", UNMET)
async def test_a_duty_that_cannot_be_met_is_a_denial(world, kind):
    """Law 1. The set is published with a warning; no call that the rule applies to gets through."""
    world.publish(f"{POLICY}\nrequire unmet on tool pay then {UNMET[kind]}\n")
    answer, body = await world.call("pay", EUR)
    assert answer.status == 200
    told = denial(body)
    assert (told["code"], told["rules"]) == ("duty_failed", ["shop.unmet"])
    assert f"`shop.unmet` demands `{kind}`" in body["result"]["content"][0]["text"]
    assert world.upstream.calls == []
    assert world.audit.records[-1].effect == "deny"
    _, body = await world.call("get_price")
    assert "pbac/denial" not in body["result"].get("_meta", {}), "other calls go on"
