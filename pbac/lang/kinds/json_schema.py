"""What a JSON Schema says about kinds.

The theory: the kind holds every value that the schema allows, and may hold more. A keyword that
only restricts (`minimum`, `pattern`, `not`, `if`, …) can therefore be passed over, and where a
schema becomes too deep, too large or circular the rest is of any kind. So a complaint made from a
kind is never wrong about a value that the tool accepts.

References are followed within the schema only; that they lead somewhere is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final
from urllib.parse import unquote

from pbac.base.json_pointer import follow
from pbac.base.limits import SCHEMA_KIND_DEPTH_MAX, SCHEMA_KIND_PARTS_MAX
from pbac.lang.kinds.kinds import ANY, UNDECLARED, Kind
from pbac.lang.kinds.unions import meet, union
from pbac.model.values import Value, kind_of

_WORDS: Final[Mapping[str, Kind]] = {
    "string": Kind(word="string", sent=True),
    "number": Kind(word="number"),
    "integer": Kind(word="number", whole=True),
    "boolean": Kind(word="boolean"),
    "null": Kind(word="null"),
    "array": Kind(word="list", item=ANY),
    "object": Kind(word="record"),
}

_SAYS_MORE: Final = frozenset(
    {"additionalProperties", "patternProperties", "then", "else", "dependentSchemas"}
)
"""What may name fields of a record that `properties` does not."""

_REFERENCE_CHARACTERS_SHOWN: Final = 80


class JsonSchemaError(ValueError):
    """A schema that says nothing sensible. The message says where and what."""


def kind_of_schema(schema: Any) -> Kind:
    """The kind of the values that a schema allows.

    Raises:
        JsonSchemaError: for what no JSON Schema may look like, and references that lead nowhere.
    """
    return _read(schema, _Reading(root=schema), 0)


def kind_of_value(value: Value) -> Kind:
    """The kind that holds this one value."""
    word = kind_of(value)
    if word in ("list", "record"):
        return _WORDS["array" if word == "list" else "object"]
    return Kind(word=word, choices=(value,), sent=word == "string", whole=type(value) is int)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One schema being read: how much of it has been, and the references being followed."""

    root: Any
    parts: int = 0
    following: list[str] = field(default_factory=list)

    def reference_stands_alone(self) -> bool:
        """Before 2019-09 whatever stands beside a `$ref` is not looked at."""
        return isinstance(self.root, dict) and "/draft-0" in str(self.root.get("$schema"))


def _read(schema: Any, reading: _Reading, depth: int, outer: Sequence[str] = ()) -> Kind:
    """The kind of one schema; `outer` are the types that schemas around it allow the same value."""
    reading.parts += 1
    if isinstance(schema, bool):  # `false` allows nothing: nobody will send one
        return ANY
    if not isinstance(schema, dict):
        raise JsonSchemaError("a schema is an object, or `true` or `false`")
    if depth > SCHEMA_KIND_DEPTH_MAX or reading.parts > SCHEMA_KIND_PARTS_MAX:
        return ANY
    if "$ref" in schema and reading.reference_stands_alone():
        return _follow(schema["$ref"], reading, depth + 1, outer)
    types = _types(schema) or outer
    kind = _of_type(schema, types, reading, depth)
    for part in _list(schema, "allOf"):
        kind = meet(kind, _read(part, reading, depth + 1, types))
    for keyword in ("anyOf", "oneOf"):
        if parts := _list(schema, keyword):
            kind = meet(kind, union([_read(part, reading, depth + 1, types) for part in parts]))
    if "$ref" in schema:
        kind = meet(kind, _follow(schema["$ref"], reading, depth + 1, types))
    return kind


def _of_type(
    schema: Mapping[str, Any], types: Sequence[str], reading: _Reading, depth: int
) -> Kind:
    """What `type`, `enum` and `const` say, and the keywords that go with one type."""
    if values := [schema["const"]] if "const" in schema else _list(schema, "enum"):
        reading.parts += len(values)
        if reading.parts > SCHEMA_KIND_PARTS_MAX:
            return ANY
        kind = union(map(kind_of_value, values))
        return meet(kind, union(_WORDS[name] for name in types)) if types else kind
    return union(_of_one_type(name, schema, reading, depth) for name in types)


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type", [])
    names = found if isinstance(found, list) else [found]
    for name in names:
        if not isinstance(name, str) or name not in _WORDS:
            raise JsonSchemaError(f"`{_shown(name)}` is no type of JSON Schema")
    return names


def _of_one_type(name: str, schema: Mapping[str, Any], reading: _Reading, depth: int) -> Kind:
    if name == "array":
        return Kind(word="list", item=_item(schema, reading, depth + 1))
    if name == "object":
        return _record(schema, reading, depth + 1)
    return _WORDS[name]


def _item(schema: Mapping[str, Any], reading: _Reading, depth: int) -> Kind:
    """`items` speaks for every item only where no `prefixItems` stands before it."""
    items = schema.get("items", True)
    if "prefixItems" in schema or isinstance(items, list):
        return ANY
    return _read(items, reading, depth)


def _record(schema: Mapping[str, Any], reading: _Reading, depth: int) -> Kind:
    properties = schema.get("properties")
    if properties is None and not _SAYS_MORE & schema.keys():
        return _WORDS["object"]
    if not isinstance(properties, dict | NoneType):
        raise JsonSchemaError("`properties` is an object")
    return Kind(
        word="record",
        fields={n: _read(each, reading, depth) for n, each in (properties or {}).items()},
        rest=_others(schema, reading, depth),
        required=frozenset(_texts(_list(schema, "required"))),
    )


def _others(schema: Mapping[str, Any], reading: _Reading, depth: int) -> Kind | None:
    if schema.get("patternProperties"):
        return ANY
    if "additionalProperties" not in schema:
        return ANY if _SAYS_MORE & schema.keys() else UNDECLARED
    others = schema["additionalProperties"]
    return None if others is False else _read(others, reading, depth)


def _texts(values: Iterable[Any]) -> list[str]:
    found = list(values)
    if not all(isinstance(value, str) for value in found):
        raise JsonSchemaError("`required` is a list of names")
    return found


def _list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword, [])
    if not isinstance(found, list):
        raise JsonSchemaError(f"`{keyword}` is a list")
    return found


def _shown(value: Any) -> str:
    return ascii(value).strip("'")[:_REFERENCE_CHARACTERS_SHOWN]


# --- references -------------------------------------------------------------------------------


def _follow(reference: Any, reading: _Reading, depth: int, outer: Sequence[str]) -> Kind:
    if reference in reading.following:  # a circle: as deep as the value goes
        return ANY
    target = _target(reference, reading.root)
    reading.following.append(reference)
    kind = _read(target, reading, depth, outer)
    reading.following.pop()
    return kind


def _target(reference: Any, root: Any) -> Any:
    shown = _shown(reference)
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise JsonSchemaError(f"the reference `{shown}` leads out of the schema")
    if reference != "#" and not unquote(reference).startswith("#/"):
        return True  # an anchor: whoever compiles the schema knows where it is
    try:
        return follow(root, reference[1:])
    except LookupError:
        raise JsonSchemaError(f"the reference `{shown}` leads nowhere") from None
