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

Places. Every tree carries the place of what it was written for, so that a traceback points into
the `.pbac` file. Python knows one file for a function: one over rules from several files is said
to be in `SEVERAL_FILES`, and who has to explain a fault asks the rules one by one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pbac.lang import emit, nodes, runtime, targets
from pbac.lang.program import DOUBT, Ask, Data, bit_of
from pbac.lang.truth import Truth
from pbac.lang.write_truths import TruthWriter
from pbac.lang.write_values import Materials, unusable
from pbac.model.request import DecisionRequest

SEVERAL_FILES: Final = "<rules of several files>"

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

    def __init__(self, question: Question) -> None:
        self._question = question
        self._function: Ask | None = None

    def __call__(self, request: DecisionRequest, data: Data) -> int:
        """Asks the rule."""
        if self._function is None:
            self._function = _compiled(write_rule(self._question), [self._question])
        return self._function(request, data)


def generate_rule(question: Question) -> OnDemand:
    """A function that is `bit_of(0)` when the rule applies, with `DOUBT` when that is not certain.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    write_rule(question)
    return OnDemand(question)


def generate_plan(questions: Sequence[Question]) -> Ask:
    """A function that says which of these rules a decision follows from (Law 1).

    Args:
        questions: forbids, then permits, then requires, all of which were checked at load.
    """
    return _compiled(write_plan(questions), questions)


def _compiled(written: Written, questions: Sequence[Question]) -> Ask:
    files = {question.rule.span.source for question in questions}
    file = files.pop() if len(files) == 1 else SEVERAL_FILES
    code = compile(written.tree, file or "<rules>", "exec", dont_inherit=True)
    namespace = dict(written.constants)
    exec(code, _GLOBALS, namespace)  # noqa: S102 - our own tree, without builtins: see Safety above
    ask: Ask = namespace["rules"]  # type: ignore[assignment]
    return ask


def write_rule(question: Question) -> Written:
    """The tree of `generate_rule`: deterministic, and readable through `ast.unparse`.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    writer = _Writer(materials=question.materials, here=question.rule.name_span)
    certain, asked = writer.part([(0, question)])
    body = [emit.assign("applied", emit.constant(certain)), *asked]
    return writer.function([*body, emit.answer(emit.name("applied"))], question)


def write_plan(questions: Sequence[Question]) -> Written:
    """The tree of `generate_plan`."""
    first = questions[0]
    writer = _Writer(materials=first.materials, here=first.rule.name_span)
    return writer.function(writer.law_one(questions), first)


@dataclass(slots=True, kw_only=True)
class _Writer(TruthWriter):
    """Writes one function, rule by rule; `rule` is the one at hand."""

    rule: nodes.Rule | None = None

    # --- functions -------------------------------------------------------------------------

    def function(self, body: list[ast.stmt], first: Question) -> Written:
        """The module; what belongs to no rule is placed at the first one."""
        function = emit.function(body, self.constants.values)
        emit.fill(first.materials.places.at(function, first.rule.name_span))
        tree = ast.Module(body=[function], type_ignores=[])
        return Written(tree=tree, constants=self.constants.values)

    def law_one(self, questions: Sequence[Question]) -> list[ast.stmt]:
        """Forbids alone, or permits and then requires, or nothing."""
        numbered = list(enumerate(questions))
        forbids, permits, requires = (
            [(number, question) for number, question in numbered if question.rule.effect == effect]
            for effect in ("forbid", "permit", "require")
        )
        applied = emit.name("applied")
        refusing, asked = self.part(forbids)
        body = [emit.assign("applied", emit.constant(refusing)), *asked]
        if refusing:
            return [*body, emit.answer(applied)]
        if asked:
            body.append(emit.when(applied, emit.answer(applied)))
        granting, asked = self.part(permits)
        body += [*_included(granting), *asked]
        if requires and (granting or asked):
            if not granting:
                body.append(emit.when(emit.negate(applied), emit.answer(applied)))
            requiring, asked = self.part(requires)
            body += [*_included(requiring), *asked]
        return [*body, emit.answer(applied)]

    def part(self, numbered: Sequence[tuple[int, Question]]) -> tuple[int, list[ast.stmt]]:
        """The bits that are set in any case, and the statements that set the others."""
        certain, statements = 0, []
        for number, question in numbered:
            bits, asked = self.question(question, bit_of(number))
            certain |= bits
            statements += [*self.opening, *asked]
            self.opening.clear()
        return certain, statements

    def question(self, question: Question, bit: int) -> tuple[int, list[ast.stmt]]:
        """One rule: see `part`. A forbid or require that applies is asked whether it is certain."""
        rule = self.rule = question.rule
        self.materials, self.here = question.materials, rule.name_span
        permit = rule.effect == "permit"
        applies = self.rule_rail(rule, wanted=permit)
        if question.until_ms is not None:
            applies = emit.every_of([self.unexpired(question.until_ms), applies])
        applies = applies if permit else emit.negate(applies)
        if emit.is_constant(applies, value=False):
            return 0, []
        certain = emit.constant(permit)
        if not permit and question.sure:
            certain = self.rule_rail(rule, wanted=True)
        if emit.is_constant(applies, value=True) and isinstance(certain, ast.Constant):
            return bit if certain.value else bit | DOUBT, []
        bits = emit.choice(certain, emit.constant(bit), emit.constant(bit | DOUBT))
        return 0, [self.at(emit.when(applies, emit.include("applied", bits)), rule.name_span)]

    # --- rules -----------------------------------------------------------------------------

    def unexpired(self, until_ms: int) -> ast.expr:
        """`@expires` is exclusive, and unknown (so not granted) without a clock."""
        now = self.field("env", "now")
        known = emit.compare(emit.attribute(now, "__class__"), ast.Is(), emit.name("integer"))
        return emit.every_of([known, emit.compare(now, ast.Lt(), emit.constant(until_ms))])

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


def _included(bits: int) -> list[ast.stmt]:
    return [emit.include("applied", emit.constant(bits))] if bits else []
