"""Every input of a decision, a condition that reads it, and values that change it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pdp.oracle import NOW

from pbac.model.request import DecisionRequest


@dataclass(frozen=True)
class Input:
    """One thing a decision may depend on: a condition, a value it holds for, some it does not."""

    root: str
    member: str
    condition: str
    held: Any
    changed: tuple[Any, ...]
    listing: bool = False
    """It is known when tools are listed, so hiding has to follow it too."""


ABSENT = object()
_TIERS = ("read_only", "developer", "root", ABSENT, None)
_HOURS = 3_600_000
INPUTS = (
    Input("agent", "tier", 'agent.tier == "trusted"', "trusted", _TIERS, True),
    Input("agent", "id", 'agent.id == "a1"', "a1", ("a2", "A1", "", ABSENT), True),
    Input("agent", "name", 'agent.name == "bot"', "bot", ("bo", "bot ", ABSENT), True),
    Input("agent", "kind", 'agent.kind == "ci"', "ci", ("scanner", ABSENT), True),
    Input("agent", "provider", 'agent.provider == "acme"', "acme", ("other", ABSENT), True),
    Input("agent", "verified", "agent.verified", True, (False, 1, "true", ABSENT), True),
    Input("agent", "tags", '"x" in agent.tags', ["x"], (["y"], [], "x", ABSENT), True),
    Input("user", "id", 'user.id == "u1"', "u1", ("u2", ABSENT), True),
    Input("user", "groups", '"staff" in user.groups', ["staff"], (["staff "], [], ABSENT), True),
    Input("chain", "depth", "chain.depth == 0", 0, (1, 0.5, False, ABSENT), True),
    Input("token", "scopes", '"s" in token.scopes', ["s"], (["t"], ["s:t"], [], ABSENT), True),
    Input("token", "grant", 'token.grant == "code"', "code", ("client_credentials", ABSENT)),
    Input("token", "age", "token.age < 15m", 1, (900_000, 10**9, "1", ABSENT)),
    Input("call", "method", 'call.method == "tools/call"', "tools/call", ("tools/x", ABSENT), True),
    Input("call", "server", 'call.server == "github"', "github", ("gitlab", ABSENT), True),
    Input("call", "tool", 'call.tool == "get_x"', "get_x", ("get_y", "GET_X", ABSENT), True),
    Input("call", "scope", 'call.scope == "gh:read"', "gh:read", ("gh:write", ABSENT), True),
    Input("call", "tags", '"safe" in call.tags', ["safe"], (["odd"], ABSENT), True),
    Input("call", "read_only", "call.read_only", True, (False, ABSENT), True),
    Input("call", "pinned", "call.pinned", True, (False, ABSENT), True),
    Input("args", "repo", 'args.repo == "safe"', "safe", ("prod", "Safe", ["safe"], ABSENT)),
    Input("args", "n", "args.n == 1", 1, (2, True, "1", [1], ABSENT)),
    Input("args", "deep", "args.deep.a[0] == 1", {"a": [1]}, ({"a": [True]}, {"a": []}, {}, 1)),
    Input("facts", "author", 'facts.author == "a1"', "a1", ("a2", ABSENT)),
    Input("session", "calls", "session.calls < 3", 2, (3, 4, ABSENT)),
    Input("session", "labels", '"private" not in session.labels', [], (["private"], ABSENT)),
    Input("env", "ip", 'env.ip in cidr "10.0.0.0/8"', "10.0.0.7", ("11.0.0.7", "::1", ABSENT)),
    Input("env", "client", 'env.client == "cli"', "cli", ("web", ABSENT)),
    Input("env", "environment", 'env.environment == "test"', "test", ("production", ABSENT)),
    Input("env", "today", "env.today < 2026-02-01", "2026-01-31", ("2026-02-01", ABSENT)),
    Input(
        "env",
        "now",
        'env.now in daily 09:00-17:00 "UTC"',
        NOW,
        (NOW + 7 * _HOURS, NOW - 2 * _HOURS, NOW + 24 * _HOURS - 2 * _HOURS, ABSENT),
    ),
)
_TARGETS = {
    "agent.tier": ("for tier trusted", "for tier >= trusted"),
    "agent.id": ("for agent a1", "for agent a1, a3"),
    "agent.kind": ("for kind ci",),
    "agent.provider": ("for provider ac*",),
    "user.groups": ("for group staff",),
    "call.server": ("on server github", "on server git* except gitlab"),
    "call.tool": ("on tool get_x", "on tool get_* except get_y"),
    "call.scope": ("on scope gh:read", "on scope gh:* except gh:write"),
    "call.tags": ("on tag safe",),
}
"""The same, said by a target."""

_TOLD = 'because "no {{args.repo}}" internal "{{env.now}} {{env.ip}}"'
_RAILS = (
    "permit x on any when {}",
    "permit x on any unless not ({})",
    "permit open on any\nforbid x on any when not ({})",
    "permit open on any\nforbid x on any unless {}",
    'permit x on any when {} because "{{args.repo}} {{call.tool}} {{agent.id}}"',
    f"permit open on any\nforbid x on any when not ({{}}) {_TOLD}",
)


def rules_about(each):
    """Every way to make a decision follow this input."""
    yield from (rail.format(*[each.condition] * 2) for rail in _RAILS)
    for target in _TARGETS.get(f"{each.root}.{each.member}", ()):
        yield f"permit x {target}{'' if target.startswith('on ') else ' on any'}"


def asked_with(each, value):
    """The ordinary request with this one member replaced or left out."""
    roots = {
        "agent": {"id": "a1", "tier": "trusted", "kind": "assistant"},
        "call": {"method": "tools/call", "server": "github", "tool": "get_x", "scope": "gh:read"},
        "args": {"repo": "any"},
        "env": {"now": NOW},
        "chain": {"depth": 0, "actors": []},
    }
    root = {**roots.get(each.root, {}), each.member: value}
    if value is ABSENT:
        del root[each.member]
    return DecisionRequest(**{**roots, each.root: root})
