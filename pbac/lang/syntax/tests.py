"""`test` blocks: what is given, what is expected. Values are plain JSON in runtime form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, cast

from pbac.lang import nodes
from pbac.lang.syntax.expressions import member, path, word
from pbac.lang.syntax.literals import moment, scalar, string
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
    members = record(reading, cast("Branch", value))
    bare = tuple(_bare_members(reading, cast("Branch", value)))
    return nodes.Given(span=reading.span(branch), what=word(root), value=members, bare=bare)


def _bare_members(reading: Reading, branch: Branch) -> Iterator[str]:
    """The names of a record's members whose values are names too."""
    for pair in branch.children:
        key, value = cast("Branch", pair).children
        if isinstance(value, Token):
            yield member(reading, cast("Token", key))


def _given_now(reading: Reading, branch: Branch) -> nodes.Given:
    instant = moment(reading, cast("Token", branch.children[0]))
    return nodes.Given(span=reading.span(branch), what="now", value=instant)


def _given_tool(reading: Reading, branch: Branch) -> nodes.Given:
    tool, value = branch.children
    return nodes.Given(
        span=reading.span(branch),
        what="tool",
        value=record(reading, cast("Branch", value)),
        name=_bare(reading, tool),
    )


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
