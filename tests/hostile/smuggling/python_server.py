"""The official Python SDK's server. What its handler receives, it says twice: in the answer, and
on standard output, one line a call. The first line is its address."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
from pathlib import Path

import uvicorn
from mcp import types
from mcp.server.lowlevel import Server

TOOLS = [types.Tool(**tool) for tool in json.loads(Path(sys.argv[1]).read_text("utf-8"))]
_numbers = itertools.count(1)


async def list_tools(_context, _params) -> types.ListToolsResult:
    return types.ListToolsResult(tools=TOOLS)


async def call_tool(_context, params: types.CallToolRequestParams) -> types.CallToolResult:
    heard = {"n": next(_numbers), "tool": params.name, "arguments": params.arguments}
    text = json.dumps(heard)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def serve() -> None:
    logging.disable()
    server = Server("python", on_list_tools=list_tools, on_call_tool=call_tool)
    app = server.streamable_http_app(json_response=True)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none")
    served = uvicorn.Server(config)
    serving = asyncio.create_task(served.serve())
    while not served.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    port = served.servers[0].sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/mcp\n")
    sys.stdout.flush()
    await serving


if __name__ == "__main__":
    asyncio.run(serve())
