"""Rules into Python functions: two rails instead of three values, and one function for many rules.

Theory. Conditions have three values, Python's tests two. So every expression is translated up to
twice, once for each *rail*: T, "certainly true", and F, "certainly false". Unknown is what is
neither, and no unknown value exists while a function runs on its fast paths:

    T(not a) = F(a)                    F(not a) = T(a)
    T(a and b) = T(a) and T(b)         F(a and b) = F(a) or F(b)
    T(a or b) = T(a) or T(b)           F(a or b) = F(a) and F(b)
    T(leaf) = guards and test          F(leaf) = guards and not test

where the guards of a leaf say that its operands exist and have the kinds its operator knows. A
permit applies by T of its condition, a forbid and a require by not F (Law 2). Each rail of a node
needs one rail of each of its parts, so a function is never longer than twice its rules.

Where a truth is used as a *value* (`(a or b) == c`) both rails would be needed at once, and size
would double at each level; there, and for operators that are not worth writing out, the function
calls the evaluators and `runtime`, which know `UNKNOWN`, and asks `is True` or `is False` of what
they return.

What a function returns. One function asks any number of rules and answers with one integer: bit n
+ 1 is set when rule n applies (`bit_of`), and bit 0 (`DOUBT`) when a forbid or require applies
without being certain, which is when T of its condition is asked too. Of `generate_plan` the answer
follows Law 1: some forbids, or permits and then requires, or 0. What several rules read is read
once. `generate_rule` is about a single rule, and is compiled when it is first called.

Safety. Functions are built as `ast` nodes from the closed list in `emit`, never from text. Names
are generated; constants are checked; what a policy names becomes a dictionary key. Attributes of
values are never read but `__class__`, `get` (of what is exactly a `dict`), `startswith` and
`endswith` (of what is exactly a `str`). Functions run without builtins. The same rules give the
same tree, byte for byte. Whatever can be wrong with a rule is found when it is checked, at load:
writing it again finds all constants prepared.

Shapes. Policies say the same few things about many tools. Whatever a rule says that is not the name
of a field (numbers, texts, patterns, windows) is a constant that its function is given, so that
rules which differ in nothing else have the same tree: one *shape*. A plan's function asks one shape
after the other, in a loop over the constants where several rules have it. So code depends on the
shapes alone and not on how many rules there are, plans share it, there is little to compile, and
the interpreter runs code that it has seen before, which takes it half the time.

Places. The function of a single rule carries the places of what it was written for, so that a
traceback points into the `.pbac` file. Code that plans share can have none: who has to explain a
fault of a plan asks its rules one by one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Final

from pbac.base.source import NOWHERE
from pbac.lang import nodes
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.truth import Truth
from pbac.lang.generate import emit, runtime
from pbac.lang.generate.screens import Screen, screen_of
from pbac.lang.generate.truths import TruthWriter
from pbac.lang.generate.values import unusable
from pbac.lang.program import DOUBT, Ask, Data, Materials, bit_of
from pbac.model.request import DecisionRequest

# INVARIANT: nobody writes to it; functions are defined in a mapping of their own.
_GLOBALS: Final[dict[str, Any]] = {"__builtins__": {}, **runtime.NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A rule that a function asks, with what is left of its condition.

    Attributes:
        rule: with definitions expanded.
        materials: of its package.
        sure: False when something outside of `rule` is unknown, so that the rule, a forbid or
            require, is never certain.
        until_ms: first instant at which it no longer applies, of permits that expire.
    """

    rule: nodes.Rule
    materials: Materials
    sure: bool = True
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A tree with one function, `rules`, and the constants that are its defaults."""

    tree: ast.Module
    constants: Mapping[str, object]


class OnDemand:
    """The function of one rule, compiled when it is first called; most never are."""

    __slots__ = ("_function", "_question")

    def __init__(self, question: Callable[[], Question]) -> None:
        self._question = question
        self._function: Ask | None = None

    def __call__(self, request: DecisionRequest, data: Data) -> int:
        """Asks the rule."""
        if self._function is None:
            question = self._question()
            file = question.rule.span.source or "<rule>"
            self._function = _compiled(write_rule(question), file)
        return self._function(request, data)


def generate_rule(question: Question) -> OnDemand:
    """A function that is `bit_of(0)` when the rule applies, with `DOUBT` when that is not certain.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    write_rule(question, placed=False)
    return OnDemand(lambda: question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a question has in common with others, and what it does not."""

    text: str
    constants: tuple[object, ...]


def shape_of(question: Question) -> Shape:
    """The shape of a question that was checked at load."""
    written = write_rule(question, placed=False)
    return Shape(
        text=question.rule.effect + ast.dump(written.tree),
        constants=tuple(written.constants.values()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rules of one shape in a plan: `first` stands for all.

    Attributes:
        many: it is not alone.
        screened: there are so many that one test for all of them stands before (`screens`).
    """

    first: Question
    many: bool
    screened: bool = False


def plan_code(groups: Sequence[Group]) -> CodeType:
    """Code that says which rules of such groups a decision follows from.

    Args:
        groups: forbids, then permits, then requires.
    """
    return _compiled(write_plan(groups), "<plan>").__code__


def constants_of(shapes: Sequence[Shape], screen: Screen | None = None) -> object:
    """What the code for a group wants to know about its rules: see `_Writer.group`."""
    every = [shape.constants for shape in shapes]
    each = tuple(constants[0] if len(constants) == 1 else constants for constants in every)
    if screen is not None:
        return (*screen.constants(every), screen.rules(every), each, 1 << len(each))
    return each if len(each) > 1 else each[0]


def screen_for(question: Question) -> Screen | None:
    """The screen for rules of this shape."""
    writer = _Writer(materials=question.materials, here=question.rule.name_span, placed=False)
    applies = writer.question(question, lambda: emit.constant(bit_of(0))).applies
    names = [f"g{number}" for number in range(len(writer.constants))]
    return None if applies is None else screen_of(applies, names)


def generate_plan(code: CodeType, constants: Sequence[object]) -> Ask:
    """The function about the rules with these constants, for each group of the code."""
    return FunctionType(code, _GLOBALS, code.co_name, tuple(constants))


def _compiled(written: Written, file: str) -> FunctionType:
    ast.fix_missing_locations(written.tree)
    code = compile(written.tree, file, "exec", dont_inherit=True)
    namespace = dict(written.constants)
    exec(code, _GLOBALS, namespace)  # noqa: S102 - our own tree, without builtins: see Safety above
    function = namespace["rules"]
    assert isinstance(function, FunctionType)
    return function


def write_rule(question: Question, *, placed: bool = True) -> Written:
    """The tree of `generate_rule`: deterministic, and readable through `ast.unparse`.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    writer = _Writer(materials=question.materials, here=question.rule.name_span, placed=placed)
    part = writer.question(question, lambda: emit.constant(bit_of(0)))
    doubts = [emit.when(emit.name("applied"), *part.doubts)] if part.doubts else []
    body = [emit.assign("applied", emit.constant(0)), *part.opening, *part.asked, *doubts]
    constants = {f"g{number}": constant for number, constant in enumerate(writer.constants)}
    return writer.function([*body, emit.answer(emit.name("applied"))], constants)


def write_plan(groups: Sequence[Group]) -> Written:
    """The tree of `plan_code`, without constants."""
    writer = _Writer(materials=groups[0].first.materials, here=NOWHERE, placed=False)
    body = writer.law_one(groups)
    # A group behind what ends the function has no part in it, but its constants are given.
    unused = [f"p{number}" for number in range(len(writer.parameters), len(groups))]
    return writer.function(body, dict.fromkeys([*writer.parameters, *unused]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What asks one or more rules of one effect.

    Attributes:
        opening: the reads it needs.
        asked: statements that set the bits of rules that apply.
        doubts: statements that add `DOUBT`; for when a rule applies, and out of the way otherwise.
        always: some of the rules apply in any case.
        applies: the test of a rule by itself, where it has one.
        doubted: some of `doubts` say anything.
    """

    opening: list[ast.stmt] = field(default_factory=list)
    asked: list[ast.stmt] = field(default_factory=list)
    doubts: list[ast.stmt] = field(default_factory=list)
    always: bool = False
    doubted: bool = False
    applies: ast.expr | None = None


@dataclass(slots=True, kw_only=True)
class _Writer(TruthWriter):
    """Writes one function, rule by rule.

    Attributes:
        rule: the one at hand.
        parameters: what each group so far gets its constants by.
        bit: of the next rule while that is known; after a loop it is counted in a local.
    """

    rule: nodes.Rule | None = None
    parameters: list[str] = field(default_factory=list)
    bit: int | None = bit_of(0)

    # --- functions -------------------------------------------------------------------------

    def function(self, body: list[ast.stmt], constants: Mapping[str, object]) -> Written:
        """The module; what belongs to nothing in particular is placed at the rule's name."""
        function = emit.function(body, ("request", "data"), list(constants))
        if self.rule is not None:
            self.at(function, self.rule.name_span)
        tree = ast.Module(body=[function], type_ignores=[])
        return Written(tree=tree, constants=constants)

    def law_one(self, groups: Sequence[Group]) -> list[ast.stmt]:
        """Forbids alone, or permits and then requires, or nothing."""
        applied, ending = emit.name("applied"), emit.answer(emit.name("applied"))
        part = self.part("forbid", groups)
        body = [emit.assign("applied", emit.constant(0)), *part.asked]
        if part.always:
            return [*body, *part.doubts, ending]
        if part.asked:
            body.append(emit.when(applied, *part.doubts, ending))
        part = self.part("permit", groups)
        if not part.asked:
            return [*body, ending]
        body += part.asked
        if not part.always:
            body.append(emit.when(emit.negate(applied), ending))
        part = self.part("require", groups)
        return [*body, *part.asked, *part.doubts, ending]

    def part(self, effect: str, groups: Sequence[Group]) -> _Part:
        """The rules of one effect, and then their doubts, with the bits counted once more."""
        counted = self.bit is None
        parts = [self.group(group) for group in groups if group.first.rule.effect == effect]
        asked = [statement for part in parts for statement in (*part.opening, *part.asked)]
        doubts = [statement for part in parts for statement in part.doubts]
        if not any(part.doubted for part in parts):
            doubts = []
        elif counted:
            asked.insert(0, emit.assign("first", emit.name("bit")))
            doubts.insert(0, emit.assign("bit", emit.name("first")))
        return _Part(asked=asked, doubts=doubts, always=any(part.always for part in parts))

    def group(self, group: Group) -> _Part:
        """All rules of one shape; also one that asks nothing takes its bits.

        A rule alone is given its constants as they are, many as a tuple; several constants of a
        rule are a tuple too.
        """
        begun: list[ast.stmt] = []
        if group.many and self.bit is not None:
            begun, self.bit = [emit.assign("bit", emit.constant(self.bit))], None
        bit = self.bit
        before = self.constants_before = len(self.constants)
        part = self.question(
            group.first, lambda: emit.name("bit") if bit is None else emit.constant(bit)
        )
        names = [f"g{number}" for number in range(before, len(self.constants))]
        given = names[0] if len(names) == 1 and not group.many else f"p{len(self.parameters)}"
        self.parameters.append(given)
        if bit is None:
            part.asked.append(emit.double("bit"))
            part.doubts.append(emit.double("bit"))
        else:
            self.bit = 2 * bit
        if group.screened:
            return self.screened(part, begun, names, given)
        if group.many:
            asked = [*begun, emit.each(names or ["nothing"], emit.name(given), part.asked)]
            doubts = [*begun, emit.each(names or ["nothing"], emit.name(given), part.doubts)]
            return replace(part, asked=asked, doubts=doubts)
        if len(names) > 1:
            part.opening.append(emit.unpack(names, given))
        return part

    def screened(self, part: _Part, begun: list[ast.stmt], names: list[str], given: str) -> _Part:
        """The rules behind a test that lets most requests pass by; those are asked in a loop.

        Each comes with its bit, counted from the group's first: a few of many may be asked.
        """
        assert part.applies is not None
        screen = screen_of(part.applies, names)
        assert screen is not None
        number = len(self.parameters) - 1
        gathered = [f"s{place}" for place in range(len(screen.gathered))]
        entries, every, factor = f"t{number}", f"q{number}", f"w{number}"
        among = emit.name(entries)
        if screen.filed is not None:
            among = emit.method(among, "get", screen.filed[1], emit.nothing())
        found = emit.when(part.applies, emit.include("found", emit.name("one")))
        shifted = emit.times("found", "bit")
        asked = [
            emit.assign("found", emit.constant(0)),
            emit.each(["one", *names], among, [found]),
            emit.include("applied", shifted),
        ]
        return replace(
            part,
            opening=[*part.opening, emit.unpack([*gathered, entries, every, factor], given)],
            asked=[*begun, emit.when(screen.test, *asked), emit.multiply("bit", factor)],
            doubts=[*begun, emit.each(names, emit.name(every), part.doubts)],
        )

    def question(self, question: Question, bit: Callable[[], ast.expr]) -> _Part:
        """One rule. A forbid or require that applies is asked whether it is certain."""
        rule = self.rule = question.rule
        self.materials, self.here = question.materials, rule.name_span
        permit = rule.effect == "permit"
        applies = self.rule_rail(rule, wanted=permit)
        if question.until_ms is not None:
            applies = emit.every_of([self.unexpired(question.until_ms), applies])
        applies = applies if permit else emit.negate(applies)
        certain = emit.constant(permit)
        if question.sure and not permit:
            certain = self.rule_rail(rule, wanted=True)
        opening, self.opening = self.opening, []
        if emit.is_constant(applies, value=False):
            return _Part(opening=opening)
        open_ = emit.every_of([emit.holds("applied", bit()), emit.negate(certain)])
        doubt = emit.when(open_, emit.include("applied", emit.constant(DOUBT)))
        always = emit.is_constant(applies, value=True)
        doubted = not emit.is_constant(open_, value=False)
        found = emit.include("applied", bit())
        asked = found if always else emit.when(applies, found)
        return _Part(
            opening=opening,
            asked=[self.at(asked, rule.name_span)],
            doubts=[self.at(doubt, rule.name_span)] if doubted else [],
            always=always,
            doubted=doubted,
            applies=None if always else applies,
        )

    # --- rules -----------------------------------------------------------------------------

    def unexpired(self, until_ms: int) -> ast.expr:
        """`@expires` is exclusive, and unknown (so not granted) without a clock."""
        now = self.field("env", "now")
        known = emit.compare(emit.attribute(now, "__class__"), ast.Is(), emit.name("integer"))
        return emit.every_of([known, emit.compare(now, ast.Lt(), self.literal(until_ms))])

    def rule_rail(self, rule: nodes.Rule, *, wanted: bool) -> ast.expr:
        """T or F of all that the index does not answer, the cheap tests first."""
        tokens = [what for what in rule.what if isinstance(what, nodes.OnToken)]
        if tokens and len(tokens) < len(rule.what):
            return emit.constant(not wanted)  # about issuance and about calls: never
        clauses = [self.for_rail(who, wanted=wanted) for who in rule.who]
        clauses += [
            self.on_rail(what, wanted=wanted)
            for what in rule.what
            if isinstance(what, nodes.OnNames) and what.what not in ("tool", "server")
        ]
        clauses += [
            self.rail(when.expression, wanted=wanted is not when.negated)
            for when in rule.conditions
        ]
        return emit.every_of(clauses) if wanted else emit.some_of(clauses)

    # --- targets ---------------------------------------------------------------------------

    def for_rail(self, clause: nodes.ForClause, *, wanted: bool) -> ast.expr:
        """One `for` clause."""
        if isinstance(clause, nodes.ForTier):
            truth, tiers = Truth.TRUE if wanted else Truth.FALSE, self.materials.tiers
            fits = tuple(t for t in tiers if targets.tier_truth(clause, t, tiers) is truth)
            return self.at(self.one_of(self.field("agent", "tier"), fits), clause.span)
        self.check_names(clause)
        if clause.what == "group":
            test = self.names(clause, "groups", lambda: targets.for_names_test(clause, "permit"))
            return self.clause_test(test, clause, wanted=wanted)
        key = targets.ACTOR_FIELD_OF[clause.what]
        caller = self.names_rail(self.field("agent", key), clause, wanted=wanted)
        if self.rule is None or self.rule.effect == "permit":
            return caller
        about = f"actors {wanted}"
        actors = self.names(clause, about, lambda: targets.actors_test(clause, wanted=wanted))
        chain = self.at(emit.call(actors, self.field("chain", "actors")), clause.span)
        return emit.every_of([caller, chain]) if not wanted else emit.some_of([caller, chain])

    def on_rail(self, clause: nodes.OnNames, *, wanted: bool) -> ast.expr:
        """One `on` clause that the index does not answer."""
        self.check_names(clause)
        if clause.what == "scope":
            return self.names_rail(self.field("call", "scope"), clause, wanted=wanted)
        test = self.names(clause, "request", lambda: targets.on_names_test(clause))
        return self.clause_test(test, clause, wanted=wanted)

    def clause_test(self, test: ast.expr, clause: nodes.Node, *, wanted: bool) -> ast.expr:
        """A prepared test of the whole request."""
        asked = emit.call(test, emit.name("request"))
        return self.at(emit.compare(asked, ast.Is(), emit.constant(wanted)), clause.span)

    def names_rail(
        self, value: ast.expr, clause: nodes.ForNames | nodes.OnNames, *, wanted: bool
    ) -> ast.expr:
        """A text against the names of a clause."""
        names = targets.texts(clause.names)
        if not clause.without and not any("*" in name for name in names):
            tree = self.among(value, names, wanted=wanted)
        else:
            without = targets.texts(clause.without)
            matcher = self.names(
                clause, "text", lambda: targets.names_matcher(clause.what, names, without)
            )
            guard, text = self.guarded(value, "string")
            matched = emit.call(matcher, text)
            tree = emit.every_of([guard, matched if wanted else emit.negate(matched)])
        return self.at(tree, clause.span)

    def names(
        self, clause: nodes.ForNames | nodes.OnNames, about: str, make: Callable[[], object]
    ) -> ast.expr:
        """What the names of a clause become; `about` tells the forms they are needed in apart."""
        names, without = targets.texts(clause.names), targets.texts(clause.without)
        return self.prepared(make, about, clause.what, names, without)

    def check_names(self, clause: nodes.ForNames | nodes.OnNames) -> None:
        """Refuses unusable patterns with their place."""
        for pattern in (*clause.names, *clause.without):
            make = partial(targets.names_matcher, clause.what, (pattern.text,))
            try:
                self.materials.prepared.get(("name", clause.what, pattern.text), make)
            except ValueError as error:
                raise unusable(error, pattern) from None
