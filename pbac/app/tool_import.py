"""From where tools are to a vocabulary file: a live server, an OpenAPI document, a saved answer.

A server is asked with the gateway's own adapters and what it lists is read by the gateway's own
reader, so a vocabulary holds exactly the tools that the gateway would offer.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from pbac.adapters.http_pool import HttpPool
from pbac.adapters.http_upstream import HttpUpstream
from pbac.adapters.stdio_upstream import StdioUpstream
from pbac.app.assemble import SERVER
from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import TOOL_IMPORT_SECONDS_MAX, TOOL_SOURCE_BYTES_MAX
from pbac.catalog.backends import Backend, HttpTransport, StdioTransport
from pbac.catalog.openapi import is_openapi, read_openapi
from pbac.catalog.tools import Quarantined, read_tools
from pbac.catalog.vocabulary import (
    Changes,
    Owner,
    ToolImportError,
    changes,
    render_vocabulary,
    vocabulary_tree,
)
from pbac.catalog.yaml_documents import decode_yaml
from pbac.gateway.upstream import Upstream, UpstreamError, UpstreamFailure
from pbac.lang.kinds.vocabulary import VocabularyError, read_vocabulary
from pbac.mcp.parameter_headers import annotation_problem

_STDERR_LINES_SHOWN: Final = 3
_STDERR_CHARACTERS_SHOWN: Final = 200
_YAML: Final = frozenset({".yaml", ".yml"})


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a source lists.

    Attributes:
        source: what the vocabulary file says about where it came from.
        definitions: as in an answer to `tools/list`.
        scopes: tool → scope, of those that the source tells.
        left_out: name and reason of what could not be read at all.
    """

    source: Mapping[str, Any]
    definitions: Sequence[Any]
    scopes: Mapping[str, str] = {}
    left_out: Sequence[tuple[str, str]] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an import."""

    path: Path
    server: str
    tools: int
    changes: Changes
    left_out: Sequence[Quarantined]


# --- sources -----------------------------------------------------------------------------------


def list_server(backend: Backend) -> Listed:
    """Ask a live server.

    Raises:
        ToolImportError: when it cannot be reached in time, or is no MCP server.
    """
    return asyncio.run(_ask(backend))


async def _ask(backend: Backend) -> Listed:
    told: deque[str] = deque(maxlen=_STDERR_LINES_SHOWN)
    pool = HttpPool()
    upstream, where, source = _reached(backend, pool, told)
    try:
        async with asyncio.timeout(TOOL_IMPORT_SECONDS_MAX):
            await upstream.start()
            return Listed(source=source, definitions=await upstream.list_tools())
    except TimeoutError:
        message = f"{where} did not list its tools within {TOOL_IMPORT_SECONDS_MAX:g} s"
        raise ToolImportError(message, help=_last_words(told)) from None
    except UpstreamError as error:
        help_ = _last_words(told) or error.help or _HELP.get(error.failure)
        message = f"{where} does not list its tools: {error.message}"
        raise ToolImportError(message, help=help_) from None
    finally:
        await upstream.close()
        await pool.close()


_HELP: Final[Mapping[UpstreamFailure, str]] = {
    UpstreamFailure.UNREACHABLE: "start the server, or save its `tools/list` and import that file",
    UpstreamFailure.AUTH: "send a credential: `--header Authorization=env:NAME`",
    UpstreamFailure.PROTOCOL: "name the MCP endpoint, which mostly ends in `/mcp`; an OpenAPI "
    "document is imported from a file",
}


def _reached(
    backend: Backend, pool: HttpPool, told: deque[str]
) -> tuple[Upstream, str, dict[str, str]]:
    """The adapter of a server, what to call it in messages, and in its vocabulary."""
    match backend.transport:
        case HttpTransport() as http:
            upstream = HttpUpstream(pool, http.url, SERVER, headers=http.headers)
            # A query may hold a secret, and tells nothing about the tools.
            address = http.url.partition("?")[0]
            return upstream, f"`{address}`", {"kind": "http", "from": address}
        case StdioTransport() as stdio:
            process = StdioUpstream(stdio, SERVER, on_stderr=told.append)
            command = " ".join((stdio.command, *stdio.args))
            return process, f"`{stdio.command}`", {"kind": "stdio", "from": command}


def _last_words(told: Sequence[str]) -> str | None:
    said = dict.fromkeys(line.strip()[:_STDERR_CHARACTERS_SHOWN] for line in told)
    return "it said: " + " / ".join(said) if told else None


def inherited_environment() -> dict[str, str]:
    """What a command on somebody's own command line needs to be found and to find its cache."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def list_file(path: Path) -> Listed:
    """Read an OpenAPI document, or a saved answer to `tools/list`.

    Raises:
        PbacError: when it is neither, or cannot be read.
    """
    tree = _document(path)
    if is_openapi(tree):
        found = read_openapi(tree)
        return Listed(
            source={"kind": "openapi", "from": path.name},
            definitions=found.definitions,
            scopes=found.scopes,
            left_out=found.left_out,
        )
    definitions = _definitions(tree)
    if definitions is None:
        raise ToolImportError(
            f"`{path}` is neither an OpenAPI document nor an answer to `tools/list`",
            help='the one begins with `"openapi"`, the other is `{"tools": […]}`',
        )
    return Listed(source={"kind": "tools/list", "from": path.name}, definitions=definitions)


def _document(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(TOOL_SOURCE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ToolImportError(f"`{path}` cannot be read: {reason}") from None
    if len(data) > TOOL_SOURCE_BYTES_MAX:
        raise ToolImportError(
            f"`{path}` is larger than {TOOL_SOURCE_BYTES_MAX} bytes",
            help="leave out the operations that no agent may call",
        )
    try:
        return decode_yaml(data) if path.suffix in _YAML else json.decode_answer(data)
    except PbacError as error:
        raise ToolImportError(f"`{path}`: {error.message}", help=error.help) from None


def _definitions(tree: Any) -> list[Any] | None:
    """The tools of a result, of a whole JSON-RPC answer, or of a bare list."""
    for _ in range(2):
        if isinstance(tree, dict):
            tree = tree.get("tools", tree.get("result"))
    return tree if isinstance(tree, list) else None


# --- the file ----------------------------------------------------------------------------------


def import_tools(listed: Listed, owner: Owner, path: Path) -> Imported:
    """Write the vocabulary file; what people added to it is kept.

    Raises:
        PbacError: when there is no tool to write, or the file there is none of this server's.
    """
    before = _earlier(path, owner.name)
    toolset = read_tools(owner, listed.definitions, objection=annotation_problem)
    told = {tool.name: tool.scope for tool in toolset.tools} if owner.scoped else listed.scopes
    tree, unusable = vocabulary_tree(
        owner.name, listed.source, toolset.tools, scopes=told, before=before
    )
    left_out = [
        *(Quarantined(backend=owner.name, name=name, reason=why) for name, why in listed.left_out),
        *toolset.quarantined,
        *unusable,
    ]
    if not tree["tools"]:
        reasons = "; ".join(f"`{each.name}`: {each.reason}" for each in left_out[:3])
        raise ToolImportError(
            f"`{listed.source['from']}` has no tool that can be used", help=reasons or None
        )
    _write(path, render_vocabulary(tree))
    return Imported(
        path=path,
        server=owner.name,
        tools=len(tree["tools"]),
        changes=changes(before, tree),
        left_out=left_out,
    )


def _earlier(path: Path, server: str) -> dict[str, Any] | None:
    """The file as it is; one that is broken is not overwritten, for people's work is in it."""
    try:
        tree = json.decode_answer(path.read_bytes())
        earlier = read_vocabulary(str(path), tree)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ToolImportError(f"`{path}` cannot be read: {reason}") from None
    except (json.JsonError, VocabularyError) as error:
        help_ = "correct it, or move it away and import anew: its facts would be lost"
        raise ToolImportError(f"`{path}`: {error.message}", help=help_) from None
    if earlier.server != server:
        raise ToolImportError(
            f"`{path}` is about the server `{earlier.server}`", help="name another file with -o"
        )
    found: dict[str, Any] = tree
    return found


def _write(path: Path, data: bytes) -> None:
    """All or nothing: a gateway may be watching the folder."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            fresh.write_bytes(data)
            fresh.replace(path)
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise ToolImportError(f"`{path}` cannot be written: {reason}") from None
