"""Making vocabulary files: the tools of a server as a tree that people and the checker read.

The format is `lang.vocabulary`'s. Names are sorted and nothing in a file tells when it was written,
so two imports of an unchanged server are byte for byte the same, and a diff shows what changed.
What people add, the `facts` and scopes of tools, outlives an import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from pbac.base.errors import PbacError
from pbac.catalog.scopes import ScopeRules, scope_rules
from pbac.catalog.tools import Quarantined, Tool
from pbac.lang.kinds.vocabulary import VocabularyError, read_vocabulary


class ToolImportError(PbacError):
    """A source or an earlier file that no vocabulary can be made from."""

    code = "import_error"


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The server that an import is about. `scoped`: its scope rules are the gateway's own."""

    name: str
    scopes: ScopeRules
    scoped: bool = False


def owner(name: str) -> Owner:
    """A server of which nobody told the scopes."""
    return Owner(name=name, scopes=scope_rules(name, {}))


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What an import changed; `changed` is tool → what about it, in words."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def vocabulary_tree(
    server: str,
    source: Mapping[str, Any],
    tools: Iterable[Tool],
    *,
    scopes: Mapping[str, str],
    before: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], list[Quarantined]]:
    """The tree of a vocabulary file, and the tools that could not be put into it.

    Args:
        server: the name policies use.
        source: where the tools came from.
        tools: as the gateway would offer them.
        scopes: tool → the scope a call needs, of those that are known.
        before: the file as it was, whose facts and scopes are kept.
    """
    kept = (before or {}).get("tools", {})
    described: dict[str, Any] = {}
    left_out = []
    for tool in tools:
        tree = _described(tool, scopes.get(tool.name), kept.get(tool.name, {}))
        try:
            read_vocabulary("", {"server": server, "tools": {tool.name: tree}})
        except VocabularyError as error:
            reason = error.message
            left_out.append(Quarantined(backend=server, name=tool.name, reason=reason))
        else:
            described[tool.name] = tree
    return {"server": server, "source": dict(source), "tools": described}, left_out


def _described(tool: Tool, scope: str | None, kept: Mapping[str, Any]) -> dict[str, Any]:
    definition = tool.definition
    annotations = definition.get("annotations")
    annotations = annotations if isinstance(annotations, dict) else {}
    titles = (definition.get("title"), annotations.get("title"))
    texts = {
        "title": next((title for title in titles if isinstance(title, str)), None),
        "description": definition.get("description"),
        "scope": scope or kept.get("scope"),
    }
    hints = {
        "read_only": annotations.get("readOnlyHint"),
        "destructive": annotations.get("destructiveHint"),
    }
    return {
        **{name: text for name, text in texts.items() if isinstance(text, str) and text},
        "inputSchema": definition["inputSchema"],
        "hints": {name: hint for name, hint in hints.items() if isinstance(hint, bool)},
        "facts": kept.get("facts", {}),
    }


def render_vocabulary(tree: Mapping[str, Any]) -> bytes:
    """The one way to write it: sorted names, two blanks, a line feed at the end.

    Raises:
        ToolImportError: for a value that JSON cannot hold exactly.
    """
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(tree, option=options)
    except TypeError as error:
        raise ToolImportError(f"the tools cannot be written as JSON: {error}") from None


# --- what changed ------------------------------------------------------------------------------


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Changes:
    """What is different between two trees of one server."""
    old = (before or {}).get("tools", {})
    new = after["tools"]
    both = sorted(old.keys() & new.keys())
    told = {name: tuple(_differences(old[name], new[name])) for name in both}
    return Changes(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed={name: texts for name, texts in told.items() if texts},
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old.get("inputSchema") != new.get("inputSchema"):
        yield from _of_arguments(old.get("inputSchema", {}), new["inputSchema"])
    for member in ("title", "description", "scope", "hints"):
        if old.get(member) != new.get(member):
            yield f"another {member}" if member != "hints" else "other hints"


def _of_arguments(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = (schema.get("properties") or {} for schema in (old, new))
    must_before, must_after = (set(schema.get("required") or ()) for schema in (old, new))
    told = False
    for name in sorted({*before, *after}):
        if name not in before:
            text = f"argument `{name}` is new" + ", and required" * (name in must_after)
        elif name not in after:
            text = f"argument `{name}` is gone"
        elif (name in must_before) != (name in must_after):
            text = f"argument `{name}` is {'now' if name in must_after else 'no longer'} required"
        elif before[name] != after[name]:
            text = f"argument `{name}` has another schema"
        else:
            continue
        told = True
        yield text
    if not told:
        yield "another inputSchema"
