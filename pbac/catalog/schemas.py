"""Arguments against a tool's `inputSchema`: valid or not, and why, at a bounded cost.

JSON Schema 2020-12 unless `$schema` names an older draft. Nothing is fetched. Patterns run on a
linear engine; a pattern that engine cannot run makes the schema unusable. Defaults of top-level
properties are filled in before anything is decided, so that the upstream has none to fill in.
"""

from __future__ import annotations

from typing import Any, Final

import jsonschema_rs

from pbac.base.lookalikes import NO_NAMES, Names
from pbac.catalog.schema_size import SchemaError, SchemaSize

_MESSAGE_CHARACTERS_MAX: Final = 160
_NAME_CHARACTERS_MAX: Final = 64


class ArgumentSchema:
    """One compiled `inputSchema`. Immutable; safe to share between requests.

    Raises:
        SchemaError: when the schema cannot or must not be used.
    """

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict):
            raise SchemaError("`inputSchema` is not an object")
        size = SchemaSize(schema)
        self._names = _names(schema)
        self._defaults = _defaults(schema)
        # Explaining a failure against a circular schema takes time 2^n in the depth n of the
        # value; the yes-or-no stays linear.
        self._explain = not size.circular
        try:
            self._validator = jsonschema_rs.validator_for(
                schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
            )
        except ValueError as error:
            reason = str(error).split("\n", 1)[0]
            raise SchemaError(f"`inputSchema` is not usable: {_shorten(reason)}") from None

    def filled(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with the defaults of top-level properties that were left out.

        What an upstream would fill in for itself is decided on, and forwarded, as if it was sent.
        """
        missing = {n: v for n, v in self._defaults.items() if n not in arguments}
        return {**arguments, **missing} if missing else arguments

    def complaint(self, arguments: dict[str, Any], read: Names = NO_NAMES) -> str | None:
        """The first thing wrong with the arguments, for the caller to read; None when valid.

        `arguments.amount: "500" is not of type "number"`; long values are not echoed. `read` are
        the arguments that policy reads of such a call: a name it would miss is refused.
        """
        if not self._validator.is_valid(arguments):
            return self._reason(arguments)
        return _misspelt(self._names, read, arguments, "arguments")

    def _reason(self, arguments: dict[str, Any]) -> str:
        if self._explain:
            try:
                self._validator.validate(arguments)
            except jsonschema_rs.ValidationError as error:
                return _render(error)
        return "arguments: do not satisfy the tool's `inputSchema`"


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {
        name: member["default"]
        for name, member in properties.items()
        if isinstance(member, dict) and "default" in member
    }


def _render(error: jsonschema_rs.ValidationError) -> str:
    path = "arguments" + "".join(_step(step) for step in error.instance_path)
    if len(error.message) <= _MESSAGE_CHARACTERS_MAX:
        return f"{path}: {error.message}"
    return f"{path}: does not satisfy `{error.kind.name}`"


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step[:_NAME_CHARACTERS_MAX]}"


def _names(schema: Any) -> Names:
    """What a schema declares through `properties` and `items` alone."""
    if not isinstance(schema, dict):
        return NO_NAMES
    properties, items = schema.get("properties"), schema.get("items")
    within = properties if isinstance(properties, dict) else {}
    if not within and not isinstance(items, dict):
        return NO_NAMES
    each = _names(items) if isinstance(items, dict) else None
    return Names({name: _names(member) for name, member in within.items()}, each)


def _misspelt(declared: Names, read: Names, value: Any, path: str) -> str | None:
    """A name that a laxer upstream would take for one that is declared, or that policy reads.

    A rule that reads `args.force` does not see `Force`, but a Go upstream does.
    """
    if isinstance(value, dict):
        for name, member in value.items():
            if name in declared.within or name in read.within:
                inner = declared.within.get(name, NO_NAMES), read.within.get(name, NO_NAMES)
                if complaint := _misspelt(*inner, member, f"{path}{_step(name)}"):
                    return complaint
            elif near := declared.lookalike(name) or read.lookalike(name):
                return f"{path}: `{_shorten(ascii(name)[1:-1])}` could be read as `{near}`"
    elif isinstance(value, list) and (declared.each or read.each):
        each = declared.each or NO_NAMES, read.each or NO_NAMES
        for place, item in enumerate(value):
            if complaint := _misspelt(*each, item, f"{path}{_step(place)}"):
                return complaint
    return None


def _shorten(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARACTERS_MAX else text[:_MESSAGE_CHARACTERS_MAX] + "…"
