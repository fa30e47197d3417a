"""Lint about data documents, which are known at load: those that lack, and lists that are too long.

A document that is not there is missing in every request, a list beyond a bound unknown (Law 4): a
permit that reads it is without use, and a forbid applies always. What a `test` gives by
`data { … }` says nothing about production.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pbac.base.limits import JSON_MEMBERS_MAX, LIST_OPERAND_ITEMS_MAX, QUANTIFIER_ITEMS_MAX
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.data import document_of
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.functions import function_of
from pbac.lang.evaluate.paths import children, paths_in, step
from pbac.lang.lint.claims import Shape, shape_of, walk
from pbac.lang.lint.linting import Finding, Linting, rules_of
from pbac.lang.program import Data
from pbac.model.values import MISSING, Value

# --- documents that are not there ----------------------------------------------------------------


def unknown_documents(linting: Linting) -> Iterator[Finding]:
    """Reads of a document that the set does not have. `has` and `default` say that it may lack."""
    documents = linting.data
    if documents is None:
        return
    for rule in rules_of(linting, "permit", "forbid", "require"):
        for path, may_lack in _reads(rule):
            name = document_of(path) if path.root == "data" else None
            if name is None or name in documents:
                continue
            similar = did_you_mean(name, documents)
            if similar or not may_lack:
                folder = path.span.source.rpartition("/")[0]
                file = f"{folder}/data/{name}.json" if folder else f"data/{name}.json"
                message = f"there is no data document `{name}`: `{path.text()}` is never known"
                help_ = f"{similar} Otherwise write `{file}`" if similar else f"write `{file}`"
                yield Finding(message, path.span, help_)


def _reads(rule: nodes.Rule) -> Iterator[tuple[nodes.Path, bool]]:
    """Every path a rule reads, each place once, and whether it says that the value may lack."""
    found = [each for c in rule.conditions for each in _reads_of(c.expression)]
    texts = [text.parts for text in (rule.because, rule.internal) if text]
    paths = [part for parts in texts for part in parts if isinstance(part, nodes.Path)]
    paths += [path for duty in rule.duties for path in duty.paths]
    found += [(each, False) for path in paths for each in paths_in(path)]
    yield from {path.span: (path, may_lack) for path, may_lack in found}.values()


def _reads_of(expression: nodes.Expression) -> Iterator[tuple[nodes.Path, bool]]:
    if isinstance(expression, nodes.Path):
        yield from ((path, False) for path in paths_in(expression))
        return
    for child in children(expression):
        asked = isinstance(expression, nodes.Has) or (
            isinstance(expression, nodes.Default) and child is expression.path
        )
        for path, may_lack in _reads_of(child):
            yield path, may_lack or (asked and path is child)


# --- lists that are too long ---------------------------------------------------------------------

_LOOKED_THROUGH: Final = {"in": (1,), "not in": (1,), "contains": (0,)}
"""The operands that are looked through; both of all other operators that grow with lists."""


def long_lists(linting: Linting) -> Iterator[Finding]:
    """Lists of documents that are longer than what looks at them."""
    known: dict[Shape, int] = {}
    if not linting.data:
        return
    for rule in rules_of(linting, "permit", "forbid", "require"):
        for condition in rule.conditions:
            for part in walk(condition.expression):
                for path, word, most in _looked_through(part):
                    shape = shape_of(path)
                    if shape not in known:
                        known[shape] = max(lengths(path, linting.data), default=0)
                    if known[shape] > most:
                        yield _too_long(path, word, known[shape], most)


def _too_long(path: nodes.Path, word: str, items: int, most: int) -> Finding:
    name = path.text()
    many = f"up to {items:,}" if name.endswith("[…]") else f"{items:,}"
    message = f"`{name}` holds {many} items, and `{word}` looks at {most:,}: this is unknown"
    help_ = (
        f"split it, `… in {name}[…]`, or into records of {JSON_MEMBERS_MAX:,} names at most, "
        f"`has {name}[…][…]`"
    )
    if word in ("any", "all"):
        help_ = (
            "shorten it, or ask with `in`, `intersects` or `subset of`, "
            f"which look at {LIST_OPERAND_ITEMS_MAX:,}"
        )
    return Finding(message, path.span, help_)


def _looked_through(part: nodes.Expression) -> Iterator[tuple[nodes.Path, str, int]]:
    """The paths into `data` that are taken for lists, by what, and how much it looks at."""
    word: str
    match part:
        case nodes.Quantified():
            operands, word, most = [part.collection], part.quantifier, QUANTIFIER_ITEMS_MAX
        case nodes.Operation() if function_of(part).grows == "list":
            places = _LOOKED_THROUGH.get(part.name, (0, 1))
            operands = [part.operands[place] for place in places]
            word, most = part.name, LIST_OPERAND_ITEMS_MAX
        case _:
            return
    for operand in operands:
        path = operand.path if isinstance(operand, nodes.Default) else operand
        if isinstance(path, nodes.Path) and path.root == "data" and document_of(path):
            yield path, word, most


def lengths(path: nodes.Path, data: Data) -> list[int]:
    """Of every list that a path into `data` can mean: `data.orgs[user.id]` is any member."""
    found: list[Value] = [dict(data)]
    for each in path.steps:
        key = each.name if isinstance(each, nodes.Field) else _constant(each.key)
        found = [
            inner
            for value in found
            for inner in (_members(value) if key is MISSING else [step(value, key)])
        ]
    return [len(items) for value in found if (items := items_of(value)) is not None]


def _constant(key: nodes.Expression) -> Value:
    return key.value if isinstance(key, nodes.Literal) else MISSING


def _members(value: Value) -> list[Value]:
    return list(value.values()) if type(value) is dict else list(items_of(value) or ())
