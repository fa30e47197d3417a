"""`limit N per D by key, key`: whose bucket a call falls into.

Keys are `agent`, `user`, `tool`, `server`, `session` or a path such as `args.owner`. Without a
user, `user` is the agent, so that leaving the user out is no way round a limit. A bucket's key is
a digest of canonical JSON: lists keep the parts apart, and `1`, `1.0`, `"1"` and `true` stay
different values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pbac.base import json
from pbac.duties.quota import Claim, Quotas
from pbac.duties.refusal import DutyConflict, DutyRefusal
from pbac.model.decision import Duty
from pbac.model.request import FIELDS, DecisionRequest

_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


def join(duties: Sequence[Duty]) -> tuple[Duty, ...] | DutyConflict:
    """Every bucket has to hold, so the join is all of them."""
    for duty in duties:
        parameters = duty.parameters
        known = all(_is_known(key) for key in parameters.get("by", ()))
        if not (known and _is_count(parameters, "count") and _is_count(parameters, "per_ms")):
            return DutyConflict(
                message=f"the limit of `{duty.rule}` cannot be counted", rules=(duty.rule,)
            )
    return tuple(duties)


def _is_count(parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name)
    return type(value) is int and value > 0


def _is_known(key: str) -> bool:
    root, _, rest = key.partition(".")
    # Data are the policy set's, not the request's: they are the same for every call.
    asked = root in FIELDS and root != "data"
    return key in _WORDS or (asked and bool(rest) and "[" not in rest)


def consume(
    limits: tuple[Duty, ...], request: DecisionRequest, quotas: Quotas, now_ms: int
) -> DutyRefusal | None:
    """Count this call everywhere, or nowhere and say why."""
    refused = quotas.consume([claim(duty, request) for duty in limits], now_ms)
    if refused is None:
        return None
    rule = refused.claim.rule
    if refused.retry_after_ms is None:
        return DutyRefusal(
            code="quota_exceeded",
            message=f"too many callers are being counted to count another for `{rule}`",
            help="try again later",
            rules=(rule,),
        )
    per = render_duration(refused.claim.per_ms)
    return DutyRefusal(
        code="quota_exceeded",
        message=f"`{rule}` allows {refused.claim.count} calls per {per}, and they are used up",
        help=f"try again in {render_duration(max(1_000, refused.retry_after_ms))}",
        rules=(rule,),
    )


def claim(duty: Duty, request: DecisionRequest) -> Claim:
    """The bucket of this call for one limit."""
    parameters = duty.parameters
    by = parameters["by"]
    # The allowed count is not part of the key: raising or lowering it keeps what is used.
    parts = [duty.rule, parameters["per_ms"], list(by), [_value(key, request) for key in by]]
    return Claim(
        key=hashlib.sha256(json.canonical(parts)).digest(),
        count=parameters["count"],
        per_ms=parameters["per_ms"],
        rule=duty.rule,
    )


def _value(key: str, request: DecisionRequest) -> list[Any]:
    word = _WORDS.get(key)
    return word(request) if word else _path(key, request)


def _path(key: str, request: DecisionRequest) -> list[Any]:
    """The value in a list; an empty list where the path leads nowhere: missing is not null."""
    root, *names = key.split(".")
    value: Any = getattr(request, root)
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return []
        value = value[name]
    return [value]


def _agent(request: DecisionRequest) -> list[Any]:
    return ["agent", request.agent.get("id")]


def _user(request: DecisionRequest) -> list[Any]:
    return _agent(request) if request.user is None else ["user", request.user.get("id")]


def _tool(request: DecisionRequest) -> list[Any]:
    return ["tool", request.call.get("server"), request.call.get("tool")]


def _server(request: DecisionRequest) -> list[Any]:
    return ["server", request.call.get("server")]


def _session(request: DecisionRequest) -> list[Any]:
    """The language's session: agent, user and grant, never the transport's."""
    return ["session", _agent(request), _user(request), request.token.get("grant")]


_WORDS: Final[Mapping[str, Callable[[DecisionRequest], list[Any]]]] = {
    "agent": _agent,
    "user": _user,
    "tool": _tool,
    "server": _server,
    "session": _session,
}


def render_duration(milliseconds: int) -> str:
    """`minute`, `5 minutes`, `1500 ms`: the largest unit that fits without a rest."""
    for size, unit in _UNITS:
        number, rest = divmod(milliseconds, size)
        if number and not rest:
            return unit if number == 1 else f"{number} {unit}s"
    if milliseconds > 1_000:
        return f"{-(-milliseconds // 1_000)} seconds"
    return f"{milliseconds} ms"
