"""YAML documents as JSON trees: the part of YAML 1.2 that JSON has.

`yes`, `on` and dates are texts, as in YAML 1.2; names are texts however they are written (`200:`).
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from pbac.base.errors import PbacError
from pbac.base.tree_builder import TreeBuilder, TreeError
from pbac.base.yaml_events import FAST_LOADER, read_yaml, refusal

_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_LINE_END: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_PLAIN: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlError(PbacError):
    """A text that is no YAML of the kind that is read here."""

    code = "yaml_error"


def decode_yaml(data: bytes) -> Any:
    """The tree of one document.

    Raises:
        YamlError: with its place.
    """
    builder = TreeBuilder(lambda value, _start, _end, _names: value)
    try:
        text = data.decode("utf-8-sig")
        read_yaml(text, builder, _scalar, loader=FAST_LOADER)
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8 at byte {error.start}", help="save it as UTF-8") from None
    except TreeError as error:
        ends = [found.end() for found in _LINE_END.finditer(text, 0, error.start)]
        place = f"line {len(ends) + 1} column {error.start - (ends[-1] if ends else 0) + 1}"
        raise YamlError(f"{error.message}, at {place}", help=error.help) from None
    return builder.root


def _scalar(event: yaml.ScalarEvent, is_name: bool) -> Any:  # noqa: FBT001 - as `ReadScalar`
    if event.tag not in (None, _TEXT_TAG, "!"):
        raise refusal(event, f"the type `{event.tag}` is not read", "write plain values")
    plain = event.style in (None, "") and event.tag is None and not is_name
    return _plain_value(event.value) if plain else event.value


def _plain_value(text: str) -> Any:
    if text in _PLAIN:
        return _PLAIN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _DECIMAL.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text
