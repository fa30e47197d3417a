"""The parse tables of the grammar: made by Lark, kept beside it, read when they are needed.

`grammar/pbac.lark` is the one source of the syntax. Making an LALR(1) automaton of it takes Lark
half a second and reading the result a few milliseconds, so the result is a file of its own,
`grammar/pbac.tables.json`, written by `python -m pbac.lang.syntax.grammar`. It names the digest of
the grammar it was made from; tables of another grammar are not used but made anew. A test holds
that the file is what Lark makes.

    states    row of a state: terminal → n, shift to state n, or -n, reduce by rule n
    gotos     row of a state: rule's name → the state after it
    lexers    per state, the index of the words that may stand there
    words     master expression, and the words that are no names: terminal, then word, terminal
    rules     length, name, name in the tree ("" for a helper, whose parts stand in its place),
              places of the symbols that are kept, whether a single one stands for the whole

States and rules count from 1, so that 0 is free to mean a mistake.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

import msgspec

END: Final = "$END"
"""The terminal behind the last word."""

GRAMMAR_FILE: Final = "pbac.lark"
TABLES_FILE: Final = "pbac.tables.json"


class Words(msgspec.Struct, frozen=True, array_like=True):
    """What may stand at some place: one expression with a named group for each terminal."""

    pattern: str
    words: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class RuleShape(NamedTuple):
    """One production; see the module. `kept`: the places of the symbols that stand in the tree."""

    size: int
    origin: str
    data: str
    kept: tuple[int, ...]
    single: bool


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `tree` runs on; index 0 of every list is unused.

    Attributes:
        digest: of the grammar these were made from.
        starts, ends: start rule → first and last state.
    """

    digest: str
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    words: tuple[Words, ...]
    lexers: tuple[int, ...]
    rules: tuple[RuleShape, ...]
    states: tuple[Mapping[str, int], ...]
    gotos: tuple[Mapping[str, int], ...]


def kept_tables() -> Tables | None:
    """The tables beside the grammar; None where they are not, or are of another grammar."""
    kept = _file(TABLES_FILE)
    if not kept.is_file():
        return None
    found = msgspec.json.decode(kept.read_bytes(), type=Tables)
    return found if found.digest == digest_of(grammar_text()) else None


def grammar_text() -> str:
    """The grammar: inside the package in a wheel, beside it in a checkout."""
    return _file(GRAMMAR_FILE).read_text("utf-8")


def digest_of(grammar: str) -> str:
    """What names a grammar."""
    return hashlib.sha256(grammar.encode()).hexdigest()


def _file(name: str) -> Traversable:
    inside = importlib.resources.files("pbac").joinpath("grammar", name)
    if inside.is_file():
        return inside
    return importlib.resources.files("pbac").joinpath("..", "grammar", name)
