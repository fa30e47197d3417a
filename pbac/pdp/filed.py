"""The rules of one package, filed by the tools they can concern.

Rules are grouped by *target*. A target that names tools exactly is filed under those names; all
others (globs, or nothing about tools) are in one list. For a call the targets under its tool and
those of the list are tested, once each.

What is filed belongs to the package, and to every policy set that holds it: a new version files the
packages that changed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from pbac.lang.evaluate.targets import ClauseTest, names_matcher, names_test
from pbac.lang.evaluate.truth import UNKNOWN, Truth, conjunction, truth_of
from pbac.lang.program import CompiledPackage, CompiledRule, Target
from pbac.model.request import ISSUE, DecisionRequest
from pbac.model.values import Value
from pbac.pdp.plan import Candidate


class Filed:
    """The rules of a package by what they can concern.

    Attributes:
        candidates: what keys have left of its rules, for all sets that hold the package. A cache.
    """

    __slots__ = ("_by_tool", "_groups", "_others", "candidates")

    def __init__(self, package: CompiledPackage) -> None:
        members: dict[Target, _Group] = {}
        for rule in package.rules:
            group = members.get(rule.target)
            if group is None:
                group = members[rule.target] = _Group(rule.target)
            group.rules.append(rule)
        self.candidates: dict[Hashable, Candidate] = {}
        self._groups = tuple(members.values())
        self._by_tool: dict[str, list[_Group]] = {}
        self._others: list[_Group] = []
        for group in self._groups:
            names = group.target.exact_tools()
            if names is None:
                group.heads = _heads(group.target)
                self._others.append(group)
            for name in dict.fromkeys(names or ()):
                self._by_tool.setdefault(name, []).append(group)

    def considered(self, request: DecisionRequest) -> Iterator[tuple[CompiledRule, Truth]]:
        """Every rule whose target is not false for this call, with the truth of its target."""
        tool = request.call.get("tool")
        # Without a name every target is asked: `on tool` is unknown then, not false.
        groups: Sequence[_Group] = self._groups
        if type(tool) is str:
            globs = [group for group in self._others if tool.startswith(group.heads)]
            groups = (*self._by_tool.get(tool, ()), *globs)
        for group in groups:
            truth = group.truth(request)
            if truth is not Truth.FALSE:
                for rule in group.rules:
                    yield rule, truth


class _Group:
    """Rules with one target.

    `heads`: how the name of a tool must begin to match, where it is not filed under its whole name;
    of globs what stands before the first star.
    """

    __slots__ = ("_tests", "heads", "rules", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.heads: tuple[str, ...] = ("",)
        self.rules: list[CompiledRule] = []
        self._tests: tuple[ClauseTest, ...] | None = None

    def truth(self, request: DecisionRequest) -> Truth:
        """Of the target."""
        # Law 9: rules with `on token` match issuance only, all others match calls only.
        if self.target.on_token is not (request.call.get("method") == ISSUE):
            return Truth.FALSE
        if self.target.never:
            return Truth.FALSE
        if self._tests is None:  # most are never tested
            self._tests = _tests(self.target)
        return conjunction([truth_of(test(request)) for test in self._tests])


def _heads(target: Target) -> tuple[str, ...]:
    for clause in target.clauses:
        if clause.what == "tool":
            return tuple(name.partition("*")[0] for name in clause.names)
    return ("",)


def _tests(target: Target) -> tuple[ClauseTest, ...]:
    tests = [names_test(each.what, each.names, each.without) for each in target.clauses]
    if target.servers:
        tests.append(_server_test(target.servers))
    return tuple(tests)


def _server_test(servers: tuple[str, ...]) -> ClauseTest:
    """`package … on server …`; unlike `on server` it holds for issuance too."""
    matcher = names_matcher("server", servers)

    def test(request: DecisionRequest) -> Value:
        server = request.call.get("server")
        return matcher(server) if type(server) is str else UNKNOWN

    return test
