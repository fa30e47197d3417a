"""Is it up, is it ready, what does it count."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from pbac.base.json import encode
from pbac.gateway.gateway import Gateway
from pbac.web.metrics import Metrics
from pbac.web.refused import NO_STORE


def routes(
    gateway: Gateway, metrics: Metrics, audit_is_well: Callable[[], bool]
) -> list[web.RouteDef]:
    """`/healthz` (the process), `/readyz` (it can decide and record), `/metrics`."""

    async def healthz(_request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        ready = audit_is_well()
        state = {
            "status": "ready" if ready else "audit_unavailable",
            "policy_version": gateway.policies.current.version,
            "tools": len(gateway.offer.current.registry.tools),
        }
        return _json(state, 200 if ready else 503)

    async def exposition(_request: web.Request) -> web.Response:
        body = metrics.render()
        return web.Response(body=body, headers=NO_STORE | {"Content-Type": "text/plain"})

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", exposition),
    ]


def _json(value: Mapping[str, object], status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=encode(value), content_type="application/json", headers=NO_STORE
    )
