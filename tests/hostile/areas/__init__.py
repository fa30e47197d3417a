"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import (
    json_bodies,
    json_forwarded,
    json_names,
    json_schemas,
    mcp_dress,
    mcp_edge,
    mcp_framing,
    mcp_headers,
    mcp_origins,
    mcp_versions,
    revocation,
)

ATTACKS = {
    **json_bodies.ATTACKS,
    **json_forwarded.ATTACKS,
    **json_names.ATTACKS,
    **json_schemas.ATTACKS,
    **mcp_dress.ATTACKS,
    **mcp_edge.ATTACKS,
    **mcp_framing.ATTACKS,
    **mcp_headers.ATTACKS,
    **mcp_origins.ATTACKS,
    **mcp_versions.ATTACKS,
    **revocation.ATTACKS,
}
