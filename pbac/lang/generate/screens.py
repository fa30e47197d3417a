"""Screens: one test that says of many rules of a shape that none of them applies.

Theory. Rules of one shape differ in their constants alone: `args.amount > 100`, `args.amount >
250`. What they ask of a request is one function of it that grows, or shrinks, with the truth of
each leaf that a constant stands in. So if every such leaf is replaced by "some rule's leaf is true"
where the function grows, and by "every rule's leaf is true" where it shrinks, the result is true
whenever one of the rules applies. For most leaves that is as cheap as the leaf itself:

    leaf                   some rule's                  every rule's
    x == c                 x in the set of all c
    x != c                                              x not in the set of all c
    x < c, x <= c          x < the greatest c           x < the least c
    x > c, x >= c          x > the least c              x > the greatest c
    x in c                 x in the union of all c
    x not in c                                          x not in the union of all c
    x.startswith(c)        x.startswith((c, …))

Any other leaf is taken to be true, or false, so that it never hides a rule. A screen is only ever
wrong in saying that some rule might apply; then they are asked. Where `x == c` has to be true for a
rule to apply, only those whose `c` is this very `x` are asked, of however many: they are filed by
their constant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pbac.lang.generate import emit

Gather: TypeAlias = Callable[[Sequence[Any]], object]
"""The constants of all rules → the one constant of the screen."""


def _union(containers: Sequence[Any]) -> object:
    return frozenset().union(*containers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """How a leaf with a constant is widened; None: not at all. `hashed`: by looking it up."""

    some: Gather | None = None
    every: Gather | None = None
    hashed: bool = False


_NO_ROW: Final = _Row()
_LEAVES: Final[Mapping[type[ast.cmpop], _Row]] = {
    ast.Eq: _Row(some=frozenset, hashed=True),
    ast.NotEq: _Row(every=frozenset, hashed=True),
    ast.Lt: _Row(some=max, every=min),
    ast.LtE: _Row(some=max, every=min),
    ast.Gt: _Row(some=min, every=max),
    ast.GtE: _Row(some=min, every=max),
    ast.In: _Row(some=_union, hashed=True),
    ast.NotIn: _Row(every=_union, hashed=True),
}
_METHODS: Final = frozenset({"startswith", "endswith"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A screen for a shape.

    Attributes:
        test: with `s0`, `s1`, … for its constants.
        gathered: for each of them, which constant of a rule it is made from, and how.
        filed: which constant of a rule it is filed by, and what that is equal to; None: by none.
    """

    test: ast.expr
    gathered: tuple[tuple[int, Gather], ...]
    filed: tuple[int, ast.expr] | None = None

    def constants(self, rules: Sequence[Sequence[object]]) -> tuple[object, ...]:
        """The screen's constants, from those of all rules."""
        return tuple(gather([rule[place] for rule in rules]) for place, gather in self.gathered)

    def rules(self, rules: Sequence[Sequence[object]]) -> object:
        """All rules with their bits, the first has 1; by the constant they are filed by."""
        entries = [(1 << number, *constants) for number, constants in enumerate(rules)]
        if self.filed is None:
            return tuple(entries)
        by_constant: dict[object, list[tuple[object, ...]]] = {}
        for entry in entries:
            by_constant.setdefault(entry[1 + self.filed[0]], []).append(entry)
        return {constant: tuple(each) for constant, each in by_constant.items()}


def screen_of(applies: ast.expr, constants: Sequence[str]) -> Screen | None:
    """The screen for what a rule of a shape asks; None where it would say nothing.

    Args:
        applies: the test of one rule.
        constants: the names in it that stand for the rule's own constants.
    """
    if any(isinstance(node, ast.NamedExpr) for node in ast.walk(applies)):
        return None  # what it reads would be bound only where it is asked
    widening = _Widening(places={name: place for place, name in enumerate(constants)}, gathered=[])
    test = widening.widened(applies, grows=True)
    if isinstance(test, ast.Constant) or not widening.gathered:
        return None
    filed = next(_demanded(applies, widening.places), None)
    return Screen(test=test, gathered=tuple(widening.gathered), filed=filed)


def _demanded(tree: ast.expr, places: Mapping[str, int]) -> Iterator[tuple[int, ast.expr]]:
    """The equalities with a rule's constant that have to be true for the whole to be."""
    match tree:
        case ast.BoolOp(op=ast.And()):
            for each in tree.values:
                yield from _demanded(each, places)
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Name(id=name)]):
            if name in places:
                yield places[name], left


@dataclass(slots=True, kw_only=True)
class _Widening:
    places: Mapping[str, int]
    gathered: list[tuple[int, Gather]]

    def widened(self, tree: ast.expr, *, grows: bool) -> ast.expr:
        match tree:
            case ast.BoolOp(op=ast.And()):
                return emit.every_of([self.widened(each, grows=grows) for each in tree.values])
            case ast.BoolOp():
                return emit.some_of([self.widened(each, grows=grows) for each in tree.values])
            case ast.UnaryOp(op=ast.Not()):
                return emit.negate(self.widened(tree.operand, grows=not grows))
        if not any(
            isinstance(node, ast.Name) and node.id in self.places for node in ast.walk(tree)
        ):
            return tree
        return self.leaf(tree, grows=grows) or emit.constant(grows)

    def leaf(self, tree: ast.expr, *, grows: bool) -> ast.expr | None:
        match tree:
            case ast.Compare(left=left, ops=[operator], comparators=[ast.Name(id=name)]):
                row = _LEAVES.get(type(operator), _NO_ROW)
                gather = row.some if grows else row.every
                if gather is None or name not in self.places:
                    return None
                constant = self.gather(name, gather)
                if row.hashed:
                    found = emit.call("one_of", left, constant)
                    return found if grows else emit.negate(found)
                return emit.compare(left, operator, constant)
            case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Name(id=name)]):
                if attr in _METHODS and grows and name in self.places:
                    return ast.Call(func=tree.func, args=[self.gather(name, tuple)], keywords=[])
        return None

    def gather(self, name: str, gather: Gather) -> ast.expr:
        self.gathered.append((self.places[name], gather))
        return emit.name(f"s{len(self.gathered) - 1}")
