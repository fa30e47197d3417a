"""Expressions as other languages write them: methods, lists in parentheses, chains."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pbac.lang.syntax.foreign import word_before
from pbac.lang.syntax.stop import Stop, Told, closing_bracket, habit, open_bracket
from pbac.lang.syntax.words import FUNCTION_NAMES

_SHOWN_MAX: Final = 60
_PATH: Final = r"[A-Za-z_][\w.]*(?:\[[^\]\s]*\])*"


def idiom(stop: Stop) -> Told | None:
    """One of them, by what stands in front of the place where reading stopped."""
    return next((told for each in _IDIOMS if (told := each(stop))), None)


def _has_call(stop: Stop) -> Told | None:
    """`has(args.a)`."""
    if stop.found != "(" or stop.before != "has":
        return None
    end = closing_bracket(stop, stop.at)
    inside = stop.text[stop.end : end] if end else "args.a"
    help_ = f"write `has {inside.strip()[:_SHOWN_MAX]}`"
    over = (stop.at, end + 1) if end else None
    return habit("`has` takes no parentheses", help_, f" {inside} " if end else None, over=over)


_METHODS: Final = {
    **dict.fromkeys(("startswith", "starts_with", "hasprefix"), "{} starts with {}"),
    **dict.fromkeys(("endswith", "ends_with", "hassuffix"), "{} ends with {}"),
    **dict.fromkeys(("contains", "includes", "has", "indexof"), "{} contains {}"),
    **dict.fromkeys(("containsany", "containsall"), "{} intersects {}"),
    **dict.fromkeys(("matches", "match", "test", "search"), '{} matches r"…"'),
    **dict.fromkeys(("tolowercase", "tolower", "lower", "lowercase"), "lower({})"),
    **dict.fromkeys(("length", "len", "size", "count"), "count({})"),
    **dict.fromkeys(("isinrange", "ininrange"), "{} in cidr {}"),
    **dict.fromkeys(("in", "isin", "oneof"), "{} in {}"),
}
"""A method, in small letters → the same here, of what it is called on and with."""

_METHOD: Final = re.compile(rf"({_PATH})\.([A-Za-z_]\w*)\s*\Z")


def _bare_function(stop: Stop) -> Told | None:
    """`count args.a > 3`."""
    if stop.before not in FUNCTION_NAMES or not stop.after_value:
        return None
    subject = re.compile(_PATH).match(stop.text, stop.at)
    if subject is None:
        return None
    written = f"{stop.before}({subject.group()})"
    over = (stop.before_at, subject.end())
    message = f"`{stop.before}` has its value in parentheses"
    return habit(message, f"write `{written}`", written, (over[0], stop.before_end), over)


def _for_all(stop: Stop) -> Told | None:
    """`for all a in args.list: …`, where `for` was taken for a value."""
    if stop.before != "for" or stop.found not in ("all", "any") or not stop.after_value:
        return None
    under = (stop.before_at, stop.before_end)
    return habit("no `for` begins a condition", f"write `{stop.found} x in …: …`", "", under)


def _method(stop: Stop) -> Told | None:
    """`args.a.startsWith("x")`."""
    called = _METHOD.search(stop.lead) if stop.found == "(" and stop.after_value else None
    if called is None:
        return None
    end = closing_bracket(stop, stop.at)
    given = stop.text[stop.end : end].strip() if end else ""
    shown = given if len(given) <= _SHOWN_MAX and "\n" not in given else "…"
    form = _METHODS.get(called[2].lower())
    written = form.format(called[1], shown or '"…"') if form else None
    help_ = f"write `{written}`" if written else "functions stand in front: `lower(args.a)`"
    dot = stop.lead_place(called, 2)[0] - 1
    over = None if end is None else (dot, end + 1)
    instead = None if end is None else " == 1" if given else ""
    message = f"values have no methods such as `.{called[2]}(…)`"
    return habit(message, help_, instead, stop.lead_place(called, 2), over)


_NOT: Final = re.compile(rf"({_PATH})\s+not\s*\Z")
_AFTER_NOT: Final = {
    "starts": "starts with",
    "ends": "ends with",
    "subset": "subset of",
    **{word: word for word in ("like", "contains", "matches", "within", "intersects", "has")},
}


def _not_behind(stop: Stop) -> Told | None:
    """`args.a not starts with "x"`."""
    operator = _AFTER_NOT.get(stop.found)
    if stop.before != "not" or "in" not in stop.fits or operator is None:
        return None
    operand = _NOT.search(stop.lead)
    written = f"not {operand[1] if operand else '…'} {operator} …"
    under = (stop.before_at, stop.before_end)
    message = f"`not` stands in front of a comparison by `{operator}`"
    return habit(message, f"write `{written}`", "", under)


_KINDS: Final = {
    **dict.fromkeys(("text", "str", "String"), "string"),
    **dict.fromkeys(("int", "integer", "float", "decimal", "double", "numeric"), "number"),
    **dict.fromkeys(("bool", "Boolean"), "boolean"),
    **dict.fromkeys(("array", "set", "tuple"), "list"),
    **dict.fromkeys(("object", "dict", "map", "struct"), "record"),
    **dict.fromkeys(("None", "nil", "NULL", "Null"), "null"),
}
"""A kind as elsewhere → as here."""

_STATES: Final = {
    **dict.fromkeys(("present", "defined", "given"), "has {}"),
    **dict.fromkeys(("missing", "absent", "undefined", "unset"), "not has {}"),
    "empty": "count({}) == 0",
}
_ASKED: Final = re.compile(rf"({_PATH})\s+(is(?:\s+not)?)\s*\Z")


def _is_word(stop: Stop) -> Told | None:
    """`args.a is int`, `is missing`, `is in`, `isn't null`."""
    asked = _ASKED.search(stop.lead)
    if asked is None or "boolean" not in stop.fits:
        return None
    message = f"`{stop.found}` is no kind of value"
    if kind := _KINDS.get(stop.found):
        return habit(message, f"write `{asked[2]} {kind}`", kind, code="syntax")
    if form := _STATES.get(stop.found):
        written = form.format(asked[1])
        return habit(message, f"write `{written}`", "null", code="syntax")
    place = stop.lead_place(asked, 2)
    if stop.found == "in":
        written = asked[2].removeprefix("is").strip() or ""
        help_ = f"write `{f'{written} in'.strip()}`"
        return habit(f"`{asked[2]}` asks for the kind of a value", help_, written, place)
    return None


_BRACED_BODY: Final = re.compile(r"\b(any|all)\s+(\w+)\s+in\s+(\S+)\s*\Z")


def _braced_quantifier(stop: Stop) -> Told | None:
    """`any a in args.list { a == 1 }`."""
    quantified = _BRACED_BODY.search(stop.lead) if stop.found == "{" else None
    end = closing_bracket(stop, stop.at)
    if quantified is None or end is None:
        return None
    help_ = f"write `{' '.join(quantified.group().split())}: (…)`"
    inside = stop.text[stop.end : end]
    over = (stop.at, end + 1)
    message = f"a colon stands behind `{quantified[1]} … in …`, and no braces"
    return habit(message, help_, f":{inside} ", (stop.at, stop.end), over)


_IS: Final = re.compile(r"\b(is)(\s+not)?\s*\Z")
_VALUE: Final = re.compile(r'r?"[^"\n]{0,40}"|-?[0-9][\w.:-]*|true\b|false\b|[\[{]')


def _is_value(stop: Stop) -> Told | None:
    """`args.a is "x"`."""
    asked = _IS.search(stop.lead)
    value = _VALUE.match(stop.text, stop.at)
    if asked is None or value is None or "boolean" not in stop.fits:
        return None
    sign = "!=" if asked[2] else "=="
    shown = "…" if value.group() in "[{" else value.group()
    start, end = stop.lead_place(asked, 1)[0], stop.lead_place(asked, 2 if asked[2] else 1)[1]
    written = " ".join(asked.group().split())
    return habit(
        f"`{written}` asks for the kind of a value",
        f"to compare with a value, write `{sign} {shown}`",
        sign,
        (start, end),
        code="foreign-operator",
    )


def _in_parentheses(stop: Stop) -> Told | None:
    """`args.a in ("x", "y")`, `args.a == (1, 2)`."""
    opener = open_bracket(stop) if stop.found == "," else None
    if opener is None or stop.text[opener] != "(":
        return None
    before = re.search(r"(\w*)\s*\Z", stop.text[max(0, opener - 64) : opener])
    word = before[1] if before else ""
    if word and word != "in":
        return None
    end = closing_bracket(stop, opener)
    listed = f"[{stop.text[opener + 1 : end]}]"
    shown = listed if end and len(listed) <= _SHOWN_MAX and "\n" not in listed else "[…, …]"
    return habit(
        "lists stand in brackets, not in parentheses",
        f"write `{word} {shown}`".replace("` ", "`"),
        listed if end else None,
        (opener, opener + 1),
        (opener, end + 1) if end else None,
    )


_ORDERS: Final = ("<", "<=", ">", ">=", "==", "!=")
_COMPARED: Final = re.compile(rf"([\w.\"-]+|{_PATH})\s*(<=?|>=?|==|!=)\s*({_PATH}|[\w.\"-]+)\s*\Z")


def _chain(stop: Stop) -> Told | None:
    """`1 < args.a < 3`."""
    compared = _COMPARED.search(stop.lead) if stop.found in _ORDERS else None
    if compared is None or "and" not in stop.fits:
        return None
    left, sign, middle = compared.groups()
    word = re.match(r"\s*([\w.\"-]+)", stop.rest)
    right = word[1] if word else "…"
    help_ = f"write `{left} {sign} {middle} and {middle} {stop.found} {right}`"
    return habit("comparisons do not chain", help_, "or")


_IDIOMS: Final[tuple[Callable[[Stop], Told | None], ...]] = (
    word_before,
    _has_call,
    _bare_function,
    _for_all,
    _method,
    _not_behind,
    _is_value,
    _is_word,
    _braced_quantifier,
    _in_parentheses,
    _chain,
)
