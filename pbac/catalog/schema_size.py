"""What validating against a schema may cost, measured before anything is compiled.

Theory. A schema comes from an upstream and may be hostile. Written out with its references in
place, a chain such as `a: [b, b]`, `b: [c, c]`, … doubles with every line, so the written-out
size is added up once for each reference and never written out. Only references into the schema
itself are followed: MCP 2026-07-28 forbids fetching others, and a nested `$id` would change what
a reference means. A reference in a circle counts once; its depth is the value's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from pbac.base.errors import PbacError
from pbac.base.json_pointer import follow
from pbac.base.limits import SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX

_DATA: Final = frozenset({"default", "examples", "const", "enum", "required", "type"})
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})
_MAPS: Final = _DEFINITIONS | {"properties", "patternProperties", "dependentSchemas"}
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS: Final = ("$anchor", "$dynamicAnchor")


class SchemaError(PbacError):
    """A schema that is not used; the message says why."""

    code = "unusable_schema"


class SchemaSize:
    """The measured size of one schema: `nodes` and `levels` written out, and if it is `circular`.

    Raises:
        SchemaError: for a reference that leads out of the schema or nowhere, a nested `$id`, or
            a size beyond `SCHEMA_NODES_MAX` or `SCHEMA_DEPTH_MAX`.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.circular = False
        self._root = schema
        self._anchors = _check_positions(schema)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._open: set[str] = set()
        self.nodes, self.levels = self._size(schema, 0)

    def _size(self, schema: Any, depth: int) -> tuple[int, int]:
        """Parts and levels of a schema that stands `depth` levels down."""
        if not isinstance(schema, dict):
            return 1, 0
        sizes = [
            self._size(member, depth + 1)
            for keyword, member in _members(schema)
            if keyword not in _DEFINITIONS
        ]
        references = (schema.get(keyword) for keyword in _REFERENCES)
        sizes += [self._size_of_target(r, depth + 1) for r in references if isinstance(r, str)]
        nodes = 1 + sum(nodes for nodes, _ in sizes)
        levels = 1 + max((levels for _, levels in sizes), default=0)
        if nodes > SCHEMA_NODES_MAX:
            raise SchemaError(f"the schema, written out, has more than {SCHEMA_NODES_MAX} parts")
        if depth + levels > SCHEMA_DEPTH_MAX:
            raise SchemaError(f"the schema is nested deeper than {SCHEMA_DEPTH_MAX} levels")
        return nodes, levels

    def _size_of_target(self, reference: str, depth: int) -> tuple[int, int]:
        if reference in self._open:
            self.circular = True
            return 1, 0
        if depth > SCHEMA_DEPTH_MAX:
            raise SchemaError(f"the schema is nested deeper than {SCHEMA_DEPTH_MAX} levels")
        if reference not in self._sizes:
            self._open.add(reference)
            self._sizes[reference] = self._size(self._target(reference), depth)
            self._open.discard(reference)
        return self._sizes[reference]

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise SchemaError(f"the reference `{reference[:80]}` leads out of the schema")
        pointer = unquote(reference[1:])
        if pointer in self._anchors:
            return self._anchors[pointer]
        try:
            return follow(self._root, reference[1:])
        except LookupError:
            raise SchemaError(f"the reference `{reference[:80]}` leads nowhere") from None


def _members(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly within a schema, by the keyword they stand under."""
    for keyword, child in schema.items():
        if keyword in _DATA:
            continue
        if isinstance(child, dict):
            for member in child.values() if keyword in _MAPS else (child,):
                yield keyword, member
        elif isinstance(child, list):
            for member in child:
                if isinstance(member, dict):
                    yield keyword, member


def _check_positions(root: dict[str, Any]) -> dict[str, Any]:
    """Visit every schema position once; returns the anchors by name."""
    anchors: dict[str, Any] = {}
    waiting: list[Any] = [root]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        if schema is not root and isinstance(schema.get("$id"), str):
            raise SchemaError("the schema holds a second schema with its own `$id`")
        for keyword in _REFERENCES:
            reference = schema.get(keyword)
            if isinstance(reference, str) and not reference.startswith("#"):
                raise SchemaError(f"the reference `{reference[:80]}` leads out of the schema")
        for keyword in _ANCHORS:
            if isinstance(name := schema.get(keyword), str):
                anchors[name] = schema
        waiting.extend(member for _, member in _members(schema))
    return anchors
