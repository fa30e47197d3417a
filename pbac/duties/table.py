"""Duties: one table from a duty's name to its join and to what is done about it.

| order | duty | join of several | carried out |
|---|---|---|---|
| 1 | approval | every set must approve | before: nobody can be asked yet, so refused |
| 2 | limit | every bucket must hold | before: all counted, or none |
| 3 | redact | union | after, on the result |
| - | expire | minimum | at issuance only |

A duty that is not in the table cannot be carried out, and what cannot be carried out is a denial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pbac.duties import approval, limit, redact
from pbac.duties.quota import Quotas
from pbac.duties.redact import Redactions
from pbac.duties.refusal import DutyConflict, DutyRefusal
from pbac.model.decision import Duty
from pbac.model.request import DecisionRequest

__all__ = ["JOINS", "DutyConflict", "DutyRefusal", "Plan", "after", "before", "join"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The joined duties of one call, ready to be carried out."""

    approval: tuple[Duty, ...] = ()
    limit: tuple[Duty, ...] = ()
    redact: Redactions | None = None

    @property
    def changes_result(self) -> bool:
        """Whether `after` may take something out of the result."""
        return self.redact is not None


NOTHING: Final = Plan()

JOINS: Final[Mapping[str, Callable[[Sequence[Duty]], Any]]] = {
    "approval": approval.join,
    "limit": limit.join,
    "redact": redact.join,
}
"""Duties of calls. Each join gives the `Plan` member of its name, or a `DutyConflict`."""


def join(duties: tuple[Duty, ...]) -> Plan | DutyConflict:
    """One plan from the duties of all requirements that applied; their order is irrelevant."""
    if not duties:
        return NOTHING
    kinds: dict[str, list[Duty]] = {}
    for duty in sorted(duties, key=lambda duty: (duty.kind, duty.rule)):
        kinds.setdefault(duty.kind, []).append(duty)
    joined: dict[str, Any] = {}
    for kind, several in kinds.items():
        if kind not in JOINS:
            return _unknown(kind, several)
        together = JOINS[kind](several)
        if isinstance(together, DutyConflict):
            return together
        joined[kind] = together
    return Plan(**joined)


def _unknown(kind: str, duties: Sequence[Duty]) -> DutyConflict:
    rules = tuple(dict.fromkeys(duty.rule for duty in duties))
    names = ", ".join(f"`{rule}`" for rule in rules)
    return DutyConflict(
        message=f"{names} demands `{kind}`, which cannot be done for a call", rules=rules
    )


def before(plan: Plan, request: DecisionRequest, quotas: Quotas, now_ms: int) -> DutyRefusal | None:
    """What has to happen before the call is forwarded, in order; the first refusal ends it.

    Limits come last, so a call that is refused consumes nothing.
    """
    if plan.approval:
        return approval.refuse(plan.approval)
    if plan.limit:
        return limit.consume(plan.limit, request, quotas, now_ms)
    return None


def after(plan: Plan, result: dict[str, Any]) -> dict[str, Any]:
    """The result as the caller may see it: a new tree, or the same when nothing had to go.

    Raises:
        RedactionError: the result must not be delivered.
    """
    return result if plan.redact is None else redact.redact(plan.redact, result)
