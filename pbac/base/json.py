"""JSON, read strictly once and written canonically.

Two readers that see two different values in one body are how gateways get bypassed, so the
gateway decides on this tree and forwards bytes made from this tree. Refused: duplicate names,
non-finite numbers, integers another reader may round (RFC 7493 2.2), underflow to zero, lone
surrogates, byte order marks, anything but UTF-8, too deep, too long, trailing text, and
`__proto__`, which a reader in JavaScript drops or takes for what an object inherits from.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from functools import partial
from typing import Any, Final

import orjson

from pbac.base.errors import PbacError
from pbac.base.limits import (
    JSON_ANSWER_INTEGER_MAX,
    JSON_DEPTH_MAX,
    JSON_INTEGER_MAX,
    JSON_MEMBERS_MAX,
    JSON_NUMBER_CHARACTERS_MAX,
)


class JsonError(PbacError):
    """Bytes that are not JSON this system accepts. `code` is `parse_error`."""

    code = "parse_error"


class JsonNumberError(JsonError):
    """Well-formed JSON with a number that two readers may see differently."""

    code = "number_out_of_range"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                # In ASCII: the name may hold half a surrogate pair, which nobody could be told.
                told = ascii(name)[1:-1]
                raise JsonError(
                    f"the name `{told}` appears twice in one object", help="send it once"
                )
            seen.add(name)
    if len(members) > JSON_MEMBERS_MAX:
        raise JsonError(f"an object has more than {JSON_MEMBERS_MAX} members")
    return members


def _decided_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = _pairs(pairs)
    if _PROTOTYPE in members:
        raise JsonError(
            f"the name `{_PROTOTYPE}` is no plain name to every reader", help="choose another name"
        )
    return members


def _integer(text: str, integer_max: int = JSON_INTEGER_MAX) -> int:
    if len(text) <= JSON_NUMBER_CHARACTERS_MAX and abs(number := int(text)) <= integer_max:
        return number
    raise JsonNumberError(
        f"the integer `{text[:24]}` is beyond ±{integer_max}", help="send it as a string"
    )


def _decimal(text: str) -> float:
    number = float(text) if len(text) <= JSON_NUMBER_CHARACTERS_MAX else math.inf
    if not math.isfinite(number):
        raise JsonError(f"the number `{text[:24]}` is out of range", help="send it as a string")
    if number == 0 and any(digit in "123456789" for digit in text.lower().split("e")[0]):
        raise JsonError(f"the number `{text[:24]}` is too small to keep", help="send 0")
    return number


def _constant(text: str) -> Any:
    raise JsonError(f"`{text}` is not JSON")


_PROTOTYPE: Final = "__proto__"
_PROTOTYPE_WRITTEN: Final = b'"__proto__"'
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_decided_pairs,
    parse_int=_integer,
    parse_float=_decimal,
    parse_constant=_constant,
)
_ANSWER_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=partial(_integer, integer_max=JSON_ANSWER_INTEGER_MAX),
    parse_float=_decimal,
    parse_constant=_constant,
)


_WORDS: Final = {
    "Expecting value": "a value is missing",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
    "Illegal trailing comma before end of object": "a comma stands before the end of an object",
    "Illegal trailing comma before end of array": "a comma stands before the end of an array",
    "Expecting ':' delimiter": "a `:` is missing",
    "Expecting ',' delimiter": "a `,` is missing",
    "Unterminated string starting at": "a text does not end that begins",
    "Invalid control character at": "a control character stands in a text",
    "Invalid \\escape": "an escape is unknown",
    "Invalid \\uXXXX escape": "an escape is not `\\u` and four digits",
    "Extra data": "more follows the value",
}
"""What Python's reader complains about, in words of JSON."""


def decode(data: bytes) -> Any:
    """The value of one JSON text in UTF-8.

    Raises:
        JsonError: with a message for the sender; `JsonNumberError` for numbers out of range.
    """
    return _decode(data, _DECODER)


def decode_answer(data: bytes) -> Any:
    """As `decode`, with integers of 64 bits and any name: nobody decides on an answer.

    The call has run by then, so refusing its result for a large number would help nobody.
    """
    return _decode(data, _ANSWER_DECODER)


def _decode(data: bytes, decoder: json.JSONDecoder) -> Any:
    # Opening brackets bound the depth from above; brackets within strings only cost time.
    if data.count(b"{") + data.count(b"[") > JSON_DEPTH_MAX:
        _check_depth(data)
    value = _decode_plain(data)
    return _decode_strictly(data, decoder) if value is _NOT_PLAIN else value


_NOT_PLAIN: Final = object()


def _decode_plain(data: bytes) -> Any:
    """The value of a text that our own encoder could have written, blanks after `,` `:` aside.

    Nothing in such a text can be read in two ways. What is written from a tree has each name of
    an object once, one spelling for a number, no integer beyond 53 bits and no needless escape;
    so where something was dropped, rounded or replaced while reading, the two texts differ. Blanks
    are taken out within strings too: that can only make them differ.
    """
    if data.count(b":") > JSON_MEMBERS_MAX or _PROTOTYPE_WRITTEN in data:
        return _NOT_PLAIN
    try:
        value = orjson.loads(data)
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONDecodeError, TypeError):
        return _NOT_PLAIN
    if written == data or written == data.replace(b", ", b",").replace(b": ", b":"):
        return value
    return _NOT_PLAIN


def _decode_strictly(data: bytes, decoder: json.JSONDecoder) -> Any:
    """The slow way, which knows what to complain about."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise JsonError("it begins with a byte order mark", help="send UTF-8 without one")
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        told = _WORDS.get(error.msg, error.msg.lower())
        raise JsonError(f"{told} at line {error.lineno} column {error.colno}") from None
    # Only an escape can smuggle a lone surrogate into text that was valid UTF-8.
    if "\\ud" in text or "\\uD" in text:
        try:
            orjson.dumps(value)
        except TypeError:
            raise JsonError("a string holds half a surrogate pair") from None
    return value


def _check_depth(data: bytes) -> None:
    """Refuse deep nesting before the recursive reader meets it."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"{[" else -1
        if depth > JSON_DEPTH_MAX:
            raise JsonError(f"nested deeper than {JSON_DEPTH_MAX} levels")


def encode(value: Any) -> bytes:
    """Compact UTF-8 in the order of the tree: what is forwarded upstream."""
    return orjson.dumps(value)


def canonical(value: Any) -> bytes:
    """Compact UTF-8 with sorted names: equal values, equal bytes. What digests are taken of.

    Names sort by their UTF-8 bytes. A float that is a whole number keeps its `.0`, so 1 and 1.0
    are two values here, as they are two texts on the wire.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical bytes."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()
