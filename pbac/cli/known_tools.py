"""What the vocabularies of a policy set say about the tools that somebody asks about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pbac.base.errors import PbacError
from pbac.base.suggest import did_you_mean
from pbac.lang.kinds.vocabulary import Vocabulary
from pbac.model.request import DecisionRequest

_NAMES_SHOWN_MAX = 5


def fill_in(call: dict[str, Any], servers: Mapping[str, Vocabulary]) -> None:
    """The server of a tool that one server alone has, and the scope that the tool needs.

    What is there already stays, null too. A server without a vocabulary may have any tool.

    Raises:
        PbacError: when its server has no such tool.
    """
    tool, server = call.get("tool"), call.get("server")
    if type(tool) is not str or "resource" in call or "prompt" in call:
        return
    if "server" not in call:
        having = [each.server for each in servers.values() if tool in each.tools]
        server = having[0] if len(having) == 1 else None
        if server is not None:
            call["server"] = server
    vocabulary = servers.get(server) if type(server) is str else None
    if vocabulary is None:
        return
    if tool not in vocabulary.tools:
        raise PbacError(f"no tool of `{server}` is called `{tool}`", help=_others(tool, vocabulary))
    scope = vocabulary.tools[tool].scope
    if scope is not None:
        call.setdefault("scope", scope)


def _others(tool: str, vocabulary: Vocabulary) -> str:
    names = list(vocabulary.tools)
    listed = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN_MAX])
    more = ", …" if len(names) > _NAMES_SHOWN_MAX else ""
    told = f"`{vocabulary.file}` has {listed}{more}" if names else f"`{vocabulary.file}` is empty"
    return did_you_mean(tool, names) or told


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
