"""Slips where something begins: the package, the tiers, the name of a rule, the word of an item."""

from __future__ import annotations

import re
from typing import Final

from pbac.base.suggest import near_misses
from pbac.lang.syntax.stop import NAME, Place, Stop, Told
from pbac.lang.syntax.words import CLAUSE_WORDS, ITEM_WORDS, RESERVED


def missing_package(stop: Stop) -> Told | None:
    """A file that begins with something else."""
    if "package" not in stop.fits or stop.before not in ("", "sealed"):
        return None
    later = re.search(r"(?m)^[ \t]*(sealed\s+)?package\b", stop.text[stop.at :])
    return Told(
        code="missing-package",
        message="a policy file begins with its package"
        + (f", not with `{stop.found}`" if stop.found else ""),
        help='write `package name` first, then a docstring in `"…"`',
        instead="package p " if stop.found in ITEM_WORDS and not later else None,
        over=(stop.at, stop.at),
    )


# --- tiers ---------------------------------------------------------------------------------------

_TIERS: Final = re.compile(r"tiers(?:\s+[A-Za-z_]\w*(?:\s*[<>,]\s*[A-Za-z_]\w*)*)?")
_ONE_TIER: Final = re.compile(r"\btiers\s+\w+\s*\Z")


def second_tiers(stop: Stop) -> Told | None:
    """`tiers` below the first rule, twice, or in an order without `<`."""
    if {"<", "permit"} <= stop.fits and not stop.after_value:
        return _unordered(stop)
    whole = _TIERS.match(stop.text, stop.at)
    if whole is None or stop.found != "tiers" or not stop.starts_line or stop.wants_value:
        return None
    if re.search(r"(?m)^[^#\"\n]*\btiers\s", stop.text[: stop.at]):
        code, message = "duplicate-tiers", "`tiers` are declared already in this file"
        help_ = "keep one declaration: a set has one order of tiers"
    else:
        code, message = "syntax", "`tiers` stand above all rules, definitions and tests"
        help_ = "move this line up, below the `package` line"
    return Told(code=code, message=message, help=help_, instead="", over=whole.span())


def _unordered(stop: Stop) -> Told | None:
    help_ = "write `tiers low < high`, the least trusted first"
    message = "tiers stand in one order, with `<` between them"
    if stop.found in (",", ">"):
        return Told(code="syntax", message=message, help=help_, instead="<")
    one = _ONE_TIER.search(stop.lead) and NAME.fullmatch(stop.found) and not stop.starts_line
    return Told(code="syntax", message=message, help=help_) if one else None


# --- names ---------------------------------------------------------------------------------------

_NAMED: Final = "permit|forbid|require|package|define"
_NEW_NAME: Final = re.compile(rf"\b({_NAMED})\s*\Z")
_SWALLOWED: Final = re.compile(
    rf"\b(permit|forbid|require|package)\s+(?:{'|'.join((*CLAUSE_WORDS, *ITEM_WORDS))})\s*\Z"
)
_BEGUN_NAME: Final = re.compile(rf"\b({_NAMED})\s+([A-Za-z_]\w*)\Z")
_NAME_LIKE: Final = re.compile(r"[\w./-]{1,64}\w")
_CLAUSE_FOLLOWS: Final = re.compile(rf"\s*(?:(?:{'|'.join(CLAUSE_WORDS)})\b|[@\"])")
_QUOTED: Final = re.compile(
    r"\"([^\"\n]{0,64})\"|'([^'\n]{0,64})'|“([^”\n]{0,64})”|`([^`\n]{0,64})`"
)
_WHAT: Final = {"package": "a package", "define": "a definition"}


def nameless(stop: Stop) -> Told | None:
    """A rule without a name, or with what can be none."""
    if begun := _BEGUN_NAME.search(stop.lead):
        return _unlike_a_name(stop, begun)
    if swallowed := _SWALLOWED.search(stop.lead):
        return _no_name(stop, swallowed)
    new = _NEW_NAME.search(stop.lead)
    if new is None or "NAME" not in stop.kinds or stop.wants_value:
        return None
    if quoted := _QUOTED.match(stop.text, stop.at):
        return _told_name(new[1], "".join(filter(None, quoted.groups())), quoted.span())
    if stop.found[:1].isdigit() and (word := _NAME_LIKE.match(stop.text, stop.at)):
        return _told_name(new[1], f"_{word.group()}", word.span())
    return _no_name(stop, new) if stop.found in ("", "@") and new[1] not in _WHAT else None


def _unlike_a_name(stop: Stop, begun: re.Match[str]) -> Told | None:
    start, _ = stop.lead_place(begun, 2)
    if stop.found == ":" and begun[1] != "define":
        message, help_ = "no colon stands behind a name", f"write `{begun[1]} {begun[2]}`"
        instead = "" if _CLAUSE_FOLLOWS.match(stop.text, stop.end) else None
        return Told(code="syntax", message=message, help=help_, instead=instead)
    word = _NAME_LIKE.match(stop.text, start)
    if stop.found not in ("-", ".", "/", "--", "->") or word is None or word.end() <= stop.at:
        return None
    return _told_name(begun[1], word.group(), word.span())


def _told_name(of: str, written: str, place: Place) -> Told:
    name = re.sub(r"[^A-Za-z0-9]+", "_", written).rstrip("_") or "name"
    name = f"_{name}" if name[0].isdigit() else name
    message = f"{_WHAT.get(of, 'a rule')}'s name is one word of letters, digits and `_`"
    return Told(
        code="syntax", message=message, help=f"write `{of} {name}`", under=place, instead=name
    )


def _no_name(stop: Stop, effect: re.Match[str]) -> Told:
    place = stop.lead_place(effect, 1)
    what = "the package" if effect[1] == "package" else f"this `{effect[1]}` rule"
    return Told(
        code="syntax",
        message=f"{what} has no name",
        help=f"write `{effect[1]} name`: decisions and records call it so",
        under=place,
        instead=f"{effect[1]} _",
    )


_ANNOTATED: Final = re.compile(r"(?:@[^\n]*\s+)+(?=(permit|forbid|require)\b)")


def early_annotation(stop: Stop) -> Told | None:
    """`@owner "x"` above its rule."""
    annotated = _ANNOTATED.match(stop.text, stop.at) if stop.starts_line else None
    if annotated is None or stop.found != "@":
        return None
    return Told(
        code="misplaced-clause",
        message="annotations stand below the name of their rule",
        help=f"move it below `{annotated[1]} name`",
        instead="",
        over=annotated.span(),
    )


# --- items ---------------------------------------------------------------------------------------

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
_NAME_FOLLOWS: Final = re.compile(r"\s+(?!(?:if|when|where|for|on)\b)[A-Za-z_]\w*")


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
    known = other in ITEM_WORDS[:4] and _NAME_FOLLOWS.match(stop.text, stop.end)
    message = f"`{stop.found}` begins nothing here"
    return Told(code="unknown-word", message=message, help=hint, instead=other if known else None)
