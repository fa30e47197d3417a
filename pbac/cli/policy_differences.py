"""What another version changes, in words and lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from pbac.base.render import shown
from pbac.cli.tables import counted

if TYPE_CHECKING:
    from pbac.base.source import Span
    from pbac.pdp.diff import Change, Difference

_MARKS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def summary(found: Difference) -> str:
    """In one line; "" when nothing changes."""
    parts = [
        f"{counted(count, 'rule')} {kind}"
        for kind in _MARKS
        if (count := sum(change.kind == kind for change in found.rules))
    ]
    parts += [f"document `{shown(each.name)}` {each.kind}" for each in found.documents]
    parts += ["tiers changed"] if found.tiers else []
    parts += ["sealed packages changed"] if found.sealed else []
    return ", ".join(parts)


def lines(found: Difference, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Everything that changes, with the text of changed rules line by line.

    Args:
        found: what changes.
        before: the texts of the files by name, and
        after: those of the other version.
    """
    if found.tiers:
        yield _pair("tiers", *found.tiers, " < ")
    if found.sealed:
        yield _pair("sealed", *found.sealed, ", ")
    for change in found.documents:
        yield _marked(change, "document ", "")
    for change in found.rules:
        span = change.after or change.before
        yield _marked(change, "", f"  {shown(str(span))}" if span else "")
        if change.kind == "changed":
            yield from _text_lines(_text(change.before, before), _text(change.after, after))


def as_json(found: Difference) -> dict[str, Any]:
    """For a program."""
    return {
        "rules": [_json(change) for change in found.rules],
        "documents": [_json(change) for change in found.documents],
        "tiers": found.tiers,
        "sealed": found.sealed,
    }


def _json(change: Change) -> dict[str, Any]:
    places = {"before": change.before, "after": change.after}
    spans = {word: str(span) for word, span in places.items() if span}
    return {"kind": change.kind, "name": change.name, **spans}


def _marked(change: Change, what: str, place: str) -> str:
    mark, colour = _MARKS[change.kind]
    return click.style(f"{mark} {what}{shown(change.name)}", fg=colour) + click.style(
        place, dim=True
    )


def _pair(word: str, before: tuple[str, ...], after: tuple[str, ...], joint: str) -> str:
    old, new = joint.join(before) or "none", joint.join(after) or "none"
    return click.style(f"~ {word}: {shown(old)} → {shown(new)}", fg="yellow")


def _text(span: Span | None, texts: Mapping[str, str]) -> list[str]:
    if span is None or span.source not in texts:
        return []
    return texts[span.source][span.start : span.end].splitlines()


def _text_lines(before: list[str], after: list[str]) -> Iterator[str]:
    """Only what differs, and a line around it. Nothing when a definition elsewhere changed it."""
    colours = {"+": "green", "-": "red"}
    found = list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]
    if not found:
        yield click.style(
            "    its text is the same: a definition that it uses has changed", dim=True
        )
    for line in found:
        if not line.startswith("@@"):
            yield click.style(f"    {shown(line)}", fg=colours.get(line[0]))
