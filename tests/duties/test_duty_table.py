"""Joins, and what is done before a call."""

from __future__ import annotations

import itertools

import pytest

from pbac.duties.limit import claim, render_duration
from pbac.duties.quota import Quotas
from pbac.duties.table import DutyConflict, Plan, after, before, join
from pbac.model.decision import Duty
from pbac.model.request import DecisionRequest


def duty(kind, rule="p.r", **parameters):
    return Duty(kind=kind, rule=rule, parameters=parameters)


def limit(count=1, by=("agent",), per_ms=60_000, rule="p.few"):
    return duty("limit", rule, count=count, per_ms=per_ms, by=list(by))


def approval(rule="p.ask", people=(("group", "maintainers"),), count=1):
    return duty("approval", rule, count=count, within_ms=900_000, **{"from": [*map(list, people)]})


def request(agent="a1", user=None, **roots):
    roots.setdefault("call", {"method": "tools/call", "server": "github", "tool": "merge"})
    return DecisionRequest(agent={"id": agent}, user=user and {"id": user}, **roots)


def test_no_duties_are_an_empty_plan():
    plan = join(())
    assert plan == Plan()
    assert not plan.changes_result
    result = {"content": []}
    assert before(plan, request(), Quotas(), 0) is None
    assert after(plan, result) is result


def test_an_approval_is_refused_at_once_and_says_who_would_have_to_be_asked():
    plan = join((approval(people=(("group", "maintainers"), ("user", "bob")), count=2),))
    refusal = before(plan, request(), Quotas(), 0)
    assert refusal.code == "approval_unavailable"
    assert refusal.rules == ("p.ask",)
    assert refusal.message == (
        "`p.ask` requires approval from 2 of group `maintainers` or user `bob`, "
        "and no approver can be asked yet"
    )


def test_a_call_that_needs_an_approval_uses_no_quota():
    quotas = Quotas()
    assert before(join((limit(), approval())), request(), quotas, 0).code == "approval_unavailable"
    assert len(quotas) == 0
    assert before(join((limit(),)), request(), quotas, 0) is None


def test_a_limit_refuses_with_the_rule_and_the_time():
    quotas, plan = Quotas(), join((limit(count=2),))
    assert before(plan, request(), quotas, 0) is None
    assert before(plan, request(), quotas, 0) is None
    refusal = before(plan, request(), quotas, 0)
    assert refusal.code == "quota_exceeded"
    assert refusal.message == "`p.few` allows 2 calls per minute, and they are used up"
    assert refusal.help == "try again in 61 seconds"
    assert refusal.rules == ("p.few",)


def test_every_bucket_has_to_hold():
    quotas = Quotas()
    plan = join((limit(count=9, rule="p.many"), limit(count=1, rule="p.one")))
    assert before(plan, request(), quotas, 0) is None
    assert before(plan, request(), quotas, 0).rules == ("p.one",)


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        (["agent"], request(user="u"), request(agent="a2")),
        (["user"], request(agent="a2", user="u"), request(user="v")),
        (["tool"], request(agent="a2", user="w"), request(call={"server": "s", "tool": "merge"})),
        (["server"], request(call={"server": "github", "tool": "x"}), request(call={"server": "s"})),
        (["args.owner"], request(agent="a2", args={"owner": "acme"}), request(args={"owner": "x"})),
    ],
)  # fmt: skip
def test_calls_share_a_bucket_by_what_the_limit_names(by, same, other):
    first = request(user="u", args={"owner": "acme"})
    key = claim(limit(by=by), first).key
    assert claim(limit(by=by), same).key == key
    assert claim(limit(by=by), other).key != key


def test_without_a_user_the_agent_is_counted():
    by = ["user"]
    alone = claim(limit(by=by), request()).key
    assert alone != claim(limit(by=by), request(agent="a2")).key
    assert alone != claim(limit(by=by), request(user="a1")).key, "a user named like the agent"


def test_values_that_only_look_alike_are_counted_apart():
    values = [1, 1.0, True, "1", None, [1], {"a": 1}, "", []]
    keys = {claim(limit(by=["args.x"]), request(args={"x": value})).key for value in values}
    keys.add(claim(limit(by=["args.x"]), request()).key)
    assert len(keys) == len(values) + 1, "and a missing one is not null"


def test_parts_of_a_key_cannot_shift():
    by = ["args.a", "args.b"]
    one = claim(limit(by=by), request(args={"a": "x", "b": "y,z"})).key
    two = claim(limit(by=by), request(args={"a": "x,y", "b": "z"})).key
    assert one != two


def test_each_part_of_a_bucket_key_matters():
    call = request(args={"a": 1})
    base = claim(limit(), call).key
    assert claim(limit(rule="p.other"), call).key != base
    assert claim(limit(per_ms=1_000), call).key != base
    assert claim(limit(by=["tool"]), call).key != base
    assert claim(limit(count=7), call).key == base, "changing the count keeps what is used"


@pytest.mark.parametrize(
    "odd",
    [
        duty("teleport"),
        duty("expire", in_ms=1000),
        duty("set", path="args.x", value=1),
        duty("limit", count=0, per_ms=1, by=["agent"]),
        duty("limit", count=1, per_ms="1", by=["agent"]),
        duty("limit", count=True, per_ms=1, by=["agent"]),
        duty("limit", count=1, per_ms=1, by=["phase of the moon"]),
        duty("limit", count=1, per_ms=1, by=["secrets.x"]),
        duty("limit", count=1, per_ms=1, by=["data.x"]),
        duty("limit", count=1, per_ms=1, by=["args.x[…]"]),
        duty("approval", count=1),
        duty("redact", paths=["args.x"]),
        duty("redact", paths=["result..x"]),
        duty("redact", pattern="(", **{"in": None}),
    ],
    ids=lambda odd: f"{odd.kind} {odd.parameters}",
)
def test_what_cannot_be_carried_out_is_a_conflict(odd):
    for duties in itertools.permutations((limit(), odd)):
        conflict = join(duties)
        assert isinstance(conflict, DutyConflict)
        assert conflict.rules == ("p.r",)
        assert "p.r" in conflict.message


def test_the_order_of_duties_is_irrelevant():
    duties = (
        limit(rule="p.b"), limit(rule="p.a"), approval("p.y"), approval("p.x"),
        duty("redact", paths=["result.a"]), duty("redact", pattern="x", **{"in": None}),
    )  # fmt: skip
    plans = [join(order) for order in itertools.permutations(duties)]
    told = {before(plan, request(), Quotas(), 0).message for plan in plans}
    assert len(told) == 1
    assert {len(plan.limit) for plan in plans} == {2}
    assert all(plan.changes_result for plan in plans)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(60_000, "minute"), (300_000, "5 minutes"), (90_000, "90 seconds"), (86_400_000, "day"),
     (1_500, "2 seconds"), (500, "500 ms"), (7_200_000, "2 hours")],
)  # fmt: skip
def test_durations_are_readable(milliseconds, text):
    assert render_duration(milliseconds) == text
