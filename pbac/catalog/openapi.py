"""OpenAPI 3.0 and 3.1 documents: every operation becomes the definition of a tool.

    operationId, or method and path     → name
    path, query and header parameters   → arguments
    a JSON body                         → its properties are arguments too; `body` where it is no
                                          plain object, or a name is taken
    get, head, options                  → read-only; delete → destructive
    one OAuth scope                     → the scope a call needs

Schemas that are referred to go into the tool's own `$defs`, once each and without being written
out, so a document that doubles with every reference stays as small as it is. References lead
within the document only. An operation that cannot be read is left out with the reason; the rest
of the document is not worse for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pbac.base.errors import PbacError
from pbac.base.limits import TOOL_NAME_CHARACTERS_MAX, TOOLS_PER_BACKEND_MAX
from pbac.catalog.openapi_schemas import OperationSchemas, resolved

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_READING: Final = frozenset({"get", "head", "options"})
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_VERSION: Final = re.compile(r"3\.[01](?:\.[0-9]+)?")
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
# OpenAPI 3.0.3, Parameter Object: header parameters of these names are ignored.
_NO_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})


class OpenApiError(PbacError):
    """A document, or one operation of it, that cannot be read."""

    code = "openapi_error"


class Operations(msgspec.Struct, frozen=True, kw_only=True):
    """What a document amounted to.

    Attributes:
        definitions: as a `tools/list` would have them, in the document's order.
        scopes: name → the one OAuth scope it needs, where that is one.
        left_out: name and reason of every operation that could not be read.
    """

    definitions: tuple[dict[str, Any], ...]
    scopes: Mapping[str, str]
    left_out: tuple[tuple[str, str], ...]


class _Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: `tree`, within the path item `item`, within the document."""

    document: dict[str, Any]
    version: str
    name: str
    method: str
    item: dict[str, Any]
    tree: dict[str, Any]


class _Arguments(msgspec.Struct, kw_only=True):
    """The arguments of one tool, as they come together."""

    schemas: OperationSchemas
    properties: dict[str, Any] = {}
    required: set[str] = set()
    others: Any = False


def is_openapi(document: Any) -> bool:
    """Does a document say that it is an OpenAPI document, of any version?"""
    return isinstance(document, dict) and ("openapi" in document or "swagger" in document)


def read_openapi(document: dict[str, Any]) -> Operations:
    """The tools that a document describes.

    Raises:
        OpenApiError: for another version, and for a document without operations.
    """
    version = str(document.get("openapi", document.get("swagger")))
    if not _VERSION.fullmatch(version):
        raise OpenApiError(
            f"OpenAPI {version[:20]} cannot be read", help="convert the document to 3.0 or 3.1"
        )
    if not isinstance(document.get("paths"), dict):
        raise OpenApiError("the document has no `paths`", help="it describes no operations")
    found: dict[str, dict[str, Any]] = {}
    scopes: dict[str, str] = {}
    left_out: list[tuple[str, str]] = []
    for operation in _operations(document, version):
        if operation.name in found:
            left_out.append((operation.name, "another operation has this name already"))
            continue
        try:
            found[operation.name] = _tool(operation)
        except PbacError as error:
            left_out.append((operation.name, str(error)))
            continue
        if (scope := _scope(operation)) is not None:
            scopes[operation.name] = scope
        if len(found) > TOOLS_PER_BACKEND_MAX:
            raise OpenApiError(f"the document has more than {TOOLS_PER_BACKEND_MAX} operations")
    return Operations(definitions=tuple(found.values()), scopes=scopes, left_out=tuple(left_out))


def _operations(document: dict[str, Any], version: str) -> Iterator[_Operation]:
    for path, reference in document["paths"].items():
        try:
            item = resolved(document, reference)
        except PbacError:
            continue  # it stands in another document: nothing can be said of it, not even a name
        for method in _METHODS:
            tree = item.get(method) if isinstance(item, dict) else None
            if isinstance(tree, dict):
                yield _Operation(
                    document=document,
                    version=version,
                    name=_name(path, method, tree),
                    method=method,
                    item=item,
                    tree=tree,
                )


def _name(path: str, method: str, operation: dict[str, Any]) -> str:
    given = operation.get("operationId")
    text = given if isinstance(given, str) and given else f"{method}_{path.strip('/')}"
    return _NOT_IN_NAMES.sub("_", text).strip("_")[:TOOL_NAME_CHARACTERS_MAX] or method


def _scope(operation: _Operation) -> str | None:
    """The one scope that every way in asks for, when that is one."""
    asked = operation.tree.get("security", operation.document.get("security", []))
    ways = [way for way in asked if isinstance(way, dict)] if isinstance(asked, list) else []
    named = [
        [scope for scopes in way.values() if isinstance(scopes, list) for scope in scopes]
        for way in ways
    ]
    scopes = {scope for way in named for scope in way if isinstance(scope, str)}
    return scopes.pop() if len(scopes) == 1 and all(named) else None


# --- one operation -----------------------------------------------------------------------------


def _tool(operation: _Operation) -> dict[str, Any]:
    schemas = OperationSchemas(operation.document, nullable=operation.version.startswith("3.0"))
    arguments = _Arguments(schemas=schemas)
    for parameter in _parameters(operation):
        name = parameter["name"]
        arguments.properties[name] = _parameter_schema(parameter, schemas)
        if parameter.get("required") is True or parameter.get("in") == "path":
            arguments.required.add(name)
    if "requestBody" in operation.tree:
        _add_body(resolved(operation.document, operation.tree["requestBody"]), operation, arguments)
    schema = {
        "type": "object",
        "properties": arguments.properties,
        "required": sorted(arguments.required),
        **({} if arguments.others is None else {"additionalProperties": arguments.others}),
    }
    if definitions := schemas.definitions():
        schema["$defs"] = definitions
    texts = {
        "title": operation.tree.get("summary"),
        "description": operation.tree.get("description"),
    }
    return {
        "name": operation.name,
        **{key: text for key, text in texts.items() if isinstance(text, str)},
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": operation.method in _READING,
            "destructiveHint": operation.method == "delete",
        },
    }


def _parameters(operation: _Operation) -> Iterator[dict[str, Any]]:
    """The operation's own before the path's (OpenAPI 3.1.0, Operation Object)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for holder in (operation.tree, operation.item):
        listed = holder.get("parameters", [])
        for reference in listed if isinstance(listed, list) else []:
            parameter = resolved(operation.document, reference)
            place = parameter.get("in") if isinstance(parameter, dict) else None
            name = parameter.get("name") if isinstance(parameter, dict) else None
            if not isinstance(name, str) or not isinstance(place, str):
                raise OpenApiError("a parameter has no `name` or no `in`")
            found.setdefault((place, name), parameter)
    for (place, name), parameter in found.items():
        if place in ("path", "query") or (place == "header" and name.lower() not in _NO_HEADERS):
            yield parameter


def _parameter_schema(parameter: dict[str, Any], schemas: OperationSchemas) -> dict[str, Any]:
    schema = parameter.get("schema")
    if schema is None and isinstance(content := parameter.get("content"), dict):
        media: Any = next(iter(content.values()), {})
        schema = media.get("schema") if isinstance(media, dict) else None
    read = schemas.read({} if schema is None else schema)
    description = parameter.get("description")
    told = isinstance(description, str) and isinstance(read, dict) and "description" not in read
    return {**read, "description": description} if told else read


def _add_body(body: Any, operation: _Operation, arguments: _Arguments) -> None:
    if not isinstance(body, dict):
        raise OpenApiError("its `requestBody` is no object")
    schema = _body_schema(body)
    must = body.get("required") is True
    read = arguments.schemas.read(resolved(operation.document, schema))
    if _is_plain(read) and not read["properties"].keys() & arguments.properties.keys():
        arguments.properties |= read["properties"]
        arguments.required |= {n for n in read.get("required", []) if must}
        arguments.others = read.get("additionalProperties")
        return
    name = "body" if "body" not in arguments.properties else "request_body"
    if name in arguments.properties:
        raise OpenApiError(f"the parameters `body` and `{name}` leave no name for the body")
    arguments.properties[name] = arguments.schemas.read(schema)
    arguments.required |= {name} if must else set()


def _is_plain(schema: Any) -> bool:
    """An object of properties, and nothing that would not survive being taken apart."""
    return (
        isinstance(schema, dict)
        and isinstance(schema.get("properties"), dict)
        and not {"allOf", "anyOf", "oneOf", "not", "patternProperties"} & schema.keys()
    )


def _body_schema(body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("content")
    kinds = content if isinstance(content, dict) else {}
    json_kinds = [kind for kind in kinds if re.fullmatch(r"application/(.+\+)?json.*", kind)]
    for kind in (*json_kinds, *_FORMS):
        media = kinds.get(kind)
        if isinstance(media, dict):
            schema = media.get("schema", {})
            return schema if isinstance(schema, dict) else {}
    return {"type": "string"}
