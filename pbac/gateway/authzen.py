"""AuthZEN Authorization API 1.0 (final of 11 January 2026), mapped as COAZ-MCP maps MCP calls.

| AuthZEN | here |
|---|---|
| `subject` of type `agent` or `identity` | on whose behalf; the agent too, unless `context.agent` |
| `context.agent` | the agent, by its client id |
| `action.name` | the MCP method |
| `action.properties.arguments` or `context.arguments` | the arguments of the call |
| `resource` of type `tool` | the tool, as the gateway lists it |
| `resource.properties.server` | the backend, where the id is the tool's own name |
| `context.ip`, `context.client` | the agent's address, and what it calls itself |

10.1.1: "receivers MUST ignore unknown fields": those beside the members that the API itself
defines are. What may stand in `properties` and in `context` is for a decision point to say (5.1.1,
5.4). There a name that nobody reads is refused: with `argumnets` ignored, a rule about an argument
would be asked about a call that has none.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from pbac.base.limits import EVALUATIONS_MAX
from pbac.gateway.decision_point import CALL, Answered, DecisionPoint, Reply
from pbac.gateway.question import (
    Inquiry,
    Question,
    QuestionError,
    Tree,
    address_at,
    parse,
    place,
    record_at,
    require_known,
    text_at,
)
from pbac.model.decision import Cause

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
CONFIGURATION: Final = "/.well-known/authzen-configuration"

SUBJECT_TYPES: Final = ("agent", "identity")
RESOURCE_TYPES: Final = ("tool",)
SEMANTICS: Final[dict[str, bool | None]] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}
"""7.1.2.1: which semantic ends with which answer."""

_DEFAULTED: Final = ("subject", "action", "resource", "context")
_CONTEXT: Final = ("agent", "arguments", "ip", "client")
_REGISTRY: Final = "leave it out: what an agent is comes from the registry of the gateway"
_OFFER: Final = "leave it out: what a tool needs comes from the gateway's own offer"


def read_evaluation(body: bytes) -> Inquiry:
    """An Access Evaluation request (6.1). Raises `QuestionError`."""
    return Inquiry(questions=(_question(parse(body)),))


def read_evaluations(body: bytes) -> Inquiry:
    """An Access Evaluations request (7.1); an item that is wrong does not spoil the others.

    Raises:
        QuestionError: for what is about the whole of it.
    """
    tree = parse(body)
    items = tree.get("evaluations", [])
    if type(items) is not list:
        help_ = 'write `"evaluations": [{…}, {…}]`'
        raise QuestionError("`evaluations` is no list", place="evaluations", help=help_)
    until = _until(record_at(tree, "options"))
    if not items:
        # 7.1: "NOT present or is empty": as a single Access Evaluation request.
        return Inquiry(questions=(_question(tree),))
    if len(items) > EVALUATIONS_MAX:
        message = f"`evaluations` has more than {EVALUATIONS_MAX} items"
        raise QuestionError(message, place="evaluations", help="ask in several requests")
    # 7.1.1: a key of an item replaces the default of that name, as a whole.
    defaults = {name: tree[name] for name in _DEFAULTED if name in tree}
    questions = tuple(_item(defaults, item, number) for number, item in enumerate(items))
    return Inquiry(questions=questions, until=until, several=True)


def _until(options: Tree) -> bool | None:
    chosen = options.get("evaluations_semantic", "execute_all")
    if type(chosen) is not str or chosen not in SEMANTICS:
        at, listed = "options.evaluations_semantic", ", ".join(f"`{each}`" for each in SEMANTICS)
        raise QuestionError(
            f"`{at}` is none that there is", place=at, help=f"it is one of {listed}"
        )
    return SEMANTICS[chosen]


def _item(defaults: Tree, item: Any, number: int) -> Question | QuestionError:
    at = f"evaluations[{number}]"
    if type(item) is not dict:
        return QuestionError(f"`{at}` is no object", place=at, help="write one in braces")
    try:
        return _question({**defaults, **item}, at)
    except QuestionError as error:
        return error


def _question(tree: Tree, at: str = "") -> Question:
    subject = record_at(tree, "subject", at, required=True)
    action = record_at(tree, "action", at, required=True)
    resource = record_at(tree, "resource", at, required=True)
    context = record_at(tree, "context", at)
    _typed(subject, SUBJECT_TYPES, place(at, "subject"))
    _properties(subject, (), place(at, "subject"), _REGISTRY)
    named = text_at(subject, "id", place(at, "subject"), required=True)
    asked = Question(
        agent=text_at(context, "agent", place(at, "context")) or named,
        subject=named,
        method=text_at(action, "name", place(at, "action"), required=True),
        tool=text_at(resource, "id", place(at, "resource"), required=True),
        arguments={},
    )
    # Whatever else COAZ-MCP maps has members of its own, and is denied whatever they say.
    return _call(asked, action, resource, context, at) if asked.method == CALL else asked


def _call(asked: Question, action: Tree, resource: Tree, context: Tree, at: str) -> Question:
    require_known(context, _CONTEXT, place(at, "context"))
    _typed(resource, RESOURCE_TYPES, place(at, "resource"))
    needed = _properties(resource, ("server",), place(at, "resource"), _OFFER)
    properties = _properties(action, ("arguments",), place(at, "action"), "")
    return replace(
        asked,
        server=text_at(needed, "server", place(at, "resource.properties")),
        arguments=_arguments(properties, context, at),
        ip=address_at(context, "ip", place(at, "context")),
        client=text_at(context, "client", place(at, "context")),
    )


def _typed(entity: Tree, types: tuple[str, ...], at: str) -> None:
    found = text_at(entity, "type", at, required=True)
    if found not in types:
        listed = " or ".join(f"`{each}`" for each in types)
        message = f"`{at}.type` is `{found}`, of which nothing is known here"
        raise QuestionError(message, place=f"{at}.type", help=f"it is {listed}")


def _properties(entity: Tree, known: tuple[str, ...], at: str, why: str) -> Tree:
    found = record_at(entity, "properties", at)
    require_known(found, known, f"{at}.properties", why=lambda _: why or None)
    return found


def _arguments(properties: Tree, context: Tree, at: str) -> dict[str, Any]:
    """COAZ's default mapping carries none; without them the decision would be on another call."""
    own, other = place(at, "action.properties"), place(at, "context")
    if "arguments" in properties and "arguments" in context:
        message = "the arguments are sent twice"
        raise QuestionError(message, place=f"{other}.arguments", help=f"send them in `{own}` only")
    within, tree = (other, context) if "arguments" in context else (own, properties)
    if "arguments" not in tree:
        help_ = "send the arguments of the call, `{}` when it has none: rules look at them"
        raise QuestionError(f"`{own}.arguments` is missing", place=f"{own}.arguments", help=help_)
    return dict(record_at(tree, "arguments", within))


# --- the way back ------------------------------------------------------------------------------


def render(inquiry: Inquiry, answered: tuple[Answered, ...]) -> dict[str, Any]:
    """6.2 and 7.2: one decision, or all of them in the order of the questions."""
    if not inquiry.several:
        return _decision(answered[0])
    # 7.2: "it is RECOMMENDED that the `decision` key of the response be omitted"
    return {"evaluations": [_decision(each) for each in answered]}


def _decision(answered: Answered) -> dict[str, Any]:
    if isinstance(answered, QuestionError):  # 7.2.1
        return {"decision": False, "context": {"error": {"status": 400, "message": answered.told}}}
    return {"decision": answered.permitted, "context": render_context(answered)}


def render_context(reply: Reply) -> dict[str, Any]:
    """5.5.1: what the enforcement point is told beside the answer. Nothing that is empty.

    `reason_user` and `help` may be shown to the agent; `reason_admin` and the names of rules are
    for whoever runs the enforcement point. Obligations have the form that the draft AuthZEN
    profile for them gives to `custom` ones: whoever does not know a kind has to deny.
    """
    record = reply.record
    # A trace is for the operator of this gateway, who has the record.
    admin = "" if record.cause == Cause.ENGINE_FAULT.value else record.internal
    told: dict[str, Any] = {
        "id": record.decision_id,
        "code": reply.code,
        "cause": record.cause,
        "policy_version": record.policy_version,
        "rules": list(record.rules),
        "unknown": list(record.unknown),
        "reason_user": {"en": record.reason} if record.reason else {},
        "reason_admin": {"en": admin} if admin else {},
        "help": reply.help,
        "obligations": _obligations(record.duties) if reply.permitted else [],
    }
    return {name: value for name, value in told.items() if value}


def _obligations(duties: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "type": "custom",
            "properties": {"kind": duty.kind, "rule": duty.rule, "parameters": duty.parameters},
        }
        for number, duty in enumerate(duties, 1)
    ]


def configuration(point: DecisionPoint) -> dict[str, str]:
    """9.1.1: who the decision point is, and where it answers. What is absent it cannot do."""
    return {
        "policy_decision_point": point.origin,
        "access_evaluation_endpoint": point.origin + EVALUATION,
        "access_evaluations_endpoint": point.origin + EVALUATIONS,
    }
