"""What to tell about text that does not parse: recognised slips first, the bare facts last.

Lark says where it stopped and which terminals would have fitted there. A slip is recognised from
these facts and the words around the place; `_SLIPS` is tried from the top, so the special stands
before the general. `_plain` always has an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lark import UnexpectedInput

from pbac.base.diagnostics import Diagnostic
from pbac.base.suggest import near_misses
from pbac.lang.reading import Reading
from pbac.lang.words import CLAUSE_WORDS, ITEM_WORDS, RESERVED

_WORD: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}|[0-9][A-Za-z0-9_.:-]{0,63}|&&|\|\||===?|!==?|<>|=>|->|:=|\?\?|."
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAST_WORD: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[=!<>]+|[^\s])\s*\Z")
_LOOK_BACK_CHARACTERS: Final = 400
_EXPECTED_SHOWN_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where reading stopped.

    Attributes:
        at: character offset; `found` is the word or sign there, "" at the end of the file.
        before: the word or sign in front of it, "" at the start of the file.
        fits: spellings of the words and signs that would have fitted.
        kinds: names of the terminals that would have fitted.
        starts_line: nothing but blanks stands in front of it on its line.
    """

    at: int
    found: str
    before: str
    fits: frozenset[str]
    kinds: frozenset[str]
    starts_line: bool

    @property
    def wants_value(self) -> bool:
        """An expression has to begin here."""
        return {"NAME", "LPAR", "NUMBER"} <= self.kinds

    @property
    def after_value(self) -> bool:
        """An expression may end here, or go on with an operator."""
        return "ORDER" in self.kinds or "and" in self.fits


Told: TypeAlias = tuple[str, str, str | None]
"""Code, message, help."""


def explain(reading: Reading, error: UnexpectedInput, spellings: Mapping[str, str]) -> Diagnostic:
    """The one diagnostic for a syntax error."""
    stop = _stop(reading.source.text, error, spellings)
    told = (slip(stop) for slip in _SLIPS)
    code, message, help_ = next((words for words in told if words), None) or _plain(stop)
    span = reading.span_at(stop.at, stop.at + max(len(stop.found), 1))
    return Diagnostic(code=code, message=message, span=span, help=help_)


def _stop(text: str, error: UnexpectedInput, spellings: Mapping[str, str]) -> Stop:
    kinds = frozenset(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    at = error.pos_in_stream
    ended = at is None or at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended or at is None else at
    found = _WORD.match(text, at)
    before = _LAST_WORD.search(_without_comments(text[max(0, at - _LOOK_BACK_CHARACTERS) : at]))
    return Stop(
        at=at,
        found="" if ended or found is None else found.group(),
        before=before.group(1) if before else "",
        fits=frozenset(spellings[kind] for kind in kinds if kind in spellings),
        kinds=kinds,
        starts_line=not text[text.rfind("\n", 0, at) + 1 : at].strip(),
    )


def _without_comments(text: str) -> str:
    """Good enough to find the last word: a `#` within a text costs a worse message only."""
    return re.sub(r"(?m)(^|\s)#[^\n]*", "", text)


# --- slips, the special before the general -----------------------------------------------------


def _missing_package(stop: Stop) -> Told | None:
    if "package" not in stop.fits or stop.before not in ("", "sealed"):
        return None
    found = f", not with `{stop.found}`" if stop.found else ""
    return (
        "missing-package",
        f"a policy file begins with its package{found}",
        'write `package name` first, then a docstring in `"…"`',
    )


def _quotes(stop: Stop) -> Told | None:
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
_FOREIGN: Final = {
    "&&": "`and`",
    "&": "`and`",
    "||": "`or`",
    "|": "`or`",
    "!": "`not`",
    "=": "`==` to compare",
    "===": "`==`",
    "!==": "`!=`",
    "<>": "`!=`",
    "=>": "`>=` for at least; `=>` stands in tests only",
    ":=": "`define name = …` at the top level",
    "->": "`=>`",
    "??": "`default`, after a path only",
    "?": "`default` or `has`",
    "~": "`matches` or `like`",
    "+": "plain values: there is no arithmetic",
    "-": "plain values: there is no arithmetic",
    "*": "plain values: there is no arithmetic; globs are texts for `like`",
    "/": "plain values: there is no arithmetic",
    "%": "plain values: there is no arithmetic",
    "//": "`#` for a comment",
    ";": "nothing: clauses end by themselves",
    "equals": "`==`",
    "eq": "`==`",
    "ne": "`!=`",
    "AND": "`and`",
    "OR": "`or`",
    "NOT": "`not`",
    "startswith": "`starts with`",
    "endswith": "`ends with`",
    "includes": "`contains`",
    "exists": "`has` in front of the path",
    "None": "`null`",
    "True": "`true`",
    "False": "`false`",
}


def _foreign_sign(stop: Stop) -> Told | None:
    # The lexer stops within a sign whose beginning is one of ours: `<>` after `<`.
    joined = stop.before + stop.found
    sign = joined if joined in _FOREIGN else stop.found
    instead = _FOREIGN.get(sign)
    if instead is None or not (stop.after_value or stop.wants_value):
        return None
    return ("foreign-operator", f"`{sign}` is not an operator here", f"write {instead}")


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


def _unknown_item(stop: Stop) -> Told | None:
    lowered = stop.found.lower()
    if not ({"permit", "forbid", "define"} <= stop.fits and _NAME.fullmatch(stop.found)):
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


def _missing_clause_word(stop: Stop) -> Told | None:
    for clause, words in _KIND_WORDS.items():
        if stop.found in words and clause in stop.fits:
            return (
                "missing-clause-word",
                f"`{clause}` is missing before `{stop.found}`",
                f"write `{clause} {stop.found} …`",
            )
    return None


def _missing_operand(stop: Stop) -> Told | None:
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


def _clause_order(stop: Stop) -> Told | None:
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


def _two_values(stop: Stop) -> Told | None:
    if stop.after_value and not stop.starts_line and re.match(r"[A-Za-z0-9_\"(]", stop.found):
        return (
            "missing-operator",
            f"an operator is missing before `{stop.found}`",
            "join conditions with `and` or `or`; compare values with `==`, `in`, `like`, …",
        )
    return None


_SLIPS: Final[tuple[Callable[[Stop], Told | None], ...]] = (
    _missing_package,
    _quotes,
    _foreign_sign,
    _missing_operand,
    _missing_clause_word,
    _clause_order,
    _two_values,
    _unknown_item,
)

_KIND_NAMES: Final = {
    "NAME": "a name",
    "PATTERN": "a name or pattern",
    "STRING": 'a text in `"…"`',
    "RAW": 'a pattern in `r"…"`',
    "NUMBER": "a number",
    "DURATION": "a duration such as `15m`",
    "DATETIME": "a moment such as `2026-07-06T09:00:00Z`",
    "DATE": "a date",
    "TIMES": "times such as `09:00-17:00`",
    "RESULT_PATH": "a path such as `result.content`",
    "ORDER": "a comparison",
    "TIER_ORDER": "`>=`",
    "LSQB": "`[`",
    "LBRACE": "`{`",
    "SIZE": "a size such as `64KiB`",
    "WORD": "a word",
}


def _plain(stop: Stop) -> Told:
    """No slip recognised: what was found, and what would have fitted."""
    named = {text for kind, text in _KIND_NAMES.items() if kind in stop.kinds}
    fits = sorted(named) + sorted(f"`{text}`" for text in stop.fits if text not in "()[]{}.,")
    wanted = ", ".join(dict.fromkeys(fits[:_EXPECTED_SHOWN_MAX]))
    close = near_misses(stop.found, stop.fits, most=1) if _NAME.fullmatch(stop.found) else []
    if close:
        help_: str | None = f"did you mean `{close[0]}`?"
    elif not stop.found.isascii():
        help_ = "only texts and comments hold characters like this one"
    else:
        help_ = f"what fits here: {wanted}" if wanted else None
    if not stop.found:
        return ("syntax", "the file ends in the middle of something", help_)
    return ("syntax", f"`{stop.found}` does not fit here", help_)
