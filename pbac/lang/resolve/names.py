"""Which names an expression may use, and what to tell about the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.evaluate.paths import children
from pbac.lang.syntax.words import FUNCTION_NAMES
from pbac.model.request import FIELDS

_FOREIGN_ROOTS: Final = {
    "principal": "`agent` or `user`",
    "subject": "`agent` or `user`",
    "client": "`agent`",
    "caller": "`agent`",
    "actor": "`chain.actors`",
    "request": "`call` or `args`",
    "action": "`call.method` or `call.tool`",
    "resource": "`call` or `args`",
    "tool": "`call.tool`",
    "server": "`call.server`",
    "scope": "`call.scope`",
    "tags": "`call.tags`",
    "arguments": "`args`",
    "params": "`args`",
    "input": "`args`",
    "arg": "`args`",
    "context": "`env`, `session` or `facts`",
    "environment": "`env.environment`",
    "now": "`env.now`",
    "time": "`env.now`",
    "today": "`env.today`",
    "ip": "`env.ip`",
    "groups": "`user.groups`",
    "tier": "`agent.tier`",
    **dict.fromkeys(("True", "TRUE"), "`true`"),
    **dict.fromkeys(("False", "FALSE"), "`false`"),
    **dict.fromkeys(("None", "Null", "NULL", "nil", "undefined"), "`null`"),
}
"""Roots and constants of other languages, and fields without their root."""

_FOREIGN_FUNCTIONS: Final = {
    **dict.fromkeys(("len", "length", "size"), "`count({})`"),
    **dict.fromkeys(("tolower", "to_lower", "lowercase"), "`lower({})`"),
    **dict.fromkeys(("startswith", "starts_with"), "`{} starts with {}`"),
    **dict.fromkeys(("endswith", "ends_with"), "`{} ends with {}`"),
    **dict.fromkeys(("contains", "includes"), "`{} contains {}`"),
    **dict.fromkeys(("matches", "match", "re_match", "regex"), '`{} matches r"…"`'),
    **dict.fromkeys(("exists", "defined", "is_set", "isset"), "`has {}`"),
    **dict.fromkeys(("is_null", "isnull"), "`{} == null`"),
    **dict.fromkeys(("cidr", "in_cidr"), "`env.ip in cidr …`"),
}
"""Functions of other languages, in small letters, to what is written here."""

_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Order → the same with its sides exchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is known where an expression stands.

    Attributes:
        definitions: of the package, by name.
        variables: parameters and quantifiers' variables.
        ended: variables of quantifiers that end before this place, for a better message.
    """

    definitions: Mapping[str, nodes.Definition]
    variables: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()

    def binding(self, *variables: str) -> Names:
        """The same names and these."""
        return replace(self, variables=self.variables | set(variables))


def complaint(
    code: str,
    message: str,
    span: Span,
    *,
    help: str | None = None,
) -> Diagnostic:
    """An error of the resolver."""
    return Diagnostic(code=code, message=message, span=span, help=help, severity=Severity.ERROR)


def misnamed(expression: nodes.Expression, names: Names) -> Iterator[Diagnostic]:
    """Every unknown, shadowed or wrongly applied name in an expression."""
    match expression:
        case nodes.Path():
            yield from _path(expression, names)
            for part in expression.steps:
                if isinstance(part, nodes.Index):
                    yield from misnamed(part.key, names)
            return
        case nodes.Apply():
            yield from _apply(expression, names)
        case nodes.Operation() if tier := _compared_tier(expression, names):
            yield tier
            return
        case nodes.Quantified():
            yield from taken(expression.variable, expression.span, "the variable", names)
            yield from misnamed(expression.collection, names)
            yield from misnamed(expression.body, names.binding(expression.variable))
            return
        case nodes.And() | nodes.Or():
            bound = {i.variable for i in expression.items if isinstance(i, nodes.Quantified)}
            names = replace(names, ended=names.ended | bound)
        case _:
            pass
    for child in children(expression):
        yield from misnamed(child, names)


def taken(name: str, span: Span, what: str, names: Names) -> Iterator[Diagnostic]:
    """The complaint about a new name that means something already: there is no shadowing."""
    if name in FIELDS:
        meaning = "a part of every request"
    elif name in names.variables:
        meaning = "a variable here already"
    elif name in names.definitions:
        meaning = f"a definition, at {names.definitions[name].name_span}"
    elif name in FUNCTION_NAMES:
        meaning = "a function"
    else:
        return
    message = f"{what} `{name}` would hide another meaning: it is {meaning}"
    yield complaint("shadowed-name", message, span, help="choose another name")


def _path(path: nodes.Path, names: Names) -> Iterator[Diagnostic]:
    root = path.root
    if root in FIELDS or root in names.variables:
        return
    definition = names.definitions.get(root)
    if definition is None:
        yield _unknown(path, names)
    elif definition.parameters:
        wanted = ", ".join(definition.parameters)
        message = f"`{root}` takes {_arguments(len(definition.parameters))}"
        yield complaint("wrong-arity", message, path.span, help=f"write `{root}({wanted})`")


def _compared_tier(operation: nodes.Operation, names: Names) -> Diagnostic | None:
    """`agent.tier >= high`: tiers have their order in targets only."""
    if operation.name not in _TURNED:
        return None
    left, right = operation.operands
    sign = operation.name
    if isinstance(right, nodes.Path) and right.text() == "agent.tier":
        left, right, sign = right, left, _TURNED[sign]
    if not (isinstance(left, nodes.Path) and left.text() == "agent.tier"):
        return None
    if not isinstance(right, nodes.Path) or right.steps or not list(_path(right, names)):
        return None
    help_ = f"tiers are compared in the target: `for tier {sign} {right.root}`"
    message = f"`{right.root}` is not known here"
    return complaint("unknown-name", message, right.span, help=help_)


def _unknown(path: nodes.Path, names: Names) -> Diagnostic:
    root = path.root
    known = (*FIELDS, *names.variables, *names.definitions)
    help_ = did_you_mean(root, known)
    if root in names.ended:
        help_ = "`any` and `all` reach over one term: put what follows the colon in parentheses"
    elif root in _FOREIGN_ROOTS:
        help_ = f"write {_FOREIGN_ROOTS[root]}"
    elif root in FUNCTION_NAMES:
        help_ = f"write `{root}(…)`"
    elif help_ is None and not path.steps:
        help_ = f'a text is written in quotes: `"{root}"`'
    elif help_ is None:
        help_ = "a request has " + ", ".join(f"`{name}`" for name in FIELDS)
    return complaint("unknown-name", f"`{root}` is not known here", path.span, help=help_)


def _apply(apply: nodes.Apply, names: Names) -> Iterator[Diagnostic]:
    definition = names.definitions.get(apply.name)
    if definition is None:
        known = (*FUNCTION_NAMES, *(d.name for d in names.definitions.values() if d.parameters))
        help_ = (
            _foreign_function(apply)
            or did_you_mean(apply.name, known)
            or "functions are " + ", ".join(f"`{name}`" for name in sorted(FUNCTION_NAMES))
        )
        message = f"there is no function or definition `{apply.name}`"
        yield complaint("unknown-name", message, apply.span, help=help_)
    elif len(definition.parameters) != len(apply.arguments):
        takes = _arguments(len(definition.parameters))
        message = f"`{apply.name}` takes {takes}, not {len(apply.arguments)}"
        help_ = f"it is defined at {definition.name_span}"
        yield complaint("wrong-arity", message, apply.span, help=help_)


def _foreign_function(apply: nodes.Apply) -> str | None:
    written = _FOREIGN_FUNCTIONS.get(apply.name.lower())
    first = apply.arguments[0] if apply.arguments else None
    subject = first.text() if isinstance(first, nodes.Path) else "…"
    return f"write {written.format(subject, '…')}" if written else None


def _arguments(count: int) -> str:
    return {0: "no arguments", 1: "1 argument"}.get(count, f"{count} arguments")
