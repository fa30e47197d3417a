"""Law 3 written down a second time, as slowly and plainly as it is read: what compares with what."""

from __future__ import annotations

from lang.strategies import and_, default, has, is_kind, lit, op, path

from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.values import MISSING

SCALARS = ("null", "boolean", "number", "string")


def kind(value):
    """Of a JSON value; None for what is missing."""
    if value is MISSING:
        return None
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind_, types in (("number", int | float), ("string", str), ("list", list)):
        if isinstance(value, types):
            return kind_
    return "record"


def equal(left, right):
    alike = kind(left) == kind(right) and kind(left) in SCALARS
    return left == right if alike else UNKNOWN


def inverted(answer):
    return UNKNOWN if answer is UNKNOWN else not answer


def either(answers):
    """`or`: true when any is, else unknown when any is."""
    answers = list(answers)
    if any(answer is True for answer in answers):
        return True
    return UNKNOWN if any(answer is UNKNOWN for answer in answers) else False


def ordered(compare):
    def answer(left, right):
        alike = kind(left) == kind(right) and kind(left) in ("number", "string")
        return compare(left, right) if alike else UNKNOWN

    return answer


def within(value, items):
    return either(equal(value, item) for item in items) if kind(items) == "list" else UNKNOWN


def contains(whole, part):
    if kind(whole) == "string":
        return part in whole if kind(part) == "string" else UNKNOWN
    return within(part, whole)


def intersects(left, right):
    if kind(left) != "list" or kind(right) != "list":
        return UNKNOWN
    return either(equal(one, other) for one in left for other in right)


def subset(left, right):
    if kind(left) != "list" or kind(right) != "list":
        return UNKNOWN
    return inverted(either(inverted(within(one, right)) for one in left))


def texts(test):
    def answer(left, right):
        return test(left, right) if kind(left) == kind(right) == "string" else UNKNOWN

    return answer


TABLE = {
    "==": equal,
    "!=": lambda left, right: inverted(equal(left, right)),
    "<": ordered(lambda left, right: left < right),
    "<=": ordered(lambda left, right: left <= right),
    ">": ordered(lambda left, right: left > right),
    ">=": ordered(lambda left, right: left >= right),
    "in": within,
    "not in": lambda left, right: inverted(within(left, right)),
    "contains": contains,
    "intersects": intersects,
    "subset of": subset,
    "starts with": texts(str.startswith),
    "ends with": texts(str.endswith),
}


def forms(value):
    """What may be asked of `args.left`, and what has to come of it when it holds this value."""
    known = kind(value)
    below = value.get("a", MISSING) if known == "record" else MISSING if known is None else UNKNOWN
    left, deeper = "args.left", "args.left.a"
    yield path(left), value
    yield path(deeper), below
    yield has(left), known is not None
    yield has(deeper), UNKNOWN if below is UNKNOWN else below is not MISSING
    yield default(left, 7), 7 if known is None else value
    yield op("==", path(left), lit(None)), True if known == "null" else UNKNOWN
    yield and_(path(left), lit(True)), value if known == "boolean" else UNKNOWN
    for word in (*SCALARS, "list", "record"):
        yield is_kind(path(left), word), UNKNOWN if known is None else known == word
        yield is_kind(path(left), word, negated=True), UNKNOWN if known is None else known != word
