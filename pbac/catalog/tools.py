"""Tools as the gateway offers them: an immutable snapshot that requests read without a lock.

A definition is kept as the tree the upstream gave and passed on untouched but for its name. A
tool that cannot be offered safely is *quarantined*: it is in no list, a call of it is answered
like an unknown tool, and the reason is kept for the operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from pbac.base import json
from pbac.base.limits import TOOL_DEFINITION_BYTES_MAX, TOOL_NAME_CHARACTERS_MAX
from pbac.catalog.backends import NAME_SEPARATOR
from pbac.catalog.schema_size import SchemaError
from pbac.catalog.schemas import ArgumentSchema
from pbac.catalog.scopes import ScopeRuleError, ScopeRules, required_scope

_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{TOOL_NAME_CHARACTERS_MAX}}}")


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One MCP operation of one backend.

    Attributes:
        name: the backend's own name; policies see this and `backend`, never a public name.
        definition: exactly as the upstream gave it.
        digest: of the definition, for pins and records.
        scope: the OAuth scope a call needs.
        tags, read_only, destructive: None until somebody reviewed them (Law 8: a tool's own
            hints are not evidence).
        pinned: whether the definition is the one that was reviewed.
    """

    backend: str
    name: str
    definition: dict[str, Any]
    digest: str
    scope: str
    arguments: ArgumentSchema
    tags: tuple[str, ...] | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    pinned: bool = False


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is not offered, and why. `name` is shortened and may be ""."""

    backend: str
    name: str
    reason: str


class Toolset(msgspec.Struct, frozen=True, kw_only=True):
    """What one backend's `tools/list` amounted to, in its order."""

    backend: str
    tools: tuple[Tool, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()


class ToolOwner(Protocol):
    """What reading tools needs to know of the server they belong to."""

    @property
    def name(self) -> str:
        """As policies call it."""
        ...

    @property
    def scopes(self) -> ScopeRules:
        """Which scope which tool needs."""
        ...


def _no_objection(_input_schema: dict[str, Any]) -> str | None:
    return None


def read_tools(
    backend: ToolOwner,
    definitions: Iterable[Any],
    *,
    objection: Callable[[dict[str, Any]], str | None] = _no_objection,
) -> Toolset:
    """Sort a backend's definitions into tools and quarantined ones.

    `objection` gives a further reason against an `inputSchema`, or None: the gateway passes
    `mcp.parameter_headers.annotation_problem`.
    """
    found: dict[str, Tool | Quarantined] = {}
    nameless: list[Quarantined] = []
    for definition in definitions:
        name = definition.get("name") if isinstance(definition, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            shown = ascii(name)[1:-1][:TOOL_NAME_CHARACTERS_MAX] if isinstance(name, str) else ""
            nameless.append(_refused(backend, shown, "its name is missing or malformed"))
        elif name in found:
            found[name] = _refused(backend, name, "the backend lists this name twice")
        else:
            found[name] = _read(backend, name, definition, objection)
    entries = found.values()
    return Toolset(
        backend=backend.name,
        tools=tuple(entry for entry in entries if isinstance(entry, Tool)),
        quarantined=(*(e for e in entries if isinstance(e, Quarantined)), *nameless),
    )


def _read(
    backend: ToolOwner,
    name: str,
    definition: dict[str, Any],
    objection: Callable[[dict[str, Any]], str | None],
) -> Tool | Quarantined:
    if len(json.encode(definition)) > TOOL_DEFINITION_BYTES_MAX:
        return _refused(
            backend, name, f"its definition is larger than {TOOL_DEFINITION_BYTES_MAX} bytes"
        )
    try:
        arguments = ArgumentSchema(definition.get("inputSchema"))
        scope = required_scope(backend.scopes, name)
    except (SchemaError, ScopeRuleError) as error:
        return _refused(backend, name, str(error))
    if reason := objection(definition["inputSchema"]):
        return _refused(backend, name, reason)
    return Tool(
        backend=backend.name,
        name=name,
        definition=definition,
        digest=json.digest(definition),
        scope=scope,
        arguments=arguments,
    )


def _refused(backend: ToolOwner, name: str, reason: str) -> Quarantined:
    return Quarantined(backend=backend.name, name=name, reason=reason)


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Every backend's tools under their public names; replaced as a whole, never changed.

    With one backend the public name is the tool's own. With several it is
    `<backend>__<tool>`, which no two tools share: a backend's name holds no `__` and does not
    end in `_`, so the first `__` of a public name is always the one between the two.
    """

    toolsets: Mapping[str, Toolset]
    tools: Mapping[tuple[str, str], Tool]
    public: Mapping[str, Tool]
    quarantined: tuple[Quarantined, ...]

    def find(self, public_name: str) -> Tool | None:
        """The tool a caller means by this name, or None."""
        return self.public.get(public_name)

    def public_name(self, tool: Tool) -> str:
        """The name callers know a tool by."""
        return _public_name(tool, alone=len(self.toolsets) == 1)

    def listed(self, tool: Tool) -> dict[str, Any]:
        """A tool's definition under its public name, all else as the upstream gave it."""
        return {**tool.definition, "name": self.public_name(tool)}

    def with_toolset(self, toolset: Toolset) -> Registry:
        """A new registry in which one backend's tools are these."""
        return registry({**self.toolsets, toolset.backend: toolset}.values())


def registry(toolsets: Iterable[Toolset]) -> Registry:
    """The snapshot of all configured backends; one that did not answer yet has an empty set.

    Backends must be all there from the start: public names depend on how many there are.
    """
    ordered = sorted(toolsets, key=lambda toolset: toolset.backend)
    alone = len(ordered) == 1
    public: dict[str, Tool] = {}
    quarantined: list[Quarantined] = []
    for toolset in ordered:
        quarantined.extend(toolset.quarantined)
        for tool in toolset.tools:
            name = _public_name(tool, alone=alone)
            if len(name) > TOOL_NAME_CHARACTERS_MAX:
                reason = f"its public name is longer than {TOOL_NAME_CHARACTERS_MAX} characters"
                quarantined.append(Quarantined(backend=tool.backend, name=tool.name, reason=reason))
            else:
                public[name] = tool
    return Registry(
        toolsets=MappingProxyType({toolset.backend: toolset for toolset in ordered}),
        tools=MappingProxyType({(t.backend, t.name): t for t in public.values()}),
        public=MappingProxyType(public),
        quarantined=tuple(quarantined),
    )


def _public_name(tool: Tool, *, alone: bool) -> str:
    return tool.name if alone else f"{tool.backend}{NAME_SEPARATOR}{tool.name}"
