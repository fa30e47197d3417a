"""The schemas of one OpenAPI operation as one JSON Schema of 2020-12, with its own `$defs`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from pbac.base.json_pointer import follow
from pbac.base.limits import SCHEMA_NODES_MAX
from pbac.catalog.schema_size import SchemaError

_REFERENCES_MAX: Final = 16
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_ONE: Final = frozenset(
    {
        "items", "additionalProperties", "not", "if", "then", "else", "contains",
        "propertyNames", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_NOT_JSON_SCHEMA: Final = frozenset(
    {"example", "examples", "xml", "externalDocs", "discriminator", "nullable", "$schema", "$id"}
)
_BOUNDS: Final = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def resolved(document: Any, node: Any) -> Any:
    """What a node is, or what it refers to within the document.

    Raises:
        SchemaError: for a reference that leads elsewhere, nowhere or in a circle.
    """
    for _ in range(_REFERENCES_MAX):
        if not isinstance(node, dict) or "$ref" not in node:
            return node
        node = _target(document, node["$ref"])
    raise SchemaError("its references go round in a circle")


def _target(document: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise SchemaError(f"the reference `{str(reference)[:80]}` leads out of the document")
    try:
        return follow(document, reference[1:])
    except LookupError:
        raise SchemaError(f"the reference `{reference[:80]}` leads nowhere") from None


def _is_read_only(schema: dict[str, Any], name: Any) -> bool:
    """What only answers hold, a request need not have, however required it is."""
    properties = schema.get("properties")
    found = properties.get(name) if isinstance(properties, dict) else None
    return isinstance(found, dict) and found.get("readOnly") is True


class OperationSchemas:
    """Reads schemas of one operation and remembers which others they refer to.

    `nullable`: the document is 3.0, where `nullable` stands for another type, and a bound is made
    exclusive by a flag.
    """

    def __init__(self, document: Any, *, nullable: bool) -> None:
        self._document = document
        self._nullable = nullable
        self._names: dict[str, str] = {}  # reference → its name in `$defs`
        self._alike: Counter[str] = Counter()
        self._waiting: list[str] = []
        self._parts = 0

    def read(self, schema: Any) -> Any:
        """One schema, its references pointing into `definitions()`.

        Raises:
            SchemaError: when it cannot be used, or all of them together are too large.
        """
        self._parts += 1
        if self._parts > SCHEMA_NODES_MAX:
            raise SchemaError(f"its schemas have more than {SCHEMA_NODES_MAX} parts")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise SchemaError("a schema is no object")
        read = {
            keyword: self._member(keyword, value)
            for keyword, value in schema.items()
            if keyword not in _NOT_JSON_SCHEMA
        }
        if isinstance(required := read.get("required"), list):
            read["required"] = [name for name in required if not _is_read_only(schema, name)]
        return self._as_2020(schema, read) if self._nullable else read

    def definitions(self) -> dict[str, Any]:
        """Every schema that was referred to, however far away, by its name."""
        found: dict[str, Any] = {}
        while self._waiting:
            reference = self._waiting.pop()
            found[self._names[reference]] = self.read(_target(self._document, reference))
        return found

    def _member(self, keyword: str, value: Any) -> Any:
        if keyword == "$ref":
            return self._reference(value)
        if keyword in _MAPS and isinstance(value, dict):
            return {name: self.read(each) for name, each in value.items()}
        if keyword in _LISTS and isinstance(value, list):
            return [self.read(each) for each in value]
        if keyword in _ONE and isinstance(value, dict):
            return self.read(value)
        return value

    def _reference(self, reference: Any) -> str:
        _target(self._document, reference)
        if reference not in self._names:
            wanted = _NOT_IN_NAMES.sub("_", reference.rpartition("/")[2]) or "schema"
            self._alike[wanted] += 1
            number = self._alike[wanted]
            # No name that was wished for holds a `~`, so none is taken twice.
            self._names[reference] = wanted if number == 1 else f"{wanted}~{number}"
            self._waiting.append(reference)
        return "#/$defs/" + self._names[reference].replace("~", "~0")

    def _as_2020(self, schema: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in read:  # 3.0: what stands beside a reference is ignored
            return {"$ref": read["$ref"]}
        for flag, bound in _BOUNDS.items():
            if read.get(flag) is True and bound in read:
                read[flag] = read.pop(bound)
            elif isinstance(read.get(flag), bool):
                read.pop(flag)
        if schema.get("nullable") is not True:
            return read
        if isinstance(read.get("type"), str):
            values = read.get("enum")
            with_null = {"enum": [*values, None]} if isinstance(values, list) else {}
            return {**read, **with_null, "type": [read["type"], "null"]}
        return {"anyOf": [read, {"type": "null"}]} if read else read
