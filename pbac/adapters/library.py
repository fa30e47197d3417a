"""Decide from Python: a folder of policies, loaded once, that answers requests.

    from pbac import load_policy_set

    policy_set = load_policy_set("policies/github_tiers")
    verdict = policy_set.decide({"agent": {"id": "bot-1", "tier": "developer"}, "call": {…}})
    if not verdict.permitted:
        refuse(verdict.reason)

Nothing here changes: a policy set is loaded anew to see a change, and whoever decides with the old
one keeps it. Nothing is enforced or recorded either, which is what the gateway is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from pbac.adapters.policy_directory import load_policies
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.lang.kinds.vocabulary import Vocabulary
from pbac.model.decision import Cause, Decision, Duty, Effect
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.explain import Explanation, explain
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.request_tree import RequestError, read_request
from pbac.pdp.telling import tell

__all__ = [
    "Cause",
    "Decision",
    "DecisionRequest",
    "Duty",
    "Effect",
    "LoadedPolicySet",
    "PolicySetError",
    "RequestError",
    "Verdict",
    "load_policy_set",
]


class PolicySetError(PolicyError):
    """Policies that cannot be used: `str` shows every complaint in its place, for people.

    Attributes:
        diagnostics: the same complaints, for programs.
    """

    code = "policy_set_error"

    def __init__(self, diagnostics: tuple[Diagnostic, ...], text: str) -> None:
        super().__init__(diagnostics)
        self.text = text

    def __str__(self) -> str:
        return self.text


class Verdict(msgspec.Struct, frozen=True, dict=True, eq=False):
    """A decision on one request. Its texts are rendered when the first of them is read.

    `told` is all of it as one value, for those who keep, compare or encode decisions. Texts are of
    the request as it is when they are read: leave it as it was decided.
    """

    policy_set: PolicySet
    request: DecisionRequest
    untold: Decision

    @cached_property
    def told(self) -> Decision:
        """The whole decision with its texts."""
        return replace(tell(self.policy_set, self.request, self.untold), duties=self.duties)

    @property
    def permitted(self) -> bool:
        """True for a permit; its duties still have to be met."""
        return self.untold.effect is Effect.PERMIT

    @property
    def effect(self) -> Effect:
        """Permit or deny."""
        return self.untold.effect

    @property
    def cause(self) -> Cause:
        """Why the effect is what it is."""
        return self.untold.cause

    @property
    def rules(self) -> tuple[str, ...]:
        """Qualified names of the permits that applied, or of the forbids."""
        return self.untold.rules

    @cached_property
    def duties(self) -> tuple[Duty, ...]:
        """What has to be done, or else the request is denied. Whoever has them may change them."""
        return deepcopy(self.untold.duties)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Paths to blame, when a rule applied because it could not be ruled out."""
        return self.untold.unknown

    @property
    def shadow(self) -> tuple[str, ...]:
        """Names of `@shadow` rules that would have applied."""
        return self.untold.shadow

    @property
    def policy_version(self) -> str:
        """Digest of the policy set that decided."""
        return self.untold.policy_version

    @property
    def reason(self) -> str:
        """Text that the agent may see."""
        return self.told.reason

    @property
    def internal(self) -> str:
        """Text for operators and records only."""
        return self.told.internal

    @property
    def help(self) -> str:
        """What would help, for the agent; "" when nothing is known."""
        return self.told.help

    def __repr__(self) -> str:
        return f"<Verdict {self.effect}: {self.cause}>"


class LoadedPolicySet:
    """Policies that answer requests, and never change. Threads may share them.

    A request is a `DecisionRequest`, or a mapping as in the files of `pbac eval --request`. A
    mapping is checked, and completed from what policies and vocabularies say about its tool; a
    `DecisionRequest` is decided as it is.
    """

    def __init__(self, policy_set: PolicySet, servers: Mapping[str, Vocabulary]) -> None:
        self._policy_set = policy_set
        self._servers = servers

    @property
    def version(self) -> str:
        """The digest that every decision of this set names."""
        return self._policy_set.version

    @property
    def tiers(self) -> tuple[str, ...]:
        """The declared tiers, lowest first."""
        return tuple(self._policy_set.tiers)

    def decide(self, request: DecisionRequest | Mapping[str, Any]) -> Verdict:
        """The decision on one request; a denial is an answer.

        Raises:
            RequestError: for a mapping that is no request.
        """
        if type(request) is not DecisionRequest:
            request = self._read(request)
        return Verdict(self._policy_set, request, decide(self._policy_set, request))

    def explain(self, request: DecisionRequest | Mapping[str, Any]) -> Explanation:
        """The decision, and every rule, clause and value that mattered; as `pbac explain --json`.

        Raises:
            RequestError: for a mapping that is no request.
        """
        if type(request) is not DecisionRequest:
            request = self._read(request)
        return explain(self._policy_set, request)

    def _read(self, request: DecisionRequest | Mapping[str, Any]) -> DecisionRequest:
        if isinstance(request, DecisionRequest):  # of a subclass
            return request
        return read_request(request, self._policy_set, self._servers)

    def __repr__(self) -> str:
        return f"<LoadedPolicySet {self.version}: {self._policy_set.rule_count} rules>"


def load_policy_set(path: str | PathLike[str]) -> LoadedPolicySet:
    """Read, compile and test a folder of policies, or one file; then decide with it.

    What is loaded is what a gateway would publish: nothing, when a single file has a mistake or a
    single test of the set fails.

    Raises:
        PolicySetError: with every mistake in its place.
    """
    publication = load_policies(Path(fspath(path)))
    try:
        policy_set = publication.require()
    except PolicyError as error:
        raise PolicySetError(error.diagnostics, publication.text()) from None
    assert publication.compilation is not None
    return LoadedPolicySet(policy_set, publication.compilation.schema.servers)
