"""What the gateway offers to call: the registry, and what each tool mirrors in headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from pbac.catalog.tools import Registry, Tool, Toolset, registry
from pbac.mcp.parameter_headers import ParameterHeader, parameter_headers


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot; a request takes it once.

    `mirrored` holds only tools that annotate an argument, by (backend, tool).
    """

    registry: Registry
    mirrored: Mapping[tuple[str, str], tuple[ParameterHeader, ...]]

    def find(self, public_name: str) -> Tool | None:
        """The tool a caller means by this name, or None."""
        return self.registry.find(public_name)

    @property
    def tools(self) -> Iterable[Tool]:
        """Every offered tool, in a stable order."""
        return self.registry.tools.values()

    def parameter_headers(self, tool: Tool) -> tuple[ParameterHeader, ...]:
        """The arguments a modern caller has to mirror; empty for nearly every tool."""
        return self.mirrored.get((tool.backend, tool.name), ())


def offer(toolsets: Iterable[Toolset]) -> Offer:
    """The snapshot of these toolsets; every configured backend has one, empty or not."""
    return _with_headers(registry(toolsets))


def with_toolset(current: Offer, toolset: Toolset) -> Offer:
    """A new snapshot in which one backend's tools are these."""
    return _with_headers(current.registry.with_toolset(toolset))


def _with_headers(snapshot: Registry) -> Offer:
    # `read_tools` has quarantined every tool whose annotations would raise here.
    annotated = {
        key: mirrored
        for key, tool in snapshot.tools.items()
        if (mirrored := parameter_headers(tool.definition["inputSchema"]))
    }
    return Offer(registry=snapshot, mirrored=MappingProxyType(annotated))
