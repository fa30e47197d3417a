"""`approval [N] from group "g" or user "u" within D`.

Every requirement's set of approvers has to approve. Nobody can be asked yet, and an approval asked
where nobody can answer is worse than a refusal, so the call is refused at once and the refusal
says who would have to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from pbac.duties.refusal import DutyConflict, DutyRefusal
from pbac.model.decision import Duty


def join(duties: Sequence[Duty]) -> tuple[Duty, ...] | DutyConflict:
    """Every set must approve, so the join is all of them."""
    for duty in duties:
        if not duty.parameters.get("from"):
            return DutyConflict(
                message=f"the approval of `{duty.rule}` names nobody", rules=(duty.rule,)
            )
    return tuple(duties)


def refuse(approvals: tuple[Duty, ...]) -> DutyRefusal:
    """The refusal of a call that needs these approvals."""
    rules = tuple(dict.fromkeys(duty.rule for duty in approvals))
    needed = " and ".join(dict.fromkeys(_describe(duty) for duty in approvals))
    names = ", ".join(f"`{rule}`" for rule in rules)
    return DutyRefusal(
        code="approval_unavailable",
        message=f"{names} requires approval from {needed}, and no approver can be asked yet",
        help="ask them to do it, or to change the policy",
        rules=rules,
    )


def _describe(duty: Duty) -> str:
    who = " or ".join(f"{kind} `{name}`" for kind, name in duty.parameters["from"])
    count = duty.parameters.get("count", 1)
    return who if count == 1 else f"{count} of {who}"
