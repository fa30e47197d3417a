"""The opposite of a `for` clause, as a policy can write it.

for tier >= trusted        for tier < trusted
for kind ci                agent.kind != "ci"
for agent ci-*             for agent * except ci-*
for agent * except a1      for agent a1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import structs

from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate import targets
from pbac.model.request import DecisionRequest

Test: TypeAlias = Callable[[DecisionRequest], bool]
Texts: TypeAlias = Callable[[Span], str]

INVERSE: Final = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<=",
    "in": "not in", "not in": "in",
}  # fmt: skip
"""Comparisons that are unknown together, and otherwise opposites."""


def others(clause: nodes.ForClause, text: Texts) -> Iterator[tuple[str, Test | None]]:
    """Ways to be another caller, each with what has to hold beside that the clause is false.

    Of groups with patterns nothing simple is the opposite.
    """
    names = [text(name.span) for name in _names(clause)]
    if isinstance(clause, nodes.ForTier):
        if clause.operator == "in":
            yield _other_than("agent.tier", names), None
        else:
            text_ = f"for tier {INVERSE[clause.operator]} {names[0]}" if all(names) else ""
            yield text_, None
        return
    if not clause.without and not any("*" in name for name in targets.texts(clause.names)):
        yield _other_than(targets.FIELD_OF[clause.what], names), None
    elif clause.what != "group":
        yield from _complements(clause, text)


def _complements(clause: nodes.ForNames, text: Texts) -> Iterator[tuple[str, Test | None]]:
    anyone = nodes.Pattern(text="*", span=clause.span)
    if not any(name.text in ("*", "**") for name in clause.names):
        rest = structs.replace(clause, names=(anyone,), without=clause.names)
        yield _told(clause.what, "* except ", clause.names, text), _is_one_of(rest)
    if clause.without:
        rest = structs.replace(clause, names=clause.without, without=())
        yield _told(clause.what, "", clause.without, text), _is_one_of(rest)


def _is_one_of(clause: nodes.ForNames) -> Test:
    test = targets.for_names_test(clause, "permit")
    return lambda request: test(request) is True


def _told(what: str, start: str, names: Sequence[nodes.Pattern], text: Texts) -> str:
    told = [text(name.span) for name in names]
    return f"for {what} {start}{', '.join(told)}" if all(told) else ""


def _other_than(path: str, names: Sequence[str]) -> str:
    if not all(names):
        return ""
    quoted = [name if name.startswith('"') else f'"{name}"' for name in names]
    several = len(quoted) > 1
    if path == "user.groups":
        return (
            f"not {path} intersects [{', '.join(quoted)}]"
            if several
            else (f"not {path} contains {quoted[0]}")
        )
    return f"{path} not in [{', '.join(quoted)}]" if several else f"{path} != {quoted[0]}"


def _names(clause: nodes.ForClause) -> tuple[nodes.Pattern, ...]:
    return clause.tiers if isinstance(clause, nodes.ForTier) else clause.names
