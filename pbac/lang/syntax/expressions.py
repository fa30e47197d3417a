"""Branches of the parse tree to expression nodes, each with its span.

Recursion is bounded before it starts: an expression deeper than `EXPRESSION_DEPTH_MAX` becomes a
complaint and a placeholder, whatever the tree below it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, cast

from pbac.base.limits import EXPRESSION_DEPTH_MAX, JSON_DEPTH_MAX
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.times import local_time
from pbac.lang.syntax.literals import scalar, string
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tree import Branch, Part, Token
from pbac.lang.syntax.words import DAY_WORDS, DAYS, FUNCTION_NAMES, RESERVED

_MINUTES_A_DAY: Final = 24 * 60
_TIME: Final = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")


def expression(reading: Reading, part: Part, depth: int = 1) -> nodes.Expression:
    """Any expression. `depth` counts the nodes above it, itself included."""
    reading.nodes += 1
    if depth > EXPRESSION_DEPTH_MAX:
        reading.complain(
            "expression-too-deep",
            f"this expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels",
            reading.span(part),
            help="name parts of it with `define`, or flatten it",
        )
        return nodes.Literal(span=reading.span(part), value=None, kind="null")
    branch = cast("Branch", part)  # tokens stand below `scalar` and `path` only
    build = _BUILDERS.get(str(branch.data))
    if build is not None:
        return build(reading, branch, depth)
    name = _BINARY[str(branch.data)]
    return _operation(reading, branch, name, depth)


def path(reading: Reading, branch: Branch, depth: int = 1) -> nodes.Path:
    """`args.owner`, `data.orgs[user.id]`."""
    root, *steps = branch.children
    if len(steps) > JSON_DEPTH_MAX:
        reading.complain(
            "expression-too-deep",
            f"this path has {len(steps)} steps, and no value is nested deeper than "
            f"{JSON_DEPTH_MAX} levels",
            reading.span(branch),
            help="leave out what cannot be there",
        )
        del steps[JSON_DEPTH_MAX:]
    return nodes.Path(
        span=reading.span(branch),
        root=name(reading, cast("Token", root), "a value", "an expression is missing here"),
        steps=tuple(_step(reading, cast("Branch", step), depth) for step in steps),
    )


def name(reading: Reading, token: Token, wanted: str, help: str) -> str:
    """A name that is not a reserved word."""
    if token in RESERVED:
        reading.complain(
            "reserved-word",
            f"`{token}` is a word of the language and cannot be {wanted}",
            reading.span(token),
            help=help,
        )
    return str(token)


def _step(reading: Reading, branch: Branch, depth: int) -> nodes.Field | nodes.Index:
    span = reading.span(branch)
    if branch.data == "field":
        return nodes.Field(span=span, name=str(branch.children[0]))
    return nodes.Index(span=span, key=expression(reading, branch.children[0], depth + 1))


def _all(reading: Reading, branch: Branch, depth: int) -> tuple[nodes.Expression, ...]:
    return tuple(expression(reading, part, depth + 1) for part in branch.children)


def _scalar(reading: Reading, branch: Branch, _depth: int) -> nodes.Expression:
    value, kind = scalar(reading, cast("Token", branch.children[0]))
    return nodes.Literal(span=reading.span(branch), value=value, kind=kind)


def _list(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    return nodes.ListExpression(span=reading.span(branch), items=_all(reading, branch, depth))


def _record(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    pairs = []
    for part in branch.children:
        key, value = cast("Branch", part).children
        pairs.append((member(reading, cast("Token", key)), expression(reading, value, depth + 1)))
    return nodes.RecordExpression(span=reading.span(branch), pairs=tuple(pairs))


def member(reading: Reading, token: Token) -> str:
    """The name of a record's member: bare or quoted."""
    return string(reading, token) if token.type == "STRING" else str(token)


def _apply(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    token, *parts = branch.children
    span = reading.span(branch)
    arguments = tuple(expression(reading, part, depth + 1) for part in parts)
    if token in FUNCTION_NAMES:
        return nodes.Operation(span=span, name=str(token), operands=arguments)
    called = name(reading, cast("Token", token), "called", "put a blank before the parenthesis")
    return nodes.Apply(span=span, name=called, arguments=arguments)


def _default(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    where, fallback = branch.children
    return nodes.Default(
        span=reading.span(branch),
        path=path(reading, cast("Branch", where), depth + 1),
        fallback=expression(reading, fallback, depth + 1),
    )


def _has(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    where = path(reading, cast("Branch", branch.children[0]), depth + 1)
    return nodes.Has(span=reading.span(branch), path=where)


def _is_kind(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    operand, kind = branch.children
    return nodes.IsKind(
        span=reading.span(branch),
        operand=expression(reading, operand, depth + 1),
        kind=word(kind),  # type: ignore[arg-type]  # the grammar lists the same words
        negated=branch.data == "is_not_kind",
    )


def word(part: Part) -> str:
    """The text of a one-word branch (`quantifier_word`)."""
    return str(cast("Branch", part).children[0])


def _not(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    operand = expression(reading, branch.children[0], depth + 1)
    return nodes.Not(span=reading.span(branch), operand=operand)


def _and(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    return nodes.And(span=reading.span(branch), items=_all(reading, branch, depth))


def _or(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    return nodes.Or(span=reading.span(branch), items=_all(reading, branch, depth))


def _quantified(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    quantifier, variable, collection, body = branch.children
    return nodes.Quantified(
        span=reading.span(branch),
        quantifier=word(quantifier),  # type: ignore[arg-type]  # the grammar lists the same words
        variable=name(reading, cast("Token", variable), "a variable", "choose another name"),
        collection=expression(reading, collection, depth + 1),
        body=expression(reading, body, depth + 1),
    )


def _compare(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    left, order, right = branch.children
    operands = (expression(reading, left, depth + 1), expression(reading, right, depth + 1))
    return nodes.Operation(span=reading.span(branch), name=str(order), operands=operands)


def _matches(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    text, pattern = branch.children
    value, kind = scalar(reading, cast("Token", pattern))
    regex = nodes.Literal(span=reading.span(pattern), value=value, kind=kind)
    operands = (expression(reading, text, depth + 1), regex)
    return nodes.Operation(span=reading.span(branch), name="matches", operands=operands)


_IN_FORMS: Final = {"cidr", "window"}


def _in(reading: Reading, branch: Branch, depth: int) -> nodes.Expression:
    """`in`, `in cidr`, `in window`, and the three with `not`."""
    left, right = branch.children
    negated = branch.data == "not_in"
    span = reading.span(branch)
    form = str(right.data) if isinstance(right, Branch) else ""
    if form not in _IN_FORMS:
        return _operation(reading, branch, "not in" if negated else "in", depth)
    # `x not in cidr y` is `not (x in cidr y)`: one level deeper than it looks.
    inner = depth + 2 if negated else depth + 1
    operands: tuple[nodes.Expression, ...] = (expression(reading, left, inner),)
    if form == "cidr":
        operands += (expression(reading, cast("Branch", right).children[0], inner),)
    else:
        operands += _window(reading, cast("Branch", right))
    found = nodes.Operation(span=span, name=f"in {form}", operands=operands)
    return nodes.Not(span=span, operand=found) if negated else found


def _window(reading: Reading, branch: Branch) -> tuple[nodes.Expression, ...]:
    """The four literals of `weekdays 09:00-17:00 "Europe/Berlin"`."""
    days, times, place = cast("tuple[Branch, Token, Token]", tuple(branch.children))
    start, end = _minutes(reading, times)
    name_ = string(reading, place)
    try:
        local_time(name_)
    except ValueError:
        reading.complain(
            "unknown-zone",
            f"there is no time zone `{name_}`",
            reading.span(place),
            help="zones are named like `Europe/Berlin` or `UTC`",
        )
    return (
        _text(reading.span(days), ",".join(_days(reading, days))),
        nodes.Literal(span=reading.span(times), value=start, kind="number"),
        nodes.Literal(span=reading.span(times), value=end, kind="number"),
        _text(reading.span(place), name_),
    )


def _text(span: Span, value: str) -> nodes.Literal:
    return nodes.Literal(span=span, value=value, kind="string")


def _days(reading: Reading, branch: Branch) -> Iterator[str]:
    words = [word(part) for part in branch.children]
    named = {day for entry in words for day in DAY_WORDS.get(entry, entry).split(",")}
    if len(set(words)) != len(words):
        reading.complain("duplicate-name", "a day is named twice", reading.span(branch))
    return (day for day in DAYS if day in named)


def _minutes(reading: Reading, token: Token) -> tuple[int, int]:
    """Start and end as minutes of the day. A night (`22:00-06:00`) ends below its start."""
    match = _TIME.fullmatch(token)
    assert match is not None
    hour, minute, to_hour, to_minute = map(int, match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if start >= _MINUTES_A_DAY or end > _MINUTES_A_DAY or start == end:
        reading.complain(
            "bad-window",
            f"`{token}` is not a stretch of the day",
            reading.span(token),
            help="write `09:00-17:00`; the end is exclusive, at most `24:00`, and a night may "
            "end before it starts",
        )
    return start, end


def _operation(reading: Reading, branch: Branch, operator: str, depth: int) -> nodes.Operation:
    operands = _all(reading, branch, depth)
    return nodes.Operation(span=reading.span(branch), name=operator, operands=operands)


_Builder: TypeAlias = Callable[[Reading, Branch, int], nodes.Expression]

_BUILDERS: Final[dict[str, _Builder]] = {
    "path": path,
    "scalar": _scalar,
    "list": _list,
    "record": _record,
    "apply": _apply,
    "default": _default,
    "has": _has,
    "is_kind": _is_kind,
    "is_not_kind": _is_kind,
    "not_": _not,
    "and_": _and,
    "or_": _or,
    "quantified": _quantified,
    "compare": _compare,
    "matches": _matches,
    "in_": _in,
    "not_in": _in,
}
"""Grammar alias → node."""

_BINARY: Final = {
    "less": "<",
    "like": "like",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "contains": "contains",
    "within": "within",
    "intersects": "intersects",
    "subset_of": "subset of",
}
"""Grammar alias → operation of two operands."""
