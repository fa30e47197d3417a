"""What a rule must not say, beyond the kinds of its expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pbac.lang import nodes
from pbac.lang.check_duties import check_duties
from pbac.lang.check_expressions import check_conditions, kind_of
from pbac.lang.checking import Checking, check_tier
from pbac.lang.paths import children, paths_in
from pbac.lang.resolve import ResolvedPackage
from pbac.lang.targets import names_matcher, texts

AGENT_VISIBLE: Final = frozenset({"args", "call", "data", "agent.id", "agent.name", "agent.tier"})
"""What a `because` may show: the agent reads it."""

_WITHOUT_VALUE: Final = frozenset({"shadow"})


def check_rule(rule: nodes.Rule, package: ResolvedPackage, checking: Checking) -> None:
    """All complaints about one rule."""
    check_conditions(rule.conditions, checking)
    _check_targets(rule, package, checking)
    _check_annotations(rule, checking)
    shown = replace(checking, rule=None)  # what is missing there decides nothing
    _check_texts(rule, shown)
    check_duties(rule, shown)
    _warn_about_users(rule, checking)
    _warn_about_vacuous_all(rule, checking)


# --- targets -----------------------------------------------------------------------------------


def _check_targets(rule: nodes.Rule, package: ResolvedPackage, checking: Checking) -> None:
    if rule.effect == "permit" and not rule.what:
        help_ = "write for example `on tool get_*`; `on any` permits every call"
        message = f"`permit {rule.name}` does not say what it permits"
        checking.complain("missing-on", message, rule.name_span, help=help_)
    for clause in (*rule.who, *rule.what):
        if isinstance(clause, nodes.ForTier):
            for tier in clause.tiers:
                check_tier(tier.text, tier.span, checking)
        elif isinstance(clause, nodes.ForNames | nodes.OnNames):
            _check_patterns(clause, checking)
    _check_phases(rule, checking)
    if rule.effect == "permit" and not package.servers:
        _warn_about_globs(rule, checking)


def _check_patterns(clause: nodes.ForNames | nodes.OnNames, checking: Checking) -> None:
    for pattern in (*clause.names, *clause.without):
        try:
            names_matcher(clause.what, texts((pattern,)))
        except ValueError as error:
            checking.complain("bad-pattern", str(error), pattern.span)


def _check_phases(rule: nodes.Rule, checking: Checking) -> None:
    """Law 9: a rule is about issuance or about calls."""
    about_tokens = [clause for clause in rule.what if isinstance(clause, nodes.OnToken)]
    if not about_tokens:
        return
    if len(about_tokens) < len(rule.what):
        message = "`on token` is about issuance, the other `on` clauses are about calls"
        help_ = "no request is both: write two rules"
        checking.complain("token-and-calls", message, about_tokens[0].span, help=help_)
    elif rule.effect == "permit":
        message = "a permit `on token` grants nothing"
        help_ = "a scope is issued when some call that needs it could be permitted: permit that"
        checking.warn("permit-on-token", message, about_tokens[0].span, help=help_)


def _warn_about_globs(rule: nodes.Rule, checking: Checking) -> None:
    clauses = [clause for clause in rule.what if isinstance(clause, nodes.OnNames)]
    if any(clause.what == "server" for clause in clauses):
        return
    for clause in clauses:
        for pattern in clause.names if clause.what in ("tool", "resource", "prompt") else ():
            if "*" in pattern.text:
                checking.warn(
                    "unconfined-glob",
                    f"`{pattern.text}` permits whatever any backend, present or future, calls so",
                    pattern.span,
                    help="confine the rule: `package … on server …`, or `on server …` here",
                )


# --- annotations and texts ---------------------------------------------------------------------


def _check_annotations(rule: nodes.Rule, checking: Checking) -> None:
    seen: set[str] = set()
    for annotation in rule.annotations:
        name, kind = annotation.name, annotation.value.kind if annotation.value else None
        if name in seen:
            _misannotated(annotation, f"`@{name}` stands twice", "keep one", checking)
        elif (kind is None) != (name in _WITHOUT_VALUE):
            wanted = "takes no value" if name in _WITHOUT_VALUE else "needs a value"
            _misannotated(annotation, f"`@{name}` {wanted}", None, checking)
        elif name == "expires" and rule.effect != "permit":
            # Elsewhere it would widen silently on that day.
            message = f"`@expires` on a {rule.effect} would permit more from that day on"
            _misannotated(annotation, message, "only permits expire", checking)
        elif name == "expires" and kind != "date":
            _misannotated(annotation, "`@expires` needs a date", "write `2027-01-01`", checking)
        seen.add(name)


def _misannotated(
    annotation: nodes.Annotation, message: str, help_: str | None, checking: Checking
) -> None:
    checking.complain("bad-annotation", message, annotation.span, help=help_)


def _check_texts(rule: nodes.Rule, checking: Checking) -> None:
    for text in (rule.because, rule.internal):
        for path in _paths(text):
            kind_of(path, checking)
    for path in _paths(rule.because):
        field = ".".join(path.text().split(".")[:2])
        if path.root in checking.schema.roots and not {path.root, field} & AGENT_VISIBLE:
            checking.complain(
                "because-reveals",
                f"`because` is read by the agent and may not show `{path.text()}`",
                path.span,
                help="it may show `args`, `call`, `data`, `agent.id`, `agent.name` and "
                "`agent.tier`; put the rest in `internal`",
            )


def _paths(text: nodes.Text | None) -> Iterator[nodes.Path]:
    return (part for part in (text.parts if text else ()) if isinstance(part, nodes.Path))


# --- warnings ------------------------------------------------------------------------------------


def _warn_about_users(rule: nodes.Rule, checking: Checking) -> None:
    """An agent acting for itself has no user: a forbid then applies, which may surprise."""
    if rule.effect != "forbid":
        return
    expressions = [condition.expression for condition in rule.conditions]
    if any(_asks_for_user(part) for whole in expressions for part in _walk(whole)):
        return
    for expression in expressions:
        for path in _without_default(expression):
            if path.root == "user" and path.steps:
                checking.warn(
                    "user-may-be-absent",
                    f"without a user `{path.text()}` is unknown, and `{rule.name}` then forbids",
                    path.span,
                    help="write `has user and …`, or `default` after the path; `not has user or "
                    "…` says that this is meant",
                )


def _asks_for_user(expression: nodes.Expression) -> bool:
    return isinstance(expression, nodes.Has) and expression.path.root == "user"


def _walk(expression: nodes.Expression) -> Iterator[nodes.Expression]:
    yield expression
    for child in children(expression):
        yield from _walk(child)


def _without_default(expression: nodes.Expression) -> Iterator[nodes.Path]:
    """Every path read without a `default` of its own."""
    if isinstance(expression, nodes.Path):
        yield from paths_in(expression)
        return
    for child in children(expression):
        if isinstance(expression, nodes.Default) and child is expression.path:
            yield from (path for path in paths_in(child) if path is not child)
        else:
            yield from _without_default(child)


def _warn_about_vacuous_all(rule: nodes.Rule, checking: Checking) -> None:
    """`all x in list: …` is true of an empty list: in a permit that is an open door."""
    if rule.effect != "permit":
        return
    parts = [part for c in rule.conditions if not c.negated for part in _walk(c.expression)]
    counted = {
        path.text()
        for part in parts
        if isinstance(part, nodes.Operation) and part.name == "count"
        for path in paths_in(part)
    }
    for part in parts:
        if not isinstance(part, nodes.Quantified) or part.quantifier != "all":
            continue
        collection = part.collection
        if isinstance(collection, nodes.Path) and collection.text() not in counted:
            checking.warn(
                "vacuous-all",
                f"`all` is true when `{collection.text()}` is empty",
                part.span,
                help=f"write `count({collection.text()}) > 0 and all …`",
            )
