"""One canonical layout of a `.pbac` file: text to text, and the same meaning.

    text → package, tree, tokens → tree with every token and comment → lines → read back

The layout depends on tokens and comments alone, never on line breaks or blanks of the source, but
for two things: whether a comment stands behind something or on its own line, and blank lines
around comments between items. So it is idempotent. Order is kept, and so are literals as written.

What was written is read again and compared before anybody gets it: a layout that changed what a
policy means would be worse than none.

Rooms: `tree` puts tokens and comments back into the tree, `writer` holds lines and
widths, `items`, `tests` and `expressions` say how each kind is laid out.
"""

from __future__ import annotations

from pbac.base.diagnostics import PolicyError
from pbac.base.errors import PbacError
from pbac.base.source import Source, Span
from pbac.lang import nodes
from pbac.lang.layout.items import file
from pbac.lang.layout.tree import grown
from pbac.lang.layout.writer import Writer
from pbac.lang.syntax.parse import parse, parse_syntax


class LayoutError(PbacError):
    """The layout would not mean the same: a defect of this program, never of the policy."""

    code = "layout_error"


def format_source(source: Source) -> str:
    """The text of a file in the canonical layout.

    Raises:
        PolicyError: when the file cannot be read, with every mistake found.
        LayoutError: when what was made would not mean the same.
    """
    syntax = parse_syntax(source)
    writer = Writer()
    file(writer, grown(syntax.tree, syntax.tokens, source.text))
    text = _with_line_ends_of(source.text, writer.written())
    if text != source.text:
        _check(source, syntax.package, text)
    return text


def _with_line_ends_of(source: str, text: str) -> str:
    """A file of CRLF stays one. Texts over several lines have theirs as written already."""
    first = source.find("\n")
    if first < 1 or source[first - 1] != "\r":
        return text
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _check(source: Source, package: nodes.Package, text: str) -> None:
    try:
        reason = "" if same_meaning(package, parse(Source(source.name, text))) else "it differs"
    except PolicyError as error:
        reason = error.message
    if reason:
        raise LayoutError(
            f"`{source.name}` would not mean the same in its new layout: {reason}",
            help="this is a defect of the formatter: report it with the file, which is unchanged",
        )


def same_meaning(left: object, right: object) -> bool:
    """Are two syntax trees equal, wherever their parts stand?"""
    if type(left) is not type(right):
        return False
    if isinstance(left, nodes.Node):
        names = left.__struct_fields__
        return all(same_meaning(getattr(left, n), getattr(right, n)) for n in names)
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(same_meaning, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(map(same_meaning, left.values(), right.values()))
    return isinstance(left, Span) or left == right
