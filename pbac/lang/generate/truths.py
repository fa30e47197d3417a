"""Generated code for truths: T and F of every expression. The theory is told in `generate`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec import structs

from pbac.lang import nodes
from pbac.lang.evaluate.functions import function_of
from pbac.lang.generate import emit
from pbac.lang.generate.values import ValueWriter, literals
from pbac.model.request import FIELDS

IN_LINE_NAMES_MAX: Final = 8
"""Up to so many names a tuple is searched faster than a set, and needs no guard."""

_ORDER: Final[Mapping[str, Callable[[], ast.cmpop]]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_OPPOSITE: Final = {"!=": "==", "not in": "in"}
_Test: TypeAlias = Callable[[ast.expr], ast.expr]
"""Code for a value of the right kind → code for the test of it."""

_TEXT_METHODS: Final = {"starts with": "startswith", "ends with": "endswith"}


@dataclass(slots=True, kw_only=True)
class TruthWriter(ValueWriter):
    """Writes one rail of an expression at a time: `wanted` is True for T and False for F."""

    # --- truths ----------------------------------------------------------------------------

    def rail(self, expression: nodes.Expression, *, wanted: bool) -> ast.expr:
        """T (`wanted`) or F of an expression."""
        return self.at(self.rail_of(expression, wanted=wanted), expression.span)

    def rail_of(self, expression: nodes.Expression, *, wanted: bool) -> ast.expr:
        """See `rail`."""
        match expression:
            case nodes.Not():
                return self.rail(expression.operand, wanted=not wanted)
            case nodes.And():
                parts = [self.rail(item, wanted=wanted) for item in expression.items]
                return emit.every_of(parts) if wanted else emit.some_of(parts)
            case nodes.Or():
                parts = [self.rail(item, wanted=wanted) for item in expression.items]
                return emit.some_of(parts) if wanted else emit.every_of(parts)
            case nodes.Literal():
                return emit.constant(expression.value is wanted)
            case nodes.Has():
                return self.has_rail(expression, wanted=wanted)
            case nodes.Quantified():
                return self.quantified_rail(expression, wanted=wanted)
            case nodes.Operation():
                return self.operation_rail(expression, wanted=wanted)
        return emit.compare(self.value(expression), ast.Is(), emit.constant(wanted))

    def has_rail(self, expression: nodes.Has, *, wanted: bool) -> ast.expr:
        """`has path`: in line for a root and for one field of a root."""
        path = expression.path
        if path.root not in self.variables and path.root in FIELDS:
            self.here = path.span
            root = self.root(path.root)
            match path.steps:
                case () if path.root == "user":
                    test = ast.IsNot() if wanted else ast.Is()
                    return emit.compare(root, test, emit.constant(None))
                case (nodes.Field(name=key),) if path.root != "user":
                    within = ast.In() if wanted else ast.NotIn()
                    return emit.compare(emit.constant(key), within, root)
        asked = emit.call("has_value", self.value(path))
        return emit.compare(asked, ast.Is(), emit.constant(wanted))

    def quantified_rail(self, expression: nodes.Quantified, *, wanted: bool) -> ast.expr:
        """T(any) = some item is T, F(any) = every item is F; `all` is the mirror."""
        collection = self.value(expression.collection)
        variable, body = self.bound(expression, lambda: self.rail(expression.body, wanted=wanted))
        helper = "some" if (expression.quantifier == "any") is wanted else "every"
        return emit.call(helper, collection, emit.one_parameter(variable, body))

    # --- leaves ----------------------------------------------------------------------------

    def operation_rail(self, operation: nodes.Operation, *, wanted: bool) -> ast.expr:
        """An operator in line where that pays, otherwise its evaluator."""
        if function_of(operation).name != operation.name:
            return self.evaluated(operation, wanted=wanted)
        if operation.name in _OPPOSITE:
            positive = structs.replace(operation, name=_OPPOSITE[operation.name])
            return self.operation_rail(positive, wanted=not wanted)
        match operation.operands:
            case (left, nodes.Literal() as right):
                found = self.leaf(operation.name, left, right, wanted=wanted)
            case (nodes.Literal() as left, right) if operation.name in _MIRRORED:
                found = self.leaf(_MIRRORED[operation.name], right, left, wanted=wanted)
            case (left, nodes.ListExpression() as right) if operation.name == "in":
                found = self.member(left, right, wanted=wanted)
            case _:
                found = None
        return found or self.evaluated(operation, wanted=wanted)

    def leaf(
        self, name: str, expression: nodes.Expression, literal: nodes.Literal, *, wanted: bool
    ) -> ast.expr | None:
        """`expression name literal` in line, or None."""
        value = literal.value
        if name == "==" and type(value) is bool:
            return self.identical(expression, value=value is wanted)
        if name == "==" and type(value) is str:
            return self.equals(expression, value, wanted=wanted)
        test = self.text_test(name, literal) if type(value) is str else None
        if type(value) in (int, float) and (name == "==" or name in _ORDER):
            test = self.comparison(_ORDER.get(name, ast.Eq)(), literal)
        if test is None:
            return None
        kind = "string" if type(value) is str else "number"
        return self.kind_leaf(expression, kind, test, wanted=wanted)

    def comparison(self, operator: ast.cmpop, literal: nodes.Literal) -> _Test:
        """The test of a value against a constant."""
        return lambda value: emit.compare(value, operator, self.literal(literal.value))

    def text_test(self, name: str, literal: nodes.Literal) -> _Test | None:
        """The test of a text against a constant text, or None."""
        text = str(literal.value)
        if name in _ORDER:
            return self.comparison(_ORDER[name](), literal)
        if name in _TEXT_METHODS:
            return lambda value: emit.method(value, _TEXT_METHODS[name], self.literal(text))
        return None

    def identical(self, expression: nodes.Expression, *, value: bool) -> ast.expr:
        """T of `x == true`, and F of `x == false`: the value itself is the test."""
        operand = self.operand(expression)
        test = emit.compare(operand.value, ast.Is(), emit.constant(value))
        return emit.every_of([*operand.guards, test])

    def equals(self, expression: nodes.Expression, text: str, *, wanted: bool) -> ast.expr:
        """`x == "text"`: a string equals only a string, so T needs no guard for the kind."""
        operand = self.operand(expression)
        return emit.every_of([*operand.guards, self.among(operand.value, (text,), wanted=wanted)])

    def member(
        self, expression: nodes.Expression, collection: nodes.ListExpression, *, wanted: bool
    ) -> ast.expr | None:
        """`x in ["a", "b"]` in line, or None for lists of anything but strings or numbers."""
        items = [i.value if isinstance(i, nodes.Literal) else None for i in collection.items]
        if items and all(type(item) in (int, float) for item in items):
            return self.kind_leaf(expression, "number", self.one_number(collection), wanted=wanted)
        texts = tuple(item for item in items if type(item) is str)
        if not items or len(texts) < len(items):
            return None
        operand = self.operand(expression)
        return emit.every_of([*operand.guards, self.among(operand.value, texts, wanted=wanted)])

    def one_number(self, collection: nodes.ListExpression) -> _Test:
        """The test that a number is one of these."""
        items = [item for item in collection.items if isinstance(item, nodes.Literal)]
        kind = tuple if len(items) <= IN_LINE_NAMES_MAX else frozenset

        def test(value: ast.expr) -> ast.expr:
            found = self.prepared(lambda: kind(i.value for i in items), "numbers", *literals(items))
            return emit.compare(value, ast.In(), found)

        return test

    def kind_leaf(
        self,
        expression: nodes.Expression,
        kind: str,
        test: _Test,
        *,
        wanted: bool,
    ) -> ast.expr:
        """Guards, the kind, then the test or its negation."""
        operand = self.operand(expression)
        guard, value = self.guarded(operand.value, kind)
        tested = test(value)
        # `not (a < b)`, never `a >= b`: the two rails must not differ on any value.
        return emit.every_of([*operand.guards, guard, tested if wanted else emit.negate(tested)])

    def evaluated(self, operation: nodes.Operation, *, wanted: bool) -> ast.expr:
        """`evaluator(operands) is wanted`."""
        return emit.compare(self.applied(operation), ast.Is(), emit.constant(wanted))

    def guarded(self, value: ast.expr, kind: str) -> tuple[ast.expr, ast.expr]:
        """(the test that a value is exactly a string or number, the value in a local)."""
        if kind == "number":
            return self.number(value)
        found, again = self.kind(value)
        return emit.compare(found, ast.Is(), emit.name("string")), again

    def among(self, value: ast.expr, texts: tuple[str, ...], *, wanted: bool) -> ast.expr:
        """T or F of "the value is one of the texts"."""
        if wanted:
            return self.one_of(value, texts)
        guard, text = self.guarded(value, "string")
        return emit.every_of([guard, emit.negate(self.one_of(text, texts, guarded=True))])

    def one_of(self, value: ast.expr, texts: tuple[str, ...], *, guarded: bool = False) -> ast.expr:
        """The value is certainly one of the texts. A set needs something hashable: a guard."""
        if not texts:
            return emit.constant(False)
        if len(texts) == 1:
            return emit.compare(value, ast.Eq(), self.literal(texts[0]))
        if len(texts) <= IN_LINE_NAMES_MAX:
            return emit.compare(value, ast.In(), self.prepared(lambda: texts, "tuple", texts))
        if not guarded:
            guard, text = self.guarded(value, "string")
            return emit.every_of([guard, self.one_of(text, texts, guarded=True)])
        names = self.prepared(lambda: frozenset(texts), "set", texts)
        return emit.compare(value, ast.In(), names)
