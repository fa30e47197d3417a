"""Small builders of Python syntax trees, from a closed list of forms, with positions.

Nothing here takes a name or a piece of code from a policy: names are checked to be our own, and
what a policy says becomes a constant of a checked kind.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Final

_OWN_NAME: Final = re.compile(
    r"(?:[gprtv][0-9]+|nothing|rules|every|width|found|one|applied|bit|request|data|given|"
    r"[a-z_]+_value|some|is_kind|kind|known|filed|hashed|picked|present|step|MISSING|UNKNOWN|"
    r"record|string|integer|decimal)"
)
_ATTRIBUTE: Final = re.compile(
    r"(?:agent|user|chain|token|call|args|facts|session|env|get|startswith|endswith)"
)
_CONSTANTS: Final = frozenset({type(None), bool, int, float, str})


def _own(identifier: str) -> str:
    """The name, when it is one of ours; also under `-O`, where assertions sleep."""
    if not _OWN_NAME.fullmatch(identifier):
        raise ValueError(f"`{identifier}` is no generated name")
    return identifier


def name(identifier: str) -> ast.expr:
    """A local or global of ours."""
    return ast.Name(id=_own(identifier), ctx=ast.Load())


def scalar(value: object) -> bool | int | float | str | None:
    """The value, when it is of a JSON scalar's exact class.

    Raises:
        TypeError: for anything else.
    """
    if type(value) not in _CONSTANTS:
        raise TypeError("a constant of a policy is null, a boolean, a number or a string")
    return value  # type: ignore[return-value]


def constant(value: bool | float | str | None) -> ast.expr:  # noqa: FBT001
    """A constant of a JSON scalar's exact class.

    Raises:
        TypeError: for anything else.
    """
    return ast.Constant(value=scalar(value))


def attribute(value: ast.expr, identifier: str) -> ast.expr:
    """One of the attributes generated code may read."""
    if not _ATTRIBUTE.fullmatch(identifier):
        raise ValueError(f"generated code may not read `{identifier}`")
    return ast.Attribute(value=value, attr=identifier, ctx=ast.Load())


def call(function: ast.expr | str, *arguments: ast.expr) -> ast.expr:
    """A call without keywords."""
    callee = name(function) if isinstance(function, str) else function
    return ast.Call(func=callee, args=list(arguments), keywords=[])


def method(value: ast.expr, identifier: str, *arguments: ast.expr) -> ast.expr:
    """`value.identifier(arguments)`."""
    return call(attribute(value, identifier), *arguments)


def kind(value: ast.expr) -> ast.expr:
    """`kind(value)`, its exact class; a call that the interpreter knows, unlike `__class__`."""
    return call("kind", value)


def walrus(identifier: str, value: ast.expr) -> ast.expr:
    """`(identifier := value)`."""
    return ast.NamedExpr(target=ast.Name(id=_own(identifier), ctx=ast.Store()), value=value)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    """`left operator right`."""
    return ast.Compare(left=left, ops=[operator], comparators=[right])


def negate(value: ast.expr) -> ast.expr:
    """`not value`, simplified where the value is a constant or a membership."""
    match value:
        case ast.Constant():
            return constant(not value.value)
        case ast.Compare(ops=[ast.In()]):
            return compare(value.left, ast.NotIn(), value.comparators[0])
        case ast.Compare(ops=[ast.Eq()]):
            return compare(value.left, ast.NotEq(), value.comparators[0])
    return ast.UnaryOp(op=ast.Not(), operand=value)


def every_of(values: list[ast.expr]) -> ast.expr:
    """`a and b and c`; constants are folded."""
    return _joined(values, ast.And(), unit=True)


def some_of(values: list[ast.expr]) -> ast.expr:
    """`a or b or c`; constants are folded."""
    return _joined(values, ast.Or(), unit=False)


def _joined(values: list[ast.expr], operator: ast.boolop, *, unit: bool) -> ast.expr:
    if any(is_constant(value, value=not unit) for value in values):
        return constant(not unit)
    rest = [value for value in values if not is_constant(value, value=unit)]
    if not rest:
        return constant(unit)
    return rest[0] if len(rest) == 1 else ast.BoolOp(op=operator, values=rest)


def is_constant(tree: ast.expr, *, value: bool) -> bool:
    """True when the tree is this constant."""
    return isinstance(tree, ast.Constant) and tree.value is value


def one_parameter(identifier: str, body: ast.expr) -> ast.expr:
    """`lambda identifier: body`."""
    return ast.Lambda(args=_parameters(identifier), body=body)


def function(
    body: list[ast.stmt], parameters: Iterable[str], constants: Sequence[str] = ()
) -> ast.stmt:
    """`def rules(parameters, g0=g0, …): body`: constants are defaults."""
    return ast.FunctionDef(
        name="rules",
        args=_parameters(*parameters, *constants, defaults=list(map(name, constants))),
        body=body,
        decorator_list=[],
    )


def when(test: ast.expr, *body: ast.stmt) -> ast.stmt:
    """`if test: body`."""
    return ast.If(test=test, body=list(body), orelse=[])


def choice(test: ast.expr, body: ast.expr, otherwise: ast.expr) -> ast.expr:
    """`body if test else otherwise`, simplified where the test is a constant or negated."""
    match test:
        case ast.Constant():
            return body if test.value else otherwise
        case ast.UnaryOp(op=ast.Not()):
            test, body, otherwise = test.operand, otherwise, body
    return ast.IfExp(test=test, body=body, orelse=otherwise)


def both(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left & right`."""
    return ast.BinOp(left=left, op=ast.BitAnd(), right=right)


def either(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left | right`."""
    return ast.BinOp(left=left, op=ast.BitOr(), right=right)


def without(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left ^ right`, of which left has all."""
    return ast.BinOp(left=left, op=ast.BitXor(), right=right)


def there(identifier: str) -> ast.expr:
    """`identifier is not ...`: it was given. No policy can say the constant `...`."""
    return compare(name(identifier), ast.IsNot(), ast.Constant(value=...))


def if_(test: ast.expr, *body: ast.stmt) -> list[ast.stmt]:
    """`if test: body`; the body, or nothing, where the test is a constant."""
    if isinstance(test, ast.Constant):
        return list(body) if test.value else []
    return [when(test, *body)]


def each(identifiers: Sequence[str], iterable: ast.expr, body: list[ast.stmt]) -> ast.stmt:
    """`for identifier in iterable: body`, or `for identifier, identifier in …`."""
    return ast.For(target=_stored(identifiers), iter=iterable, body=body, orelse=[])


def nothing() -> ast.expr:
    """`()`."""
    return ast.Tuple(elts=[], ctx=ast.Load())


def times(left: str, right: str) -> ast.expr:
    """`left * right`."""
    return ast.BinOp(left=name(left), op=ast.Mult(), right=name(right))


def unpack(identifiers: Sequence[str], value: str) -> ast.stmt:
    """`identifier, identifier = value`; also of one."""
    return ast.Assign(targets=[_several(identifiers)], value=name(value))


def _stored(identifiers: Sequence[str]) -> ast.expr:
    several = _several(identifiers)
    return several.elts[0] if len(identifiers) == 1 else several


def _several(identifiers: Sequence[str]) -> ast.Tuple:
    stored: list[ast.expr] = [ast.Name(id=_own(each_), ctx=ast.Store()) for each_ in identifiers]
    return ast.Tuple(elts=stored, ctx=ast.Store())


def double(identifier: str) -> ast.stmt:
    """`identifier += identifier`."""
    target = ast.Name(id=_own(identifier), ctx=ast.Store())
    return ast.AugAssign(target=target, op=ast.Add(), value=name(identifier))


def multiply(identifier: str, factor: str) -> ast.stmt:
    """`identifier *= factor`."""
    target = ast.Name(id=_own(identifier), ctx=ast.Store())
    return ast.AugAssign(target=target, op=ast.Mult(), value=name(factor))


def include(identifier: str, value: ast.expr) -> ast.stmt:
    """`identifier |= value`."""
    target = ast.Name(id=_own(identifier), ctx=ast.Store())
    return ast.AugAssign(target=target, op=ast.BitOr(), value=value)


def answer(value: ast.expr) -> ast.stmt:
    """`return value`."""
    return ast.Return(value=value)


def assign(identifier: str, value: ast.expr) -> ast.stmt:
    """`identifier = value`."""
    return ast.Assign(targets=[ast.Name(id=_own(identifier), ctx=ast.Store())], value=value)


def _parameters(*identifiers: str, defaults: Sequence[ast.expr] = ()) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(arg=_own(identifier)) for identifier in identifiers],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=list(defaults),
    )


# --- positions -----------------------------------------------------------------------------
