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
needs one rail of each of its parts, so a function is never longer than twice its rule.

Where a truth is used as a *value* (`(a or b) == c`) both rails would be needed at once, and size
would double at each level; there, and for operators that are not worth writing out, the function
calls the evaluators and `runtime`, which know `UNKNOWN`, and asks `is True` or `is False` of what
they return.

Safety. Functions are built as `ast` nodes from the closed list in `emit`, never from text. Names
are generated; constants are checked; what a policy names becomes a dictionary key. Attributes of
values are never read but `__class__`, `get` (of what is exactly a `dict`), `startswith` and
`endswith` (of what is exactly a `str`). Modules run without builtins. The same rules give the same
tree, byte for byte.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pbac.lang import emit, nodes, runtime, targets
from pbac.lang.emit import Places
from pbac.lang.paths import paths_in
from pbac.lang.program import Applies
from pbac.lang.truth import Truth
from pbac.lang.write_truths import TruthWriter
from pbac.lang.write_values import Constants, unusable
from pbac.model.request import FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One rule's function.

    Attributes:
        applies: by T for a permit, by not F for a forbid or require; see `program.CompiledRule`.
        always: True when it is constantly true.
    """

    applies: Applies
    always: bool


def generate(
    rules: Sequence[nodes.Rule],
    *,
    package: str,
    tiers: tuple[str, ...],
    texts: Mapping[str, str] | None = None,
) -> tuple[Compiled, ...]:
    """The functions of one package's resolved rules, in the order of the rules.

    Args:
        rules: with definitions expanded; one code object is compiled for each source among them.
        package: named in the compiled module, for tracebacks and profiles.
        tiers: the policy set's tiers, lowest first.
        texts: the sources' texts by name, so that columns are right beyond ASCII.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    compiled: list[Compiled] = []
    for source, group in groupby(rules, key=lambda rule: rule.span.source):
        module = build(list(group), tiers=tiers, texts=texts or {})
        code = compile(module.tree, source or f"<{package}>", "exec", dont_inherit=True)
        namespace: dict[str, Any] = {"__builtins__": {}, **runtime.NAMES, **module.constants}
        exec(code, namespace)  # noqa: S102 - our own tree, without builtins: see Safety above
        compiled += [
            Compiled(applies=namespace[f"r{number}"], always=always)
            for number, always in enumerate(module.always)
        ]
    return tuple(compiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedModule:
    """A tree with functions `r0`, `r1`, …, the constants it names, and which are constant true."""

    tree: ast.Module
    constants: Mapping[str, object]
    always: tuple[bool, ...]


def build(
    rules: Sequence[nodes.Rule], *, tiers: tuple[str, ...], texts: Mapping[str, str]
) -> GeneratedModule:
    """The tree that `generate` compiles: deterministic, and readable through `ast.unparse`.

    Raises:
        PolicyError: for patterns, networks and windows that cannot be used.
    """
    constants = Constants()
    body: list[ast.stmt] = []
    always = []
    for number, rule in enumerate(rules):
        writer = _Writer(rule=rule, tiers=tiers, constants=constants, places=Places(texts))
        statements, constant = writer.function_body()
        function = writer.places.at(emit.function(f"r{number}", statements), rule.span)
        body.append(function)
        always.append(constant)
    tree = ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))
    return GeneratedModule(tree=tree, constants=constants.values, always=tuple(always))


@dataclass(slots=True, kw_only=True)
class _Writer(TruthWriter):
    """Writes one rule's function."""

    rule: nodes.Rule
    tiers: tuple[str, ...]

    # --- rules -----------------------------------------------------------------------------

    def function_body(self) -> tuple[list[ast.stmt], bool]:
        """The statements, and whether they constantly return True."""
        self.shared = {root: self.local() for root in _read_often(self.rule)}
        permit = self.rule.effect == "permit"
        found = self.rule_rail(wanted=permit)
        answer = self.places.at(found if permit else emit.negate(found), self.rule.name_span)
        statements: list[ast.stmt] = [
            self.places.at(
                emit.assign(local, emit.attribute(emit.name("request"), root)), self.rule.name_span
            )
            for root, local in self.shared.items()
        ]
        returned = self.places.at(ast.Return(value=answer), self.rule.name_span)
        return [*statements, returned], emit.is_constant(answer, value=True)

    def rule_rail(self, *, wanted: bool) -> ast.expr:
        """T or F of all that `CompiledRule.applies` tests, the cheap tests first."""
        tokens = [what for what in self.rule.what if isinstance(what, nodes.OnToken)]
        if tokens and len(tokens) < len(self.rule.what):
            return emit.constant(not wanted)  # about issuance and about calls: never
        clauses = [self.for_rail(who, wanted=wanted) for who in self.rule.who]
        clauses += [
            self.on_rail(what, wanted=wanted)
            for what in self.rule.what
            if isinstance(what, nodes.OnNames) and what.what not in ("tool", "server")
        ]
        clauses += [
            self.rail(when.expression, wanted=wanted is not when.negated)
            for when in self.rule.conditions
        ]
        return emit.every_of(clauses) if wanted else emit.some_of(clauses)

    # --- targets ---------------------------------------------------------------------------

    def for_rail(self, clause: nodes.ForClause, *, wanted: bool) -> ast.expr:
        """One `for` clause."""
        if isinstance(clause, nodes.ForTier):
            truth = Truth.TRUE if wanted else Truth.FALSE
            fits = tuple(
                t for t in self.tiers if targets.tier_truth(clause, t, self.tiers) is truth
            )
            return self.places.at(self.one_of(self.field("agent", "tier"), fits), clause.span)
        self.check_names(clause)
        if clause.what == "group":
            return self.clause_test(targets.for_names_test(clause, "permit"), clause, wanted=wanted)
        key = targets.ACTOR_FIELD_OF[clause.what]
        caller = self.names_rail(self.field("agent", key), clause, wanted=wanted)
        if self.rule.effect == "permit":
            return caller
        actors = self.constants.add(targets.actors_test(clause, wanted=wanted))
        chain = self.places.at(emit.call(actors, self.field("chain", "actors")), clause.span)
        return emit.every_of([caller, chain]) if not wanted else emit.some_of([caller, chain])

    def on_rail(self, clause: nodes.OnNames, *, wanted: bool) -> ast.expr:
        """One `on` clause that the index does not answer."""
        self.check_names(clause)
        if clause.what == "scope":
            return self.names_rail(self.field("call", "scope"), clause, wanted=wanted)
        return self.clause_test(targets.on_names_test(clause), clause, wanted=wanted)

    def clause_test(
        self, test: targets.ClauseTest, clause: nodes.Node, *, wanted: bool
    ) -> ast.expr:
        """A prepared test of the whole request."""
        asked = emit.call(self.constants.add(test), emit.name("request"))
        return self.places.at(emit.compare(asked, ast.Is(), emit.constant(wanted)), clause.span)

    def names_rail(
        self, value: ast.expr, clause: nodes.ForNames | nodes.OnNames, *, wanted: bool
    ) -> ast.expr:
        """A text against the names of a clause."""
        names = targets.texts(clause.names)
        if not clause.without and not any("*" in name for name in names):
            tree = self.among(value, names, wanted=wanted)
        else:
            matcher = targets.names_matcher(clause.what, names, targets.texts(clause.without))
            guard, text = self.guarded(value, "string")
            matched = emit.call(self.constants.add(matcher), text)
            tree = emit.every_of([guard, matched if wanted else emit.negate(matched)])
        return self.places.at(tree, clause.span)

    def check_names(self, clause: nodes.ForNames | nodes.OnNames) -> None:
        """Refuses unusable patterns with their place."""
        for pattern in (*clause.names, *clause.without):
            try:
                targets.names_matcher(clause.what, (pattern.text,))
            except ValueError as error:
                raise unusable(error, pattern) from None


def _read_often(rule: nodes.Rule) -> list[str]:
    """Roots read more than once: worth one look-up at the start."""
    counts: Counter[str] = Counter()
    for condition in rule.conditions:
        counts.update(path.root for path in paths_in(condition.expression))
    counts["agent"] += sum(1 for who in rule.who if getattr(who, "what", "tier") != "group")
    counts["call"] += sum(1 for what in rule.what if getattr(what, "what", "") == "scope")
    return sorted(r for r, count in counts.items() if count > 1 and r in FIELDS and r != "data")
