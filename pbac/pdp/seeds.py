"""Values from which a condition may come true: its constants, what it reads, and what is near both.

    args.n > 100                        100, 101, 99, …
    args.path like "/srv/*.txt"         "/srv/x.txt", "/srv/.txt", …
    args.code matches r"[A-Z]{3}"       "AAA", …
    args.owner in data.orgs[user.id]    the members of that list
    any a in args.to: a.kind == "ci"    [{"kind": "ci"}], what is there with one more, or less, …

Nothing here knows what makes a condition true: whoever asks tries the values. So this need not be
complete, and cannot be wrong.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

from pbac.base.limits import JSON_INTEGER_MAX
from pbac.lang import nodes
from pbac.lang.evaluate import interpret, patterns, targets
from pbac.lang.evaluate.paths import children, paths_in
from pbac.lang.program import Data
from pbac.model.request import DecisionRequest
from pbac.model.values import Value

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_PLAIN: Final = (*"aA0x-_/.:@ ", "\n")
_HOUR_MS: Final = 3_600_000
_WEEK_HOURS: Final = 168
_ITEMS_LOOKED_AT_MAX: Final = 16
_OTHER: Final = "other"


def seeds_in(
    expression: nodes.Expression, request: DecisionRequest, data: Data
) -> tuple[Value, ...]:
    """In the order in which they are worth a try."""
    exact = list(_exact(expression, request, data))
    near = [value for seed in exact for value in _near(seed)]
    return (*exact, _OTHER, *near, *_items(expression, exact))


def name_seeds(clause: nodes.ForNames) -> tuple[Value, ...]:
    """Names that a `for` clause may mean, and some that it may not; groups are lists of them."""
    names = [*targets.texts(clause.names), *targets.texts(clause.without)]
    found = [text for name in names for text in _of_glob(name)]
    found += [_OTHER, *(f"{text}x" for text in found)]
    return ([], *([text] for text in found)) if clause.what == "group" else tuple(found)


# --- constants and what is read ----------------------------------------------------------------


def _exact(expression: nodes.Expression, request: DecisionRequest, data: Data) -> Iterator[Value]:
    match expression:
        case nodes.Literal():
            yield expression.value
        case nodes.Operation(name="like" | "matches" | "in cidr" | "in window"):
            yield from _of_constants(expression, request)
        case nodes.ListExpression():
            items = [found for item in expression.items for found in _exact(item, request, data)]
            yield from items
            yield items
        case nodes.Path():
            yield from _read(interpret.value(expression, request, data))
            yield from _keys(expression, request, data)
        case _:
            for child in children(expression):
                yield from _exact(child, request, data)


def _read(value: Value) -> Iterator[Value]:
    """What a path holds, and what is in that."""
    if _is_json(value):
        yield value
    if type(value) is list:
        yield from filter(_is_json, value[:_ITEMS_LOOKED_AT_MAX])


def _keys(path: nodes.Path, request: DecisionRequest, data: Data) -> Iterator[Value]:
    """Names that are in a record which is looked into by a value: `data.orgs[user.id]`."""
    for number, step in enumerate(path.steps):
        if isinstance(step, nodes.Index) and not isinstance(step.key, nodes.Literal):
            above = nodes.Path(root=path.root, steps=path.steps[:number], span=path.span)
            found = interpret.value(above, request, data)
            yield from list(found)[:_ITEMS_LOOKED_AT_MAX] if type(found) is dict else ()


def _is_json(value: Value) -> bool:
    return value is None or type(value) in (bool, int, float, str, list, dict)


def _of_constants(operation: nodes.Operation, request: DecisionRequest) -> Iterator[Value]:
    """Values for operators whose other operands are constants."""
    _, *rest = operation.operands
    constants = [each.value for each in rest if isinstance(each, nodes.Literal)]
    try:
        match operation.name, constants:
            case "like", [str(pattern)]:
                yield from _of_glob(pattern)
            case "matches", [str(pattern)]:
                yield from _of_regex(pattern)
            case "in cidr", [str(network)]:
                yield str(ipaddress.ip_network(network)[0])
                yield from ("192.0.2.1", "198.51.100.1")
            case "in window", _ if type(now := request.env.get("now")) is int:
                yield from (now + hours * _HOUR_MS for hours in range(1, _WEEK_HOURS))
    except ValueError:
        return  # no usable pattern or network: then nothing makes it true


def _of_glob(pattern: str) -> Iterator[str]:
    """Texts that it matches: with a letter for each star, and with nothing."""
    for filler in ("x", "") if "*" in pattern else ("",):
        yield re.sub(r"\*+", filler, pattern)


def _of_regex(pattern: str) -> Iterator[str]:
    """The first of its shortest texts, breadth first."""
    automaton = patterns.regex(pattern)
    letters = _letters(automaton)
    reached = {0: ""}
    for state in (queue := [0]):
        if automaton.accepting[state]:
            yield reached[state]
            return
        for kind, following in enumerate(automaton.rows[state]):
            if following not in reached and kind in letters and following != automaton.dead:
                reached[following] = reached[state] + letters[kind]
                queue.append(following)


def _letters(automaton: patterns.Automaton) -> dict[int, str]:
    """A character of each class, a plain one where there is one."""
    found: dict[int, str] = {}
    for letter in _PLAIN:
        found.setdefault(automaton.ascii[ord(letter)], letter)
    for start, kind in zip(automaton.starts, automaton.classes, strict=True):
        if not 0xD800 <= start <= 0xDFFF:
            found.setdefault(kind, chr(start))
    return found


# --- what is near --------------------------------------------------------------------------------


def _near(seed: Value) -> Iterator[Value]:
    """Just beside a value, made of it, or what a function makes it of."""
    if type(seed) is bool:
        yield not seed
    elif type(seed) is int or type(seed) is float:
        near = (seed + 1, seed - 1, seed + 0.5, seed - 0.5)
        yield from (value for value in near if abs(value) <= JSON_INTEGER_MAX)
        if type(seed) is int and 0 <= seed < _ITEMS_LOOKED_AT_MAX:
            yield from (["x"] * count for count in (seed, seed + 1))
    elif type(seed) is str:
        yield from _near_text(seed)
        yield [seed]
    elif type(seed) is list:
        yield []
        yield from ([item] for item in seed[:_ITEMS_LOOKED_AT_MAX])
        yield [*seed, _OTHER]


def _near_text(seed: str) -> Iterator[str]:
    if _DAY.fullmatch(seed):
        yield from _near_day(seed)
    yield from (f"{seed}x", f"{seed}/x", seed[:-1], f"{seed}.1", "0", f"https://{seed}/")
    yield from (f"{seed}://x", seed.upper(), f"x{seed}")


def _near_day(seed: str) -> Iterator[str]:
    try:
        day = date.fromisoformat(seed)
        yield from ((day + timedelta(days=days)).isoformat() for days in (1, -1))
    except (ValueError, OverflowError):
        return


# --- lists for `any` and `all` -------------------------------------------------------------------


def _items(expression: nodes.Expression, exact: Iterable[Value]) -> Iterator[Value]:
    """Lists of one item, whose fields have some value that the condition knows."""
    if isinstance(expression, nodes.Quantified):
        for steps in dict.fromkeys(_steps(expression.body, expression.variable)):
            for seed in exact:
                yield from ([_nested(steps, value)] for value in (seed, *_near(seed)))
        yield []
    for child in children(expression):
        yield from _items(child, exact)


def _steps(body: nodes.Expression, variable: str) -> Iterator[tuple[str, ...]]:
    """Which fields of an item the body reads."""
    for path in paths_in(body):
        if path.root == variable:
            yield tuple(step.name for step in path.steps if isinstance(step, nodes.Field))


def _nested(steps: tuple[str, ...], value: Value) -> Value:
    for name in reversed(steps):
        value = {name: value}
    return value
