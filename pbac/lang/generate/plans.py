"""Many rules in one function, which many plans share: `generate` has the theory of a single rule.

What it returns follows Law 1: the bits of some forbids, or of permits and then requires, or 0.

Slots. Code depends on shapes alone: a function asks one shape after the other and is given the
constants of the rules, which is all that differs between the plans that share it. It may have
*slots* that a plan has no rules for; what is given for those is `...`, and they are passed by. So
a few functions do for thousands of plans, there is little to compile, and the interpreter runs code
that it has seen before.

Forms. One rule of a shape is asked as it is. For a few a loop goes over their constants. Many
stand behind a screen (`screens`), which asks few of them or none, or answers for all at once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pbac.base.source import NOWHERE
from pbac.lang.generate import emit
from pbac.lang.generate.generate import (
    Part,
    Question,
    RuleWriter,
    Shape,
    Written,
    compiled,
    doubted,
)
from pbac.lang.generate.screens import Screen, screen_of
from pbac.lang.program import Data, bit_of
from pbac.model.request import DecisionRequest

Form: TypeAlias = Literal["one", "some", "many"]
Rules: TypeAlias = Callable[[DecisionRequest, Data, tuple[Any, ...]], int]
"""Asks many rules: request, data, and for each slot what is given."""

ABSENT: Final = ...
"""What is given for a slot without rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A slot for rules of one shape: `first` stands for all."""

    first: Question
    form: Form


def plan_function(groups: Sequence[Group]) -> Rules:
    """The function that says which rules of such groups a decision follows from.

    Args:
        groups: forbids, then permits, then requires.
    """
    return compiled(write_plan(groups), "<plan>")


def write_plan(groups: Sequence[Group]) -> Written:
    """The tree of `plan_function`."""
    writer = _PlanWriter(materials=groups[0].first.materials, here=NOWHERE, placed=False)
    body = writer.law_one(groups)
    function = emit.function(body, ("request", "data", "given"))
    return Written(tree=ast.Module(body=[function], type_ignores=[]), constants={})


def screen_for(question: Question) -> Screen | None:
    """The screen for rules of this shape."""
    writer = _PlanWriter(materials=question.materials, here=NOWHERE, placed=False)
    part = writer.question(question, lambda: emit.constant(bit_of(0)))
    names = [f"g{number}" for number in range(len(writer.constants))]
    return screen_of(part.applies, part.certain, names)


def given_for(shapes: Sequence[Shape], form: Form, screen: Screen | None) -> object:
    """What a slot is given for its rules: see `_PlanWriter.group`."""
    every = [shape.constants for shape in shapes]
    if form == "many":
        assert screen is not None
        return screen.constants(every)
    each = tuple(constants[0] if len(constants) == 1 else constants for constants in every)
    return each if form == "some" else each[0]


@dataclass(slots=True, kw_only=True)
class _PlanWriter(RuleWriter):
    """Writes one function, slot by slot.

    Attributes:
        slots: the local of each so far.
    """

    slots: list[str] = field(default_factory=list)

    def law_one(self, groups: Sequence[Group]) -> list[ast.stmt]:
        """Forbids alone, or permits and then requires, or nothing."""
        applied, ending = emit.name("applied"), emit.answer(emit.name("applied"))
        forbids, permits, requires = (
            [self.group(group) for group in groups if group.first.rule.effect == effect]
            for effect in ("forbid", "permit", "require")
        )
        return [
            emit.assign("applied", emit.constant(0)),
            emit.assign("bit", emit.constant(bit_of(0))),
            emit.unpack(self.slots, "given"),
            *forbids,
            *([emit.when(applied, ending)] if forbids and permits else []),
            *permits,
            *([emit.when(emit.negate(applied), ending)] if permits and requires else []),
            *(requires if permits else []),
            ending,
        ]

    def group(self, group: Group) -> ast.stmt:
        """All rules of one shape; also those that are not asked take their bits.

        A rule alone gives its constants as they are, several rules as a tuple; several constants
        of a rule are a tuple too. What a group reads is not there for those behind it, which may be
        asked without it.
        """
        before, read = len(self.constants), dict(self.reads)
        self.constants_before = before
        part = self.question(group.first, lambda: emit.name("bit"))
        self.reads = read
        names = [f"g{number}" for number in range(before, len(self.constants))]
        alone = group.form == "one" and len(names) == 1
        slot = names[0] if alone else f"p{len(self.slots)}"
        self.slots.append(slot)
        match group.form:
            case "one":
                unpacked = [emit.unpack(names, slot)] if len(names) > 1 else []
                body = [*unpacked, *part.opening, *part.asked, emit.double("bit")]
            case "some":
                asked = [*part.asked, emit.double("bit")]
                loop = emit.each(names or ["nothing"], emit.name(slot), asked)
                body = [*part.opening, loop]
            case "many":
                body = self.screened(part, names, slot)
        return emit.when(emit.there(slot), *body)

    def screened(self, part: Part, names: list[str], slot: str) -> list[ast.stmt]:
        """Rules behind a screen. Each has its bit, counted from the group's first."""
        screen = screen_of(part.applies, part.certain, names)
        assert screen is not None
        given = [f"t{number}" for number in range(len(screen.files))]
        found, applied = emit.name("found"), emit.times("found", "bit")
        asked = [emit.assign("found", screen.applies)]
        if screen.exact:
            doubtful = emit.both(found, emit.without(emit.name("every"), screen.certain))
            doubts = [] if emit.is_constant(part.certain, value=True) else doubted(doubtful)
            asked.append(emit.when(found, emit.include("applied", applied), *doubts))
        else:
            given.append("rules")
            applied = emit.times("one", "bit")
            one = [emit.include("applied", applied), *doubted(emit.negate(part.certain))]
            among = emit.call("picked", found, emit.name("rules"))
            loop = emit.each(["one", *names], among, emit.if_(part.applies, *one))
            asked.append(emit.when(found, loop))
        return [
            *part.opening,
            emit.unpack([*given, "every", "width"], slot),
            *asked,
            emit.multiply("bit", "width"),
        ]
