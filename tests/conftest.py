"""Peers that not every machine has: skipped with a reason, or failed when they are required."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from support.peers import OPA

_SAID = pytest.StashKey[list[str]]()


def required() -> bool:
    return os.environ.get("PBAC_REQUIRE") == "all"


def missing(what: str, remedy: str):
    reason = f"{what} is not here: {remedy}"
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the sizes that take long")


def pytest_configure(config):
    # Numbers of examples are chosen while modules are imported, before there are fixtures.
    if config.getoption("--full"):
        os.environ["PBAC_FULL"] = "1"


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def full(pytestconfig) -> bool:
    """Whether this run may take long."""
    return pytestconfig.getoption("--full")


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Prints a line at the end, also of a test that passes: a seed, a count, a rate."""
    return pytestconfig.stash.setdefault(_SAID, []).append


def pytest_terminal_summary(terminalreporter):
    for line in terminalreporter.config.stash.get(_SAID, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def typescript_sdk() -> Path:
    """The `node_modules` with Node and the official TypeScript SDK."""
    modules = Path(os.environ.get("PBAC_PEERS", Path.home() / ".cache" / "pbac-peers"))
    modules /= "node_modules"
    if not (modules / "@modelcontextprotocol/sdk").exists() or not (modules / ".bin/node").exists():
        missing("npm `@modelcontextprotocol/sdk`", "run `.ci/run`")
    return modules


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
def opa() -> str:
    """The official `opa` program, of the version that `.ci/run` pins."""
    if not OPA.exists():
        missing("`opa`", "run `.ci/run`, which builds it with Go")
    return str(OPA)


@pytest.fixture(scope="session")
def cedar() -> None:
    """Cedar's Python binding can be imported."""
    if importlib.util.find_spec("cedarpy") is None:
        missing("PyPI `cedarpy`", "install the extra `peers`")


@pytest.fixture(scope="session")
def git() -> str:
    path = shutil.which("git")
    if path is None:
        missing("git", "install it")
    return path
