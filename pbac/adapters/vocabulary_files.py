"""Vocabulary files on disk: `tools/<server>.json` of a policy folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.source import Span


def decode_vocabularies(documents: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """File name → tree.

    Schemas are what a server answered, so any name and integers of 64 bits may stand in them.

    Raises:
        PolicyError: for every file that is no JSON, with its place.
    """
    trees: dict[str, Any] = {}
    found: list[Diagnostic] = []
    for name, data in documents:
        try:
            trees[name] = json.decode_answer(data)
        except json.JsonError as error:
            message = f"`{name}`: {error.message}"
            help_ = error.help or "write it with `pbac tools import`"
            span = Span(name, 0, 0, 1, 1)
            found.append(Diagnostic(code="bad-vocabulary", message=message, span=span, help=help_))
    if found:
        raise PolicyError(found)
    return trees
