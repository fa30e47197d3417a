"""Screens: what many rules of a shape ask of a request, asked for all of them at once.

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
wrong in saying that some rule might apply; then they are asked.

One leaf is better than widened where rules can be filed by its constant (`filing`). With that leaf
against every rule, what is left says that all might apply; with it in favour of every rule, that
those might for which it is true, and the file names them. Where no other constant is left, both
are exact, and so is the answer: nothing is asked rule by rule, of however many.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

from pbac.lang.generate import emit
from pbac.lang.generate.filing import File, by_bound, by_head, by_member, by_tail, by_value

Gather: TypeAlias = Callable[[Sequence[Any]], object]
"""The constants of all rules → the one constant of the screen."""


def _union(containers: Sequence[Any]) -> object:
    return frozenset().union(*containers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """How a leaf with a constant is widened and filed; None: not at all.

    Attributes:
        some, every: where truth grows with the leaf, and where it shrinks.
        files, files_not: likewise, by what makes the whole true.
        rank: the lower, the fewer rules such a file names.
        hashed: it is widened by looking the value up.
        guarded: what the leaf stands behind has asked for the kind of the value (`truths`): of
            texts `==` and `in` are true without that.
    """

    some: Gather | None = None
    every: Gather | None = None
    files: File | None = None
    files_not: File | None = None
    rank: int = 0
    hashed: bool = False
    guarded: bool = True


def _bound(*, above: bool, equal: bool) -> _Row:
    return _Row(
        some=max if above else min,
        every=min if above else max,
        files=by_bound(above=above, equal=equal, negated=False),
        files_not=by_bound(above=not above, equal=not equal, negated=True),
        rank=2,
    )


_NO_ROW: Final = _Row()
_LEAVES: Final[Mapping[type[ast.cmpop] | str, _Row]] = {
    ast.Eq: _Row(some=frozenset, files=by_value, hashed=True, guarded=False),
    ast.NotEq: _Row(every=frozenset, files_not=by_value, hashed=True),
    ast.In: _Row(some=_union, files=by_member, hashed=True, guarded=False),
    ast.NotIn: _Row(every=_union, files_not=by_member, hashed=True),
    ast.Lt: _bound(above=True, equal=False),
    ast.LtE: _bound(above=True, equal=True),
    ast.Gt: _bound(above=False, equal=False),
    ast.GtE: _bound(above=False, equal=True),
    "startswith": _Row(some=tuple, files=by_head, rank=1),
    "endswith": _Row(some=tuple, files=by_tail, rank=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    """A leaf that a constant stands in: the constant's place, and the value it is held against."""

    tree: ast.expr
    place: int
    value: ast.expr
    row: _Row
    grows: bool

    @property
    def file(self) -> File | None:
        """How rules are filed by it."""
        return self.row.files if self.grows else self.row.files_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A screen for a shape.

    Attributes:
        every: the test that all rules might apply, with `s0`, `s1`, … for its constants.
        some: the test that those might which `leaf` names.
        gathered: for each of the constants, which of a rule it is made from, and how.
        leaf: what rules are filed by; None: by nothing.
        exact: what might apply does.
        sure, sure_some, sure_leaf: likewise what is certain, where it is `exact`.
    """

    every: ast.expr
    some: ast.expr
    gathered: tuple[tuple[int, Gather], ...] = ()
    leaf: _Leaf | None = None
    exact: bool = False
    sure: ast.expr | None = None
    sure_some: ast.expr | None = None
    sure_leaf: _Leaf | None = None

    def constants(self, rules: Sequence[Sequence[object]]) -> tuple[object, ...]:
        """The screen's constants from those of all rules, their file, and all of them."""
        gathered = (gather([rule[place] for rule in rules]) for place, gather in self.gathered)
        bits = [1 << number for number in range(len(rules))]
        entries = (
            bits if self.exact else [(bit, *rule) for bit, rule in zip(bits, rules, strict=True)]
        )
        every = (1 << len(rules)) - 1 if self.exact else tuple(entries)
        return (*gathered, *self._file(rules, entries), every, 1 << len(rules))

    def _file(
        self, rules: Sequence[Sequence[object]], entries: Sequence[object]
    ) -> tuple[object, ...]:
        if self.leaf is None or self.leaf.file is None:
            return ()
        place = self.leaf.place
        pairs = [(rule[place], entry) for rule, entry in zip(rules, entries, strict=True)]
        return (self.leaf.file(pairs, self.exact),)

    @property
    def nothing(self) -> ast.expr:
        """Code for no rule."""
        return emit.constant(0) if self.exact else emit.nothing()

    def found(self, file: str, every: str) -> ast.expr:
        """Code for what might apply, by the names of the file and of all rules."""
        filed = self._lookup(file, self.leaf, careful=False)
        some = emit.choice(self.some, filed, self.nothing)
        return emit.choice(self.every, emit.name(every), some)

    def certain(self, file: str, every: str) -> ast.expr:
        """Code for what of it is certain, where `exact`."""
        assert self.sure is not None
        assert self.sure_some is not None
        filed = self._lookup(file, self.sure_leaf, careful=True)
        some = emit.choice(self.sure_some, filed, self.nothing)
        return emit.choice(self.sure, emit.name(every), some)

    def _lookup(self, file: str, leaf: _Leaf | None, *, careful: bool) -> ast.expr:
        if leaf is None:
            return self.nothing
        if careful or not leaf.row.guarded:
            return emit.call("filed", emit.name(file), leaf.value, self.nothing)
        return emit.call(file, leaf.value, self.nothing)


def screen_of(applies: ast.expr, certain: ast.expr, constants: Sequence[str]) -> Screen | None:
    """The screen for what a rule of a shape asks; None where it would say nothing.

    Args:
        applies: the test of one rule.
        certain: the test that it is certain, too.
        constants: the names in them that stand for the rule's own constants.
    """
    places = {name: place for place, name in enumerate(constants)}
    leaves = list(_leaves(applies, places, grows=True))
    return (
        _exact(applies, certain, leaves, places)
        or _filed(applies, leaves, places)
        or _widened(applies, places)
    )


def _exact(
    applies: ast.expr, certain: ast.expr, leaves: Sequence[_Leaf], places: Mapping[str, int]
) -> Screen | None:
    """Where one leaf with one constant, or none, is all that rules differ in."""
    sure_leaves = list(_leaves(certain, places, grows=True))
    if max(len(leaves), len(sure_leaves), len(places)) > 1 or len(leaves) < len(sure_leaves):
        return None
    leaf, sure_leaf = next(iter(leaves), None), next(iter(sure_leaves), None)
    if leaf is not None and leaf.file is None:
        return None
    if leaf is not None and sure_leaf is not None and sure_leaf.file is not leaf.file:
        return None
    return Screen(
        every=_Widening(places, leaf, favoured=False).widened(applies, grows=True),
        some=_Widening(places, leaf, favoured=True).widened(applies, grows=True),
        leaf=leaf,
        exact=True,
        sure=_Widening(places, sure_leaf, favoured=False).widened(certain, grows=True),
        sure_some=_Widening(places, sure_leaf, favoured=True).widened(certain, grows=True),
        sure_leaf=sure_leaf,
    )


def _filed(applies: ast.expr, leaves: Sequence[_Leaf], places: Mapping[str, int]) -> Screen | None:
    """Filed by the leaf that names the fewest rules, unless all would be asked for other leaves."""
    found = []
    for leaf in leaves:
        every = _Widening(places, leaf, favoured=False)
        test = every.widened(applies, grows=True)
        if leaf.file is None or emit.is_constant(test, value=True):
            continue
        some = _Widening(places, leaf, favoured=True, gathered=every.gathered)
        asked_for_others = len(every.gathered) > 0
        screen = Screen(
            every=test,
            some=some.widened(applies, grows=True),
            gathered=tuple(some.gathered),
            leaf=leaf,
        )
        found.append(((asked_for_others, leaf.row.rank), screen))
    return min(found, key=itemgetter(0))[1] if found else None


def _widened(applies: ast.expr, places: Mapping[str, int]) -> Screen | None:
    widening = _Widening(places)
    test = widening.widened(applies, grows=True)
    if isinstance(test, ast.Constant) or not widening.gathered:
        return None
    return Screen(every=test, some=emit.constant(False), gathered=tuple(widening.gathered))


# --- leaves ----------------------------------------------------------------------------------


def _leaves(tree: ast.expr, places: Mapping[str, int], *, grows: bool) -> Iterator[_Leaf]:
    """Every leaf that one of the constants stands in."""
    match tree:
        case ast.BoolOp():
            for each in tree.values:
                yield from _leaves(each, places, grows=grows)
        case ast.UnaryOp(op=ast.Not()):
            yield from _leaves(tree.operand, places, grows=not grows)
        case _ if _has_constant(tree, places):
            yield _leaf(tree, places, grows=grows)


def _has_constant(tree: ast.expr, places: Mapping[str, int]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in places for node in ast.walk(tree))


def _leaf(tree: ast.expr, places: Mapping[str, int], *, grows: bool) -> _Leaf:
    row, value, name = _NO_ROW, tree, ""
    match tree:
        case ast.Compare(left=left, ops=[operator], comparators=[ast.Name(id=name)]):
            row, value = _LEAVES.get(type(operator), _NO_ROW), left
        case ast.Call(func=ast.Attribute(attr=attr, value=left), args=[ast.Name(id=name)]):
            row, value = _LEAVES.get(attr, _NO_ROW), left
    if name not in places or _has_constant(value, places):
        row = _NO_ROW
    return _Leaf(tree=tree, place=places.get(name, -1), value=value, row=row, grows=grows)


@dataclass(slots=True)
class _Widening:
    """Widens a test.

    Attributes:
        places: the constants of a rule.
        leaf: one that is not widened but taken to speak for every rule, or against (`favoured`).
        gathered: the constants of the screen so far.
    """

    places: Mapping[str, int]
    leaf: _Leaf | None = None
    favoured: bool = True
    gathered: list[tuple[int, Gather]] = field(default_factory=list)

    def widened(self, tree: ast.expr, *, grows: bool) -> ast.expr:
        """A test that is true whenever the tree is, for one of the rules (`grows`), or for all."""
        match tree:
            case ast.BoolOp(op=ast.And()):
                return emit.every_of([self.widened(each, grows=grows) for each in tree.values])
            case ast.BoolOp():
                return emit.some_of([self.widened(each, grows=grows) for each in tree.values])
            case ast.UnaryOp(op=ast.Not()):
                return emit.negate(self.widened(tree.operand, grows=not grows))
        if not _has_constant(tree, self.places):
            return tree
        if self.leaf is not None and tree is self.leaf.tree:
            return emit.constant(grows is self.favoured)
        leaf = _leaf(tree, self.places, grows=grows)
        gather = leaf.row.some if grows else leaf.row.every
        return emit.constant(grows) if gather is None else self.widened_leaf(leaf, gather)

    def widened_leaf(self, leaf: _Leaf, gather: Gather) -> ast.expr:
        """The leaf with the screen's constant."""
        constant = self.gather(leaf.place, gather)
        if leaf.row.hashed:
            found = emit.call("one_of", leaf.value, constant)
            return found if leaf.grows else emit.negate(found)
        match leaf.tree:
            case ast.Compare(ops=[operator]):
                return emit.compare(leaf.value, operator, constant)
            case ast.Call(func=function):
                return emit.call(function, constant)
        raise AssertionError(leaf)

    def gather(self, place: int, gather: Gather) -> ast.expr:
        """The name of a screen's constant; of one that there is already, the same."""
        if (place, gather) not in self.gathered:
            self.gathered.append((place, gather))
        return emit.name(f"s{self.gathered.index((place, gather))}")
