"""What lint looks for: one row each, with its level, its meaning and the function that finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pbac.base.diagnostics import Severity
from pbac.lang.lint.chains import caller_only, upper_bounded_tiers
from pbac.lang.lint.documents import long_lists, unknown_documents
from pbac.lang.lint.emptiness import vacuous_alls
from pbac.lang.lint.globs import permits_everything, unconfined_globs
from pbac.lang.lint.linting import Finding, Linting
from pbac.lang.lint.pairs import duplicates, shadowed
from pbac.lang.lint.rules import (
    absent_agent_fields,
    absent_users,
    contradictions,
    expired,
    expires_soon,
    never_fires,
    parts_of_texts,
    permits_on_token,
    reasonless,
)
from pbac.lang.lint.sets import empty_tests, untested_rules, unused_definitions

Find: TypeAlias = Callable[[Linting], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """One thing that lint looks for.

    Attributes:
        level: unless somebody says else.
        find: None where it is found elsewhere: by the checker, or among the findings of others.
    """

    level: Severity
    meaning: str
    find: Find | None


def _warning(meaning: str, find: Find | None) -> Lint:
    return Lint(level=Severity.WARNING, meaning=meaning, find=find)


def _note(meaning: str, find: Find) -> Lint:
    return Lint(level=Severity.NOTE, meaning=meaning, find=find)


LINTS: Final[Mapping[str, Lint]] = {
    "agent-field-may-be-absent": _warning(
        "A forbid reads what many agents lack (`owner`, `provider`, …), and applies to all of "
        "them: say whether that is meant.",
        absent_agent_fields,
    ),
    "caller-only": _warning(
        "A forbid or require names an agent in a condition, which looks at the caller only: "
        "`for` looks at every actor of the chain.",
        caller_only,
    ),
    "contradiction": _warning(
        "A forbid or require that is never true, and so applies only where a value is unknown.",
        contradictions,
    ),
    "duplicate-rule": _warning("A rule that says the same as an earlier one.", duplicates),
    "empty-test": _warning("A test without an expectation.", empty_tests),
    "expired": _warning("A permit whose `@expires` has passed.", expired),
    "expires-soon": _warning("A permit that ends within thirty days.", expires_soon),
    "impossible-call": _warning(
        "A test calls a tool that its server does not have, or expects a permit of "
        "arguments that the tool refuses.",
        None,
    ),
    "list-beyond-bound": _warning(
        "A list of a data document is longer than what looks at it, and so unknown.", long_lists
    ),
    "needless-default": _warning("A `default` after an argument that every call has.", None),
    "never-fires": _warning("A rule that no request ever makes apply.", never_fires),
    "no-reason": _note(
        "A forbid without `because`, or a permit without any text that says why.", reasonless
    ),
    "not-every-tool": _warning(
        "An argument that some of the tools a rule can be about do not have: there a "
        "forbid applies and a permit does not.",
        None,
    ),
    "optional-argument": _warning(
        "A forbid or require reads an argument that may be left out, and applies then: "
        "say with `has` or `default` whether that is meant.",
        None,
    ),
    "part-of-text": _note(
        "A permit with a `contains` that finds any part of a text, where a list was meant.",
        parts_of_texts,
    ),
    "permit-on-token": _warning(
        "A permit `on token` grants nothing: scopes are issued when some call could be permitted.",
        permits_on_token,
    ),
    "permits-everything": _warning(
        "A permit of every tool of every server to every agent.", permits_everything
    ),
    "shadowed-rule": _warning(
        "A permit whose every call is forbidden, or a rule that a broader one says already.",
        shadowed,
    ),
    "sometimes-unlike": _warning(
        "A forbid or require uses a value that may also be null or of another kind, and "
        "applies then: ask with `is` first.",
        None,
    ),
    "unconfined-glob": _warning(
        "A permit whose targets hold for every backend, present and future.",
        unconfined_globs,
    ),
    "undeclared-member": _warning(
        "`has` asks for something that no schema describes, though none rules it out: "
        "perhaps misspelt.",
        None,
    ),
    "unknown-document": _warning(
        "A data document is read that the policy set does not have.", unknown_documents
    ),
    "unknown-exception": _warning(
        "`except` a name that no tool has; a similar one there is.", None
    ),
    "unlike-given": _warning(
        "A test gives a field of the request a value of a kind it never has, which is unknown: a "
        "`=> deny` then passes for the wrong reason.",
        None,
    ),
    "unneeded-scope": _warning("A scope that no tool of the rule's servers needs.", None),
    "untested-rule": _note("A rule that no test of its package could meet.", untested_rules),
    "unenforced-duty": _warning(
        "A duty that the gateway cannot carry out yet: what it applies to is denied.", None
    ),
    "unused-allow": _warning("A `# pbac: allow` that silences nothing.", None),
    "unused-definition": _warning("A definition that no rule uses.", unused_definitions),
    "upper-bounded-tier": _warning(
        "A permit for low tiers only: a higher one gains it through an actor of a low tier.",
        upper_bounded_tiers,
    ),
    "user-may-be-absent": _warning(
        "Without a user this forbid applies: say whether that is meant.", absent_users
    ),
    "vacuous-all": _warning(
        "`all`, `not any` or `subset of`, which are true of an empty list, in a permit.",
        vacuous_alls,
    ),
}
"""Code word → what is looked for."""
