"""YAML read by its events: nothing is ever constructed but texts, numbers, booleans and null.

Anchors, aliases and tags of records and lists are refused, and so is a second document: an alias
makes a document of a few lines as large as one likes, and nobody needs one here. What a scalar
means is the reader's: the readers of YAML disagree about that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import yaml

from pbac.base.tree_builder import TreeBuilder, TreeError

ReadScalar: TypeAlias = Callable[[yaml.ScalarEvent, bool], Any]
"""The value of a scalar; the flag says that it is the name of a member. May raise `TreeError`."""

FAST_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""For documents of megabytes; what it says of mistakes depends on how the library was built."""

_NO_TOKEN: Final = re.compile(r"found character (`.+`) that cannot start any token")
_IN_QUOTES: Final = r"no text begins with \1 unless it stands in quotes"


def read_yaml(
    text: str, builder: TreeBuilder, scalar: ReadScalar, *, loader: Any = yaml.SafeLoader
) -> None:
    """Feed the one document of a text to a builder.

    Raises:
        TreeError: with the first thing that is wrong, and its place.
    """
    # Looked for beforehand: of these the loaders tell places in different units.
    if bad := yaml.reader.Reader.NON_PRINTABLE.search(text):
        message = f"the character U+{ord(bad[0]):04X} may not stand in YAML"
        raise TreeError(message, bad.start(), bad.end())
    documents = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise refusal(event, "there is a second document", "split the file")
            _take(event, builder, scalar)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = mark.index if mark else 0
        problem = getattr(error, "problem", None) or "this is no YAML"
        told = problem.lower().replace("'", "`")
        raise TreeError(_NO_TOKEN.sub(_IN_QUOTES, told), at, at) from None


def refusal(event: yaml.Event, message: str, help: str | None = None) -> TreeError:
    """What an event may not say."""
    return TreeError(message, event.start_mark.index, event.end_mark.index, help)


def _take(event: yaml.Event, builder: TreeBuilder, scalar: ReadScalar) -> None:
    if getattr(event, "anchor", None) is not None:
        raise refusal(event, "anchors and aliases are not read", "write the value out")
    start, end = event.start_mark.index, event.end_mark.index
    match event:
        case yaml.ScalarEvent():
            builder.scalar(scalar(event, builder.awaits_name), start, end)
        case yaml.CollectionStartEvent():
            if event.tag is not None:
                raise refusal(event, f"the type `{event.tag}` is not read", "write plain values")
            builder.begin({} if isinstance(event, yaml.MappingStartEvent) else [], start, start)
        case yaml.CollectionEndEvent():
            builder.end(start)
