"""Calls in tests, held against the vocabulary.

Wrong values in a test are mostly wrong on purpose: that a malformed call is *denied* is worth a
test. So only what proves nothing is told: a tool that no server has, and a *permit* of arguments
that the tool would not take, or would not take without what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.checking import Checking
from pbac.lang.check.tools import named_servers
from pbac.lang.kinds.kinds import ANY, Kind, option
from pbac.lang.kinds.vocabulary import KnownTool
from pbac.model.values import Value, kind_of

_WORDS: Final = {"list": "a list", "record": "a record", "null": "null", "boolean": "true or false"}


def check_calls(test: nodes.Test, servers: Sequence[nodes.Pattern], checking: Checking) -> None:
    """Warn about calls of a test that no server could be sent."""
    if not checking.schema.servers:
        return
    own = named_servers(servers, ())
    given: dict[str, object] = {}
    arguments: dict[str, Value] = {}
    for step in test.steps:
        if isinstance(step, nodes.Given):
            if step.what == "tool":
                given[step.name] = step.value
            elif step.what == "args" and isinstance(step.value, dict):
                arguments = step.value
        elif step.what in ("call", "list"):
            described = given.get(step.subject)
            server = described.get("server") if isinstance(described, dict) else None
            name = server if isinstance(server, str) else (own or [""])[0]
            whole = structs.replace(step, arguments={**arguments, **(step.arguments or {})})
            _check_call(whole, name, step.subject in given, checking)


def _check_call(
    step: nodes.Expectation,
    server: str,
    described: bool,  # noqa: FBT001 - it is data
    checking: Checking,
) -> None:
    vocabulary = checking.schema.servers.get(server)
    if vocabulary is None:
        return
    tool = vocabulary.tools.get(step.subject)
    if tool is not None:
        _check_arguments(step, tool, checking)
    elif not described:
        checking.warn(
            "impossible-call",
            f"no tool of `{server}` is called `{step.subject}`",
            step.span,
            help=did_you_mean(step.subject, vocabulary.tools)
            or f"a tool that the vocabulary lacks is given: `tool {step.subject} {{}}`",
        )


def _check_arguments(step: nodes.Expectation, tool: KnownTool, checking: Checking) -> None:
    if step.what != "call" or step.outcome != "permit":
        return
    sent = step.arguments or {}
    lacking = next((f"`args.{name}` is missing" for name in tool.needed if name not in sent), None)
    complaint = lacking or _misfit(sent, tool.arguments, "args")
    if complaint is not None:
        checking.warn(
            "impossible-call",
            f"`{tool.name}` would not take this: {complaint}",
            step.span,
            help="a permit is tested with arguments as they are sent",
        )


def _misfit(value: Value, kind: Kind, path: str) -> str | None:
    """The first thing of a value that its schema does not allow; None when there is none."""
    if kind.word == "any":
        return None
    word = kind_of(value)
    same = option(kind, word)
    if same is None:
        return f"`{path}` is {kind}, not {_WORDS.get(word, f'a {word}')}"
    if same.choices is not None and value not in same.choices:
        return f"`{path}` is never `{value}`"
    if same.whole and not float(value).is_integer():
        return f"`{path}` is a whole number"
    if word == "list":
        found = (_misfit(item, same.item or ANY, f"{path}[{n}]") for n, item in enumerate(value))
        return next(filter(None, found), None)
    return _record_misfit(value, same, path) if word == "record" else None


def _record_misfit(value: dict[str, Value], record: Kind, path: str) -> str | None:
    # At the top `needed` tells what is missing: defaults are filled in there.
    for name in sorted(record.required or ()) if path != "args" else ():
        if name not in value:
            return f"`{path}.{name}` is missing"
    for name, member in value.items():
        kind = (record.fields or {}).get(name, record.rest if record.fields is not None else ANY)
        if kind is None:
            return f"it has no `{path}.{name}`"
        if complaint := _misfit(member, kind, f"{path}.{name}"):
            return complaint
    return None
