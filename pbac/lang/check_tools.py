"""Which tools a rule can be about, and what that says about its arguments and facts.

The theory: types only ever rest on what is known whole. A rule is *closed* when its package and its
`on server` clauses name its servers outright and each has a vocabulary. Then its tools are those of
these servers that its `on tool` and `on scope` clauses can match, and its `args` is the union of
theirs. Any other rule can be about tools nobody described, and its `args` stays of any kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.checking import Checking
from pbac.lang.kind_unions import records_together
from pbac.lang.patterns import Matcher
from pbac.lang.schema import Schema
from pbac.lang.targets import names_matcher, texts
from pbac.lang.vocabulary import KnownTool, Vocabulary

_NAMES_SHOWN_MAX: Final = 5


@dataclass(slots=True, kw_only=True)
class Typing:
    """The schemas of one run, made once for every set of tools that some rule is about."""

    schema: Schema
    made: dict[tuple[int, ...], Schema] = field(default_factory=dict)

    def of(self, tools: Sequence[KnownTool]) -> Schema:
        """The schema in which `args` and `facts` are those of one of the tools."""
        key = tuple(map(id, tools))
        if key not in self.made:
            arguments = records_together([(tool.name, tool.arguments) for tool in tools])
            facts = records_together([(tool.name, tool.facts) for tool in tools])
            # Looking a fact up may fail: whether it is there, no schema says.
            self.made[key] = self.schema.typed(arguments, replace(facts, required=None))
        return self.made[key]


def typed(
    rule: nodes.Rule, servers: Sequence[nodes.Pattern], typing: Typing, checking: Checking
) -> Checking:
    """The same run, knowing the rule and what its tools take; complaints about its targets."""
    checking = replace(checking, rule=rule)
    vocabularies = _vocabularies(rule, servers, typing.schema) if typing.schema.servers else None
    if not vocabularies:
        return checking
    every = [tool for vocabulary in vocabularies for tool in vocabulary.tools.values()]
    _check_tool_names(rule, vocabularies, every, checking)
    _warn_about_scopes(rule, every, checking)
    tools = [tool for tool in every if _can_be_about(rule, tool)]
    if not tools:
        return checking
    return replace(
        checking, schema=typing.of(tools), tools=tuple(dict.fromkeys(tool.name for tool in tools))
    )


# --- servers -----------------------------------------------------------------------------------


def _vocabularies(
    rule: nodes.Rule, servers: Sequence[nodes.Pattern], schema: Schema
) -> list[Vocabulary] | None:
    """Those of every server the rule can be about; None unless all of them are known."""
    if any(
        isinstance(clause, nodes.OnToken)
        or (isinstance(clause, nodes.OnNames) and clause.what in ("resource", "prompt"))
        for clause in rule.what
    ):
        return None  # not about calls of tools
    named = named_servers(servers, rule.what)
    if named is None or any(name not in schema.servers for name in named):
        return None
    return [schema.servers[name] for name in named]


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
    matchers = [_matcher("server", names, without) for names, without in clauses]
    return [name for name in found if all(fits(name) for fits in matchers)]


def _clauses(what: Sequence[nodes.OnClause], kind: str) -> Iterator[nodes.OnNames]:
    for clause in what:
        if isinstance(clause, nodes.OnNames) and clause.what == kind:
            yield clause


def _matcher(
    what: str, names: tuple[nodes.Pattern, ...], without: tuple[nodes.Pattern, ...] = ()
) -> Matcher:
    """A pattern that cannot be used is complained about elsewhere; here it may be anything."""
    try:
        return names_matcher(what, texts(names), texts(without))
    except ValueError:
        return lambda _name: True


# --- tools -------------------------------------------------------------------------------------


def _can_be_about(rule: nodes.Rule, tool: KnownTool) -> bool:
    """A tool whose scope nobody knows may need any."""
    return all(
        _matcher("tool", clause.names, clause.without)(tool.name)
        for clause in _clauses(rule.what, "tool")
    ) and all(
        tool.scope is None or _matcher("scope", clause.names, clause.without)(tool.scope)
        for clause in _clauses(rule.what, "scope")
    )


def _check_tool_names(
    rule: nodes.Rule,
    vocabularies: Sequence[Vocabulary],
    tools: Sequence[KnownTool],
    checking: Checking,
) -> None:
    names = list(dict.fromkeys(tool.name for tool in tools))
    for clause in _clauses(rule.what, "tool"):
        for pattern in clause.names:
            if not any(map(_matcher("tool", (pattern,)), names)):
                message = f"no tool of {_servers(vocabularies)} is called `{pattern.text}`"
                help_ = did_you_mean(pattern.text, names) or _some(names)
                checking.complain("unknown-tool", message, pattern.span, help=help_)
        for pattern in clause.without:
            near = did_you_mean(pattern.text, names)
            if "*" not in pattern.text and pattern.text not in names and near:
                message = f"`except {pattern.text}` takes nothing out: no tool is called so"
                checking.warn("unknown-exception", message, pattern.span, help=near)


def _warn_about_scopes(rule: nodes.Rule, tools: Sequence[KnownTool], checking: Checking) -> None:
    scopes = list(dict.fromkeys(tool.scope for tool in tools if tool.scope is not None))
    if any(tool.scope is None for tool in tools):
        return
    for clause in _clauses(rule.what, "scope"):
        for pattern in clause.names:
            if not any(map(_matcher("scope", (pattern,)), scopes)):
                message = f"no tool needs the scope `{pattern.text}`"
                help_ = did_you_mean(pattern.text, scopes) or (
                    f"tools need {_some(scopes).removeprefix('there is ')}"
                )
                checking.warn("unneeded-scope", message, pattern.span, help=help_)


def _servers(vocabularies: Sequence[Vocabulary]) -> str:
    return " or ".join(f"`{vocabulary.server}`" for vocabulary in vocabularies)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN_MAX])
    more = f" and {len(names) - _NAMES_SHOWN_MAX} more" * (len(names) > _NAMES_SHOWN_MAX)
    return f"there is {shown}{more}" if names else "its vocabulary has no tool at all"
