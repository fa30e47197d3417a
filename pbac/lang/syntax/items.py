"""The parse tree of a file to its package: rules, definitions, tiers, tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from pbac.base.limits import PATTERN_CHARACTERS_MAX, RULE_NODES_MAX
from pbac.lang import nodes
from pbac.lang.syntax.duties import duty_line
from pbac.lang.syntax.expressions import expression, name, word
from pbac.lang.syntax.literals import scalar, string
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tests import test
from pbac.lang.syntax.texts import text
from pbac.lang.syntax.tree import Branch, Part, Token
from pbac.lang.syntax.words import FUNCTION_NAMES, RESERVED

_OTHER_NAME: Final = "choose another name"


def package(reading: Reading, branch: Branch) -> nodes.Package:
    """A whole file, or (below a mistake) the rest of one, whose package has no name."""
    items: dict[type, list[Any]] = {
        nodes.Rule: [],
        nodes.Definition: [],
        nodes.Test: [],
        nodes.Tiers: [],
    }
    header: dict[str, Any] = {"name": ""}
    for child in cast("list[Branch]", branch.children):
        if child.data == "package":
            header = _header(reading, child)
        else:
            item = _ITEMS[str(child.data)](reading, child)
            items[type(item)].append(item)
    return nodes.Package(
        span=reading.span(branch),
        tiers=next(iter(items[nodes.Tiers]), None),
        rules=tuple(items[nodes.Rule]),
        definitions=tuple(items[nodes.Definition]),
        tests=tuple(items[nodes.Test]),
        **header,
    )


def _header(reading: Reading, branch: Branch) -> dict[str, Any]:
    header: dict[str, Any] = {}
    for part in branch.children:
        if isinstance(part, Branch):
            header["servers"] = _patterns(reading, cast("Branch", part.children[0]))
        elif part.type == "SEALED":
            header["sealed"] = True
        elif part.type == "NAME":
            header["name"] = name(reading, part, "a package's name", _OTHER_NAME)
        else:
            header["docstring"] = string(reading, part)
    return header


def _tiers(reading: Reading, branch: Branch) -> nodes.Tiers:
    names = tuple(_tier(reading, part) for part in branch.children)
    seen: set[str] = set()
    for tier in names:
        if tier.text in seen:
            reading.complain("duplicate-name", f"the tier `{tier.text}` stands twice", tier.span)
        seen.add(tier.text)
    return nodes.Tiers(span=reading.span(branch), names=names)


def _tier(reading: Reading, part: Part) -> nodes.Pattern:
    token = cast("Token", part)
    named = name(reading, token, "a tier", _OTHER_NAME)
    return nodes.Pattern(span=reading.span(token), text=named)


def _definition(reading: Reading, branch: Branch) -> nodes.Definition:
    token, *parameters, body = branch.children
    before = reading.nodes
    token = cast("Token", token)
    names = cast("Branch", parameters[0]).children if parameters else []
    node = nodes.Definition(
        span=reading.span(branch),
        name=_defined(reading, token, "a definition"),
        name_span=reading.span(token),
        parameters=tuple(_defined(reading, cast("Token", n), "a parameter") for n in names),
        expression=expression(reading, body),
    )
    _measure(reading, token, before)
    return node


def _defined(reading: Reading, token: Token, wanted: str) -> str:
    if token in FUNCTION_NAMES:
        reading.complain(
            "reserved-word",
            f"`{token}` is a function of the language and cannot be {wanted}",
            reading.span(token),
            help=_OTHER_NAME,
        )
    return name(reading, token, wanted, _OTHER_NAME)


# --- rules -----------------------------------------------------------------------------------


def _rule(reading: Reading, branch: Branch) -> nodes.Rule:
    before = reading.nodes
    parts = list(branch.children)
    effect = "require" if branch.data == "requirement" else word(parts.pop(0))
    token = cast("Token", parts.pop(0))
    rest = [part for part in parts if isinstance(part, Branch)]
    docstring = "".join(string(reading, part) for part in parts if isinstance(part, Token))
    clauses = [_CLAUSES.get(str(part.data), duty_line)(reading, part) for part in rest]
    texts = {str(part.data): clause for part, clause in zip(rest, clauses, strict=True)}
    node = nodes.Rule(
        span=reading.span(branch),
        effect=effect,  # type: ignore[arg-type]  # the grammar has these three
        name=name(reading, token, "a rule's name", _OTHER_NAME),
        name_span=reading.span(token),
        docstring=docstring,
        annotations=_only(nodes.Annotation, clauses),
        who=_only(nodes.ForTier | nodes.ForNames, clauses),
        what=_only(nodes.OnNames | nodes.OnAny | nodes.OnToken, clauses),
        conditions=_only(nodes.Condition, clauses),
        because=texts.get("because"),
        internal=texts.get("internal"),
        duties=_only(nodes.DutyLine, clauses),
    )
    _measure(reading, token, before)
    return node


def _only(kinds: Any, clauses: list[Any]) -> tuple[Any, ...]:
    return tuple(clause for clause in clauses if isinstance(clause, kinds))


def _measure(reading: Reading, token: Token, before: int) -> None:
    if reading.nodes - before > RULE_NODES_MAX:
        reading.complain(
            "rule-too-large",
            f"`{token}` has {reading.nodes - before} parts, more than {RULE_NODES_MAX}",
            reading.span(token),
            help="split it, or move long lists into the data documents",
        )


def _annotation(reading: Reading, branch: Branch) -> nodes.Annotation:
    kind, *values = branch.children
    value = _annotation_value(reading, cast("Token", values[0])) if values else None
    return nodes.Annotation(span=reading.span(branch), name=word(kind), value=value)


def _annotation_value(reading: Reading, token: Token) -> nodes.Literal:
    span = reading.span(token)
    if token.type == "WORD":
        return nodes.Literal(span=span, value=str(token), kind="string")
    value, kind = scalar(reading, token)
    return nodes.Literal(span=span, value=value, kind=kind)


def _for_tier(reading: Reading, branch: Branch) -> nodes.ForTier:
    parts = list(branch.children)
    operator = str(parts.pop(0)) if branch.data == "for_tier_order" else "in"
    return nodes.ForTier(
        span=reading.span(branch),
        operator=operator,  # type: ignore[arg-type]  # TIER_ORDER lists the same signs
        tiers=tuple(_tier(reading, part) for part in parts),
    )


def _names(reading: Reading, branch: Branch) -> dict[str, Any]:
    kind, names, *excepted = cast("list[Branch]", branch.children)
    without = _patterns(reading, cast("Branch", excepted[0].children[0])) if excepted else ()
    return {
        "span": reading.span(branch),
        "what": word(kind),
        "names": _patterns(reading, names),
        "without": without,
    }


def _for_names(reading: Reading, branch: Branch) -> nodes.ForNames:
    return nodes.ForNames(**_names(reading, branch))


def _on_names(reading: Reading, branch: Branch) -> nodes.OnNames:
    return nodes.OnNames(**_names(reading, branch))


def _on_any(reading: Reading, branch: Branch) -> nodes.OnAny:
    return nodes.OnAny(span=reading.span(branch))


def _on_token(reading: Reading, branch: Branch) -> nodes.OnToken:
    return nodes.OnToken(span=reading.span(branch))


def _patterns(reading: Reading, branch: Branch) -> tuple[nodes.Pattern, ...]:
    return tuple(_pattern(reading, cast("Token", part)) for part in branch.children)


def _pattern(reading: Reading, token: Token) -> nodes.Pattern:
    """One name or glob of a target. A bare reserved word is more likely a slip than a name."""
    reading.nodes += 1
    span = reading.span(token)
    quoted = token.type == "STRING"
    found = string(reading, token) if quoted else str(token)
    if not quoted and found in RESERVED:
        reading.complain(
            "reserved-word",
            f"`{found}` is a word of the language",
            span,
            help=f'write `"{found}"` if something really has this name',
        )
    if not found or len(found) > PATTERN_CHARACTERS_MAX:
        reading.complain(
            "bad-pattern", f"a pattern has 1 to {PATTERN_CHARACTERS_MAX} characters", span
        )
    return nodes.Pattern(span=span, text=found[:PATTERN_CHARACTERS_MAX])


def _condition(reading: Reading, branch: Branch) -> nodes.Condition:
    return nodes.Condition(
        span=reading.span(branch),
        negated=branch.data == "unless",
        expression=expression(reading, branch.children[0]),
    )


def _text(reading: Reading, branch: Branch) -> nodes.Text:
    return text(reading, cast("Token", branch.children[0]))


_Build: TypeAlias = Callable[[Reading, Branch], Any]

_CLAUSES: Final[dict[str, _Build]] = {
    "annotation": _annotation,
    "for_tier": _for_tier,
    "for_tier_order": _for_tier,
    "for_names": _for_names,
    "on_names": _on_names,
    "on_any": _on_any,
    "on_token": _on_token,
    "when": _condition,
    "unless": _condition,
    "because": _text,
    "internal": _text,
}
"""Grammar alias → clause of a rule; what is not here is a duty line."""

_ITEMS: Final[dict[str, _Build]] = {
    "tiers": _tiers,
    "rule": _rule,
    "requirement": _rule,
    "definition": _definition,
    "test": test,
}
