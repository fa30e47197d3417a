"""`because` and `internal` texts: plain stretches and interpolated paths.

`{args.owner}` is replaced at run time; `{{` and `}}` are literal braces. Only simple paths stand
in braces: names joined by dots, and whole numbers in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pbac.lang import nodes
from pbac.lang.syntax.literals import check_length, segments, unescaped
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tree import Token

_PART: Final = re.compile(
    r"(?P<literal>\{\{|\}\})|\{(?P<path>[^{}\n]*)\}|(?P<stray>[{}])"
    r"|(?P<text>(?:[^{}\\]|\\u\{[0-9A-Fa-f]{1,6}\}|\\[\s\S])+)"
)
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,9}\])*")
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]")


def text(reading: Reading, token: Token) -> nodes.Text:
    """A text with its interpolated paths, neighbouring stretches joined."""
    parts: list[str | nodes.Path] = []
    check_length(reading, token, len(token))
    for part in _parts(reading, token):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return nodes.Text(span=reading.span(token), parts=tuple(parts))


def _parts(reading: Reading, token: Token) -> Iterator[str | nodes.Path]:
    for segment, start in segments(token):
        for match in _PART.finditer(segment):
            yield from _part(reading, match, start + match.start())


def _part(reading: Reading, match: re.Match[str], at: int) -> Iterator[str | nodes.Path]:
    if match["literal"]:
        yield match["literal"][0]
    elif match["path"] is not None:
        found = _path(reading, match["path"], at)
        if found is not None:
            yield found
    elif match["stray"]:
        reading.complain(
            "stray-brace",
            f"a lone `{match['stray']}` in a text",
            reading.span_at(at, at + 1),
            help=f"write `{match['stray'] * 2}` for a brace; `{{args.owner}}` inserts a value",
        )
    else:
        yield from (piece for piece, _ in unescaped(reading, match["text"], at))


def _path(reading: Reading, inside: str, at: int) -> nodes.Path | None:
    span = reading.span_at(at, at + len(inside) + 2)
    trimmed = inside.strip()
    if not _PATH.fullmatch(trimmed):
        reading.complain(
            "bad-interpolation",
            f"`{{{inside}}}` is not a simple path",
            span,
            help="only paths such as `{args.owner}` or `{args.items[0]}` can stand in braces; "
            "write `{{` for a brace",
        )
        return None
    at += 1 + inside.index(trimmed)
    root = re.split(r"[.\[]", trimmed, maxsplit=1)[0]
    steps: list[nodes.Field | nodes.Index] = []
    for step in _STEP.finditer(trimmed, len(root)):
        where = reading.span_at(at + step.start(), at + step.end())
        name, index = step.groups()
        if name is not None:
            steps.append(nodes.Field(span=where, name=name))
        else:
            key = nodes.Literal(span=where, value=int(index), kind="number")
            steps.append(nodes.Index(span=where, key=key))
    whole = reading.span_at(at, at + len(trimmed))
    return nodes.Path(span=whole, root=root, steps=tuple(steps))
