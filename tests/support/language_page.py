"""What `docs/reference/language.md` is made from: the grammar, the truths, the words, the request.

`BLOCKS` is for `tests/test_docs.py`; the helpers evaluate the page's examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.evaluate.interpret import value
from pbac.lang.evaluate.truth import UNKNOWN, Truth, conjunction, disjunction, negation
from pbac.lang.syntax.parse import parse
from pbac.lang.syntax.words import RESERVED
from pbac.model.request import FIELDS, UNDETERMINED_WHEN_LISTING, DecisionRequest
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide

GRAMMAR = Path(__file__).parent.parent.parent / "grammar/pbac.lark"
ROW = "| {} |\n"


def table(*rows: tuple[str, ...]) -> str:
    head, *rest = rows
    return "".join(ROW.format(" | ".join(cells)) for cells in [head, ["---"] * len(head), *rest])


# --- evaluating what a page shows -----------------------------------------------------------------


def expression(text: str) -> nodes.Expression:
    """The syntax tree of one condition."""
    return (
        parse(Source("page", f"package p\npermit r\non any\nwhen {text}"))
        .rules[0]
        .conditions[0]
        .expression
    )


def shape(node: Any) -> Any:
    """A tree without places: equal for texts that mean the same."""
    if isinstance(node, tuple):
        return tuple(map(shape, node))
    if not hasattr(node, "__struct_fields__"):
        return node
    fields = [name for name in node.__struct_fields__ if not name.endswith("span")]
    return type(node).__name__, [(name, shape(getattr(node, name))) for name in fields]


def request(given: dict[str, Any]) -> DecisionRequest:
    """The call of a page's example: members are arguments, or `env.now` and its like."""
    roots: dict[str, dict[str, Any]] = {"agent": {"id": "a"}, "call": {"tool": "t"}, "args": {}}
    for name, found in given.items():
        root, dot, field = name.partition(".")
        if dot:
            roots.setdefault(root, {})[field] = found
        else:
            roots["args"][name] = found
    return DecisionRequest(**roots)


def valued(text: str, given: dict[str, Any]) -> Any:
    """The value by the interpreter."""
    return value(expression(text), request(given), {})


def truth(text: str, given: dict[str, Any]) -> str:
    """True when a permit applies, false when a forbid does not: the whole way of a decision."""
    asked = request(given)
    applies = []
    for rules in (f"permit r on any when {text}", f"permit s on any forbid r on any when {text}"):
        policy_set = prepare([Source("page", f"package p\n{rules}\n")]).require()
        applies.append("p.r" in decide(policy_set, asked).rules)
    return {(True, True): "true", (False, False): "false", (False, True): "unknown"}[tuple(applies)]


# --- blocks ---------------------------------------------------------------------------------------


def _truths() -> str:
    rows = [("a", "b", "a and b", "a or b", "not a")]
    for a in Truth:
        for b in Truth:
            made = (a, b, conjunction([a, b]), disjunction([a, b]), negation(a))
            rows.append(tuple(each.value for each in made))
    return table(*rows)


_ASKED = (
    "has args.a.b",
    "args.a.b default 0",
    "args.a.b == 7",
    "args.a.b == null",
    "args.a.b is null",
)
_WHERE = {
    "7": {"a": {"b": 7}},
    "a text": {"a": {"b": "7"}},
    "null": {"a": {"b": None}},
    "a list": {"a": {"b": [7]}},
    "nothing": {"a": {}},
    "nothing, nor at `args.a`": {},
    "a step into a text": {"a": "text"},
}


def _absence() -> str:
    rows = [("at `args.a.b` is", *(f"`{text}`" for text in _ASKED))]
    for where, given in _WHERE.items():
        rows.append((where, *(_shown(valued(text, given)) for text in _ASKED)))
    return table(*rows)


def _shown(found: Any) -> str:
    return "unknown" if found is UNKNOWN else json.dumps(found, ensure_ascii=False)


def _reserved_words() -> str:
    return ", ".join(f"`{word}`" for word in sorted(RESERVED)) + "\n"


def _roots() -> str:
    rows = [("root", "fields", "when listing tools")]
    for root, fields in FIELDS.items():
        listing = [n for n in UNDETERMINED_WHEN_LISTING if n.partition(".")[0] == root]
        inside = ", ".join(f"`{name}`" for name in sorted(n for n in listing if "." in n))
        known = (
            "undetermined" if root in listing else f"known, but for {inside}" if inside else "known"
        )
        named = ", ".join(f"`{name}` {kind}" for name, kind in fields.items())
        rows.append((f"`{root}`", named or "any", known))
    return table(*rows)


def _grammar() -> str:
    """The grammar file as a reader wants it: without the names of tree nodes and the comments."""
    lines = [line for line in _grammar_lines() if line]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def _grammar_lines() -> Iterator[str]:
    for line in GRAMMAR.read_text("utf-8").splitlines():
        heading = re.fullmatch(r"// -+ (.+)", line)
        if heading:
            yield f"# {heading[1]}"
        elif not line.startswith(("//", "%")):
            bare = re.sub(r"\s+->\s+\w+\s*$", "", line)
            yield re.sub(r"^[?!](?=\w)", "", bare).rstrip()


BLOCKS = {
    "reserved_words": _reserved_words,
    "truths": _truths,
    "absence": _absence,
    "roots": _roots,
    "grammar": _grammar,
}
"""Name of a block → what stands in it."""
