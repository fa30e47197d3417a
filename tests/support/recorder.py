"""An upstream that keeps every byte it is sent, for what must not arrive there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field

GAP = b"\r\n\r\n"


@dataclass
class Recorder:
    """An MCP server of 2026-07-28, written by hand, on a loopback port in a thread of its own.

    `raw` holds every request as it came over the wire. Tools whose name begins with `slow` answer
    when `release` is set; `redirects` answers with a redirect to another path of this server.
    """

    tools: dict = field(default_factory=dict)
    raw: list = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def calls(self, tool=None):
        """Every `tools/call` that arrived, as (tool, arguments)."""
        trees = [json.loads(body) for raw in list(self.raw) if (body := raw.partition(GAP)[2])]
        called = [tree["params"] for tree in trees if tree.get("method") == "tools/call"]
        return [
            (each["name"], each.get("arguments")) for each in called if tool in (None, each["name"])
        ]

    def _run(self, ready):
        asyncio.run(self._serve(ready))

    async def _serve(self, ready):
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(GAP)
                fields = dict(
                    line.lower().split(b": ", 1) for line in head.split(b"\r\n") if b": " in line
                )
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                self.raw.append(head + body)
                writer.write(await self._answer(json.loads(body)))
                await writer.drain()
        writer.close()

    async def _answer(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "server/discover":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        elif method == "tools/list":
            listed = [{"name": name, "inputSchema": self.tools[name]} for name in self.tools]
            result = {"tools": listed, "ttlMs": 0, "cacheScope": "private"}
        elif method == "tools/call":
            name = params["name"]
            if name == "redirects":
                return b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
            if name.startswith("slow"):
                await asyncio.to_thread(self.release.wait, 10)
            result = {"content": [{"type": "text", "text": f"{name} ran"}]}
        else:
            return b"HTTP/1.1 202 X\r\ncontent-length: 0\r\n\r\n"
        tree = {
            "jsonrpc": "2.0",
            "id": message["id"],
            "result": {"resultType": "complete"} | result,
        }
        body = json.dumps(tree).encode()
        head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: "
        return f"{head}{len(body)}\r\n\r\n".encode() + body
