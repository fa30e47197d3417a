"""Which OAuth scope a tool needs.

The operator writes `scope → patterns of tools`. A tool that no pattern names needs
`<backend>:<tool>`, so a new tool is behind a scope nobody was granted. The order of the rules
means nothing: an exact name beats a pattern, and a tool that two scopes claim otherwise is
unusable until the operator says which, because guessing would sometimes widen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from pbac.base.errors import PbacError
from pbac.base.limits import SCOPE_CHARACTERS_MAX
from pbac.lang.evaluate.patterns import PatternError, glob

TOOL_SEPARATORS: Final = "./"
"""Where `*` stops in the name of a tool, as in policies."""

_SCOPE: Final = re.compile(rf"[\x21\x23-\x5b\x5d-\x7e]{{1,{SCOPE_CHARACTERS_MAX}}}")  # RFC 6749 3.3


class ScopeRuleError(PbacError):
    """A scope rule that cannot be used, or a tool that two of them claim."""

    code = "invalid_scope_rule"


class ScopeRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of one backend: exact tool name → scopes, and patterns with their scope."""

    backend: str
    exact: Mapping[str, tuple[str, ...]]
    patterns: tuple[tuple[Callable[[str], bool], str], ...]


def scope_rules(backend: str, scopes: Mapping[str, Sequence[str]]) -> ScopeRules:
    """Read the `scope → tool patterns` table of one backend.

    Raises:
        ScopeRuleError: for a scope RFC 6749 does not allow, or a broken pattern.
    """
    exact: dict[str, tuple[str, ...]] = {}
    patterns: list[tuple[Callable[[str], bool], str]] = []
    for scope, tools in scopes.items():
        if not _SCOPE.fullmatch(scope):
            raise ScopeRuleError(
                f"`{ascii(scope)[1:-1]}` of `{backend}` cannot be a scope",
                help="use printable ASCII without blanks, quotes or backslashes",
            )
        for tool in tools:
            if "*" in tool:
                patterns.append((_pattern(backend, scope, tool), scope))
            else:
                exact[tool] = (*exact.get(tool, ()), scope)
    return ScopeRules(backend=backend, exact=exact, patterns=tuple(patterns))


def required_scope(rules: ScopeRules, tool: str) -> str:
    """The one scope a call of `tool` needs.

    Raises:
        ScopeRuleError: when two scopes claim it equally.
    """
    claims = set(rules.exact.get(tool, ()))
    if not claims:
        claims = {scope for matches, scope in rules.patterns if matches(tool)}
    if len(claims) > 1:
        listed = " and ".join(f"`{scope}`" for scope in sorted(claims))
        raise ScopeRuleError(
            f"the scopes {listed} of `{rules.backend}` both claim `{tool}`",
            help="name the tool exactly under one of them",
        )
    return claims.pop() if claims else f"{rules.backend}:{tool}"


def _pattern(backend: str, scope: str, tool: str) -> Callable[[str], bool]:
    try:
        return glob(tool, TOOL_SEPARATORS)
    except PatternError as error:
        raise ScopeRuleError(
            f"the pattern `{tool}` of scope `{scope}` of `{backend}` is unusable: {error}"
        ) from None
