"""`pbac tools`: vocabularies, from which policies know what tools take."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from click.shell_completion import CompletionItem

from pbac.base.errors import PbacError
from pbac.base.printable import printable
from pbac.cli.groups import Group
from pbac.cli.option_values import command_words, named_value
from pbac.cli.policy_files import PATH

if TYPE_CHECKING:
    from pbac.app.tool_import import Imported, Listed
    from pbac.catalog.backends import Transport
    from pbac.catalog.vocabulary import Owner
    from pbac.lang.kinds.vocabulary import KnownTool, Vocabulary

_FILE = click.Path(dir_okay=False, path_type=Path)
_OUTPUT_DEFAULT: Final = "policies/tools/SERVER.json"


def _files(_context: Any, _parameter: Any, incomplete: str) -> list[CompletionItem]:
    """A URL cannot be completed; files can, by the shell."""
    return [CompletionItem(incomplete, type="file")]


@click.group(cls=Group)
def command() -> None:
    """Import what tools take, so that policies are checked against it; show it."""


@command.command("import")
@click.argument("source", required=False, shell_complete=_files)
@click.option(
    "--server",
    required=True,
    metavar="SERVER",
    help="The server's name in policies and configuration.",
)
@click.option("--stdio", metavar="COMMAND", help="Start a server and ask it, instead of SOURCE.")
@click.option(
    "--config",
    type=_FILE,
    help="Ask the backend that a gateway's configuration names SERVER, with its headers, "
    "environment and scopes, instead of SOURCE.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    help="Sent to a URL; `env:NAME` reads the value from the environment.",
)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Added to the environment of a --stdio command, which has PATH and HOME.",
)
@click.option(
    "-o", "--output", "path", type=_FILE, help=f"The file to write [default: {_OUTPUT_DEFAULT}]."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_(source: str | None, server: str, path: Path | None, **options: Any) -> None:
    """Write the vocabulary of a server: its tools, and what each of them takes.

    SOURCE is the URL of an MCP server, an OpenAPI 3.0 or 3.1 document (JSON or YAML), or a saved
    answer to `tools/list`. Facts and scopes that were added to the file by hand are kept.
    """
    from pbac.app.tool_import import import_tools

    listed, owner = _listed(source, server, options)
    imported = import_tools(listed, owner, path or Path("policies/tools", f"{server}.json"))
    if options["as_json"]:
        click.echo(msgspec.json.encode(_json(imported)))
    else:
        _echo(imported)


def _listed(source: str | None, server: str, options: Mapping[str, Any]) -> tuple[Listed, Owner]:
    from pbac.app.tool_import import list_file, list_server
    from pbac.catalog.backends import backend
    from pbac.catalog.vocabulary import Owner

    given = [source, options["stdio"], options["config"]]
    if sum(each is not None for each in given) != 1:
        raise click.UsageError("name one SOURCE, or --stdio COMMAND, or --config FILE")
    if options["config"] is not None:
        configured = _configured(options["config"], server)
        owner = Owner(name=server, scopes=configured.scopes, scoped=True)
    else:
        transport = _transport(source, options)
        # A file is held to the same rules of names as a server.
        configured = backend(server, transport or _no_transport())
        owner = Owner(name=server, scopes=configured.scopes)
        if transport is None:
            with _waiting(f"reading {source}", options):
                return list_file(Path(source or "")), owner
    with _waiting(f"asking {server} for its tools", options):
        return list_server(configured), owner


def _configured(file: Path, server: str) -> Any:
    from pbac.app.assemble import read_backend
    from pbac.app.config import load_config
    from pbac.base.suggest import did_you_mean

    backends = {each.name: each for each in load_config(file).backends}
    if server not in backends:
        known = ", ".join(f"`{name}`" for name in backends) or "none"
        help_ = did_you_mean(server, backends) or f"it has {known}"
        raise PbacError(f"`{file}` has no backend `{server}`", help=help_)
    return read_backend(backends[server])


def _transport(source: str | None, options: Mapping[str, Any]) -> Transport | None:
    """How to reach a live server; None for a file."""
    from pbac.app.assemble import resolve_secret
    from pbac.app.tool_import import inherited_environment
    from pbac.catalog.backends import HttpTransport, StdioTransport

    if options["stdio"] is not None:
        program, *arguments = command_words(options["stdio"])
        variables = map(named_value, options["variables"])
        named = {name: resolve_secret(value) for name, value in variables}
        return StdioTransport(
            command=program, args=tuple(arguments), env=inherited_environment() | named
        )
    if source is not None and "://" in source:
        sent = map(named_value, options["headers"])
        headers = {name: resolve_secret(value) for name, value in sent}
        return HttpTransport(url=source, headers=headers)
    return None


def _no_transport() -> Transport:
    from pbac.catalog.backends import StdioTransport

    return StdioTransport(command="none")


@contextlib.contextmanager
def _waiting(what: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Something to look at while it takes long, on a terminal."""
    if options["as_json"] or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def _json(imported: Imported) -> dict[str, Any]:
    return {
        "path": str(imported.path),
        "server": imported.server,
        "tools": imported.tools,
        "added": imported.changes.added,
        "removed": imported.changes.removed,
        "changed": imported.changes.changed,
        "left_out": [{"tool": e.name, "reason": e.reason} for e in imported.left_out],
    }


def _echo(imported: Imported) -> None:
    found = imported.changes
    for name in found.added:
        click.echo(f"{click.style('+', fg='green')} {name}")
    for name in found.removed:
        click.echo(f"{click.style('-', fg='red')} {name}")
    for name, texts in found.changed.items():
        click.echo(f"{click.style('~', fg='yellow')} {name}: {printable('; '.join(texts))}")
    for each in imported.left_out:
        click.echo(f"left out `{each.name}`: {printable(each.reason)}", err=True)
    tools = f"{imported.tools} tool{'s' if imported.tools != 1 else ''}"
    told = f"{tools} of `{imported.server}`" + ("" if found else ", nothing changed")
    click.echo(f"{click.style(str(imported.path), fg='green')}  {told}")


# --- show --------------------------------------------------------------------------------------


@command.command("show")
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def show(path: Path, *, as_json: bool) -> None:
    """Print the tools of a vocabulary file, or of all in a policy folder, with what they take."""
    vocabularies = _vocabularies(path)
    if as_json:
        rows = [_row(v, tool) for v in vocabularies for tool in v.tools.values()]
        click.echo(msgspec.json.encode(rows))
        return
    for vocabulary in vocabularies:
        click.echo(f"{click.style(printable(vocabulary.server), bold=True)}  {vocabulary.file}")
        for tool in vocabulary.tools.values():
            _echo_tool(tool)


def _vocabularies(path: Path) -> list[Vocabulary]:
    from pbac.base.diagnostics import PolicyError

    try:
        vocabularies = _read_vocabularies(path)
    except PolicyError as error:  # its place is the file, which the message names
        first = error.diagnostics[0]
        raise PbacError(first.message, help=first.help) from None
    if not vocabularies:
        help_ = "write one with `pbac tools import SOURCE --server NAME`"
        raise PbacError(f"there is no vocabulary in `{path}`", help=help_)
    return vocabularies


def _read_vocabularies(path: Path) -> list[Vocabulary]:
    from pbac.adapters.policy_directory import read_tools
    from pbac.adapters.vocabulary_files import decode_vocabularies
    from pbac.base.diagnostics import PolicyError
    from pbac.lang.kinds.vocabulary import read_vocabularies

    if path.is_dir():
        trees = read_tools(path)
    else:
        try:
            trees = decode_vocabularies([(str(path), path.read_bytes())])
        except OSError as error:
            reason = (error.strerror or "unreadable").lower()
            raise PbacError(f"`{path}` cannot be read: {reason}") from None
    found: list[Any] = []
    vocabularies = list(read_vocabularies(trees, found).values())
    if found:
        raise PolicyError(found)
    return vocabularies


def _row(vocabulary: Vocabulary, tool: KnownTool) -> dict[str, Any]:
    return {
        "server": vocabulary.server,
        "tool": tool.name,
        "scope": tool.scope,
        "arguments": [_member(tool, name) for name in tool.arguments.fields or {}],
        "facts": {name: kind.brief() for name, kind in (tool.facts.fields or {}).items()},
    }


def _member(tool: KnownTool, name: str) -> dict[str, Any]:
    required = name in (tool.arguments.required or ())
    kind = (tool.arguments.fields or {})[name]
    return {"name": name, "kind": kind.brief(), "always_there": required}


def _echo_tool(tool: KnownTool) -> None:
    scope = f"  {click.style(printable(tool.scope), dim=True)}" if tool.scope else ""
    click.echo(f"  {printable(tool.name)}{scope}")
    for name in tool.arguments.fields or {}:
        each = _member(tool, name)
        mark = "" if each["always_there"] else "?"
        click.echo(printable(f"      {name}{mark}: {each['kind']}"))
    for name, kind in (tool.facts.fields or {}).items():
        click.echo(printable(f"      facts.{name}: {kind.brief()}"))
