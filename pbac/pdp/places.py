"""Places of a request: what of it could be otherwise for the same call, and how it is changed.

The call itself stays: another tool is another call. So do the policy's own data, and the chain.
Where others stand between an agent and its user, its tier is that of all of them, and stays too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from pbac.base.json import encode
from pbac.lang import nodes
from pbac.lang.evaluate.comparisons import version_equal
from pbac.lang.evaluate.paths import paths_in
from pbac.model.request import FIELDS, OPEN_ROOTS, DecisionRequest
from pbac.model.values import MISSING, Value

Place: TypeAlias = tuple[str, ...]
"""`("args", "owner")`; `("user",)` is the whole user, who may be absent."""

_KEPT: Final = frozenset({"call", "data", "chain"})
_DAY_MS: Final = 86_400_000
_MOMENT_MS_MAX: Final = 253_402_300_799_999
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOW: Final[Place] = ("env", "now")
TODAY: Final[Place] = ("env", "today")
TIER: Final[Place] = ("agent", "tier")


def places_in(expression: nodes.Expression, *, alone: bool) -> Iterator[Place]:
    """What an expression reads and may be changed, each once, in the order written."""
    found = (_place(path, alone=alone) for path in paths_in(expression))
    return iter(dict.fromkeys(place for place in found if place))


def place_of(field: str, *, alone: bool) -> Place:
    """The place of a field that a target reads; () when it has to stay."""
    place = tuple(field.split("."))
    return () if place == TIER and not alone else place


def _place(path: nodes.Path, *, alone: bool) -> Place:
    """Up to the first step that only values can tell; () when nothing there may be changed."""
    if path.root not in FIELDS or path.root in _KEPT:
        return ()
    names = [path.root]
    for step in path.steps:
        if isinstance(step, nodes.Field):
            names.append(step.name)
        elif isinstance(step.key, nodes.Literal) and type(step.key.value) is str:
            names.append(step.key.value)
        else:
            break
    if len(names) == 1 and path.root != "user":
        return ()
    return place_of(".".join(names), alone=alone) if len(names) == 2 else tuple(names)


def can_change(expression: nodes.Expression) -> bool:
    """Does it read anything that another request for the same call may have otherwise?"""
    return any(
        path.root in FIELDS and path.root not in ("call", "data") for path in paths_in(expression)
    )


def key_of_place(place: Place) -> Place:
    """Places with one key are not independent: one is within the other, or follows from it."""
    return NOW if place == TODAY else place[:2] if place[0] != "user" else place[:1]


# --- reading and writing -----------------------------------------------------------------------


def read(request: DecisionRequest, place: Place) -> Value:
    """What is there, or `MISSING`; also below something that has no fields."""
    found = getattr(request, place[0])
    for name in place[1:]:
        found = found.get(name, MISSING) if type(found) is dict else MISSING
    return MISSING if place == ("user",) and found is None else found


def changed(request: DecisionRequest, place: Place, value: Value) -> DecisionRequest:
    """The request with another value there, or none; the day follows the moment and back."""
    if len(place) == 1:
        return replace(request, user=None if value is MISSING else value)
    record = _with(getattr(request, place[0]), place[1:], value)
    if place in (NOW, TODAY):
        record = _in_step(record, place, request.env)
    return replace(request, **{place[0]: record})


def _with(record: Value, names: Sequence[str], value: Value) -> dict[str, Any]:
    first, *rest = names
    found = dict(record) if type(record) is dict else {}
    if rest:
        found[first] = _with(found.get(first), rest, value)
    elif value is MISSING:
        found.pop(first, None)
    else:
        found[first] = value
    return found


def _in_step(env: dict[str, Any], place: Place, before: dict[str, Any]) -> dict[str, Any]:
    now, today = env.get("now"), env.get("today")
    if place == NOW and "today" in before and type(now) is int and 0 <= now <= _MOMENT_MS_MAX:
        return {**env, "today": datetime.fromtimestamp(now / 1000, UTC).date().isoformat()}
    if place == TODAY and type(before.get("now")) is int and type(today) is str:
        try:
            days = date.fromisoformat(today).toordinal() - date(1970, 1, 1).toordinal()
        except ValueError:
            return env
        return {**env, "now": days * _DAY_MS + before["now"] % _DAY_MS}
    return env


def differences(before: DecisionRequest, after: DecisionRequest) -> Iterator[tuple[Place, Value]]:
    """What has to be changed in one request to make it the other, `MISSING` for left out."""
    for root in (root for root in FIELDS if root != "data"):
        old, new = read(before, (root,)), read(after, (root,))
        yield from _differences((root,), old, new)


def _differences(place: Place, old: Value, new: Value) -> Iterator[tuple[Place, Value]]:
    if type(old) is dict and type(new) is dict:
        for name in dict.fromkeys((*old, *new)):
            yield from _differences((*place, name), old.get(name, MISSING), new.get(name, MISSING))
    elif repr(old) != repr(new):  # `1` and `true` are equal, and so are `1` and `1.0`
        yield place, new


def overlap(one: Place, other: Place) -> bool:
    """Is one of them within the other?"""
    return all(left == right for left, right in zip(one, other, strict=False))


def place_text(place: Place) -> str:
    """As a policy would write the path."""
    root, *names = place
    return root + "".join(
        f".{name}" if _NAME.fullmatch(name) else f"[{encode(name).decode()}]" for name in names
    )


# --- values that a field can have ----------------------------------------------------------------


def may_be(place: Place, value: Value, tiers: Sequence[str]) -> bool:
    """Is this a value that the field can have? Of arguments and facts nothing is known here."""
    root, *names = place
    if value is MISSING:
        return root in OPEN_ROOTS or place == ("user",)
    if place == ("user",):
        return type(value) is dict
    if place == TIER:
        return value in tiers
    kind = FIELDS[root].get(names[0], "") if len(names) == 1 else ""
    return _IS.get(kind, _is_anything)(value)


def _is_anything(_value: Value) -> bool:
    return True


def _is_text(value: Value) -> bool:
    return type(value) is str and value != ""


def _is_day(value: Value) -> bool:
    try:
        return _is_text(value) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _is_address(value: Value) -> bool:
    try:
        return _is_text(value) and bool(ip_address(value))
    except ValueError:
        return False


_IS: Final[dict[str, Callable[[Value], bool]]] = {
    "string": _is_text,
    "boolean": lambda value: type(value) is bool,
    "number": lambda value: type(value) is int and value >= 0,
    "datetime": lambda value: type(value) is int and 0 <= value <= _MOMENT_MS_MAX,
    "duration": lambda value: type(value) is int and value >= 0,
    "date": _is_day,
    "address": _is_address,
    "version": lambda value: version_equal(value, value) is True,
    "list of string": lambda value: type(value) is list and all(map(_is_text, value)),
}
