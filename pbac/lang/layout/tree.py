"""What a layout is made from: the parse tree with every token and every comment in it.

The readers' tree leaves out keywords and punctuation, and the lexer leaves out comments. Here they
are put back: a `Leaf` is one token, a `Group` is one branch with all its parts. On the way

* parentheses that mean nothing are left out: doubled ones, around a whole expression, around a
  path, literal or call. Those that group stay, needed or not: the author wanted them seen;
* a name in a target or test is bare where it can be;
* a written list or record ends in a comma that is `optional`: shown only when it is broken;
* a comment hangs on a token: `after` it on its line, or `before` it on lines of its own. It never
  moves across a token, but for commas: those come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pbac.base.limits import PATTERN_CHARACTERS_MAX
from pbac.lang.syntax.tree import Branch, Token
from pbac.lang.syntax.words import DAY_WORDS, DAYS, RESERVED

_COMMENT: Final = re.compile(r"#[^\n]*")
_PLAIN_NAME: Final = re.compile(r'"([A-Za-z0-9_*][A-Za-z0-9_*.:/-]*)"')
_NAMED: Final = frozenset({"names", "given_tool", "expect_call", "expect_list", "expect_issue"})
_ATOMS: Final = frozenset({"path", "scalar", "list", "record", "apply"})
_WHOLE: Final = frozenset({"when", "unless", "definition", "list", "pair", "apply"})
_IN_WORDS: Final = frozenset({"cidr", *DAY_WORDS, *DAYS})
_WRITTEN: Final = frozenset({"list", "record", "literal_list", "literal_record"})
_TIGHT: Final = frozenset({"path", "field", "index", "rule_reference"})
_NO_BLANK_BEFORE: Final = frozenset({",", ")", "]", ":"})
_NO_BLANK_AFTER: Final = frozenset({"(", "[", "@"})


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a line of its own.

    Attributes:
        text: from `#` on, without blanks at the end.
        apart: a blank line stands above it.
        column: how far it is indented, to tell whose it is between two items.
    """

    text: str
    apart: bool
    column: int


@dataclass(slots=True, eq=False)
class Leaf:
    """One token. Comments are hung on it when the whole tree stands.

    Attributes:
        text: as it will be written.
        start: offset in the source; `end` likewise.
        optional: a comma that may be left out.
        before: comments on the lines above; `after` is the comment on its line, or "".
        apart: a blank line stands right above it.
        column: how far it is indented, known where there are comments before it.
    """

    text: str
    start: int
    end: int
    optional: bool = False
    before: tuple[Comment, ...] = ()
    after: str = ""
    apart: bool = False
    column: int = 0

    @property
    def first(self) -> Leaf:
        """Itself, as a group has a first leaf."""
        return self

    last = first
    flat = property(lambda self: self.text)


class Group:
    """One branch: its kind is the grammar's word for it."""

    __slots__ = ("_flat", "kind", "parts")

    def __init__(self, kind: str, parts: list[Part]) -> None:
        self.kind = kind
        self.parts = parts
        self._flat: str | None = ""

    @property
    def first(self) -> Leaf:
        """The first token."""
        return self.parts[0].first

    @property
    def last(self) -> Leaf:
        """The last token."""
        return self.parts[-1].last

    @property
    def flat(self) -> str | None:
        """In one line, without the comments around it; None when there are comments inside."""
        if self._flat == "":
            self._flat = self._joined()
        return self._flat

    def _joined(self) -> str | None:
        text = ""
        before: Part | None = None
        commented = False
        for part in self.parts:
            if commented or (before is not None and part.first.before):
                return None
            commented = bool(part.last.after)
            if isinstance(part, Leaf) and part.optional:
                continue
            flat = part.flat
            if flat is None:
                return None
            text += flat if before is None or touch(self, before, part) else f" {flat}"
            before = part
        return text


Part: TypeAlias = Leaf | Group


def touch(group: Group, left: Part, right: Part) -> bool:
    """Is there no blank between these two neighbours?"""
    if group.kind in _TIGHT:
        return True
    if isinstance(right, Group):
        return right.kind == "parameters" or (
            isinstance(left, Leaf) and left.text in _NO_BLANK_AFTER
        )
    if right.text in _NO_BLANK_BEFORE or (right.text == "(" and group.kind == "apply"):
        return True
    return isinstance(left, Leaf) and (
        left.text in _NO_BLANK_AFTER or (left.text == "{" and right.text == "}")
    )


def grown(tree: Branch, tokens: Sequence[Token], text: str) -> Group:
    """A file's tree with all its tokens and comments; the last part is an empty leaf, its end."""
    grower = _Grower(tokens)
    file = grower.group(tree)
    end = Leaf("", len(text), len(text))
    file.parts.append(end)
    if "#" in text:
        _hang_comments([*grower.leaves, end], text)
    return file


# --- tokens ----------------------------------------------------------------------------------


class _Grower:
    """Walks the tree and the tokens side by side.

    A branch says where it stands, and where with the words that were taken off when it was handed
    up (`outer_start`): parentheses, `for`, `on`, `then`.

    Attributes:
        leaves: every token that is kept, in order.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self.leaves: list[Leaf] = []

    def group(self, tree: Branch) -> Group:
        """The branch with all its parts."""
        kind = str(tree.data)
        parts: list[Part] = []
        for child in tree.children:
            if isinstance(child, Token):
                parts += self._taken(child.end, kind)
            else:
                parts += self._taken(child.outer_start, kind)
                parts.append(self._wrapped(kind, child))
        parts += self._taken(tree.end, kind)
        if kind in _WRITTEN and len(parts) > 2:
            self._end_in_comma(parts)
        return Group(kind, parts)

    def _taken(self, end: int, kind: str) -> list[Leaf]:
        """The tokens up to an offset."""
        taken = [_leaf(token, kind) for token in self._until(end)]
        self.leaves += taken
        return taken

    def _until(self, end: int) -> list[Token]:
        first = self._next
        while self._next < len(self._tokens) and self._tokens[self._next].start < end:
            self._next += 1
        return list(self._tokens[first : self._next])

    def _wrapped(self, parent: str, tree: Branch) -> Group:
        opening = self._until(tree.start)
        if not opening:
            return self.group(tree)
        if opening[0] != "(":  # `for`, `on` and `then` belong to their clause
            before = [_leaf(token, parent) for token in opening]
            self.leaves += before
            clause = self.group(tree)
            return Group(clause.kind, [*before, *clause.parts])
        return self._in_parentheses(parent, tree, opening)

    def _in_parentheses(self, parent: str, tree: Branch, opening: list[Token]) -> Group:
        if _needless(parent, tree):
            found = self.group(tree)
            self._until(tree.outer_end)
            return found
        left = _leaf(opening[0], parent)
        self.leaves.append(left)
        inner = self.group(tree)
        right = _leaf(self._until(tree.outer_end)[-1], parent)
        self.leaves.append(right)
        return Group("parentheses", [left, inner, right])

    def _end_in_comma(self, parts: list[Part]) -> None:
        comma = parts[-2]
        if not isinstance(comma, Leaf) or comma.text != ",":
            at = comma.last.end
            comma = Leaf(",", at, at)
            parts.insert(-1, comma)
            self.leaves.insert(-1, comma)
        comma.optional = True


def _leaf(token: Token, kind: str) -> Leaf:
    text = str(token)
    if token.type == "STRING" and kind in _NAMED:
        text = _bare(text)
    return Leaf(text, token.start, token.end)


def _bare(text: str) -> str:
    plain = _PLAIN_NAME.fullmatch(text)
    if plain is None or plain[1] in RESERVED or len(plain[1]) > PATTERN_CHARACTERS_MAX:
        return text
    return plain[1]


def _needless(parent: str, tree: Branch) -> bool:
    """Parentheses around this branch change nothing, and group nothing."""
    if parent in _WHOLE:
        return True
    # `x in (daily)` reads a definition, `x in daily …` a window.
    reads_otherwise = (
        parent in ("in_", "not_in") and tree.children[:1] and (str(tree.children[0]) in _IN_WORDS)
    )
    return tree.data in _ATOMS and not reads_otherwise


# --- comments --------------------------------------------------------------------------------


def _hang_comments(leaves: list[Leaf], text: str) -> None:
    """Between two tokens there is nothing but blanks, comments, and what was left out."""
    before: Leaf | None = None
    carried, at = "", 0
    for leaf in leaves:
        gap = carried + text[at : leaf.start]
        at, carried = leaf.end, ""
        if leaf.text == "," and "#" in gap:
            carried = gap
        else:
            if "#" in gap:
                _hang(before, leaf, gap, text)
            leaf.apart = _lines(gap[gap.rfind("#") + 1 :]) > 1
        before = leaf


def _hang(before: Leaf | None, leaf: Leaf, gap: str, text: str) -> None:
    alone: list[Comment] = []
    at = 0
    for match in _COMMENT.finditer(gap):
        lines = _lines(gap[at : match.start()])
        if before is not None and at == 0 and not lines:
            before.after = match.group().rstrip()
        else:
            column = match.start() - gap.rfind("\n", 0, match.start()) - 1
            alone.append(Comment(match.group().rstrip(), lines > 1, column))
        at = match.end()
    leaf.before = tuple(alone)
    if leaf.text:  # the end of the file is as far out as an item can be
        leaf.column = leaf.start - text.rfind("\n", 0, leaf.start) - 1


def _lines(gap: str) -> int:
    return gap.count("\n")
