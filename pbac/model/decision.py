"""What the decision point answers, and the duties it attaches."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Effect(StrEnum):
    """The answer of a decision. A held call is a permit whose approval duty is still open."""

    PERMIT = "permit"
    DENY = "deny"


class Cause(StrEnum):
    """Why the effect is what it is; the symbolic code in records and answers."""

    PERMITTED = "permitted"
    FORBIDDEN = "forbidden"  # at least one forbid applied
    NOT_PERMITTED = "not_permitted"  # no permit applied
    ENGINE_FAULT = "engine_fault"  # a defect of ours: always a denial, always alarmed


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """One obligation (the enforcement point must carry it out, or deny).

    `kind` is the first word of the `then` line (`approval`, `limit`, `redact`, `expire`, …),
    `rule` the qualified name of the requirement it came from, `parameters` plain JSON:

    - approval: `{"count": 1, "from": [["group", "maintainers"]], "within_ms": 900000}`
    - limit: `{"count": 20, "per_ms": 60000, "by": ["agent", "tool"]}`; a key may be a path
    - redact: `{"paths": ["result.content.*.text"]}` or `{"pattern": "…", "in": path or null}`
    - expire: `{"in_ms": 900000}`
    """

    kind: str
    rule: str
    parameters: dict[str, Any]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The full answer to one request.

    Attributes:
        rules: qualified names of the permits that applied (permit), or of the forbids that
            applied (deny). Empty when nothing applied.
        duties: of every requirement that applied, in rule-name order; not yet joined.
        unknown: paths to blame, when a forbid or requirement applied because it could not be
            ruled out (Law 2).
        reason: text the *agent* may see; `internal` is for operator and record only. Both, and
            `help`, are "" until they are told (`pdp.telling`).
        help: what would help, for the agent; "" when nothing is known.
        shadow: names of `@shadow` rules that would have applied; nothing follows from them.
        policy_version: digest of the policy set that decided.
    """

    effect: Effect
    cause: Cause
    policy_version: str
    rules: tuple[str, ...] = ()
    duties: tuple[Duty, ...] = ()
    unknown: tuple[str, ...] = ()
    reason: str = ""
    internal: str = ""
    help: str = ""
    shadow: tuple[str, ...] = ()

    @property
    def permitted(self) -> bool:
        """True for a permit; its duties still have to be met."""
        return self.effect is Effect.PERMIT
