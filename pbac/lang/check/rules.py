"""What a rule must not say, beyond the kinds of its expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pbac.lang import nodes
from pbac.lang.check.checking import Checking, check_tier
from pbac.lang.check.duties import check_duties
from pbac.lang.check.expressions import check_conditions, kind_of
from pbac.lang.evaluate.targets import names_matcher, texts

AGENT_VISIBLE: Final = frozenset({"args", "call", "data", "agent.id", "agent.name", "agent.tier"})
"""What a `because` may show: the agent reads it."""

_WITHOUT_VALUE: Final = frozenset({"shadow"})


def check_rule(rule: nodes.Rule, checking: Checking) -> None:
    """All complaints about one rule."""
    check_conditions(rule.conditions, checking)
    _check_targets(rule, checking)
    _check_annotations(rule, checking)
    shown = replace(checking, rule=None)  # what is missing there decides nothing
    _check_texts(rule, shown)
    check_duties(rule, shown)


# --- targets -----------------------------------------------------------------------------------


def _check_targets(rule: nodes.Rule, checking: Checking) -> None:
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
