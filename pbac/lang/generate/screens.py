"""Screens: what many rules of a shape ask of a request, asked of all of them at once.

Theory. Rules of one shape differ in their constants alone: `args.amount > 100`, `args.amount >
250`. So what one of them asks (see `generate`) is asked of all by the same tree, read as one about
sets of rules, which are integers with a bit for each:

    a leaf with a constant        the rules it is true for: a file finds them (`filing`)
    a test without one            all rules, or none
    a and b, a or b, not a        a & b, a | b, all ^ a

Parts are in the order they were in, and what stands behind a guard is asked behind it. A leaf that
no file is for is taken to be true of all rules where the whole grows with it, and of none where it
shrinks: then the set has some rules too many, and those in it are asked one by one. Otherwise the
set is exact, and nothing is asked rule by rule, of however many.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pbac.lang.generate import emit
from pbac.lang.generate.filing import File, by_bound, by_head, by_member, by_tail, by_value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """How rules are filed by a leaf.

    Attributes:
        negated: the file is for the opposite of the leaf.
        hashed: `==` and `in` are false of kinds that cannot be looked up, and may ask for none.
    """

    file: File
    negated: bool = False
    hashed: bool = False


_LEAVES: Final[Mapping[type[ast.cmpop] | str, _Row]] = {
    ast.Eq: _Row(file=by_value, hashed=True),
    ast.NotEq: _Row(file=by_value, hashed=True, negated=True),
    ast.In: _Row(file=by_member, hashed=True),
    ast.NotIn: _Row(file=by_member, hashed=True, negated=True),
    ast.Lt: _Row(file=by_bound(above=True, equal=False)),
    ast.LtE: _Row(file=by_bound(above=True, equal=True)),
    ast.Gt: _Row(file=by_bound(above=False, equal=False)),
    ast.GtE: _Row(file=by_bound(above=False, equal=True)),
    "startswith": _Row(file=by_head),
    "endswith": _Row(file=by_tail),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A screen for a shape.

    Attributes:
        applies: code for the set of rules that apply; `t0`, `t1`, … are its files, `every` all.
        certain: code for those that are certain, where `exact`.
        files: for each file, the place of its constant in a rule, and how it is made.
        exact: no rule has to be asked by itself.
    """

    applies: ast.expr
    certain: ast.expr
    files: tuple[tuple[int, File], ...]
    exact: bool

    def constants(self, rules: Sequence[Sequence[object]]) -> tuple[object, ...]:
        """The files for these rules; then all rules, and what the next bit is multiplied by."""
        bits = [1 << number for number in range(len(rules))]
        files = [
            file([(rule[place], bit) for rule, bit in zip(rules, bits, strict=True)])
            for place, file in self.files
        ]
        entries = [(bit, *rule) for bit, rule in zip(bits, rules, strict=True)]
        return (*files, *([] if self.exact else [tuple(entries)]), *_sizes(len(rules)))


def _sizes(count: int) -> tuple[int, int]:
    return (1 << count) - 1, 1 << count


def screen_of(applies: ast.expr, certain: ast.expr, constants: Sequence[str]) -> Screen | None:
    """The screen for what a rule of a shape asks; None where it would say nothing.

    Args:
        applies: the test of one rule.
        certain: the test that it is certain, too.
        constants: the names in them that stand for the rule's own constants.
    """
    writer = _Writer({name: place for place, name in enumerate(constants)})
    some = writer.of(applies, wanted=True)
    files = tuple(writer.files)
    sure = writer.of(certain, wanted=True)
    if writer.exact:
        return Screen(applies=some, certain=sure, files=tuple(writer.files), exact=True)
    if not files:
        return None
    return Screen(applies=some, certain=emit.nothing(), files=files, exact=False)


@dataclass(slots=True)
class _Writer:
    """Writes sets of rules.

    Attributes:
        places: the constants of a rule.
        files: as in `Screen`, so far.
        exact: every leaf so far had a file.
    """

    places: Mapping[str, int]
    files: list[tuple[int, File]] = field(default_factory=list)
    exact: bool = True

    def of(self, tree: ast.expr, *, wanted: bool) -> ast.expr:
        """The rules for which the tree is `wanted`."""
        match tree:
            case ast.UnaryOp(op=ast.Not()):
                return self.of(tree.operand, wanted=not wanted)
            case ast.BoolOp() if self.has_constant(tree):
                return self.joined(tree.values, every=isinstance(tree.op, ast.And), wanted=wanted)
        if self.has_constant(tree):
            return self.leaf(tree, wanted=wanted)
        return emit.choice(tree, *((_EVERY, _NONE) if wanted else (_NONE, _EVERY)))

    def joined(self, parts: Sequence[ast.expr], *, every: bool, wanted: bool) -> ast.expr:
        """Of `and` (`every`) or `or`: a test without a constant guards what is behind it."""
        first, rest = parts[0], parts[1:]
        if not rest:
            return self.of(first, wanted=wanted)
        if not self.has_constant(first):
            behind = self.joined(rest, every=every, wanted=wanted)
            settled = _EVERY if every is not wanted else _NONE
            return emit.choice(first, *((behind, settled) if every else (settled, behind)))
        found = self.of(first, wanted=wanted)
        behind = self.joined(rest, every=every, wanted=wanted)
        return emit.both(found, behind) if every is wanted else emit.either(found, behind)

    def leaf(self, tree: ast.expr, *, wanted: bool) -> ast.expr:
        """One with a constant: from its file, where there is one."""
        row, value, name = None, tree, ""
        match tree:
            case ast.Compare(left=left, ops=[operator], comparators=[ast.Name(id=name)]):
                row, value = _LEAVES.get(type(operator)), left
            case ast.Call(func=ast.Attribute(attr=attr, value=left), args=[ast.Name(id=name)]):
                row, value = _LEAVES.get(attr), left
        if row is None or name not in self.places or self.has_constant(value):
            self.exact = False
            return _EVERY
        file = self.file(self.places[name], row.file)
        found = emit.call(file, value, _NONE)
        if row.hashed and isinstance(value, ast.Name):
            known = emit.compare(emit.kind(value), ast.In(), emit.name("hashed"))
            found = emit.choice(known, found, _NONE)
        elif row.hashed:
            found = emit.call("filed", emit.name(file), value, _NONE)
        return found if wanted is not row.negated else emit.without(_EVERY, found)

    def file(self, place: int, file: File) -> str:
        """The name of a file; of one that there is already, the same."""
        if (place, file) not in self.files:
            self.files.append((place, file))
        return f"t{self.files.index((place, file))}"

    def has_constant(self, tree: ast.expr) -> bool:
        """Does it ask anything that rules differ in?"""
        return any(isinstance(node, ast.Name) and node.id in self.places for node in ast.walk(tree))


_EVERY: Final = emit.name("every")
_NONE: Final = emit.constant(0)
