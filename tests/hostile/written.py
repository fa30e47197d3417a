"""Expression nodes as `.pbac` text, with as few parentheses as the grammar needs or one for each.

What is read back has to be the same tree: then no text means two things.
"""

from __future__ import annotations

import re

from msgspec import structs

from pbac.lang import nodes

OR, AND, NOT, COMPARISON, OPERAND, PRIMARY = range(6)
"""Levels of the grammar, loosest first."""

_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FUNCTIONS = ("host", "scheme", "count", "strings", "lower")


def text(value):
    """Any text as a literal of the language: what a program that writes rules has to do."""
    return '"' + re.sub(r'["\\\n\r\t]', lambda found: _ESCAPED[found[0]], value) + '"'


def written(expression, *, generous=False):
    """The text of an expression; `generous` puts parentheses wherever they may stand."""

    def at(level, child):
        own, found = _pieces(child, at)
        bare = isinstance(child, nodes.Path)  # some places take a path and nothing else
        return f"({found})" if own < level or (generous and not bare) else found

    return at(OR, expression)


def _pieces(node, at):
    """(level of the grammar, text) of one node."""
    match node:
        case nodes.Literal():
            return PRIMARY, _literal(node)
        case nodes.ListExpression(items=items):
            return PRIMARY, f"[{', '.join(at(OR, item) for item in items)}]"
        case nodes.RecordExpression(pairs=pairs):
            members = (f"{text(name)}: {at(OR, value)}" for name, value in pairs)
            return PRIMARY, f"{{ {', '.join(members)} }}"
        case nodes.Path(root=root, steps=steps):
            return PRIMARY, root + "".join(_step(step, at) for step in steps)
        case nodes.Default(path=path, fallback=fallback):
            return OPERAND, f"{at(OPERAND, path)} default {at(OPERAND, fallback)}"
        case nodes.Has(path=path):
            return COMPARISON, f"has {at(PRIMARY, path)}"
        case nodes.IsKind(operand=operand, kind=kind, negated=negated):
            return COMPARISON, f"{at(OPERAND, operand)} is {'not ' * negated}{kind}"
        case nodes.Not(operand=operand):
            return NOT, f"not {at(NOT, operand)}"
        case nodes.And(items=items):
            return AND, " and ".join(at(NOT, item) for item in items)
        case nodes.Or(items=items):
            return OR, " or ".join(at(AND, item) for item in items)
        case nodes.Quantified():
            head = f"{node.quantifier} {node.variable} in {at(OPERAND, node.collection)}"
            return NOT, f"{head}: {at(NOT, node.body)}"
    return _operation(node, at)


def _step(step, at):
    return f".{step.name}" if isinstance(step, nodes.Field) else f"[{at(OPERAND, step.key)}]"


def _operation(node, at):
    name, (first, *rest) = node.name, node.operands
    if name in _FUNCTIONS:
        return PRIMARY, f"{name}({', '.join(at(OR, operand) for operand in node.operands)})"
    if name == "matches":
        return COMPARISON, f"{at(OPERAND, first)} matches {_literal(rest[0])}"
    if name == "in cidr":
        return COMPARISON, f"{at(OPERAND, first)} in cidr {at(OPERAND, rest[0])}"
    if name == "in window":
        days, start, end, zone = (literal.value for literal in rest)
        times = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end))
        return COMPARISON, f"{at(OPERAND, first)} in {days} {times} {text(zone)}"
    return COMPARISON, f"{at(OPERAND, first)} {name} {at(OPERAND, rest[0])}"


def _literal(node):
    if node.kind == "version":
        return f'v"{node.value}"'
    if type(node.value) is str:
        return text(node.value)
    return "null" if node.value is None else repr(node.value).lower()


def shape(value):
    """A tree without its places, and with the types of its constants: `1`, `1.0`, `true` differ."""
    if isinstance(value, nodes.Node):
        fields = [name for name in value.__struct_fields__ if name != "span"]
        return (type(value).__name__, *(shape(getattr(value, name)) for name in fields))
    if isinstance(value, tuple):
        return tuple(map(shape, value))
    return type(value).__name__, value


def plain(node):
    """The tree without what nobody can write: `and` or `or` of a single condition."""
    if isinstance(node, nodes.And | nodes.Or) and len(node.items) == 1:
        return plain(node.items[0])
    if not isinstance(node, nodes.Node):
        return tuple(map(plain, node)) if isinstance(node, tuple) else node
    parts = {name: getattr(node, name) for name in node.__struct_fields__}
    return structs.replace(
        node,
        **{
            name: plain(part)
            for name, part in parts.items()
            if isinstance(part, nodes.Node | tuple) and name != "span"
        },
    )
