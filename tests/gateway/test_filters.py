"""`tools/list`, held to what calls with the same token are decided."""

from __future__ import annotations

import json

import pytest

POLICY = """
package shop on server shop
tiers read_only < developer < trusted
permit every on tool * {}
forbid some on any {}
"""
CONDITIONS = [
    "token.issued_at < 2026-01-01T10:00:00Z",
    "token.expires_at > 2026-01-01T10:00:30Z",
    'token.scopes contains "shop:pay"',
    'token.grant == "client_credentials"',
    "token.age > 30s",
    "has token.issued_at",
    "has token.expires_at",
    "has token.grant",
    "has token.age",
    "has user",
    "chain.depth == 0",
    'env.environment == "test"',
    'env.ip in cidr "192.0.2.0/24"',
    "agent.verified",
    "not has agent.owner",
    'call.scope == "shop:pay"',
]


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_what_can_be_called_is_listed(world, condition, negated):
    """Whatever a rule asks of a request: listing knows it, or leaves it open (Law 6)."""
    condition = f"when {'not ' if negated else ''}({condition})"
    answers = []
    for permit, forbid in ((condition, "when false"), ("", condition)):
        world.publish(POLICY.format(permit, forbid))
        answer = await world.ask("tools/list")
        listed = {tool["name"] for tool in json.loads(answer.body)["result"]["tools"]}
        _, body = await world.call("pay", {"amount": 1, "currency": "EUR"})
        called = not body["result"].get("isError", False) if "result" in body else False
        assert called <= ("pay" in listed)
        answers.append(called)
    assert answers[0] is not answers[1], (
        "as a permit's condition it grants, as a forbid's it refuses"
    )
