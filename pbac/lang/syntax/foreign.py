"""Habits of other languages, each told with what to write here instead.

Rego's `x := 1` and braces, Cedar's `permit(principal, …)`, YAML's `tool: x`, and the operators that
everybody's fingers know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pbac.lang.syntax.stop import NAME, Place, Stop, Told, closing_bracket, habit
from pbac.lang.syntax.words import TARGET_WORDS

_FOREIGN: Final[Mapping[str, tuple[str, str | None]]] = {
    "&&": ("`and`", "and"),
    "&": ("`and`", "and"),
    "||": ("`or`", "or"),
    "|": ("`or`", "or"),
    "!": ("`not`", "not "),
    "=": ("`==` to compare", "=="),
    "===": ("`==`", "=="),
    "!==": ("`!=`", "!="),
    "<>": ("`!=`", "!="),
    "=>": ("`>=` for at least; `=>` stands in tests only", ">="),
    "=<": ("`<=`", "<="),
    ":=": ("`define name = …` at the top level", "=="),
    "->": ("`=>`", None),
    "??": ("`default`, after a path only", "or"),
    "?": ("`default` or `has`", None),
    "~": ('`matches r"…"` or `like`', "like"),
    "=~": ('`matches r"…"`', "matches"),
    "!~": ('`not` in front and `matches r"…"`', "matches"),
    **dict.fromkeys("+-/%", ("plain values: there is no arithmetic", "or")),
    "*": ("plain values: there is no arithmetic; globs are texts for `like`", "or"),
    ";": ("nothing: clauses end by themselves", ""),
    "equals": ("`==`", "=="),
    "eq": ("`==`", "=="),
    "ne": ("`!=`", "!="),
    "AND": ("`and`", "and"),
    "OR": ("`or`", "or"),
    "NOT": ("`not`", "not"),
    "includes": ("`contains`", "contains"),
    "exists": ("`has` in front of the path", "has"),
    "≥": ("`>=`", ">="),
    "≤": ("`<=`", "<="),
    "≠": ("`!=`", "!="),
    "∧": ("`and`", "and"),
    "∨": ("`or`", "or"),
    "¬": ("`not`", "not "),
    "contain": ("`contains`", "contains"),
    **dict.fromkeys(("begin", "begins", "start"), ("`starts with`", None)),
    **dict.fromkeys(("does", "doesn", "do", "isn", "cannot"), ("`not` in front of it all", None)),
    **dict.fromkeys(("greater", "more", "above", "over"), ("`>`", None)),
    **dict.fromkeys(("less", "fewer", "below", "under"), ("`<`", None)),
    "equal": ("`==`", None),
    "some": ("`any`", "any"),
    "every": ("`all`", "all"),
    "between": ("two comparisons: `args.a >= 1 and args.a <= 9`", "=="),
}
"""Sign or word → what to write instead, and what is read instead where a value ends."""

_NO_SLASHES: Final = re.compile(r"[=!]~\s*/([^/\n\"]*)/[a-z]*")


def foreign_sign(stop: Stop) -> Told | None:
    """An operator of another language where one of ours could stand."""
    sign, at = stop.found, stop.at
    # The lexer stops within a sign whose beginning is one of ours: `<>` after `<`.
    if stop.before + sign in _FOREIGN and stop.before_end == at:
        sign, at = stop.before + sign, stop.before_at
    under = (at, at + len(sign))
    if sign in ("->", "→", "=", "==") and "=>" in stop.fits:
        return _operator(sign, "`=>` in front of what a test expects", "=>", under)
    if sign not in _FOREIGN or not (stop.after_value or stop.wants_value):
        return None
    help_, instead = _FOREIGN[sign]
    over = under
    if slashed := _NO_SLASHES.match(stop.text, at):
        instead, over = f'matches r"{slashed[1]}"', slashed.span()
        help_ = help_.replace("…", slashed[1])
    if at == stop.at and not stop.after_value and sign not in ("!", "¬", "NOT"):
        instead = None
    return _operator(sign, help_, instead and f" {instead} ", under, over)


def foreign_word(word: str) -> Told | None:
    """`includes`, which the lexer reads as `in` and `cludes`."""
    if word not in _FOREIGN:
        return None
    help_, instead = _FOREIGN[word]
    return _operator(word, help_, instead)


def word_before(stop: Stop) -> Told | None:
    """`exists args.a`, `NOT args.a`: taken for a path, so that reading stopped one word later."""
    if (
        stop.before not in ("exists", "NOT", "some", "every")
        or not stop.after_value
        or not NAME.match(stop.found)
    ):
        return None
    help_, instead = _FOREIGN[stop.before]
    if stop.before == "exists":
        help_ += f": `has {stop.found}{stop.rest[:40] if stop.rest[:1] == '.' else ''}`"
    return _operator(stop.before, help_, instead, (stop.before_at, stop.before_end))


def _operator(
    sign: str,
    help_: str,
    instead: str | None,
    under: Place | None = None,
    over: Place | None = None,
) -> Told:
    return Told(
        code="foreign-operator",
        message=f"`{sign}` is not an operator here",
        help=f"write {help_}",
        under=under,
        instead=instead,
        over=over,
    )


def comment_mark(stop: Stop) -> Told | None:
    """`// why`, `-- why`, `/* why */`."""
    block = _BLOCK_COMMENT.match(stop.text, stop.at)
    if block is None and stop.found not in ("//", "--"):
        return None
    under = block.span() if block else (stop.at, stop.end)
    mark = "/*" if block else stop.found
    message = f"`{mark}` begins no comment here"
    instead = "" if block else "#"
    return habit(message, "a comment begins with `#` and ends with its line", instead, under)


_BLOCK_COMMENT: Final = re.compile(r"/\*(?:[^*]|\*(?!/)){0,5000}\*/|/\*[^\n]*")

# --- constructs ----------------------------------------------------------------------------------

_CONDITION_WORDS: Final = ("if", "where", "with", "provided", "given", "assuming", "iff", "only")
_OTHERWISE_WORDS: Final = ("else", "elif", "elsif", "otherwise", "elseif")
_BRACED: Final = re.compile(r"\b(when|unless)\s*(\{)[^{}]*\Z")
_AFTER_RULE_WORD: Final = re.compile(r"\b(permit|forbid|require)\s*\Z")


def foreign_construct(stop: Stop) -> Told | None:
    """A construct of another language, by the sign or word that stopped the reading."""
    told = _BY_FOUND.get(stop.found.lower(), _nothing)(stop)
    return told or next((told for each in _OTHERS if (told := each(stop))), None)


def _nothing(_stop: Stop) -> Told | None:
    return None


def _condition(stop: Stop) -> Told | None:
    if "when" not in stop.fits and not stop.after_value:
        return None
    help_ = (
        f"write `when {stop.rest.strip()[:40] or '…'}`" if stop.found == "if" else "write `when`"
    )
    instead = "when" if "when" in stop.fits else None
    return habit(f"`{stop.found}` begins no condition here", help_, instead)


def _otherwise(stop: Stop) -> Told | None:
    help_ = "write a rule of its own: whatever no rule permits is denied, and order never matters"
    return habit(f"there is no `{stop.found}`", help_)


def _brace(stop: Stop) -> Told | None:
    if "LBRACE" in stop.kinds or stop.wants_value or not ({"when", "permit", "call"} & stop.fits):
        return None
    what, next_ = ("tests", "item") if "call" in stop.fits else ("rules", "rule")
    help_ = f"leave the brace out: it ends where the next {next_} begins"
    return habit(f"{what} have no braces around them", help_, *_unwrapped(stop, stop.at))


def _unwrapped(stop: Stop, opener: int) -> tuple[str, Place, Place]:
    """What stands between a bracket and its end, read without both; what to underline."""
    under = (opener, opener + 1)
    end = closing_bracket(stop, opener)
    if end is None:
        return "", under, under
    return f" {stop.text[opener + 1 : end]} ", under, (opener, end + 1)


def _semicolon(_stop: Stop) -> Told | None:
    return habit("nothing ends with `;`", "leave it out: a clause begins with its keyword", "")


def _principals(stop: Stop) -> Told | None:
    rule = _AFTER_RULE_WORD.search(stop.lead)
    if rule is None:
        return None
    help_ = f"write `{rule[1]} name`, then `for` (who), `on` (what) and `when`"
    return habit(
        f"a name follows `{rule[1]}`, and no list of principal, action and resource", help_
    )


def _slashes(stop: Stop) -> Told | None:
    if stop.before not in ("matches", "like"):
        return None
    whole = re.compile(r"/([^/\n]*)/?").match(stop.text, stop.at)
    word = whole[1] if whole else ""
    written = f'{"r" if stop.before == "matches" else ""}"{word[:40]}"'
    return habit(
        "patterns are not written between slashes",
        f"write `{written}`",
        written if len(word) < len(written) and '"' not in word and "\\" not in word else None,
        whole.span() if whole else None,
    )


def _colon(stop: Stop) -> Told | None:
    message = f"no colon stands behind `{stop.before}`"
    if stop.before in ("on", "for", "when", "unless", "because"):
        return habit(message, "leave it out", "")
    if stop.before not in TARGET_WORDS:
        return None
    word = stop.before
    before = "for" if word in ("tier", "kind", "agent", "provider", "group") else "on"
    return habit(message, f"write the names behind the word: `{before} {word} …`", "")


def _dash(stop: Stop) -> Told | None:
    if not stop.starts_line or stop.wants_value:
        return None
    return habit("there are no lists by dashes", "part names with commas: `on tool a, b`")


def _effect(stop: Stop) -> Told | None:
    """`=> allow` in a test."""
    if "deny" not in stop.fits:
        return None
    instead = "permit" if stop.found.lower() in _GRANTING else "deny"
    return Told(
        code="unknown-word",
        message=f"nothing comes out `{stop.found}`",
        help="write `permit` or `deny`",
        instead=instead,
    )


def _default(stop: Stop) -> Told | None:
    if "permit" not in stop.fits or not stop.starts_line:
        return None
    help_ = "leave it out: whatever no rule permits is denied"
    return habit("there is no default to choose", help_)


_GRANTING: Final = ("allow", "allowed", "ok", "grant")
_BY_FOUND: Final[Mapping[str, Callable[[Stop], Told | None]]] = {
    **dict.fromkeys(_CONDITION_WORDS, _condition),
    **dict.fromkeys(_OTHERWISE_WORDS, _otherwise),
    **dict.fromkeys("{}", _brace),
    ";": _semicolon,
    "(": _principals,
    "/": _slashes,
    ":": _colon,
    "-": _dash,
    "default": _default,
    **dict.fromkeys((*_GRANTING, "denied", "forbid", "refuse"), _effect),
}
"""Sign or word, in small letters → what it may be a habit of."""


def _braces_of_condition(stop: Stop) -> Told | None:
    braced = _BRACED.search(stop.lead)
    if braced is None or not NAME.search(stop.lead[braced.start() :]):
        return None
    help_ = f"leave the braces out: `{braced[1]} …`; a record is `{{ name: value }}`"
    opener = stop.lead_place(braced, 2)[0]
    if closing_bracket(stop, opener) is None:
        return habit("conditions have no braces around them", help_, under=(opener, opener + 1))
    return habit("conditions have no braces around them", help_, *_unwrapped(stop, opener))


def _assignment(stop: Stop) -> Told | None:
    """`x := 1`, `x = 1` at the top level."""
    sign = re.compile(r"\s*(:=|=(?!=|>))").match(stop.text, stop.end)
    if sign is None or "define" not in stop.fits or not NAME.fullmatch(stop.found):
        return None
    return habit(
        f"`{sign[1]}` defines nothing here",
        f"write `define {stop.found} = …`",
        f"define {stop.found} =",
        over=(stop.at, sign.end()),
    )


def _member(stop: Stop) -> Told | None:
    """`{ tier = "a" }`."""
    if stop.found not in ("=", "==", ":=", "=>") or stop.kinds != {"COLON"}:
        return None
    name = stop.before
    return habit("members of a record have a colon", f"write `{name}: …`", ":")


def _after_target(stop: Stop) -> Told | None:
    """`for tier == x`, `on tool = "a"`, `for tier => x`."""
    if stop.before not in TARGET_WORDS or stop.found not in ("=", "==", "=>", "!=", "in", "is"):
        return None
    if stop.found == "=>" and stop.before == "tier":
        return _operator("=>", "`>=` for at least", ">=")
    help_ = "`except` takes names out" if stop.found == "!=" else f"write `{stop.before} name`"
    instead = "" if stop.found in ("=", "==", "is") else None
    return habit(f"names follow `{stop.before}` without `{stop.found}`", help_, instead)


def _names_in_brackets(stop: Stop) -> Told | None:
    """`on tool [a, b]`."""
    if stop.before not in TARGET_WORDS or stop.found not in ("(", "["):
        return None
    if not stop.kinds & {"PATTERN", "TIER_ORDER"}:
        return None
    help_ = f"write `{stop.before} a, b`"
    return habit("names stand without brackets", help_, *_unwrapped(stop, stop.at))


_EXCEPTIONS: Final = ("but", "without", "excluding", "minus", "not", "!")


def _excepted(stop: Stop) -> Told | None:
    """`on tool get_* but not get_x`."""
    if stop.found not in _EXCEPTIONS or not stop.names_end:
        return None
    word = re.compile(r"(?:but\s+)?(?:not\b|!)|\w+").match(stop.text, stop.at)
    under = word.span() if word else (stop.at, stop.end)
    written = " ".join(stop.text[slice(*under)].split())
    return habit(f"`{written}` takes out no names", "write `except`", " except ", under)


_ABOVE: Final = re.compile(r"\s*(?:\+|(?:and|or)\s+(?:above|higher|up|more|better)\b)")


def _tier_and_above(stop: Stop) -> Told | None:
    """`for tier hi and above`."""
    named = re.search(r"\btier\s+(\w+)\s*\Z", stop.lead)
    above = _ABOVE.match(stop.text, stop.at)
    if named is None or above is None:
        return None
    help_ = f"write `for tier >= {named[1]}`"
    over = (stop.lead_place(named, 1)[0], above.end())
    message = f"`{' '.join(above.group().split())}` means nothing here"
    return habit(message, help_, f">= {named[1]}", above.span(), over)


_EVERYTHING: Final = ("*", "all", "any", "each", "every", "everything", "anything")
_EVERYBODY: Final = (*_EVERYTHING, "everyone", "everybody", "anyone", "anybody")


def _everything(stop: Stop) -> Told | None:
    """`on *`, `on all`, `for any`."""
    if stop.before == "on" and "token" in stop.fits and stop.found in _EVERYTHING:
        return habit(f"`{stop.found}` names nothing here", "write `on any`", "any")
    if stop.before != "for" or "tier" not in stop.fits or stop.found not in _EVERYBODY:
        return None
    help_ = f"leave `for {stop.found}` out: a rule without `for` is about everybody"
    over = (stop.before_at, stop.end)
    return habit(f"`{stop.found}` names nobody here", help_, "", over=over)


_OTHERS: Final = (
    _member,
    _everything,
    _names_in_brackets,
    _excepted,
    _tier_and_above,
    _braces_of_condition,
    _assignment,
    _after_target,
)
