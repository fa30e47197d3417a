"""Targets: what the `for` and `on` clauses of a rule say about one request (Laws 2, 8, 9).

A clause becomes a function of the request that answers True, False or `UNKNOWN`: names are compiled
once, and both the interpreter and the generator use the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, assert_never

from pbac.lang import nodes
from pbac.lang.evaluate import patterns
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.truth import Truth, disjunction, truth_of, value_of
from pbac.model.request import ISSUE, DecisionRequest
from pbac.model.values import MISSING, Value

ClauseTest: TypeAlias = Callable[[DecisionRequest], Value]
Effect: TypeAlias = Literal["permit", "forbid", "require"]

SEPARATORS: Final[dict[str, str]] = {"scope": ":", "tool": "./", "resource": "/"}
"""What ends a segment of the names a clause is about; names of other kinds are one segment."""

FIELD_OF: Final[dict[str, str]] = {
    "tier": "agent.tier",
    "kind": "agent.kind",
    "agent": "agent.id",
    "provider": "agent.provider",
    "group": "user.groups",
    "tool": "call.tool",
    "scope": "call.scope",
    "resource": "call.resource",
    "prompt": "call.prompt",
    "tag": "call.tags",
    "server": "call.server",
}
"""The path each kind of clause reads: what is to blame when it is unknown."""

_TEXTS_ONLY: Final = frozenset({str})

ACTOR_FIELD_OF: Final[dict[str, str]] = {"kind": "kind", "agent": "id", "provider": "provider"}
"""Clauses about who acts, and the field of an actor they compare (names are self-chosen)."""


# --- names ---------------------------------------------------------------------------------


def names_matcher(
    what: str, names: tuple[str, ...], without: tuple[str, ...] = ()
) -> patterns.Matcher:
    """Any of the names, but none of the `except` names.

    Raises:
        PatternError: when a name is no usable pattern.
    """
    among = _among(what, names)
    if not without:
        return among
    taken_out = _among(what, without)
    return lambda text: among(text) and not taken_out(text)


def _among(what: str, names: tuple[str, ...]) -> patterns.Matcher:
    exact = frozenset(name for name in names if "*" not in name)
    globs = [patterns.glob(name, SEPARATORS.get(what, "")) for name in names if "*" in name]
    if not globs:
        return exact.__contains__
    return lambda text: text in exact or any(glob(text) for glob in globs)


def texts(names: tuple[nodes.Pattern, ...]) -> tuple[str, ...]:
    """The patterns as written."""
    return tuple(name.text for name in names)


def _name_test(matcher: patterns.Matcher, value: Value) -> Truth:
    """Does one name match? Unknown when it is missing or no text."""
    return truth_of(matcher(value)) if type(value) is str else Truth.UNKNOWN


def _some_name(matcher: patterns.Matcher, values: Value) -> Truth:
    """Does one of a list of names match? Unknown when there is no list."""
    items = items_of(values)
    if items is None:
        return Truth.UNKNOWN
    if set(map(type, items)) <= _TEXTS_ONLY:  # the ordinary case, on every call: no truths needed
        return truth_of(any(map(matcher, items)))
    return disjunction(_name_test(matcher, item) for item in items)


# --- who -----------------------------------------------------------------------------------


def tier_truth(clause: nodes.ForTier, tier: Value, tiers: tuple[str, ...]) -> Truth:
    """`for tier …` for an agent's tier; `tiers` lowest first. Undeclared tiers are unknown."""
    if type(tier) is not str or tier not in tiers:
        return Truth.UNKNOWN
    names = texts(clause.tiers)
    if clause.operator == "in":
        return disjunction(
            truth_of(tier == name) if name in tiers else Truth.UNKNOWN for name in names
        )
    if names[0] not in tiers:
        return Truth.UNKNOWN
    rank, wanted = tiers.index(tier), tiers.index(names[0])
    match clause.operator:
        case ">=":
            return truth_of(rank >= wanted)
        case "<=":
            return truth_of(rank <= wanted)
        case ">":
            return truth_of(rank > wanted)
        case "<":
            return truth_of(rank < wanted)
    assert_never(clause.operator)


def _group_test(matcher: patterns.Matcher) -> ClauseTest:
    """Without a user false; a user whose groups are not known is unknown (Law 2)."""

    def test(request: DecisionRequest) -> Value:
        if request.user is None:
            return False
        return value_of(_some_name(matcher, request.user.get("groups", MISSING)))

    return test


def _caller_test(matcher: patterns.Matcher, field: str) -> ClauseTest:
    """The caller alone: what a permit's `for` matches (Law 8)."""
    return lambda request: value_of(_name_test(matcher, request.agent.get(field, MISSING)))


def _anyone_test(matcher: patterns.Matcher, field: str) -> ClauseTest:
    """The caller or any actor of the chain: what a forbid's and a require's `for` matches (Law 8).

    A chain whose actors are missing, or an actor that is no record, may be anyone: unknown.
    """

    def test(request: DecisionRequest) -> Value:
        found = [_name_test(matcher, request.agent.get(field, MISSING))]
        actors = items_of(request.chain.get("actors", MISSING))
        if actors is None:
            found.append(Truth.UNKNOWN)
        for actor in actors or ():
            name = actor.get(field, MISSING) if type(actor) is dict else MISSING
            found.append(_name_test(matcher, name))
        return value_of(disjunction(found))

    return test


def actors_test(clause: nodes.ForNames, *, wanted: bool) -> Callable[[Value], bool]:
    """One rail of `for kind|agent|provider` over `chain.actors`.

    `wanted`: certainly some actor matches; otherwise: certainly none does.

    Raises:
        PatternError: when a name is no usable pattern.
    """
    matcher = names_matcher(clause.what, texts(clause.names), texts(clause.without))
    field = ACTOR_FIELD_OF[clause.what]

    def certain(actors: Value) -> bool:
        items = items_of(actors)
        if items is None:
            return False
        for actor in items:
            found = _name_test(matcher, actor.get(field) if type(actor) is dict else MISSING)
            if wanted and found is Truth.TRUE:
                return True
            if not wanted and found is not Truth.FALSE:
                return False
        return not wanted

    return certain


def for_names_test(clause: nodes.ForNames, effect: Effect) -> ClauseTest:
    """`for kind|agent|provider|group names`.

    Raises:
        PatternError: when a name is no usable pattern.
    """
    matcher = names_matcher(clause.what, texts(clause.names), texts(clause.without))
    if clause.what == "group":
        return _group_test(matcher)
    field = ACTOR_FIELD_OF[clause.what]
    if effect == "permit":
        return _caller_test(matcher, field)
    return _anyone_test(matcher, field)


# --- what ----------------------------------------------------------------------------------


def _method_test(what: str) -> Callable[[Value], bool]:
    """Can a call of this method be about tools (resources, prompts) at all?"""
    if what in ("resource", "prompt"):
        return lambda method: type(method) is str and method.startswith(f"{what}s/")
    if what == "tool":
        others = ("resources/", "prompts/")
        return lambda method: type(method) is not str or not method.startswith(others)
    return lambda _method: True


def on_names_test(clause: nodes.OnNames) -> ClauseTest:
    """`on tool|scope|resource|prompt|tag|server names`, never about issuance.

    Raises:
        PatternError: when a name is no usable pattern.
    """
    return names_test(clause.what, texts(clause.names), texts(clause.without))


def names_test(what: str, names: tuple[str, ...], without: tuple[str, ...]) -> ClauseTest:
    """`on_names_test`, by the names alone. Raises `PatternError` as it does."""
    matcher = names_matcher(what, names, without)
    applicable = _method_test(what)
    field = FIELD_OF[what].removeprefix("call.")
    named = _some_name if what == "tag" else _name_test

    def test(request: DecisionRequest) -> Value:
        method = request.call.get("method")
        if method == ISSUE or not applicable(method):
            return False
        return value_of(named(matcher, request.call.get(field, MISSING)))

    return test


def on_truth(clause: nodes.OnClause, request: DecisionRequest) -> Truth:
    """One `on` clause for one request."""
    match clause:
        case nodes.OnToken():
            return truth_of(request.call.get("method") == ISSUE)
        case nodes.OnAny():
            return truth_of(request.call.get("method") != ISSUE)
        case nodes.OnNames():
            return truth_of(on_names_test(clause)(request))
    assert_never(clause)


def for_truth(
    clause: nodes.ForClause, request: DecisionRequest, effect: Effect, tiers: tuple[str, ...]
) -> Truth:
    """One `for` clause for one request. `agent.tier` is already the lowest of the chain."""
    match clause:
        case nodes.ForTier():
            return tier_truth(clause, request.agent.get("tier", MISSING), tiers)
        case nodes.ForNames():
            return truth_of(for_names_test(clause, effect)(request))
    assert_never(clause)


def server_truth(servers: tuple[str, ...], request: DecisionRequest) -> Truth:
    """`package x on server y`: is the call within the package? Every call is when none is named."""
    if not servers:
        return Truth.TRUE
    return _name_test(names_matcher("server", servers), request.call.get("server", MISSING))


def phase_truth(rule: nodes.Rule, request: DecisionRequest) -> Truth:
    """Law 9: rules with `on token` are about issuance, all others about calls, never both."""
    about_issuance = any(isinstance(clause, nodes.OnToken) for clause in rule.what)
    return truth_of(about_issuance == (request.call.get("method") == ISSUE))
