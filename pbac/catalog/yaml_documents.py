"""YAML documents as JSON trees: the part of YAML 1.2 that JSON has.

Read from events, without recursion. Anchors, aliases and tags are refused: an alias can make a
document of a few lines as large as one likes, and nobody needs one here. `yes`, `on` and dates are
texts, as in YAML 1.2.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from pbac.base.errors import PbacError
from pbac.base.limits import JSON_DEPTH_MAX

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
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
    building = _Building()
    try:
        for event in yaml.parse(data.decode("utf-8"), Loader=_LOADER):
            building.take(event)
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8 at byte {error.start}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise YamlError(f"no YAML{place}: {getattr(error, 'problem', error)}") from None
    return building.document


class _Building:
    """The tree so far: open lists and records, and the name the next value is for."""

    def __init__(self) -> None:
        self.document: Any = None
        self._open: list[Any] = []
        self._names: list[str | None] = []

    def take(self, event: Any) -> None:
        """Add what one event of the parser says."""
        match event:
            case yaml.AliasEvent() | yaml.NodeEvent(anchor=str()):
                raise _refused(event, "anchors and aliases are not read")
            case yaml.MappingStartEvent():
                self._begin({}, event)
            case yaml.SequenceStartEvent():
                self._begin([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
                self._names.pop()
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.DocumentStartEvent() if self.document is not None:
                raise _refused(event, "there is a second document")

    def _begin(self, container: Any, event: Any) -> None:
        if event.tag is not None:
            raise _refused(event, f"the tag `{event.tag}` is not read")
        if len(self._open) >= JSON_DEPTH_MAX:
            raise _refused(event, f"nested deeper than {JSON_DEPTH_MAX} levels")
        if self._is_name():
            raise _refused(event, "a name is a text")
        self._put(container)
        self._open.append(container)
        self._names.append(None)

    def _scalar(self, event: Any) -> None:
        if event.tag not in (None, _TEXT_TAG, "!"):
            raise _refused(event, f"the tag `{event.tag}` is not read")
        if self._is_name():
            if event.value in self._open[-1]:
                raise _refused(event, f"the name `{event.value[:80]}` appears twice")
            self._names[-1] = event.value
        else:
            plain = event.style in (None, "") and event.tag is None
            self._put(_plain_value(event.value) if plain else event.value)

    def _is_name(self) -> bool:
        return bool(self._open) and type(self._open[-1]) is dict and self._names[-1] is None

    def _put(self, value: Any) -> None:
        if not self._open:
            self.document = value
        elif type(self._open[-1]) is list:
            self._open[-1].append(value)
        else:
            self._open[-1][self._names[-1]] = value
            self._names[-1] = None


def _plain_value(text: str) -> Any:
    if text in _PLAIN:
        return _PLAIN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _DECIMAL.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text


def _refused(event: Any, why: str) -> YamlError:
    mark = event.start_mark
    return YamlError(f"{why}, at line {mark.line + 1} column {mark.column + 1}")
