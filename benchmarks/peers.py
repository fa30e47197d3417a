"""The two programs the gateway is measured against: a tiny MCP upstream and a bare relay.

Run as `python benchmarks/peers.py upstream` or `… relay URL`; prints its port and serves.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import orjson
import uvloop
from aiohttp import web

TOOL = {
    "name": "get_pull_request",
    "description": "Read one pull request.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "owner": {"type": "string"},
            "repo": {"type": "string"},
            "pull_number": {"type": "integer"},
        },
        "required": ["owner", "repo", "pull_number"],
    },
}
META = {"io.modelcontextprotocol/serverInfo": {"name": "bench", "version": "1"}}
RESULTS: dict[str, dict[str, Any]] = {
    "server/discover": {
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "ttlMs": 60_000,
        "cacheScope": "public",
    },
    "tools/list": {"tools": [TOOL], "ttlMs": 60_000, "cacheScope": "public"},
    "tools/call": {"content": [{"type": "text", "text": "Rotate the deploy key " * 10}]},
}


async def answer(request: web.Request) -> web.Response:
    message = orjson.loads(await request.read())
    result = RESULTS[message["method"]] | {"resultType": "complete", "_meta": META}
    body = orjson.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
    return web.Response(body=body, content_type="application/json")


def relay_to(url: str) -> web.Application:
    """The least an aiohttp relay can do: no token, no policy, no record."""
    app = web.Application()

    async def relay(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {"Content-Type": "application/json", "Accept": request.headers["Accept"]}
        async with app["session"].post(url, data=body, headers=headers) as response:
            return web.Response(
                status=response.status,
                body=await response.read(),
                content_type=response.content_type,
            )

    async def session(app: web.Application):
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=256), auto_decompress=False
        ) as app["session"]:
            yield

    app.cleanup_ctx.append(session)
    app.router.add_post("/mcp", relay)
    return app


async def serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    if sys.argv[1] == "relay":
        app = relay_to(sys.argv[2])
    else:
        app = web.Application()
        app.router.add_post("/mcp", answer)
    uvloop.run(serve(app))


if __name__ == "__main__":
    main()
