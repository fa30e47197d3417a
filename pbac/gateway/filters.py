"""`tools/list`, filtered by the code that decides calls: Law 6.

A tool is listed when it could be permitted by some arguments and facts, and its scope has been
consented to (or could be: a client may then step up). Hidden implies never callable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pbac.catalog.tools import Tool
from pbac.gateway.decision_request import token, tool_call
from pbac.gateway.principal import Principal
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import shown
from pbac.pdp.policy_set import PolicySet


def shown_tools(
    policy_set: PolicySet, principal: Principal, tools: Iterable[Tool], env: dict[str, Any]
) -> Iterator[Tool]:
    """The tools this caller sees now, in the registry's stable order."""
    for tool in tools:
        if tool.scope in principal.scopes and is_shown(policy_set, principal, tool, env):
            yield tool


def is_shown(policy_set: PolicySet, principal: Principal, tool: Tool, env: dict[str, Any]) -> bool:
    """Could some call of this tool be permitted to this caller now?"""
    request = DecisionRequest(
        agent=principal.agent,
        user=principal.user,
        chain=principal.chain,
        token=token(principal, env["now"]),
        call=tool_call(tool),
        env=env,
    )
    return shown(policy_set, request)
