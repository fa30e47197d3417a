"""A defect of ours, caught: a denial that carries its traceback, never "no opinion"."""

from __future__ import annotations

import traceback
from typing import Final

from pbac.model.decision import Cause, Decision, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.index import key_of
from pbac.pdp.policy_set import PolicySet

_CHARACTERS_MAX: Final = 8_000


def fault(policy_set: PolicySet, request: DecisionRequest) -> Decision:
    """The denial for the exception that is being handled, its texts told."""
    return Decision(
        effect=Effect.DENY,
        cause=Cause.ENGINE_FAULT,
        policy_version=policy_set.version,
        reason="the decision point failed, so the call is refused",
        internal=_trace(policy_set, request)[-_CHARACTERS_MAX:],
        help="tell the operator of this gateway; calling again will not help",
    )


def _trace(policy_set: PolicySet, request: DecisionRequest) -> str:
    """Of the fault that is being handled; by single rules when they show it, to name its file."""
    trace = traceback.format_exc()
    try:
        policy_set.index.find(key_of(request)).ask_singly(request, policy_set.data)
    except Exception:  # noqa: BLE001 - the same one again, nearer to its rule
        return traceback.format_exc()
    return trace
