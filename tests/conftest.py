"""Peers that not every machine has: skipped with a reason, or failed when they are required."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def required() -> bool:
    return os.environ.get("PBAC_REQUIRE") == "all"


def missing(what: str, remedy: str):
    reason = f"{what} is not here: {remedy}"
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server_everything() -> list[str]:
    """The command that runs the npm reference server over streamable HTTP."""
    peers = Path(os.environ.get("PBAC_PEERS", Path.home() / ".cache" / "pbac-peers"))
    script = peers / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    node = peers / "node_modules/.bin/node"
    if not script.exists() or not node.exists():
        missing("npm `@modelcontextprotocol/server-everything`", "run `.ci/run`")
    return [str(node), str(script), "streamableHttp"]


@pytest.fixture(scope="session")
def git() -> str:
    path = shutil.which("git")
    if path is None:
        missing("git", "install it")
    return path
