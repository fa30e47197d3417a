"""The request that `pbac eval` and `pbac explain` decide: from a file, or from options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pbac.base.errors import PbacError
from pbac.base.json import JsonError, decode
from pbac.model.request import FIELDS, DecisionRequest
from pbac.pdp.moments import parse_duration, parse_moment
from pbac.pdp.request_tree import ROOTS, read_request, require_roots

if TYPE_CHECKING:
    from pbac.cli.policy_files import Policies

_TEXTUAL = frozenset({"string", "version", "tier", "date", "address"})


def request_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a request; `request_of` makes one of what they hold."""
    for option in reversed(
        (
            click.option("--request", "file", type=click.Path(path_type=Path, allow_dash=True),
                         help="A request as JSON; `-` reads it from standard input. "
                         "Other options overlay it."),
            click.option("--tool", help="The tool that is called."),
            click.option("--server", help="Its backend; the policies' own when they name one."),
            click.option("--scope", help="The scope it needs; else a vocabulary's."),
            click.option("--tier", help="The agent's tier."),
            click.option("--agent", help="The agent's id [default: agent]."),
            click.option("--args", "arguments", help="The arguments, as JSON [default: {}]."),
            click.option("--set", "settings", multiple=True, metavar="PATH=VALUE",
                         help="Any other field, `env.ip=10.0.0.1`; JSON, or else a text."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def request_of(policies: Policies, *, tool_needed: bool = True, **options: Any) -> DecisionRequest:
    """The request that the options describe.

    Raises:
        PbacError: with what to write instead.
    """
    if options["file"] is None and options["tool"] is None and tool_needed:
        raise click.UsageError("describe a request: --request FILE, or --tool NAME and more")
    roots = _plain() if options["file"] is None else _read(options["file"])
    _overlay(roots, options)
    for setting in options["settings"]:
        _set(roots, setting)
    return read_request(roots, policies.policy_set, policies.servers)


def _read(file: Path) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        roots = decode(data)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise PbacError(f"`{file}` cannot be read: {reason}") from None
    except JsonError as error:
        raise PbacError(f"`{file}`: {error.message}", help=error.help) from None
    return {"agent": {}, "call": {}, **require_roots(roots, f"`{file}`")}


def _plain() -> dict[str, Any]:
    """A request without a file, filled in as plainly as in `test` blocks, but now."""
    now = datetime.now(UTC)
    return {
        "agent": {"id": "agent", "name": "agent"},
        "call": {"method": "tools/call", "pinned": True},
        "chain": {"depth": 0, "actors": []},
        "args": {},
        "env": {"now": int(now.timestamp() * 1000), "today": now.date().isoformat()},
    }


def _overlay(roots: dict[str, Any], options: Mapping[str, Any]) -> None:
    """What options say, whatever a file says."""
    agent = {"id": options["agent"], "name": options["agent"], "tier": options["tier"]}
    call = {name: options[name] for name in ("tool", "server", "scope")}
    for root, given in (("agent", agent), ("call", call)):
        said = {name: value for name, value in given.items() if value is not None}
        roots[root] = {**roots[root], **said}
    if options["arguments"] is not None:
        roots["args"] = _arguments(options["arguments"])


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = decode(_utf_8(text, "--args"))
    except JsonError as error:
        raise PbacError(f"`--args`: {error.message}", help=error.help) from None
    if type(found) is not dict:
        raise PbacError("`--args` is no JSON object", help="""write `--args '{"number": 7}'`""")
    return found


def _utf_8(text: str, option: str) -> bytes:
    """The bytes of what was typed; a shell hands over any."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise PbacError(f"`{option}` is not UTF-8", help="write it in UTF-8") from None


def _set(roots: dict[str, Any], setting: str) -> None:
    _utf_8(setting, "--set")
    path, separator, text = setting.partition("=")
    root, *fields = path.split(".")
    if not separator or not fields or root not in ROOTS or not all(fields):
        help_ = f"write a path such as `env.ip=10.0.0.1`; it begins with {', '.join(ROOTS)}"
        raise PbacError(f"`--set {setting}` names no field of a request", help=help_)
    place = roots[root] = dict(roots.get(root) or {})
    for field in fields[:-1]:
        place[field] = dict(place[field]) if type(place.get(field)) is dict else {}
        place = place[field]
    place[fields[-1]] = _value(text, FIELDS[root].get(fields[0]) if len(fields) == 1 else None)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "duration": parse_duration,
    "datetime": parse_moment,
}


def _value(text: str, kind: str | None) -> Any:
    """As the field is: `15m` is a duration there, `2.0` a version; JSON otherwise, or a text."""
    read = _READERS.get(kind or "")
    found = read(text) if read else None
    if found is not None:
        return found
    if kind in _TEXTUAL and not text.startswith('"'):
        return text
    try:
        return decode(text.encode())
    except JsonError:
        return text


def echo_json(value: Any) -> None:
    """One line of JSON for a program to read."""
    click.echo(msgspec.json.encode(value))
