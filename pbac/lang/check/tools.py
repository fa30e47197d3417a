"""Which tools a rule can be about, and what that says about its arguments and facts.

The theory: types only ever rest on what is known whole. A rule is *closed* when its package and its
`on server` clauses name its servers outright and each has a vocabulary. Then its tools are those of
these servers that its `on tool` and `on scope` clauses can match, and its `args` is the union of
theirs. Any other rule can be about tools nobody described, and its `args` stays of any kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.checking import Checking
from pbac.lang.evaluate.patterns import Matcher
from pbac.lang.evaluate.targets import names_matcher, texts
from pbac.lang.kinds.schema import Schema
from pbac.lang.kinds.unions import records_together
from pbac.lang.kinds.vocabulary import KnownTool

_NAMES_SHOWN_MAX: Final = 5


@dataclass(slots=True, kw_only=True)
class Typing:
    """What one run finds out about tools, once for all the rules that ask the same.

    Attributes:
        offers: by the names of servers.
    """

    schema: Schema
    offers: dict[tuple[str, ...], _Offer] = field(default_factory=dict)

    def offer(self, servers: Sequence[str]) -> _Offer:
        """What these servers offer together; each of them is known."""
        key = tuple(servers)
        if key not in self.offers:
            tools = [tool for name in key for tool in self.schema.servers[name].tools.values()]
            self.offers[key] = _offer(self.schema, key, tools)
        return self.offers[key]


def _offer(schema: Schema, servers: tuple[str, ...], tools: Sequence[KnownTool]) -> _Offer:
    scopes = dict.fromkeys(tool.scope for tool in tools)
    return _Offer(
        schema=schema,
        servers=servers,
        tools=tools,
        names={
            "tool": tuple(dict.fromkeys(tool.name for tool in tools)),
            "scope": tuple(scope for scope in scopes if scope is not None),
        },
        scoped=None not in scopes,
    )


@dataclass(slots=True, kw_only=True)
class _Offer:
    """The tools of some servers, and what is known of the patterns that were held against them.

    Attributes:
        names: by what clauses are about: the names of all tools, and the scopes they need.
        scoped: every tool says which scope it needs.
    """

    schema: Schema
    servers: tuple[str, ...]
    tools: Sequence[KnownTool]
    names: Mapping[str, tuple[str, ...]]
    scoped: bool
    matched: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    chosen: dict[_Clauses, tuple[Schema, tuple[str, ...]]] = field(default_factory=dict)

    def matching(self, what: str, pattern: str) -> frozenset[str]:
        """The names that a pattern holds for."""
        key = what, pattern
        if key not in self.matched:
            self.matched[key] = frozenset(filter(_matcher(what, (pattern,)), self.names[what]))
        return self.matched[key]

    def choose(self, clauses: _Clauses) -> tuple[Schema, tuple[str, ...]]:
        """The schema of a call that all clauses can match, and the names of its tools."""
        if clauses not in self.chosen:
            tools = [*self.tools]
            for what, names, without in clauses:
                among = frozenset[str]().union(*(self.matching(what, name) for name in names))
                among = among.difference(*(self.matching(what, name) for name in without))
                # A tool whose scope nobody knows may need any.
                tools = [
                    tool
                    for tool in tools
                    if (tool.name if what == "tool" else tool.scope) in among
                    or (what == "scope" and tool.scope is None)
                ]
            found = tuple(dict.fromkeys(tool.name for tool in tools))
            self.chosen[clauses] = (_schema_of(tools, self.schema), found)
        return self.chosen[clauses]


_Clauses: TypeAlias = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
"""`on tool` and `on scope` clauses: what they are about, names, `except` names."""


def _schema_of(tools: Sequence[KnownTool], schema: Schema) -> Schema:
    """`args` and `facts` are those of one of the tools; without tools, anything."""
    if not tools:
        return schema
    arguments = records_together([(tool.name, tool.arguments) for tool in tools])
    facts = records_together([(tool.name, tool.facts) for tool in tools])
    # Looking a fact up may fail: whether it is there, no schema says.
    return schema.typed(arguments, replace(facts, required=None))


def typed(
    rule: nodes.Rule, servers: Sequence[nodes.Pattern], typing: Typing, checking: Checking
) -> Checking:
    """The same run, knowing the rule and what its tools take; complaints about its targets."""
    checking = replace(checking, rule=rule)
    known = _known_servers(rule, servers, typing.schema) if typing.schema.servers else None
    if not known:
        return checking
    offer = typing.offer(known)
    _check_tool_names(rule, offer, checking)
    _warn_about_scopes(rule, offer, checking)
    clauses = tuple(
        (clause.what, texts(clause.names), texts(clause.without))
        for what in ("tool", "scope")
        for clause in _clauses(rule.what, what)
    )
    schema, tools = offer.choose(clauses)
    return replace(checking, schema=schema, tools=tools)


# --- servers -----------------------------------------------------------------------------------


def _known_servers(
    rule: nodes.Rule, servers: Sequence[nodes.Pattern], schema: Schema
) -> list[str] | None:
    """Every server the rule can be about; None unless all of them are known."""
    if any(
        isinstance(clause, nodes.OnToken)
        or (isinstance(clause, nodes.OnNames) and clause.what in ("resource", "prompt"))
        for clause in rule.what
    ):
        return None  # not about calls of tools
    named = named_servers(servers, rule.what)
    if named is None or any(name not in schema.servers for name in named):
        return None
    return named


def named_servers(
    servers: Sequence[nodes.Pattern], what: Sequence[nodes.OnClause]
) -> list[str] | None:
    """The servers that a package and `on server` clauses leave; None when they are open."""
    clauses: list[tuple[tuple[nodes.Pattern, ...], tuple[nodes.Pattern, ...]]] = [
        (clause.names, clause.without) for clause in _clauses(what, "server")
    ]
    if servers:
        clauses.append((tuple(servers), ()))
    exact = [names for names, _ in clauses if all("*" not in name.text for name in names)]
    if not exact:
        return None
    found = dict.fromkeys(name.text for names in exact for name in names)
    matchers = [_matcher("server", texts(names), texts(without)) for names, without in clauses]
    return [name for name in found if all(fits(name) for fits in matchers)]


def _clauses(what: Sequence[nodes.OnClause], kind: str) -> Iterator[nodes.OnNames]:
    for clause in what:
        if isinstance(clause, nodes.OnNames) and clause.what == kind:
            yield clause


def _matcher(what: str, names: tuple[str, ...], without: tuple[str, ...] = ()) -> Matcher:
    """A pattern that cannot be used is complained about elsewhere; here it may be anything."""
    try:
        return names_matcher(what, names, without)
    except ValueError:
        return lambda _name: True


# --- complaints --------------------------------------------------------------------------------


def _check_tool_names(rule: nodes.Rule, offer: _Offer, checking: Checking) -> None:
    for clause in _clauses(rule.what, "tool"):
        for pattern in clause.names:
            if not offer.matching("tool", pattern.text):
                names = offer.names["tool"]
                message = f"no tool of {_servers(offer.servers)} is called `{pattern.text}`"
                help_ = did_you_mean(pattern.text, names) or f"there is {_some(names)}"
                checking.complain("unknown-tool", message, pattern.span, help=help_)
        for pattern in clause.without:
            if "*" in pattern.text or offer.matching("tool", pattern.text):
                continue
            if near := did_you_mean(pattern.text, offer.names["tool"]):
                message = f"`except {pattern.text}` takes nothing out: no tool is called so"
                checking.warn("unknown-exception", message, pattern.span, help=near)


def _warn_about_scopes(rule: nodes.Rule, offer: _Offer, checking: Checking) -> None:
    if not offer.scoped:
        return
    for clause in _clauses(rule.what, "scope"):
        for pattern in clause.names:
            if not offer.matching("scope", pattern.text):
                scopes = offer.names["scope"]
                message = f"no tool needs the scope `{pattern.text}`"
                help_ = did_you_mean(pattern.text, scopes) or f"tools need {_some(scopes)}"
                checking.warn("unneeded-scope", message, pattern.span, help=help_)


def _servers(servers: Sequence[str]) -> str:
    return " or ".join(f"`{server}`" for server in servers)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN_MAX])
    more = f" and {len(names) - _NAMES_SHOWN_MAX} more" * (len(names) > _NAMES_SHOWN_MAX)
    return f"{shown}{more}" if names else "none"
