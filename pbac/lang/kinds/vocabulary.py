"""Vocabulary files: what the tools of one server are called, what they take, and their facts.

`pbac tools import` writes them, people add `facts` and review the rest, the checker types `args.*`
and `facts.*` by them. A file is JSON:

    {"server": "github",
     "source": {"kind": "http", "from": "https://…"},
     "tools": {"get_issue": {"title": "…", "description": "…", "inputSchema": {…},
                             "scope": "github:issues:read",
                             "hints": {"read_only": true, "destructive": false},
                             "facts": {"issue": {"type": "object", …}}}}}

A file with anything wrong in it is not used in part: it is an error of the policy set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pbac.base.diagnostics import Diagnostic
from pbac.base.limits import TOOLS_PER_BACKEND_MAX
from pbac.base.printable import printable
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang.kinds.json_schema import JsonSchemaError, kind_of_schema, kind_of_value
from pbac.lang.kinds.kinds import UNDECLARED, Kind, option
from pbac.lang.kinds.unions import union
from pbac.model.values import kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTool:
    """One tool as policies may speak of it.

    Attributes:
        arguments: a record; what has a default at its top is always there, for it is filled in.
        needed: the arguments that every call has to bring: required, and without a default.
        facts: a closed record of the declared facts.
        scope: the OAuth scope a call needs, or None where nobody says.
    """

    name: str
    arguments: Kind
    needed: tuple[str, ...]
    facts: Kind
    scope: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """All tools of one server, by name; `file` is where they were described."""

    server: str
    file: str
    tools: Mapping[str, KnownTool]


class VocabularyError(ValueError):
    """What is wrong with a vocabulary, and what to write instead."""

    def __init__(self, message: str, help_text: str) -> None:
        super().__init__(message)
        self.message = message
        self.help = help_text


def read_vocabularies(
    documents: Mapping[str, Any], found: list[Diagnostic]
) -> dict[str, Vocabulary]:
    """The vocabularies of a policy set by server, from file name → tree; complaints to `found`."""
    read: dict[str, Vocabulary] = {}
    for file, tree in sorted(documents.items()):
        try:
            vocabulary = read_vocabulary(file, tree)
        except VocabularyError as error:
            found.append(_complaint(file, error.message, error.help))
            continue
        if (other := read.get(vocabulary.server)) is not None:
            message = f"`{other.file}` describes the server `{vocabulary.server}` already"
            found.append(_complaint(file, message, "keep one file for each server"))
        else:
            read[vocabulary.server] = vocabulary
    return read


def _complaint(file: str, message: str, help_text: str) -> Diagnostic:
    return Diagnostic(
        code="bad-vocabulary",
        message=printable(f"`{file}`: {message}"),
        span=Span(file, 0, 0, 1, 1),
        help=help_text,
    )


def read_vocabulary(file: str, tree: Any) -> Vocabulary:
    """One vocabulary.

    Raises:
        VocabularyError: naming the first thing that is wrong.
    """
    _members(tree, "the file", _FILE)
    server, tools = tree.get("server"), tree.get("tools")
    if not isinstance(server, str) or not server or "*" in server:
        raise VocabularyError("`server` is not the name of a server", _IMPORT)
    if not isinstance(tools, dict):
        raise VocabularyError("`tools` is not an object of tools by their names", _IMPORT)
    if len(tools) > TOOLS_PER_BACKEND_MAX:
        message = f"a server has at most {TOOLS_PER_BACKEND_MAX} tools, this one has {len(tools)}"
        raise VocabularyError(message, "leave out what no agent may call")
    return Vocabulary(
        server=server,
        file=file,
        tools={name: _tool(name, each) for name, each in sorted(tools.items())},
    )


_FILE: Final[Mapping[str, type]] = {"server": str, "source": dict, "tools": dict}
_TOOL: Final[Mapping[str, type]] = {
    "title": str,
    "description": str,
    "inputSchema": dict,
    "scope": str,
    "hints": dict,
    "facts": dict,
}
_HINTS: Final[Mapping[str, type]] = {"read_only": bool, "destructive": bool}
_WORDS: Final[Mapping[type, str]] = {str: "a text", dict: "an object", bool: "true or false"}
_IMPORT: Final = "write the file with `pbac tools import SOURCE --server NAME`"


def _members(tree: Any, name: str, known: Mapping[str, type]) -> None:
    if not isinstance(tree, dict):
        raise VocabularyError(f"{name} is not an object", _IMPORT)
    for key, value in tree.items():
        if key not in known:
            help_ = did_you_mean(key, known) or "it has " + ", ".join(f"`{k}`" for k in known)
            raise VocabularyError(f"{name} has no member `{key}`", help_)
        if not isinstance(value, known[key]):
            message = f"`{key}` of {name} is not {_WORDS[known[key]]}"
            raise VocabularyError(message, f"write {_WORDS[known[key]]}, or leave it out")


def _tool(name: str, tree: Any) -> KnownTool:
    _members(tree, f"the tool `{name}`", _TOOL)
    _members(tree.get("hints", {}), f"`hints` of the tool `{name}`", _HINTS)
    if "inputSchema" not in tree:
        raise VocabularyError(f"the tool `{name}` has no `inputSchema`", _IMPORT)
    facts = {
        fact: _read(kind_of_schema, each, f"the fact `{fact}` of the tool `{name}`")
        for fact, each in tree.get("facts", {}).items()
    }
    schema = tree["inputSchema"]
    arguments = _read(_arguments, schema, f"`inputSchema` of the tool `{name}`")
    filled = _defaults(schema)
    return KnownTool(
        name=name,
        arguments=arguments,
        needed=tuple(each for each in sorted(arguments.required or ()) if each not in filled),
        facts=Kind(word="record", fields=facts),
        scope=tree.get("scope"),
    )


def _read(read: Callable[[Any], Kind], schema: Any, name: str) -> Kind:
    try:
        return read(schema)
    except JsonSchemaError as error:
        help_ = "correct it, or import it anew"
        raise VocabularyError(f"{name} cannot be used: {error}", help_) from None


def _arguments(schema: dict[str, Any]) -> Kind:
    """The arguments as a rule sees them: a record, defaults of its top filled in."""
    kind = kind_of_schema(schema)
    if kind.word != "record":
        raise JsonSchemaError('it does not say `"type": "object"`')
    if kind.fields is None:
        kind = Kind(word="record", fields={}, rest=UNDECLARED, required=frozenset())
    defaults = _defaults(schema)
    filled = {
        name: _filled(field, defaults[name]) if name in defaults else field
        for name, field in (kind.fields or {}).items()
    }
    return replace(kind, fields=filled, required=(kind.required or frozenset()) | set(defaults))


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """The defaults at the top, which are filled in before anybody decides."""
    return {
        name: each["default"]
        for name, each in (schema.get("properties") or {}).items()
        if isinstance(each, dict) and "default" in each
    }


def _filled(field: Kind, default: Any) -> Kind:
    """A default may be what its own schema does not allow: mostly null."""
    same = option(field, kind_of(default))
    if same is not None and (same.choices is None or default in same.choices):
        return field
    return union((field, kind_of_value(default)))
