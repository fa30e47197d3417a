"""The tools that need a scope somebody asks about, as the vocabularies of a policy set say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pbac.lang.kinds.vocabulary import Vocabulary
from pbac.model.request import DecisionRequest


def calls_needing(
    scope: str, request: DecisionRequest, servers: Mapping[str, Vocabulary]
) -> list[dict[str, Any]]:
    """The calls that need a scope: that of the request, or those of the tools that are known.

    Raises:
        click.UsageError: when nobody says which tool that is.
    """
    if request.call.get("tool") is not None:
        return [{**request.call, "scope": scope}]
    wanted = request.call.get("server")
    calls = [
        {"method": "tools/call", "pinned": True, "tool": tool.name, "server": each.server,
         "scope": scope}
        for each in servers.values()
        if wanted in (None, each.server)
        for tool in each.tools.values()
        if tool.scope == scope
    ]  # fmt: skip
    if not calls:
        why = "no vocabulary says" if servers else "there is no vocabulary to tell"
        raise click.UsageError(f"{why} which tool needs `{scope}`: add --tool NAME")
    return calls
