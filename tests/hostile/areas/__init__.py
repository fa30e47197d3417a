"""Attacks by case id: one module an area."""

from __future__ import annotations

from hostile.areas import (
    cache,
    clock,
    concurrency,
    concurrency_faults,
    dcr,
    dos,
    introspection,
    json_bodies,
    json_forwarded,
    json_names,
    json_schemas,
    jwt,
    jwt_texts,
    mcp_dress,
    mcp_edge,
    mcp_framing,
    mcp_headers,
    mcp_versions,
    policy_language,
    revocation,
)

ATTACKS = {
    **cache.ATTACKS,
    **clock.ATTACKS,
    **concurrency.ATTACKS,
    **concurrency_faults.ATTACKS,
    **dcr.ATTACKS,
    **dos.ATTACKS,
    **introspection.ATTACKS,
    **json_bodies.ATTACKS,
    **json_forwarded.ATTACKS,
    **json_names.ATTACKS,
    **json_schemas.ATTACKS,
    **jwt.ATTACKS,
    **jwt_texts.ATTACKS,
    **mcp_dress.ATTACKS,
    **mcp_edge.ATTACKS,
    **mcp_framing.ATTACKS,
    **mcp_headers.ATTACKS,
    **mcp_versions.ATTACKS,
    **policy_language.ATTACKS,
    **revocation.ATTACKS,
}
