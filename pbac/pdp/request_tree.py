"""A request as people and programs write it: a tree that is checked, completed and then decided.

The engine takes any `DecisionRequest`: whatever is wrong with one is unknown to rules, and denied.
That is right for what arrives at run time, and no help to somebody who has misspelt a field. So a
tree is read strictly, and what policies already say about its tool is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pbac.base.errors import PbacError
from pbac.base.limits import JSON_DEPTH_MAX, JSON_INTEGER_MAX
from pbac.base.suggest import did_you_mean
from pbac.model.request import ACTOR_FIELDS, FIELDS, ISSUE, OPEN_ROOTS, DecisionRequest

if TYPE_CHECKING:
    from pbac.lang.kinds.vocabulary import Vocabulary
    from pbac.pdp.policy_set import PolicySet

ROOTS: Final = tuple(root for root in FIELDS if root != "data")
ISSUANCE_HELP: Final = "`pbac explain --issue SCOPE`, or `issue SCOPE => permit` in a test"
CALL_FIELDS: Final = (*FIELDS["call"], "resource", "prompt")
_NAMES_SHOWN_MAX: Final = 5
_MOMENT_HELP: Final = (
    "JSON has null, booleans, numbers, texts, lists and records; a moment is a number, its "
    "milliseconds since 1970"
)


class RequestError(PbacError):
    """A tree that is no request. `place` is the path of what is wrong, "" for the whole of it."""

    code = "request_error"

    def __init__(self, message: str, *, place: str = "", help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.place = place


def read_request(
    tree: Mapping[str, Any],
    policy_set: PolicySet,
    servers: Mapping[str, Vocabulary],
) -> DecisionRequest:
    """The request that a tree describes, to be decided by this policy set.

    Args:
        tree: root → field → value, as in a file for `pbac eval --request`.
        policy_set: what will decide.
        servers: the vocabularies that come with it.

    The server of a tool is filled in where policies are about one, or one vocabulary alone has the
    tool; the scope it needs, where its vocabulary says so.

    Raises:
        RequestError: naming the place, and what to write instead.
    """
    roots: dict[str, Any] = {"agent": {}, "call": {}, **require_roots(tree)}
    _check_names(roots)
    for root, fields in roots.items():
        _check_value(fields, root)
    roots["call"] = _filled_in(roots["call"], policy_set, servers)
    tier = roots["agent"].get("tier")
    if type(tier) is str:  # a misspelt one would be denied everything, which looks like an answer
        require_declared(tier, policy_set.tiers)
    if roots["call"].get("method") == ISSUE:
        message = "a request for a token cannot be decided by itself"
        raise RequestError(message, place="call.method", help=ISSUANCE_HELP)
    return DecisionRequest(**roots)


def require_roots(tree: Any, name: str = "it") -> Mapping[str, Any]:
    """The tree, when it is a record of roots. Raises `RequestError`, in which it is called so."""
    if not isinstance(tree, Mapping):
        raise RequestError(f"{name} is no request", help='write `{"agent": {…}, "call": {…}}`')
    for root, fields in tree.items():
        if root == "data":
            help_ = "documents belong to the policies: put them into `data/<name>.json` there"
            raise RequestError("a request has no `data`", place="data", help=help_)
        if root not in ROOTS:
            help_ = did_you_mean(str(root), ROOTS) or f"it has {', '.join(ROOTS)}"
            raise RequestError(f"a request has no `{root}`", place=str(root), help=help_)
        if type(fields) is not dict and not (root == "user" and fields is None):
            help_ = f"write `{root}: {{…}}`, with its fields by name"
            raise RequestError(f"`{root}` of a request is an object", place=root, help=help_)
    return tree


def require_declared(tier: str, tiers: Sequence[str]) -> None:
    """Refuse a tier that is not among these.

    Raises:
        RequestError: with the nearest one, or all of them.
    """
    if tier in tiers:
        return
    listed = ", ".join(f"`{each}`" for each in tiers)
    known = f"tiers are {listed}" if listed else "these policies declare none"
    help_ = did_you_mean(tier, tiers) or known
    raise RequestError(f"there is no tier `{tier}`", place="agent.tier", help=help_)


# --- names and values --------------------------------------------------------------------------


def _check_names(roots: Mapping[str, Any]) -> None:
    """A misspelt field would be one more that is missing, and nobody would know."""
    for root, fields in roots.items():
        if root not in OPEN_ROOTS:
            known = CALL_FIELDS if root == "call" else tuple(FIELDS[root])
            _check_fields(f"`{root}`", root, fields or {}, known)
    actors = (roots.get("chain") or {}).get("actors")
    for number, actor in enumerate(actors if type(actors) is list else ()):
        if type(actor) is dict:
            _check_fields("an actor", f"chain.actors[{number}]", actor, tuple(ACTOR_FIELDS))


def _check_fields(owner: str, place: str, fields: Mapping[Any, Any], known: Sequence[str]) -> None:
    for name in fields:
        if name not in known:
            listed = ", ".join(f"`{each}`" for each in known)
            help_ = did_you_mean(str(name), known) or f"it has {listed}"
            message = f"{owner} has no field `{name}`"
            raise RequestError(message, place=f"{place}.{name}", help=help_)


def _check_value(value: Any, place: str, depth: int = 1) -> None:
    """Refuse what no JSON text could have said; the engine would meet it as a defect of ours."""
    kind = type(value)
    if kind is dict or kind is list:
        if depth > JSON_DEPTH_MAX:
            help_ = "send less at once"
            message = f"`{place}` is nested deeper than {JSON_DEPTH_MAX} levels"
            raise RequestError(message, place=place, help=help_)
        for key, item in value.items() if kind is dict else enumerate(value):
            if kind is dict and type(key) is not str:
                raise RequestError(f"`{place}` has a name that is no text", place=place)
            _check_value(item, f"{place}.{key}" if kind is dict else f"{place}[{key}]", depth + 1)
    elif kind is int:
        if abs(value) > JSON_INTEGER_MAX:
            message = f"the integer at `{place}` is beyond ±{JSON_INTEGER_MAX}"
            raise RequestError(message, place=place, help="write it as a text")
    elif kind is float:
        if value - value != 0:  # infinite, or not a number
            raise RequestError(f"the number at `{place}` is not finite", place=place)
    elif kind is not str and kind is not bool and value is not None:
        raise RequestError(f"`{place}` is no JSON value", place=place, help=_MOMENT_HELP)


# --- what policies say about a tool ------------------------------------------------------------


def _filled_in(
    call: dict[str, Any], policy_set: PolicySet, servers: Mapping[str, Vocabulary]
) -> dict[str, Any]:
    """With what is plain about a tool. What is there already stays, null too."""
    call = dict(call)
    asked = any(call.get(what) is not None for what in ("tool", "resource", "prompt"))
    server = _only_server(policy_set)
    if asked and "server" not in call and server is not None:
        call["server"] = server
    tool, server = call.get("tool"), call.get("server")
    if type(tool) is not str or "resource" in call or "prompt" in call:
        return call
    if "server" not in call:
        having = [each.server for each in servers.values() if tool in each.tools]
        if len(having) == 1:
            server = call["server"] = having[0]
    # A server without a vocabulary may have any tool.
    vocabulary = servers.get(server) if type(server) is str else None
    if vocabulary is None:
        return call
    if tool not in vocabulary.tools:
        message = f"no tool of `{server}` is called `{tool}`"
        raise RequestError(message, place="call.tool", help=_others(tool, vocabulary))
    scope = vocabulary.tools[tool].scope
    return call if scope is None else {"scope": scope, **call}


def _only_server(policy_set: PolicySet) -> str | None:
    """The backend that packages are confined to, when it is one and named outright."""
    named = {server for package in policy_set.program.packages for server in package.servers}
    found = named.pop() if len(named) == 1 else None
    return None if found is None or "*" in found else found


def _others(tool: str, vocabulary: Vocabulary) -> str:
    names = list(vocabulary.tools)
    listed = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN_MAX])
    more = ", …" if len(names) > _NAMES_SHOWN_MAX else ""
    told = f"`{vocabulary.file}` has {listed}{more}" if names else f"`{vocabulary.file}` is empty"
    return did_you_mean(tool, names) or told
