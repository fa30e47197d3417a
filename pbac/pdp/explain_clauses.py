"""Clauses explained against one request: truth, values, parts.

What `and` and `or` join is told apart, at any depth; a definition by its name, with what it stands
for one level below; `any` and `all` with the item that decided. Everything comes from the
interpreter, the specification of the language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from pbac.base.source import NOWHERE, Span
from pbac.lang import nodes
from pbac.lang.evaluate import interpret, targets
from pbac.lang.evaluate.comparisons import items_of
from pbac.lang.evaluate.paths import paths_in
from pbac.lang.evaluate.truth import UNKNOWN, Truth, truth_of
from pbac.lang.program import CompiledRule
from pbac.model.request import FIELDS, DecisionRequest
from pbac.model.values import MISSING, Value
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.source_text import one_line
from pbac.pdp.written import Writings, Written

TruthWord: TypeAlias = Literal["true", "false", "unknown"]
ClauseWord: TypeAlias = Literal["for", "on", "when", "unless", "server", "expires", "part"]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A path that a clause reads. `value` means something only when `state` is `value`."""

    path: str
    state: Literal["value", "missing", "unknown"]
    value: Any = None


class ClauseExplained(msgspec.Struct, frozen=True, kw_only=True):
    """A clause, or a part of one; what has no parts has readings.

    Attributes:
        clause: its keyword; `server` and `expires` for what package and annotation ask for.
        text: as written, on one line.
        item: which item of a list decided, for the body of `any` and `all`.
    """

    clause: ClauseWord
    text: str
    truth: TruthWord
    item: str = ""
    readings: tuple[Reading, ...] = ()
    parts: tuple[ClauseExplained, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The variables of the quantifiers around: their values, and the paths these came from."""

    bindings: Mapping[str, Value] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def bind(self, variable: str, item: Value, name: str) -> _Scope:
        return _Scope(
            bindings={**self.bindings, variable: item}, names={**self.names, variable: name}
        )


_OUTERMOST: Final = _Scope()


class ClauseReader:
    """Explains clauses against one request."""

    def __init__(self, policy_set: PolicySet, request: DecisionRequest) -> None:
        self._set = policy_set
        self._request = request
        self._writings = Writings(policy_set.trees)

    def clauses(self, rule: CompiledRule) -> Iterator[ClauseExplained]:
        """In the order written, after what the package and `@expires` ask for."""
        confined = targets.server_truth(rule.servers, self._request)
        if confined is not Truth.TRUE:
            text = f"on server {', '.join(rule.servers)}"
            yield self._asked("server", text, confined, "call.server")
        if rule.expires_ms is not None:
            yield self._expiry(rule.expires_ms)
        written = iter(self._writings.conditions(rule))
        truths = interpret.clause_truths(rule.node, self._request, self._set.data, self._set.tiers)
        for clause, truth in truths:
            if isinstance(clause, nodes.Condition):
                yield self._condition(clause, next(written))
            else:
                yield self._target(clause, truth)

    # --- targets ---------------------------------------------------------------------------

    def _asked(self, clause: ClauseWord, text: str, truth: Truth, path: str) -> ClauseExplained:
        return ClauseExplained(
            clause=clause,
            text=text,
            truth=truth.value,
            readings=(self._reading(_path(path), _OUTERMOST),),
        )

    def _expiry(self, expires_ms: int) -> ClauseExplained:
        now = self._request.env.get("now")
        truth = truth_of(now < expires_ms) if type(now) is int else Truth.UNKNOWN
        day = datetime.fromtimestamp(expires_ms / 1000, UTC).date().isoformat()
        return self._asked("expires", f"@expires {day}", truth, "env.now")

    def _target(self, clause: nodes.ForClause | nodes.OnClause, truth: Truth) -> ClauseExplained:
        text = self._text(clause.span)
        match clause:
            case nodes.ForTier():
                return self._asked("for", f"for {text}", truth, "agent.tier")
            case nodes.ForNames():
                return self._asked("for", f"for {text}", truth, targets.FIELD_OF[clause.what])
            case nodes.OnNames():
                return self._asked("on", f"on {text}", truth, targets.FIELD_OF[clause.what])
        return self._asked("on", f"on {text}", truth, "call.method")

    # --- conditions ------------------------------------------------------------------------

    def _condition(self, clause: nodes.Condition, written: Written) -> ClauseExplained:
        inner = self._part(written, _OUTERMOST)
        turned = _turned(inner) if clause.negated else inner
        return replace(
            turned,
            clause="unless" if clause.negated else "when",
            text=self._text(clause.span),
        )

    def _part(self, written: Written, scope: _Scope) -> ClauseExplained:
        """An expression and what is in it."""
        truth = interpret.truth(written.meant, self._request, self._set.data, scope.bindings)
        text = self._text(written.span)
        part = ClauseExplained(clause="part", text=text, truth=truth.value)
        if written.definition is not None:
            body = self._part(self._writings.body(written), scope)
            return replace(part, parts=(body,))
        match written.meant:
            case nodes.And() | nodes.Or():
                parts = [self._part(each, scope) for each in self._writings.below(written)]
                return replace(part, parts=tuple(parts))
            case nodes.Not():
                (operand,) = self._writings.below(written)
                inner = _turned(self._part(operand, scope))
                return replace(inner, text=text)
            case nodes.Quantified():
                return self._quantified(part, written, written.meant, scope)
        return replace(part, readings=tuple(self._readings(written.meant, scope)))

    def _quantified(
        self, part: ClauseExplained, written: Written, meant: nodes.Quantified, scope: _Scope
    ) -> ClauseExplained:
        """With the first item that settled it, or left it open."""
        *_, body = self._writings.below(written)
        found = interpret.value(meant.collection, self._request, self._set.data, scope.bindings)
        items = items_of(found) or ()
        for number, inner in enumerate(self._scopes(meant, items, scope)):
            told = self._part(body, inner)
            if told.truth == part.truth and told.truth != _EMPTY[meant.quantifier]:
                item = f"item {number + 1} of {len(items)}"
                return replace(part, parts=(replace(told, item=item),))
        return replace(part, readings=tuple(self._readings(meant.collection, scope)))

    def _scopes(
        self, meant: nodes.Quantified, items: Sequence[Value], scope: _Scope
    ) -> Iterator[_Scope]:
        collection = meant.collection
        name = self._name(collection, scope) if isinstance(collection, nodes.Path) else ""
        for number, item in enumerate(items):
            told = f"{name}[{number}]" if name else meant.variable
            yield scope.bind(meant.variable, item, told)

    # --- readings --------------------------------------------------------------------------

    def _readings(self, expression: nodes.Expression, scope: _Scope) -> Iterator[Reading]:
        found = {
            path.text(): path
            for path in paths_in(expression)
            if path.root in FIELDS or path.root in scope.bindings
        }
        return (self._reading(path, scope) for path in found.values())

    def _reading(self, path: nodes.Path, scope: _Scope) -> Reading:
        found = interpret.value(path, self._request, self._set.data, scope.bindings)
        text = self._name(path, scope)
        if found is MISSING:
            return Reading(path=text, state="missing")
        if found is UNKNOWN:
            return Reading(path=text, state="unknown")
        return Reading(path=text, state="value", value=found)

    def _name(self, path: nodes.Path, scope: _Scope) -> str:
        """The path; a variable is told as the item it stands for."""
        stands = scope.names.get(path.root)
        return path.text() if stands is None else stands + path.text().removeprefix(path.root)

    def _text(self, span: Span) -> str:
        return one_line(self._set.texts.get(span.source, "")[span.start : span.end])


_EMPTY: Final = {"any": "false", "all": "true"}
"""What a quantifier says of an empty list: no item has to decide that."""


def _turned(part: ClauseExplained) -> ClauseExplained:
    """Below a `not`."""
    truth: dict[TruthWord, TruthWord] = {"true": "false", "false": "true", "unknown": "unknown"}
    return replace(part, truth=truth[part.truth])


def _path(text: str) -> nodes.Path:
    """The path of a field that a target reads."""
    root, *names = text.split(".")
    steps = tuple(nodes.Field(name=name, span=NOWHERE) for name in names)
    return nodes.Path(root=root, steps=steps, span=NOWHERE)
