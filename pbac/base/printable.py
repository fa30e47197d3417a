"""Text from outside on somebody's terminal: what would not be seen is spelt out."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with controls, bidirectional marks and the like written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
