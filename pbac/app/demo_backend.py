"""A small GitHub, as an MCP server over real HTTP, for `pbac demo`. Needs the `demo` extra.

It knows nothing of the gateway: no tokens, no policy. Whoever reaches it can merge, which is
the point. It counts what it is asked, so that the demo can show what never arrived.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final

import uvicorn
from mcp.server.mcpserver import MCPServer

PULLS: Final[dict[int, dict[str, Any]]] = {
    7: {
        "number": 7,
        "title": "Rotate the deploy key",
        "author": "maria",
        "base": "main",
        "state": "open",
    },
    8: {
        "number": 8,
        "title": "Faster cold start",
        "author": "jin",
        "base": "main",
        "state": "open",
    },
}

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "github:prs:read": ("get_pull_request", "list_pull_requests"),
    "github:prs:write": ("comment_on_pull_request",),
    "github:prs:merge": ("merge_pull_request",),
}
"""The scope each tool needs, as an operator writes it in `pbac.toml`."""


class DemoBackend:
    """The server in a thread of its own. `asked` counts tool calls that really arrived."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._pulls = {number: dict(pull) for number, pull in PULLS.items()}
        config = uvicorn.Config(
            self._server().streamable_http_app(json_response=True),
            host="127.0.0.1",
            port=0,
            log_level="error",
            ws="none",
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)

    def start(self) -> str:
        """Listen on a free loopback port; returns the MCP address."""
        self._thread.start()
        while not self._uvicorn.started:
            self._thread.join(0.01)
            if not self._thread.is_alive():
                raise RuntimeError("the demo backend could not start")
        port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/mcp"

    def stop(self) -> None:
        """Stop listening and wait for the thread."""
        self._uvicorn.should_exit = True
        self._thread.join(5)

    def _server(self) -> MCPServer[Any]:
        server: MCPServer[Any] = MCPServer("github-demo", version="1.0", log_level="ERROR")

        @server.tool(description="Read one pull request.")
        def get_pull_request(owner: str, repo: str, pull_number: int) -> dict[str, Any]:
            self.asked["get_pull_request"] += 1
            return {"owner": owner, "repo": repo, **self._pulls[pull_number]}

        @server.tool(description="List the open pull requests of a repository.")
        def list_pull_requests(owner: str, repo: str) -> dict[str, Any]:
            self.asked["list_pull_requests"] += 1
            pulls = [pull for pull in self._pulls.values() if pull["state"] == "open"]
            return {"owner": owner, "repo": repo, "pulls": pulls}

        @server.tool(description="Comment on a pull request.")
        def comment_on_pull_request(
            owner: str, repo: str, pull_number: int, body: str
        ) -> dict[str, Any]:
            self.asked["comment_on_pull_request"] += 1
            return {"owner": owner, "repo": repo, "number": pull_number, "comment": body}

        @server.tool(description="Merge a pull request into its base branch.")
        def merge_pull_request(owner: str, repo: str, pull_number: int) -> dict[str, Any]:
            self.asked["merge_pull_request"] += 1
            self._pulls[pull_number]["state"] = "merged"
            return {"owner": owner, "repo": repo, "merged": True, "number": pull_number}

        return server
