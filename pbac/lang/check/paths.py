"""Kinds of paths: every step of one, from the request's table and from the tools' own schemas.

Beside the kind, a walk finds out whether the path certainly leads somewhere. Where it may not, a
forbid and a require apply (Law 2), which surprises whoever did not think of it: a warning, unless
`has` or `default` say that somebody did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.checking import Checking
from pbac.lang.kinds.kinds import ANY, UNDECLARED, Kind, is_key, option, options
from pbac.lang.kinds.narrowing import Place, step_key
from pbac.lang.kinds.unions import member

Asked: TypeAlias = Literal["value", "has", "default"]
"""What is done with a path: read, asked for by `has`, or read with a `default`."""

KindOf: TypeAlias = Callable[[nodes.Expression, Checking], Kind]

_NAMES_SHOWN_MAX: Final = 4
_FIELDS_SHOWN_MAX: Final = 20
_SAMPLES: Final = {"number": "0", "string": '""', "boolean": "false", "list": "[]"}


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One path on the way: what it has come to.

    Attributes:
        kind: of what has been reached.
        text: as far as it has been walked.
        place: the same as a place; None once a step was computed.
        certain: it leads somewhere on every request that the tools accept.
        gap: the step that may lead nowhere, and the fields' record around it.
    """

    path: nodes.Path
    asked: Asked
    kind: Kind
    text: str
    place: Place | None
    certain: bool = True
    gap: tuple[str, Kind] | None = None


def kind_of_path(path: nodes.Path, checking: Checking, asked: Asked, kind_of: KindOf) -> Kind:
    """The kind of a path, its mistakes told; `kind_of` is for the keys in its brackets."""
    kind = checking.variables.get(path.root) or checking.schema.roots.get(path.root, ANY)
    walk = _Walk(path=path, asked=asked, kind=kind, text=path.root, place=(path.root,))
    for step in path.steps:
        key = kind_of(step.key, checking) if isinstance(step, nodes.Index) else None
        _take(step, key, walk, checking)
    _warn_of_gap(walk, checking)
    return walk.kind


def _take(
    step: nodes.Field | nodes.Index, key: Kind | None, walk: _Walk, checking: Checking
) -> None:
    name = step_key(step)
    place = None if walk.place is None or name is None else (*walk.place, name)
    present = place in checking.known.present
    if isinstance(name, int) and name < 0:
        message, help_ = f"`{name}` is no place in a list", "places count from 0, from the front"
        walk.kind, walk.place = (
            checking.complain("unlike-kinds", message, step.span, help=help_),
            None,
        )
        return
    walk.kind = _stepped(step, key, present=present, walk=walk, checking=checking)
    walk.place = place
    walk.text += f".{name}" if isinstance(name, str) else "[…]"
    if place is not None:
        walk.kind = checking.known.narrowed(place, walk.kind)


def _stepped(
    step: nodes.Field | nodes.Index,
    key: Kind | None,
    *,
    present: bool,
    walk: _Walk,
    checking: Checking,
) -> Kind:
    """What one step leads to; `present`: that it leads somewhere is known from elsewhere."""
    kind, name = walk.kind, step_key(step)
    record, items = option(kind, "record"), option(kind, "list")
    if kind.word == "any":
        walk.certain = False
        _check_key(step, key, checking)
        return ANY
    if record is not None and isinstance(name, str):
        _warn_of_others("record", present=present, walk=walk, checking=checking)
        return _field(record, name, step, present=present, walk=walk, checking=checking)
    if items is not None and key is not None:
        _warn_of_others("list", present=present, walk=walk, checking=checking)
        walk.certain = False
        return _item(items, key, step, checking)
    if record is not None:
        walk.certain = False
        return ANY
    return _no_fields(kind, step, walk, checking)


def _check_key(step: nodes.Field | nodes.Index, key: Kind | None, checking: Checking) -> None:
    if key is not None and not is_key(key):
        message = f"{key} is no name and no place in a list"
        checking.complain("unlike-kinds", message, step.span, help="texts and numbers are")


def _item(kind: Kind, key: Kind, step: nodes.Field | nodes.Index, checking: Checking) -> Kind:
    if option(key, "number") or key.word == "any":
        return kind.item or ANY
    message = f"{key} is no place in {kind}"
    return checking.complain("unlike-kinds", message, step.span, help="places count from 0")


# --- fields ------------------------------------------------------------------------------------


def _field(
    record: Kind,
    name: str,
    step: nodes.Field | nodes.Index,
    *,
    present: bool,
    walk: _Walk,
    checking: Checking,
) -> Kind:
    found = member(record, name)
    if found is None and record.fields is not None:
        if record.rest == UNDECLARED and (present or walk.asked == "has"):
            return _undeclared(record, name, step, walk, checking)
        return _no_field(record, name, step, walk, checking)
    if record.required is None or name not in record.required:
        walk.certain = False
        if record.required is not None and not present:
            walk.gap = walk.gap or (name, record)
    return found or ANY


def _undeclared(
    record: Kind, name: str, step: nodes.Field | nodes.Index, walk: _Walk, checking: Checking
) -> Kind:
    """Asked for by name although no schema has it: on purpose, or misspelt."""
    walk.certain = False
    if walk.asked == "has":
        message = f"no schema describes `{walk.text}.{name}`, though it may be sent"
        help_ = did_you_mean(name, record.fields or ()) or (
            "a rule that is meant for what nobody describes is better a forbid"
        )
        checking.warn("undeclared-member", message, step.span, help=help_)
    return ANY


def _no_field(
    record: Kind, name: str, step: nodes.Field | nodes.Index, walk: _Walk, checking: Checking
) -> Kind:
    walk.certain = False
    fields = record.fields or {}
    near = did_you_mean(name, fields)
    if walk.text == "facts" and checking.tools:
        message = _of_tools("declares the fact", "declares no fact", name, checking)
        help_ = near or "declare it with its schema under `facts` of the tool, in the vocabulary"
        return checking.complain("undeclared-fact", message, step.span, help=help_)
    if walk.text == "args" and checking.tools:
        message = _of_tools("has an argument", "has no argument", name, checking)
    else:
        message = f"`{walk.text}` has no field `{name}`"
    known = "it has " + ", ".join(f"`{known}`" for known in [*fields][:_FIELDS_SHOWN_MAX])
    help_ = near or (known if fields else "it has none")
    return checking.complain("unknown-field", message, step.span, help=help_)


def _of_tools(has: str, has_not: str, name: str, checking: Checking) -> str:
    """`none of 5 tools has an argument `x``, or the one tool by its name."""
    if len(checking.tools) == 1:
        return f"`{checking.tools[0]}` {has_not} `{name}`"
    return f"none of the {len(checking.tools)} tools meant here {has} `{name}`"


def _no_fields(
    kind: Kind, step: nodes.Field | nodes.Index, walk: _Walk, checking: Checking
) -> Kind:
    walk.certain = False
    if option(kind, "list"):
        help_ = (
            f"write `any item in {walk.text}: item.{step_key(step)} …`, "
            f"or take one: `{walk.text}[0]`"
        )
    else:
        help_ = f"compare `{walk.text}` itself"
    message = f"`{walk.text}` is {kind} and has no fields"
    return checking.complain("unknown-field", message, step.span, help=help_)


# --- what may not be there ---------------------------------------------------------------------


def _warn_of_others(word: str, *, present: bool, walk: _Walk, checking: Checking) -> None:
    """A step into what is not always a record, or not always a list."""
    others = tuple(each for each in options(walk.kind) if each.word != word)
    if not others or present or not checking.cautious or checking.rule is None:
        return
    may_be = " or ".join(map(str, others))
    checking.warn(
        "sometimes-unlike",
        f"`{walk.text}` may be {may_be}: then this is unknown, and `{checking.rule.name}` applies",
        walk.path.span,
        help=f"write `{walk.text} is {word} and …`; `{walk.text} is not {word} or …` says that "
        "this is meant",
    )


def _warn_of_gap(walk: _Walk, checking: Checking) -> None:
    if walk.asked == "default":
        _warn_of_needless_default(walk, checking)
    if walk.gap is None or walk.asked != "value":
        return
    name, record = walk.gap
    text = walk.path.text()
    holders = record.holders.get(name, ())
    lacking = [tool for tool in checking.tools if tool not in holders] if any(holders) else []
    if lacking:
        _warn_of_lacking(text, lacking, walk, checking)
    elif checking.cautious and checking.rule is not None:
        sample = _SAMPLES.get(walk.kind.word) if walk.kind.choices is None else None
        default = f"`{text} default {sample}` for what a missing one means, or " if sample else ""
        checking.warn(
            "optional-argument",
            f"`{text}` is optional, and without it `{checking.rule.name}` applies",
            walk.path.span,
            help=f"write {default}`has {text} and …`; `not has {text} or …` says that this is "
            "meant",
        )


def _warn_of_lacking(text: str, lacking: Sequence[str], walk: _Walk, checking: Checking) -> None:
    rule = checking.rule
    if rule is None:
        return
    shown = ", ".join(f"`{tool}`" for tool in lacking[:_NAMES_SHOWN_MAX])
    more = f" and {len(lacking) - _NAMES_SHOWN_MAX} more" * (len(lacking) > _NAMES_SHOWN_MAX)
    verb, them = ("has", "it") if len(lacking) == 1 else ("have", "them")
    told = f"applies to every call of {them}" if checking.cautious else f"never permits {them}"
    guard = f"write `has {text} and …`, or name" if checking.cautious else "name"
    checking.warn(
        "not-every-tool",
        f"{shown}{more} {verb} no `{text}`: `{rule.name}` {told}",
        walk.path.span,
        help=f"{guard} only the tools that are meant in `on tool`",
    )


def _warn_of_needless_default(walk: _Walk, checking: Checking) -> None:
    if walk.certain and walk.place is not None and walk.path.root == "args" and walk.path.steps:
        checking.warn(
            "needless-default",
            f"`{walk.path.text()}` is required, so its `default` never stands for it",
            walk.path.span,
            help="leave it out: a call without it is refused",
        )
