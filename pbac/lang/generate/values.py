"""Generated code for values: the part of `generate` that knows `MISSING` and `UNKNOWN`.

The theory is told in `generate`. Nothing here needs a rail: a truth that is used as a value calls
`runtime`, so code for a value is as long as what it is written for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.evaluate.functions import function_of, prepared
from pbac.lang.generate import emit
from pbac.lang.places import Tree
from pbac.lang.program import Materials
from pbac.model.request import FIELDS
from pbac.model.values import MISSING, Value


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
    """Writes values.

    Attributes:
        materials: of the rule that is being written.
        constants: of the function, in the order of their names `g0`, `g1`, …
        constants_before: how many of them are those of other rules.
        placed: do trees get the places of what they are written for?
        here: what is being written, for reads: a root or field is read once, where first needed.
        variables: a quantifier's variable → its local.
        reads: root, or root and field → its local.
        opening: the reads that have to stand before the statement that is being written.
    """

    materials: Materials
    here: Span
    constants: list[object] = field(default_factory=list)
    constants_before: int = 0
    placed: bool = True
    variables: dict[str, str] = field(default_factory=dict)
    locals_made: int = 0
    reads: dict[tuple[object, ...], str] = field(default_factory=dict)
    opening: list[ast.stmt] = field(default_factory=list)

    def local(self) -> str:
        """A new local name."""
        self.locals_made += 1
        return f"v{self.locals_made}"

    def at(self, tree: Tree, span: Span) -> Tree:
        """The tree with a place in its source."""
        return self.materials.places.at(tree, span) if self.placed else tree

    def given(self, value: object) -> ast.expr:
        """The name of a constant; of one that this rule has already, the same."""
        for number in range(self.constants_before, len(self.constants)):
            if self.constants[number] is value:
                return emit.name(f"g{number}")
        self.constants.append(value)
        return emit.name(f"g{len(self.constants) - 1}")

    def literal(self, value: Value) -> ast.expr:
        """A scalar that the policy says.

        Raises:
            TypeError: for anything else.
        """
        checked = emit.scalar(value)
        return self.prepared(lambda: checked, "literal", type(value), value)

    def prepared(self, make: Callable[[], object], *key: object) -> ast.expr:
        """What a constant of the policy becomes."""
        return self.given(self.materials.prepared.get(key, make))

    # --- values ----------------------------------------------------------------------------

    def value(self, expression: nodes.Expression) -> ast.expr:
        """Code for the value of an expression, `MISSING` and `UNKNOWN` included."""
        return self.at(self.value_of(expression), expression.span)

    def value_of(self, expression: nodes.Expression) -> ast.expr:
        """See `value`."""
        match expression:
            case nodes.Literal():
                return self.literal(expression.value)
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
        if all(map(is_literal, expression.items)):
            items = [item for item in expression.items if isinstance(item, nodes.Literal)]
            return self.prepared(lambda: tuple(i.value for i in items), "list", *literals(items))
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
                    self.here = expression.span
                    return self.chain(root, keys)
            case nodes.Default(
                path=nodes.Path(root=root, steps=(nodes.Field(name=key),)),
                fallback=nodes.Literal(value=fallback),
            ) if root in FIELDS and root not in self.variables and root != "user":
                self.here = expression.span
                return Operand([], self.field(root, key, fallback))
        return Operand([], self.value(expression))

    def chain(self, root: str, keys: list[str]) -> Operand:
        """`root.a.b` as `.get("a").get("b")`, each link but the last guarded to be a record."""
        guards: list[ast.expr] = []
        known = root not in self.variables  # roots are records: their type says so
        value = self.root(root) if known else emit.name(self.variables[root])
        if root == "user" and known:
            known = not keys
            value = emit.call("present", value) if not keys else value
        elif known and keys:
            value, known, keys = self.field(root, keys[0]), False, keys[1:]
        for key in keys:
            if not known:
                kind, value = self.kind(value)
                guards.append(emit.compare(kind, ast.Is(), emit.name("record")))
            value, known = emit.method(value, "get", emit.constant(key)), False
        return Operand(guards, value)

    def kind(self, value: ast.expr) -> tuple[ast.expr, ast.expr]:
        """(the class of a value, code that reads the value again): of what is read, read once."""
        if not isinstance(value, ast.Name):
            local = self.local()
            return emit.kind(emit.walrus(local, value)), emit.name(local)
        if value.id not in self.reads.values():
            return emit.kind(value), emit.name(value.id)
        return self.read(("kind", value.id), lambda: emit.kind(value)), value

    def number(self, value: ast.expr) -> tuple[ast.expr, ast.expr]:
        """(the test that a value is exactly a number, code that reads the value again)."""
        kind, again = self.kind(value)
        other = kind if isinstance(kind, ast.Name) else emit.kind(again)
        tests = [emit.compare(kind, ast.Is(), emit.name("integer"))]
        tests += [emit.compare(other, ast.Is(), emit.name("decimal"))]
        if not isinstance(kind, ast.Name):
            return emit.some_of(tests), again
        return self.read(("number", kind.id), lambda: emit.some_of(tests)), again

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
            self.here = path.span
            value = self.root(path.root)
            if steps and isinstance(steps[0], nodes.Field):
                value = self.field(path.root, steps[0].name, MISSING)
                del steps[0]
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
        return self.read((root,), lambda: emit.attribute(emit.name("request"), root))

    def field(self, root: str, key: str, *fallback: Value) -> ast.expr:
        """One field of a root that is always there; None, or the fallback, when it is missing."""

        def made() -> ast.expr:
            others = [emit.name("MISSING") if v is MISSING else emit.constant(v) for v in fallback]
            return emit.method(self.root(root), "get", emit.constant(key), *others)

        # `1`, `1.0` and `true` are one key of a dictionary and three values.
        return self.read((root, key, *((type(other), other) for other in fallback)), made)

    def read(self, what: tuple[object, ...], made: Callable[[], ast.expr]) -> ast.expr:
        """The local that holds it; roots and fields are read once in a function."""
        if what not in self.reads:
            value, local = made(), f"r{len(self.reads) + 1}"
            self.opening.append(self.at(emit.assign(local, value), self.here))
            self.reads[what] = local
        return emit.name(self.reads[what])

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
        function = function_of(operation)
        if function.prepare is None or not all(map(is_literal, operation.operands[1:])):
            operands = [self.value(operand) for operand in operation.operands]
            return emit.call(self.given(function.evaluate), *operands)
        try:
            evaluate = self.prepared(
                lambda: prepared(operation), function.name, *literals(operation.operands[1:])
            )
        except ValueError as error:
            raise unusable(error, operation.operands[-1]) from None
        return emit.call(evaluate, self.value(operation.operands[0]))


def is_literal(expression: nodes.Expression) -> bool:
    """True for a constant of the policy."""
    return isinstance(expression, nodes.Literal)


def literals(expressions: Iterable[nodes.Expression]) -> list[object]:
    """The constants among them, with what tells `1`, `1.0` and `true` apart."""
    found = [item.value for item in expressions if isinstance(item, nodes.Literal)]
    return [(type(value), value) for value in found]


def unusable(error: ValueError, node: nodes.Node) -> PolicyError:
    """A constant of the policy that cannot be used, with its place."""
    message = str(error)
    return PolicyError([Diagnostic(code="unusable-constant", message=message, span=node.span)])
