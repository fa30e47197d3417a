"""Rules into Python functions: two rails instead of three values.

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

What a function returns. An integer: bit n + 1 is set when rule n applies (`bit_of`), and bit 0
(`DOUBT`) when a forbid or require applies without being certain, which is when T of its condition
is asked too. `generate_rule` is about a single rule, and is compiled when it is first called;
`plans` puts many rules into one function.

Safety. Functions are built as `ast` nodes from the closed list in `emit`, never from text. Names
are generated; constants are checked; what a policy names becomes a dictionary key. Attributes of
values are never read but `get` (of what is exactly a `dict`), `startswith` and
`endswith` (of what is exactly a `str`). Functions run without builtins. The same rules give the
same tree, byte for byte. Whatever can be wrong with a rule is found when it is checked, at load:
writing it again finds all constants prepared.

Shapes. Policies say the same few things about many tools. Whatever a rule says that is not the name
of a field (numbers, texts, patterns, windows) is a constant that its function is given, so that
rules which differ in nothing else have the same tree: one *shape*.

Places. The function of a single rule carries the places of what it was written for, so that a
traceback points into the `.pbac` file. Code that plans share can have none: who has to explain a
fault of a plan asks its rules one by one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any, Final

from pbac.lang import nodes
from pbac.lang.evaluate import targets
from pbac.lang.evaluate.truth import Truth
from pbac.lang.generate import emit, runtime
from pbac.lang.generate.truths import TruthWriter
from pbac.lang.generate.values import unusable
from pbac.lang.program import DOUBT, Ask, Data, Materials, bit_of
from pbac.model.request import DecisionRequest

# INVARIANT: nobody writes to it; functions are defined in a mapping of their own.
GLOBALS: Final[dict[str, Any]] = {"__builtins__": {}, **runtime.NAMES}


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
            self._function = compiled(write_rule(question), file)
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

    key: Hashable
    constants: tuple[object, ...]


def shape_of(question: Question) -> Shape:
    """The shape of a question that was checked at load."""
    written = write_rule(question, placed=False)
    return Shape(
        key=(question.rule.effect, _key(written.tree)),
        constants=tuple(written.constants.values()),
    )


def doubted(test: ast.expr) -> list[ast.stmt]:
    """Adds `DOUBT` where the test holds."""
    return emit.if_(test, emit.include("applied", emit.constant(DOUBT)))


def compiled(written: Written, file: str) -> FunctionType:
    """The function of a tree."""
    ast.fix_missing_locations(written.tree)
    code = compile(written.tree, file, "exec", dont_inherit=True)
    namespace = dict(written.constants)
    exec(code, GLOBALS, namespace)  # noqa: S102 - our own tree, without builtins: see Safety above
    function = namespace["rules"]
    assert isinstance(function, FunctionType)
    return function


def write_rule(question: Question, *, placed: bool = True) -> Written:
    """The tree of `generate_rule`: deterministic, and readable through `ast.unparse`.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    writer = RuleWriter(materials=question.materials, here=question.rule.name_span, placed=placed)
    part = writer.question(question, lambda: emit.constant(bit_of(0)))
    constants = {f"g{number}": constant for number, constant in enumerate(writer.constants)}
    function = emit.function(
        [
            emit.assign("applied", emit.constant(0)),
            *part.opening,
            *part.asked,
            emit.answer(emit.name("applied")),
        ],
        ("request", "data"),
        list(constants),
    )
    # What belongs to nothing in particular is placed at the rule's name.
    function = writer.at(function, question.rule.name_span)
    return Written(tree=ast.Module(body=[function], type_ignores=[]), constants=constants)


def _key(tree: object) -> Hashable:
    """Equal for equal trees without places, as `ast.dump` would be, and made sooner."""
    if isinstance(tree, ast.AST):
        return (type(tree), *map(_key, tree.__dict__.values()))
    if type(tree) is list:
        return tuple(map(_key, tree))
    return tree if type(tree) is str else (type(tree), tree)  # `1` and `true` differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What asks one rule.

    Attributes:
        opening: the reads it needs.
        applies: the test of the rule by itself; `certain`: that it is certain, for when it applies.
        asked: statements that set the bit of the rule if it applies, and `DOUBT`.
    """

    opening: list[ast.stmt]
    applies: ast.expr
    certain: ast.expr
    asked: list[ast.stmt]


@dataclass(slots=True, kw_only=True)
class RuleWriter(TruthWriter):
    """Writes what asks a rule.

    Attributes:
        rule: the one at hand.
    """

    rule: nodes.Rule | None = None

    def question(self, question: Question, bit: Callable[[], ast.expr]) -> Part:
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
        found = [emit.include("applied", bit()), *doubted(emit.negate(certain))]
        asked = [self.at(each, rule.name_span) for each in emit.if_(applies, *found)]
        return Part(opening=opening, applies=applies, certain=certain, asked=asked)

    # --- rules -----------------------------------------------------------------------------

    def unexpired(self, until_ms: int) -> ast.expr:
        """`@expires` is exclusive, and unknown (so not granted) without a clock."""
        now = self.field("env", "now")
        known = emit.compare(emit.kind(now), ast.Is(), emit.name("integer"))
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
