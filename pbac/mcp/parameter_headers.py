"""`x-mcp-header`: arguments that a modern caller mirrors in `Mcp-Param-*` headers (SEP-2243).

A front proxy may route on such a header, so a header that disagrees with the body is refused.
What is decided is always decided on the body. Used in both directions: to check callers, and to
send what an upstream's tool asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pbac.mcp import headers
from pbac.mcp.headers import Headers
from pbac.mcp.wire_errors import RequestId

ANNOTATION: Final = "x-mcp-header"

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_INTEGER: Final = re.compile(r"(-?[0-9]{1,19})(?:\.0+)?")
_TYPES: Final = ("string", "integer", "boolean")
_DATA: Final = frozenset({"default", "examples", "const", "enum"})
_MAPS: Final = frozenset({"patternProperties", "$defs", "definitions", "dependentSchemas"})


class ParameterHeader(msgspec.Struct, frozen=True):
    """One annotated property: its path of names from the arguments, its header, its type."""

    path: tuple[str, ...]
    header: str
    type: str


class AnnotationError(ValueError):
    """A tool whose annotations a client has to refuse; the text says which and why."""


def parameter_headers(input_schema: dict[str, Any]) -> tuple[ParameterHeader, ...]:
    """The annotated properties of a tool.

    2026-07-28 transports, custom headers: a non-empty token, unique without regard to case, on
    a property of type exactly integer, string or boolean that is reached from the root through
    `properties` alone. "Clients MUST reject tool definitions" that break this.

    Raises:
        AnnotationError: for the first annotation that breaks a rule.
    """
    found: dict[str, ParameterHeader] = {}
    for path, schema in _annotated(input_schema, ()):
        token, kind = schema[ANNOTATION], schema.get("type")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise AnnotationError(f"an `{ANNOTATION}` is not the name of a header")
        if not path:
            raise AnnotationError(f"`{ANNOTATION}: {token}` is not on a plain property")
        if kind not in _TYPES:
            raise AnnotationError(
                f"`{ANNOTATION}: {token}` is on a property that is no string, integer or boolean"
            )
        if token.lower() in found:
            raise AnnotationError(f"`{ANNOTATION}: {token}` appears twice")
        found[token.lower()] = ParameterHeader(path, headers.PARAMETER_PREFIX + token, kind)
    return tuple(found.values())


def annotation_problem(input_schema: dict[str, Any]) -> str | None:
    """Why a tool has to be left out of lists for its annotations, or None."""
    try:
        parameter_headers(input_schema)
    except AnnotationError as error:
        return str(error)
    return None


def render_headers(
    annotated: Sequence[ParameterHeader], arguments: dict[str, Any]
) -> dict[str, str]:
    """The headers a call of this tool has to carry. Null and absent arguments have none."""
    sent = {}
    for parameter in annotated:
        text = _render(_value(arguments, parameter.path))
        if text is not None:
            sent[parameter.header] = headers.encode_value(text)
    return sent


def check_headers(
    annotated: Sequence[ParameterHeader],
    arguments: dict[str, Any],
    sent: Headers,
    request_id: RequestId,
) -> None:
    """Each annotated argument and its header are there together and equal, or both absent.

    Raises:
        JsonRpcError: `header_mismatch`.
    """
    for parameter in annotated:
        header = headers.single(sent, parameter.header.lower(), request_id)
        value = _value(arguments, parameter.path)
        expected = _render(value)
        if header is None and expected is None:
            continue
        decoded = headers.decode_value(header) if header is not None else None
        if decoded is None or expected is None or not _equal(parameter, decoded, expected):
            raise headers.mismatch(
                f"the header `{parameter.header}` and the argument "
                f"`{'.'.join(parameter.path)}` disagree",
                request_id,
            )


def _annotated(
    schema: Any, path: tuple[str, ...] | None
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every annotated schema with its property path, or with () where no path leads."""
    if not isinstance(schema, dict):
        return
    if ANNOTATION in schema:
        yield path or (), schema
    for keyword, child in schema.items():
        if keyword in _DATA:
            continue
        if keyword == "properties" and isinstance(child, dict):
            for name, member in child.items():
                yield from _annotated(member, None if path is None else (*path, name))
        elif keyword in _MAPS and isinstance(child, dict):
            for member in child.values():
                yield from _annotated(member, None)
        else:
            for member in child if isinstance(child, list) else [child]:
                yield from _annotated(member, None)


def _value(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        arguments = arguments.get(name) if isinstance(arguments, dict) else None
    return arguments


def _render(value: Any) -> str | None:
    """A string as it is, an integer in decimal, a boolean as `true` or `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, str | int) else None


def _equal(parameter: ParameterHeader, decoded: str, expected: str) -> bool:
    # "Integers SHOULD be compared numerically": 42.0 is 42.
    if parameter.type == "integer" and (match := _INTEGER.fullmatch(decoded)):
        return str(int(match[1])) == expected
    return decoded == expected
