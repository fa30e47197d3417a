"""Generated code for values: the part of `generate` that knows `MISSING` and `UNKNOWN`.

The theory is told in `generate`. Nothing here needs a rail: a truth that is used as a value calls
`runtime`, so code for a value is as long as what it is written for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.lang import emit, nodes
from pbac.lang.emit import Places
from pbac.lang.functions import function_of, prepared
from pbac.model.request import FIELDS


@dataclass(slots=True)
class Constants:
    """Objects that generated code reads as globals, under names given in order."""

    values: dict[str, object] = field(default_factory=dict)

    def add(self, value: object) -> ast.expr:
        """The name of a new global with this value."""
        identifier = f"g{len(self.values)}"
        self.values[identifier] = value
        return emit.name(identifier)


@dataclass(frozen=True, slots=True)
class Operand:
    """Code for a value: it may be read only where the guards hold.

    Where a guard fails the value is missing or unknown. Where they hold, `value` may still be None
    for missing: only leaves that ask for a kind other than null may read an operand.
    """

    guards: list[ast.expr]
    value: ast.expr


@dataclass(slots=True, kw_only=True)
class ValueWriter:
    """Writes values. `variables` maps a quantifier's variable to its local."""

    constants: Constants
    places: Places
    variables: dict[str, str] = field(default_factory=dict)
    locals_made: int = 0
    shared: dict[str, str] = field(default_factory=dict)

    def local(self) -> str:
        """A new local name."""
        self.locals_made += 1
        return f"v{self.locals_made}"

    # --- values ----------------------------------------------------------------------------

    def value(self, expression: nodes.Expression) -> ast.expr:
        """Code for the value of an expression, `MISSING` and `UNKNOWN` included."""
        return self.places.at(self.value_of(expression), expression.span)

    def value_of(self, expression: nodes.Expression) -> ast.expr:
        """See `value`."""
        match expression:
            case nodes.Literal():
                return emit.constant(expression.value)
            case nodes.ListExpression():
                return self.list_value(expression)
            case nodes.RecordExpression():
                keys: list[ast.expr | None] = [emit.constant(k) for k, _ in expression.pairs]
                return ast.Dict(keys=keys, values=[self.item(v) for _, v in expression.pairs])
            case nodes.Path():
                return self.path_value(expression)
            case nodes.Default():
                local = self.local()
                made = emit.walrus(local, self.value(expression.path))
                missing = emit.compare(made, ast.Is(), emit.name("MISSING"))
                fallback = self.value(expression.fallback)
                return ast.IfExp(test=missing, body=fallback, orelse=emit.name(local))
            case nodes.Operation():
                return self.applied(expression)
            case nodes.Apply():
                return emit.name("UNKNOWN")  # none is left after `resolve`
        return self.truth_value(expression)

    def truth_value(self, expression: nodes.Expression) -> ast.expr:
        """A truth used as a value: both rails at once would double in size at each level."""
        match expression:
            case nodes.Not():
                return emit.call("not_value", self.value(expression.operand))
            case nodes.And():
                return emit.call("and_value", *map(self.value, expression.items))
            case nodes.Or():
                return emit.call("or_value", *map(self.value, expression.items))
            case nodes.Has():
                return emit.call("has_value", self.value(expression.path))
            case nodes.IsKind():
                kind = emit.constant(expression.kind)
                asked = emit.call("is_kind", self.value(expression.operand), kind)
                return emit.call("not_value", asked) if expression.negated else asked
            case nodes.Quantified():
                collection = self.value(expression.collection)
                variable, body = self.bound(expression, lambda: self.value(expression.body))
                helper = "some_value" if expression.quantifier == "any" else "every_value"
                return emit.call(helper, collection, emit.one_parameter(variable, body))
        raise AssertionError(expression)

    def list_value(self, expression: nodes.ListExpression) -> ast.expr:
        """A written list: made once when all its items are constants."""
        if all(isinstance(item, nodes.Literal) for item in expression.items):
            literals = [item for item in expression.items if isinstance(item, nodes.Literal)]
            return self.constants.add(tuple(literal.value for literal in literals))
        return ast.List(elts=[*map(self.item, expression.items)], ctx=ast.Load())

    def item(self, expression: nodes.Expression) -> ast.expr:
        """An item of a written list or record."""
        value = self.value(expression)
        return value if isinstance(expression, nodes.Literal) else emit.call("known", value)

    def operand(self, expression: nodes.Expression) -> Operand:
        """A value for a leaf that asks for its kind: `.get` chains where the path allows it."""
        match expression:
            case nodes.Path(root=root, steps=steps) if root in self.variables or root in FIELDS:
                keys = [step.name for step in steps if isinstance(step, nodes.Field)]
                if len(keys) == len(steps):
                    return self.chain(root, keys)
            case nodes.Default(
                path=nodes.Path(root=root, steps=(nodes.Field(name=key),)),
                fallback=nodes.Literal(value=fallback),
            ) if root in FIELDS and root not in self.variables and root != "user":
                key_tree, other = emit.constant(key), emit.constant(fallback)
                return Operand([], emit.method(self.root(root), "get", key_tree, other))
        return Operand([], self.value(expression))

    def chain(self, root: str, keys: list[str]) -> Operand:
        """`root.a.b` as `.get("a").get("b")`, each link but the last guarded to be a record."""
        guards: list[ast.expr] = []
        known = root not in self.variables  # roots are records: their type says so
        value = self.root(root) if known else emit.name(self.variables[root])
        if root == "user" and known:
            known = not keys
            value = emit.call("present", value) if not keys else value
        for key in keys:
            if not known:
                local = self.local()
                made = emit.attribute(emit.walrus(local, value), "__class__")
                guards.append(emit.compare(made, ast.Is(), emit.name("record")))
                value = emit.name(local)
            value, known = emit.method(value, "get", emit.constant(key)), False
        return Operand(guards, value)

    def path_value(self, path: nodes.Path) -> ast.expr:
        """Code for the value of any path."""
        steps = list(path.steps)
        if path.root in self.variables:
            value = emit.name(self.variables[path.root])
        elif path.root not in FIELDS:
            return emit.name("UNKNOWN")  # a definition's name: none is left after `resolve`
        elif path.root == "user":
            value = emit.call("present", self.root("user"))
        else:
            value = self.root(path.root)
            if steps and isinstance(steps[0], nodes.Field):
                value = emit.method(value, "get", self.key(steps.pop(0)), emit.name("MISSING"))
        for step in steps:
            value = emit.call("step", value, self.key(step))
        return value

    def key(self, step: nodes.Field | nodes.Index) -> ast.expr:
        """Code for what a step looks up."""
        return emit.constant(step.name) if isinstance(step, nodes.Field) else self.value(step.key)

    def root(self, root: str) -> ast.expr:
        """A root's record; `user` may be None."""
        if root == "data":
            return emit.name("data")
        if root in self.shared:
            return emit.name(self.shared[root])
        return emit.attribute(emit.name("request"), root)

    def field(self, root: str, key: str) -> ast.expr:
        """One field of a root that is always there; None when it is missing."""
        return emit.method(self.root(root), "get", emit.constant(key))

    def bound(
        self, expression: nodes.Quantified, body: Callable[[], ast.expr]
    ) -> tuple[str, ast.expr]:
        """A new local for the quantifier's variable, and the body written with it."""
        local, outer = self.local(), self.variables
        self.variables = {**outer, expression.variable: local}
        written = body()
        self.variables = outer
        return local, written

    def applied(self, operation: nodes.Operation) -> ast.expr:
        """A call of the evaluator: where constants are built in, with the first operand alone."""
        try:
            evaluate = prepared(operation)
        except ValueError as error:
            raise unusable(error, operation.operands[-1]) from None
        if evaluate is not None:
            return emit.call(self.constants.add(evaluate), self.value(operation.operands[0]))
        operands = [self.value(operand) for operand in operation.operands]
        return emit.call(self.constants.add(function_of(operation).evaluate), *operands)


def unusable(error: ValueError, node: nodes.Node) -> PolicyError:
    """A constant of the policy that cannot be used, with its place."""
    message = str(error)
    return PolicyError([Diagnostic(code="unusable-constant", message=message, span=node.span)])
