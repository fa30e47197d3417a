"""Habits of other languages, each told with what to write here instead.

Rego's `x := 1` and braces, Cedar's `permit(principal, …)`, YAML's `tool: x`, and the operators that
everybody's fingers know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pbac.lang.syntax.stop import NAME, Stop, Told

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


def foreign_sign(stop: Stop) -> Told | None:
    """An operator of another language where one of ours could stand."""
    # The lexer stops within a sign whose beginning is one of ours: `<>` after `<`.
    joined = stop.before + stop.found
    sign = joined if joined in _FOREIGN else stop.found
    instead = _FOREIGN.get(sign)
    if sign in ("->", "→") and "=>" in stop.fits:
        instead = "`=>` in front of what a test expects"
    elif instead is None or not (stop.after_value or stop.wants_value):
        return None
    return ("foreign-operator", f"`{sign}` is not an operator here", f"write {instead}")


# --- constructs ----------------------------------------------------------------------------------

_TARGETS: Final = ("tool", "scope", "resource", "prompt", "tag", "server", "tier", "kind", "group")
_CONDITION_WORDS: Final = ("if", "where", "provided", "given", "assuming", "iff", "only")
_OTHERWISE_WORDS: Final = ("else", "elif", "elsif", "otherwise", "elseif")
_BRACED: Final = re.compile(r"\b(when|unless)\s*\{[^{}]*\Z")
_AFTER_RULE_WORD: Final = re.compile(r"\b(permit|forbid|require)\s*\Z")


def foreign_construct(stop: Stop) -> Told | None:
    """A construct of another language, by the sign or word that stopped the reading."""
    told = _BY_FOUND.get(stop.found.lower(), _nothing)(stop)
    return told or _braces_of_condition(stop) or _assignment(stop) or _after_target(stop)


def _nothing(_stop: Stop) -> Told | None:
    return None


def _told(message: str, help_: str) -> Told:
    return ("foreign-syntax", message, help_)


def _condition(stop: Stop) -> Told | None:
    if "when" not in stop.fits and not stop.after_value:
        return None
    help_ = (
        f"write `when {stop.rest.strip()[:40] or '…'}`" if stop.found == "if" else "write `when`"
    )
    return _told(f"`{stop.found}` begins no condition here", help_)


def _otherwise(stop: Stop) -> Told | None:
    help_ = "write a rule of its own: whatever no rule permits is denied, and order never matters"
    return _told(f"there is no `{stop.found}`", help_)


def _brace(stop: Stop) -> Told | None:
    if "LBRACE" in stop.kinds or stop.wants_value or not ({"when", "permit", "call"} & stop.fits):
        return None
    what, next_ = ("tests", "item") if "call" in stop.fits else ("rules", "rule")
    help_ = f"leave the brace out: it ends where the next {next_} begins"
    return _told(f"{what} have no braces around them", help_)


def _semicolon(_stop: Stop) -> Told | None:
    return _told("nothing ends with `;`", "leave it out: a clause begins with its keyword")


def _principals(stop: Stop) -> Told | None:
    rule = _AFTER_RULE_WORD.search(stop.lead)
    if rule is None:
        return None
    help_ = f"write `{rule[1]} name`, then `for` (who), `on` (what) and `when`"
    return _told(
        f"a name follows `{rule[1]}`, and no list of principal, action and resource", help_
    )


def _slashes(stop: Stop) -> Told | None:
    if stop.before not in ("matches", "like"):
        return None
    word = stop.rest.partition("/")[0][:40]
    prefix = "r" if stop.before == "matches" else ""
    return _told("patterns are not written between slashes", f'write `{prefix}"{word}"`')


def _colon(stop: Stop) -> Told | None:
    if stop.before in ("on", "for", "when", "unless", "because"):
        return _told(f"no colon stands behind `{stop.before}`", "leave it out")
    if stop.before not in _TARGETS:
        return None
    word = stop.before
    before = "for" if word in ("tier", "kind", "group") else "on"
    help_ = f"write the names behind the word: `{before} {word} …`"
    return _told(f"no colon stands behind `{stop.before}`", help_)


def _dash(stop: Stop) -> Told | None:
    if not stop.starts_line or stop.wants_value:
        return None
    return _told("there are no lists by dashes", "part names with commas: `on tool a, b`")


def _effect(stop: Stop) -> Told | None:
    """`=> allow` in a test."""
    if "deny" not in stop.fits:
        return None
    return ("unknown-word", f"nothing comes out `{stop.found}`", "write `permit` or `deny`")


def _default(stop: Stop) -> Told | None:
    if "permit" not in stop.fits or not stop.starts_line:
        return None
    help_ = "leave it out: whatever no rule permits is denied"
    return _told("there is no default to choose", help_)


def trailing_comma(stop: Stop) -> Told | None:
    """`on tool a, b,` and a clause: the clause's word was taken for a name."""
    if not re.search(rf",\s*{re.escape(stop.before)}\s*\Z", stop.lead) or not stop.before:
        return None
    return ("trailing-comma", f"the list before `{stop.before}` ends with a comma", "leave it out")


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
    **dict.fromkeys(("allow", "allowed", "ok", "grant", "denied", "forbid", "refuse"), _effect),
}
"""Sign or word, in small letters → what it may be a habit of."""


def _braces_of_condition(stop: Stop) -> Told | None:
    braced = _BRACED.search(stop.lead)
    if braced is None or not NAME.search(stop.lead[braced.start() :]):
        return None
    help_ = f"leave the braces out: `{braced[1]} …`; a record is `{{ name: value }}`"
    return _told("conditions have no braces around them", help_)


def _assignment(stop: Stop) -> Told | None:
    """`x := 1`, `x = 1` at the top level."""
    sign = re.match(r"\s*(:=|=(?!=|>))", stop.rest)
    if sign is None or "define" not in stop.fits or not NAME.fullmatch(stop.found):
        return None
    return _told(f"`{sign[1]}` defines nothing here", f"write `define {stop.found} = …`")


def _after_target(stop: Stop) -> Told | None:
    """`for tier == x`, `on tool = "a"`, `for tier => x`."""
    if stop.before not in _TARGETS or stop.found not in ("=", "==", "=>", "!=", "in", "is"):
        return None
    if stop.found == "=>" and stop.before == "tier":
        return ("foreign-operator", "`=>` is not an operator here", "write `>=` for at least")
    instead = "`except` takes names out" if stop.found == "!=" else f"write `{stop.before} name`"
    return _told(f"names follow `{stop.before}` without `{stop.found}`", instead)
