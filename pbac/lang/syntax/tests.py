"""`test` blocks: what is given, what is expected. Values are plain JSON in runtime form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from msgspec import structs

from pbac.lang import nodes
from pbac.lang.syntax.expressions import member, path, word
from pbac.lang.syntax.literals import SCALARS, moment, scalar, string
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tree import Branch, Part, Token


def test(reading: Reading, branch: Branch) -> nodes.Test:
    """One test with its steps in the order written."""
    title, *steps = branch.children
    return nodes.Test(
        span=reading.span(branch),
        name=string(reading, cast("Token", title)),
        steps=tuple(_step(reading, cast("Branch", step)) for step in steps),
    )


def literal(reading: Reading, part: Part) -> object:
    """A constant as plain JSON; a bare name is a text. Brackets were counted before."""
    if isinstance(part, Token):
        return str(part)
    if part.data == "scalar":
        return scalar(reading, cast("Token", part.children[0]))[0]
    if part.data == "literal_list":
        return [literal(reading, item) for item in part.children]
    return record(reading, part)


def record(reading: Reading, branch: Branch) -> dict[str, object]:
    """A constant record; a name written twice is refused."""
    members: dict[str, object] = {}
    for pair in branch.children:
        key, value = cast("Branch", pair).children
        name = member(reading, cast("Token", key))
        if name in members:
            reading.complain("duplicate-name", f"`{name}` is given twice", reading.span(key))
        members[name] = literal(reading, value)
    return members


def _step(reading: Reading, branch: Branch) -> nodes.Given | nodes.Expectation:
    return _STEPS[str(branch.data)](reading, branch)


def _bare(reading: Reading, part: Part) -> str:
    token = cast("Token", part)
    return string(reading, token) if token.type == "STRING" else str(token)


# --- given -----------------------------------------------------------------------------------


def _given(reading: Reading, branch: Branch) -> nodes.Given:
    root, value = branch.children
    return _given_record(reading, branch, word(root), cast("Branch", value))


def _given_record(
    reading: Reading, branch: Branch, what: str, value: Branch, name: str = ""
) -> nodes.Given:
    members = record(reading, value)
    return nodes.Given(
        span=reading.span(branch),
        what=what,
        value=members,
        name=name,
        stated=_stated(reading, value, members),
    )


def _stated(reading: Reading, part: Part, value: Any) -> nodes.Stated:
    """How a value is written, part by part; the values were read before."""
    kind, parts = _written(reading, part, value)
    return nodes.Stated(span=reading.span(part), kind=kind, value=value, parts=parts)


def _written(reading: Reading, part: Part, value: Any) -> _Parts:
    return (
        _PARTS[str(part.data)](reading, part, value) if isinstance(part, Branch) else ("name", ())
    )


_Parts: TypeAlias = tuple[str, tuple[nodes.Stated, ...]]


def _of_scalar(_reading: Reading, part: Branch, _value: Any) -> _Parts:
    return SCALARS[cast("Token", part.children[0]).type][0], ()


def _of_list(reading: Reading, part: Branch, value: Any) -> _Parts:
    items = zip(part.children, value, strict=True)
    return "list", tuple(_stated(reading, item, each) for item, each in items)


def _of_record(reading: Reading, part: Branch, value: Any) -> _Parts:
    members = []
    for pair in part.children:
        key, written = cast("Branch", pair).children
        name = str(member(reading, cast("Token", key)))
        stated = _stated(reading, written, value[name])
        members.append(structs.replace(stated, name=name, name_span=reading.span(key)))
    return "record", tuple(members)


_PARTS: Final[dict[str, Callable[[Reading, Branch, Any], _Parts]]] = {
    "scalar": _of_scalar,
    "literal_list": _of_list,
    "literal_record": _of_record,
}


def _given_now(reading: Reading, branch: Branch) -> nodes.Given:
    instant = moment(reading, cast("Token", branch.children[0]))
    return nodes.Given(span=reading.span(branch), what="now", value=instant)


def _given_tool(reading: Reading, branch: Branch) -> nodes.Given:
    tool, value = branch.children
    return _given_record(reading, branch, "tool", cast("Branch", value), _bare(reading, tool))


def _given_no_user(reading: Reading, branch: Branch) -> nodes.Given:
    return nodes.Given(span=reading.span(branch), what="no user", value=None)


# --- expected --------------------------------------------------------------------------------


def _call(reading: Reading, branch: Branch) -> nodes.Expectation:
    tool, *arguments, outcome = branch.children
    return nodes.Expectation(
        span=reading.span(branch),
        what="call",
        subject=_bare(reading, tool),
        arguments=record(reading, cast("Branch", arguments[0])) if arguments else None,
        **_outcome(reading, cast("Branch", outcome)),
    )


def _issue(reading: Reading, branch: Branch) -> nodes.Expectation:
    scope, outcome = branch.children
    return nodes.Expectation(
        span=reading.span(branch),
        what="issue",
        subject=_bare(reading, scope),
        arguments=None,
        **_outcome(reading, cast("Branch", outcome)),
    )


def _list(reading: Reading, branch: Branch) -> nodes.Expectation:
    tool, visibility = branch.children
    return nodes.Expectation(
        span=reading.span(branch),
        what="list",
        subject=_bare(reading, tool),
        arguments=None,
        outcome=word(visibility),  # type: ignore[arg-type]  # the grammar lists the same words
    )


def _outcome(reading: Reading, branch: Branch) -> dict[str, Any]:
    stated = {str(part.data): part for part in branch.children if isinstance(part, Branch)}
    unknown = stated["unknowns"].children if "unknowns" in stated else []
    duties = stated["duties"].children if "duties" in stated else []
    return {
        "outcome": "permit" if branch.data == "expect_permit" else "deny",
        "by": _references(stated.get("by")),
        "by_spans": tuple(map(reading.span, stated["by"].children)) if "by" in stated else (),
        "duties": tuple(word(part) for part in duties),
        "unknown": tuple(path(reading, cast("Branch", part)).text() for part in unknown),
    }


def _references(branch: Branch | None) -> tuple[str, ...]:
    if branch is None:
        return ()
    parts = cast("list[Branch]", branch.children)
    return tuple(".".join(map(str, part.children)) for part in parts)


_Step: TypeAlias = Callable[[Reading, Branch], nodes.Given | nodes.Expectation]

_STEPS: Final[dict[str, _Step]] = {
    "given": _given,
    "given_now": _given_now,
    "given_tool": _given_tool,
    "given_no_user": _given_no_user,
    "expect_call": _call,
    "expect_list": _list,
    "expect_issue": _issue,
}
