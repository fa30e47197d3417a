"""What a rule must not say, beyond the kinds of its expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pbac.base.limits import QUOTA_CALLS_MAX
from pbac.lang import nodes, patterns
from pbac.lang.check_expressions import check_conditions, kind_of
from pbac.lang.checking import Checking, check_tier
from pbac.lang.paths import children, paths_in
from pbac.lang.resolve import ResolvedPackage
from pbac.lang.targets import names_matcher, texts

SUPPORTED_DUTIES: Final = frozenset({"approval", "limit", "redact", "expire"})
"""Duties that the enforcement point can carry out. The language knows more."""

ISSUANCE_DUTIES: Final = frozenset({"expire", "single", "reauthenticate"})
"""Duties about an access token: they stand in `on token` rules, and no others do (Law 9)."""

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
    _check_duties(rule, shown)
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


# --- duties ------------------------------------------------------------------------------------


def _check_duties(rule: nodes.Rule, checking: Checking) -> None:
    on_token = any(isinstance(clause, nodes.OnToken) for clause in rule.what)
    for duty in rule.duties:
        for path in duty.paths:
            kind_of(path, checking)
        if duty.kind not in SUPPORTED_DUTIES:
            message = f"the gateway cannot carry out `{duty.kind}` yet"
            help_ = "a duty that cannot be met is a denial; it can carry out " + ", ".join(
                f"`{kind}`" for kind in sorted(SUPPORTED_DUTIES)
            )
            checking.complain("unsupported-duty", message, duty.span, help=help_)
        elif (duty.kind in ISSUANCE_DUTIES) != on_token:
            _misplaced_duty(duty, on_token=on_token, checking=checking)
        else:
            _check_parameters(duty, checking)


def _misplaced_duty(duty: nodes.DutyLine, *, on_token: bool, checking: Checking) -> None:
    if on_token:
        message = f"`{duty.kind}` cannot be met when a token is issued"
        help_ = "put it in a rule about calls"
    else:
        message = f"`{duty.kind}` is about access tokens, this rule is about calls"
        help_ = "write `on token` in a rule of its own"
    checking.complain("misplaced-duty", message, duty.span, help=help_)


def _check_parameters(duty: nodes.DutyLine, checking: Checking) -> None:
    pattern, calls = duty.parameters.get("pattern"), duty.parameters.get("count")
    if isinstance(pattern, str):
        try:
            patterns.regex(pattern)
        except ValueError as error:
            checking.complain("bad-pattern", str(error), duty.span)
    if duty.kind == "limit" and isinstance(calls, int) and calls > QUOTA_CALLS_MAX:
        message = f"a limit counts at most {QUOTA_CALLS_MAX} calls"
        checking.complain("bad-count", message, duty.span)


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
