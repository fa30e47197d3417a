"""What tests give, held against the request's table.

A value of the wrong kind is unknown at run time, and unknown denies: `token { age: "15m" }` makes a
`=> deny` pass for the wrong reason. It may be meant, so it is a warning, and one that quotes do not
silence. Only `null` is no slip: it says that nobody can tell. `args`, `facts` and `data` are open:
what is wrong there is mostly wrong on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.checking import Checking
from pbac.lang.evaluate.comparisons import version_equal
from pbac.lang.evaluate.networks import in_cidr
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.lang.kinds.kinds import Kind


def check_given(given: nodes.Given, checking: Checking) -> None:
    """Complain about fields that there are not, and warn about values they never have."""
    root = "call" if given.what == "tool" else given.what
    kind = checking.schema.roots.get(root)
    if kind is not None and given.stated is not None:
        _check_stated(given.stated, kind, root, checking)


def _check_stated(stated: nodes.Stated, kind: Kind, path: str, checking: Checking) -> None:
    form = misfit(kind, stated.kind, stated.value)
    if form is not None:
        message = f"`{path}` is {kind}, not {_written(stated)}: a rule that reads it cannot know it"
        checking.warn("unlike-given", message, stated.span, help=form.help)
    elif kind.word == "tier":
        _check_tier(stated, checking)
    elif kind.word == "list" and kind.item is not None:
        for item in stated.parts:
            _check_stated(item, kind.item, f"{path}[…]", checking)
    elif kind.word == "record" and kind.fields is not None:
        for member in stated.parts:
            _check_member(member, kind.fields, path, checking)


def _check_member(
    member: nodes.Stated, fields: Mapping[str, Kind], path: str, checking: Checking
) -> None:
    if member.name in fields:
        _check_stated(member, fields[member.name], f"{path}.{member.name}", checking)
        return
    known = ", ".join(f"`{field}`" for field in fields)
    help_ = did_you_mean(member.name, fields) or f"it has {known}"
    message = f"`{path}` has no field `{member.name}`"
    checking.complain("unknown-field", message, member.name_span or member.span, help=help_)


def _check_tier(stated: nodes.Stated, checking: Checking) -> None:
    """A tier that nobody declared is a slip, unless quotes say that it is meant."""
    tier = str(stated.value)
    if stated.kind != "name" or tier in checking.tiers:
        return
    help_ = did_you_mean(tier, checking.tiers)
    help_ = help_ or f'where an undeclared tier is meant, put it into quotes: `tier: "{tier}"`'
    checking.complain("unknown-tier", f"there is no tier `{tier}`", stated.span, help=help_)


def _written(stated: nodes.Stated) -> str:
    if stated.kind in ("name", "string"):
        return f'the text `"{stated.value}"`'
    return str(Kind(word=stated.kind))


def misfit(kind: Kind, written: str, value: Any) -> Form | None:
    """How a value of this kind is written, when one that is written so cannot be read as one."""
    form = FORMS.get(kind.word)
    if form is None or written == "null" or (written in form.kinds and form.is_one(value)):
        return None
    return form


# --- forms -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a value of one kind is written, and which of what is written so can be read."""

    kinds: frozenset[str]
    help: str
    is_one: Callable[[Any], bool] = lambda _value: True


def _is_date(value: Any) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_everywhere: Final = in_cidr("0.0.0.0/0")


_TEXT: Final = frozenset({"string", "name"})

FORMS: Final[Mapping[str, Form]] = {
    "string": Form(kinds=_TEXT, help='write a text: `"…"`'),
    "tier": Form(kinds=_TEXT, help="write the name of a tier"),
    "number": Form(kinds=frozenset({"number"}), help="write a number, without quotes: `3`"),
    "boolean": Form(kinds=frozenset({"boolean"}), help="write `true` or `false`, without quotes"),
    "datetime": Form(
        kinds=frozenset({"datetime", "number"}),  # of milliseconds
        help="write a moment, without quotes: `2026-07-06T09:00:00Z`",
    ),
    "duration": Form(
        kinds=frozenset({"duration", "number"}),
        help="write a duration with its unit, without quotes: `15m`",
    ),
    "date": Form(
        kinds=frozenset({"date", "string"}),
        help="write a date, without quotes: `2026-07-06`",
        is_one=_is_date,
    ),
    "version": Form(
        kinds=frozenset({"version", "string"}),
        help='write a version: `v"2.1"`',
        is_one=lambda value: version_equal(value, "0") is not UNKNOWN,
    ),
    "address": Form(
        kinds=frozenset({"string"}),
        help='write an address: `"10.0.0.1"`',
        is_one=lambda value: _everywhere(value) is not UNKNOWN,
    ),
    "list": Form(kinds=frozenset({"list"}), help='write a list: `["…"]`'),
    "record": Form(kinds=frozenset({"record"}), help='write a record: `{ id: "…" }`'),
}
"""Kind → how it is written in a test."""
