"""The shape of OPA's REST API for one document, so that what asks OPA can ask here.

    POST /v1/data/pbac/decision  {"input": {…}}  →  {"result": {"allow": …, …}, "decision_id": "…"}

`input` has the members of a decision request that only an enforcement point can say. All others
exist, and are known here: a caller that sends one would be surprised, so it is refused. OPA answers
an undefined document with no `result`; this document is always defined.
"""

from __future__ import annotations

from typing import Any, Final

from pbac.gateway.authzen import render_context
from pbac.gateway.decision_point import Answered, Reply
from pbac.gateway.question import (
    Inquiry,
    Question,
    address_at,
    parse,
    record_at,
    require_known,
    text_at,
)
from pbac.model.request import FIELDS

DECISION: Final = "/v1/data/pbac/decision"

INPUT: Final[dict[str, tuple[str, ...] | None]] = {
    "agent": ("id",),
    "call": ("method", "tool", "server"),
    "args": None,
    "env": ("ip", "client"),
}
"""Root → the fields that are read. Arguments have any."""


def read_input(body: bytes) -> Inquiry:
    """The question of one `input`. Raises `QuestionError`."""
    tree = parse(body)
    require_known(tree, ("input",))
    given = record_at(tree, "input", required=True)
    require_known(given, INPUT, "input", why=_known_here)
    roots = {root: record_at(given, root, "input", required=root != "env") for root in INPUT}
    for root, fields in INPUT.items():
        if fields is not None:
            require_known(roots[root], fields, f"input.{root}", why=_field_known_here(root))
    agent, call, env = roots["agent"], roots["call"], roots["env"]
    named = text_at(agent, "id", "input.agent", required=True)
    question = Question(
        agent=named,
        subject=named,
        method=text_at(call, "method", "input.call", required=True),
        tool=text_at(call, "tool", "input.call", required=True),
        server=text_at(call, "server", "input.call"),
        arguments=dict(roots["args"]),
        ip=address_at(env, "ip", "input.env"),
        client=text_at(env, "client", "input.env"),
    )
    return Inquiry(questions=(question,))


def _known_here(name: str) -> str | None:
    return "leave it out: the gateway knows it, or nobody does" if name in FIELDS else None


def _field_known_here(root: str) -> Any:
    """What to say of a field that a request has, and a caller must not."""
    source = {"agent": "the registry", "call": "the gateway's own offer"}.get(root, "the gateway")
    known = FIELDS[root]
    return lambda name: f"leave it out: it comes from {source}" if name in known else None


def render(_inquiry: Inquiry, answered: tuple[Answered, ...]) -> dict[str, Any]:
    """The document: `allow`, and what AuthZEN's `context` holds."""
    (reply,) = answered
    assert isinstance(reply, Reply)
    told = render_context(reply)
    return {"decision_id": told.pop("id"), "result": {"allow": reply.permitted, **told}}
