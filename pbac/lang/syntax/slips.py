"""Slips in our own language: quotes, words that are missing, clauses out of order."""

from __future__ import annotations

import re
from typing import Final

from pbac.base.suggest import near_misses
from pbac.lang.syntax.stop import NAME, Stop, Told
from pbac.lang.syntax.words import CLAUSE_WORDS, ITEM_WORDS, RESERVED


def missing_package(stop: Stop) -> Told | None:
    """A file that begins with something else."""
    if "package" not in stop.fits or stop.before not in ("", "sealed"):
        return None
    found = f", not with `{stop.found}`" if stop.found else ""
    return (
        "missing-package",
        f"a policy file begins with its package{found}",
        'write `package name` first, then a docstring in `"…"`',
    )


def quotes(stop: Stop) -> Told | None:
    """A text without its end, or in other quotes."""
    if stop.found == '"' and stop.kinds & {"STRING", "RAW"}:
        return (
            "unterminated-text",
            "this text has no closing quote on its line",
            'close it with `"`, or write a text of several lines in `"""…"""`',
        )
    if stop.found and stop.found in _OTHER_QUOTES:
        return (
            "wrong-quotes",
            "texts are written in double quotes",
            'write `"…"`, or `r"…"` for a pattern with backslashes',
        )
    return None


_OTHER_QUOTES: Final = "'`\u2018\u2019\u201c\u201d"
_OTHER_ITEM_WORDS: Final = {
    "allow": "permit",
    "grant": "permit",
    "deny": "forbid",
    "block": "forbid",
    "reject": "forbid",
    "prohibit": "forbid",
    "obligate": "require",
    "oblige": "require",
    "let": "define",
    "def": "define",
    "set": "define",
    "import": "",
    "include": "",
    "use": "",
}


def unknown_item(stop: Stop) -> Told | None:
    """A word that begins no item."""
    lowered = stop.found.lower()
    if not ({"permit", "forbid", "define"} <= stop.fits and NAME.fullmatch(stop.found)):
        return None
    if lowered not in _OTHER_ITEM_WORDS and (stop.found in RESERVED or not stop.starts_line):
        return None
    other = _OTHER_ITEM_WORDS.get(lowered) or next(
        iter(near_misses(lowered, (*ITEM_WORDS, *stop.fits))), ""
    )
    if lowered in ("import", "include", "use"):
        hint = "there are no imports: files of one folder see each other"
    elif other:
        hint = f"did you mean `{other}`?"
    else:
        hint = "rules begin with `permit`, `forbid` or `require`; also: `define`, `test`"
    return ("unknown-word", f"`{stop.found}` begins nothing here", hint)


_KIND_WORDS: Final = {
    "on": {"tool", "scope", "resource", "prompt", "tag", "server", "any", "token"},
    "for": {"tier", "kind", "provider", "group"},
}


def missing_clause_word(stop: Stop) -> Told | None:
    """`tool get_x` without its `on`."""
    for clause, words in _KIND_WORDS.items():
        if stop.found in words and clause in stop.fits:
            return (
                "missing-clause-word",
                f"`{clause}` is missing before `{stop.found}`",
                f"write `{clause} {stop.found} …`",
            )
    return None


def missing_operand(stop: Stop) -> Told | None:
    """`when and x`: the lexer took `and` for a name, so reading stopped one word later."""
    if stop.after_value and stop.before in RESERVED - {"true", "false", "null"}:
        return (
            "missing-operand",
            f"an expression is missing before `{stop.before}`",
            "write a value or a condition there",
        )
    if stop.wants_value and (stop.found in RESERVED or stop.found in ("", ")", "]", "}", ",")):
        where = f"after `{stop.before}`" if stop.before else "here"
        return ("missing-operand", f"an expression is missing {where}", None)
    return None


def clause_order(stop: Stop) -> Told | None:
    """A clause too late, or a `require` without a duty."""
    order = "`@…`, `for`, `on`, `when`/`unless`, `because`, `internal`, `then`"
    if stop.found in CLAUSE_WORDS or stop.found == "@":
        if stop.found == "then":
            return (
                "misplaced-clause",
                "`then` stands in `require` rules only, after all other clauses",
                "write `require` instead, or remove the duty",
            )
        if not ({"permit", "then"} & stop.fits):
            return None
        return (
            "misplaced-clause",
            f"`{stop.found}` stands too late in its rule",
            f"the order of clauses is {order}; one `because`, one `internal`",
        )
    if "then" in stop.fits and "permit" not in stop.fits:
        found = f"found `{stop.found}`" if stop.found else "the file ends"
        return (
            "missing-then",
            f"a `require` rule has at least one `then`, but {found}",
            'write for example `then approval from group "owners" within 15m`',
        )
    return None


def two_values(stop: Stop) -> Told | None:
    """Two values, and nothing between them."""
    if stop.after_value and not stop.starts_line and re.match(r"[A-Za-z0-9_\"(]", stop.found):
        return (
            "missing-operator",
            f"an operator is missing before `{stop.found}`",
            "join conditions with `and` or `or`; compare values with `==`, `in`, `like`, …",
        )
    return None


def missing_comma(stop: Stop) -> Told | None:
    """`on tool a b`: names in a target are parted by commas."""
    if "except" not in stop.fits or "," not in stop.fits or stop.starts_line:
        return None
    if not (NAME.match(stop.found) or stop.found == '"'):
        return None
    close = near_misses(stop.found, stop.fits, most=1)
    if close:
        return ("syntax", f"`{stop.found}` does not fit here", f"did you mean `{close[0]}`?")
    help_ = "part names with commas; a clause begins with its keyword"
    return ("missing-comma", f"a comma is missing before `{stop.found}`", help_)
