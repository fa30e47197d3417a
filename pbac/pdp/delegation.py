"""Law 8: an agent that acts through others is trusted no more than the least of them."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pbac.lang.evaluate.comparisons import items_of
from pbac.model.request import DecisionRequest
from pbac.model.values import Value

NOBODY: Final[list[Value]] = []
"""The actors of an agent that acts by itself. INVARIANT: nobody writes to it."""


def acts_alone(request: DecisionRequest) -> bool:
    """Nobody stands between the agent and its user. What is no list of actors is not nobody."""
    return bool(request.chain.get("actors", NOBODY) == NOBODY)


def narrowed(request: DecisionRequest, tiers: tuple[str, ...]) -> DecisionRequest:
    """The request with the lowest tier of its chain as `agent.tier`.

    Where somebody's tier is missing or was never declared, nobody can tell which one is lowest:
    then there is none, and what asks for a tier is unknown.
    """
    if acts_alone(request):
        return request
    actors = request.chain["actors"]
    found = [request.agent.get("tier"), *map(_tier, items_of(actors) or (None,))]
    if all(type(tier) is str and tier in tiers for tier in found):
        return replace(request, agent={**request.agent, "tier": min(found, key=tiers.index)})
    agent = {name: value for name, value in request.agent.items() if name != "tier"}
    return replace(request, agent=agent)


def _tier(actor: Value) -> Value:
    return actor.get("tier") if type(actor) is dict else None
