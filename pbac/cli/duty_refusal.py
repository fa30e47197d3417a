"""What the gateway would refuse although policy permits it: duties it cannot carry out."""

from __future__ import annotations

from pbac.model.decision import Decision


def refusal(decision: Decision) -> str | None:
    """Why, as the caller would be told; None when nothing stands against the call.

    Limits are not looked at: what was consumed already is not known here.
    """
    from pbac.duties.approval import refuse
    from pbac.duties.table import DutyConflict, join

    if not decision.permitted:
        return None
    plan = join(decision.duties)
    if isinstance(plan, DutyConflict):
        return plan.message
    if not plan.approval:
        return None
    told = refuse(plan.approval)
    return f"{told.message} ({told.code})"
