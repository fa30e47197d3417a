"""Policies and requests of any size, from a seed: what `decide.py` decides.

Of N rules a fifth forbid. About 85% name one tool, 10% a namespace (`ns12.*`), and one to five guard
every tool; there are N/4 tools in N/40 namespaces. Conditions ask for a tier, the scope, one argument
(a number or a path, missing in one request of five) or the hour.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from msgspec.structs import replace

from pbac.base.source import Source
from pbac.model.request import DecisionRequest

TIERS = ("read_only", "ci_agent", "developer", "trusted")
RULES_PER_FILE = 100
CROWDS = {
    "equality": 'args.path == "/srv/x{0}/f"',
    "path prefix": 'args.path starts with "/srv/x{0}/"',
    "number bound": "args.amount >= {0}",
    "list": 'args.path in ["/srv/x{0}/f", "/srv/y{0}/f"]',
    "bound and prefix": 'args.amount >= {0} and args.path starts with "/srv/x{0}/"',
}
"""What the rules of a crowd ask, each with its own number."""
NOW_MS = 1_767_261_600_000  # 2026-01-01T10:00:00Z
MISSING_ONE_IN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A policy set as text, and requests for it."""

    sources: list[Source]
    requests: list[DecisionRequest]


def workload(rule_count: int, request_count: int, seed: int = 7) -> Workload:
    chance = random.Random(f"{seed}:{rule_count}")
    namespaces = max(2, rule_count // 40)
    tools = [f"ns{n % namespaces}.tool{n}" for n in range(max(4, rule_count // 4))]
    guards = 1 if rule_count < 100 else 5
    rules = [_guard(number) for number in range(guards)]
    while len(rules) < rule_count:
        rules.append(_rule(len(rules), tools, namespaces, chance))
    return Workload(
        sources=_files(rules),
        requests=[_request(tools, chance) for _ in range(request_count)],
    )


def crowd(name: str, rule_count: int, request_count: int, seed: int = 7) -> Workload:
    """Permits for every tool that ask for one thing in many ways; some requests meet none."""
    chance = random.Random(f"{seed}:{name}")
    permits = [
        f"permit r{number}\n  on any\n  when {CROWDS[name].format(number)}\n"
        for number in range(rule_count)
    ]
    tools = [f"ns{number % 5}.tool{number}" for number in range(50)]
    requests = []
    for _ in range(request_count):
        number = chance.randrange(rule_count * 5 // 4)
        args = {"amount": chance.randrange(rule_count), "path": f"/srv/x{number}/f"}
        requests.append(replace(_request(tools, chance), args=args))
    return Workload(sources=_files(permits), requests=requests)


def _files(rules: list[str]) -> list[Source]:
    files = []
    for start in range(0, len(rules), RULES_PER_FILE):
        tiers = f"tiers {' < '.join(TIERS)}\n\n" if start == 0 else ""
        text = "\n".join(rules[start : start + RULES_PER_FILE])
        number = start // RULES_PER_FILE
        head = f"package p{number} on server backend\n\n{tiers}"
        files.append(Source(f"p{number}.pbac", head + text))
    return files


def _guard(number: int) -> str:
    """A forbid that is asked about every call, and seldom applies."""
    return f'forbid guard{number}\n  when agent.kind default "" == "banned{number}"\n'


def _rule(number: int, tools: list[str], namespaces: int, chance: random.Random) -> str:
    forbids = chance.random() < 0.2
    target = (
        chance.choice(tools) if chance.random() < 0.9 else f"ns{chance.randrange(namespaces)}.*"
    )
    who = "" if forbids else f"  for tier >= {chance.choice(TIERS[:3])}\n"
    condition = _condition(chance, forbids=forbids)
    effect = "forbid" if forbids else "permit"
    return f"{effect} r{number}\n{who}  on tool {target}\n{condition}"


def _condition(chance: random.Random, *, forbids: bool) -> str:
    kind = chance.choice(("scope", "amount", "path", "hour") if not forbids else ("amount", "path"))
    match kind:
        case "scope":
            scopes = ", ".join(f'"s{chance.randrange(8)}"' for _ in range(5))
            return f"  when call.scope in [{scopes}]\n"
        case "amount" if forbids:
            return f"  when args.amount default 0 > {chance.randrange(850, 1000)}\n"
        case "amount":
            return f"  when args.amount <= {chance.randrange(300, 1000)}\n"
        case "path" if forbids:
            return f'  when args.path default "/srv" starts with "/secret{chance.randrange(3)}"\n'
        case "path":
            return f'  when args.path starts with "/srv/space{chance.randrange(2)}"\n'
    return f'  when env.now in daily {chance.randrange(6, 11):02}:00-18:00 "Europe/Berlin"\n'


def _request(tools: list[str], chance: random.Random) -> DecisionRequest:
    number = chance.randrange(len(tools))
    tier = chance.choice(TIERS)
    args: dict[str, object] = {}
    if chance.randrange(MISSING_ONE_IN):
        args["amount"] = chance.randrange(1000)
    if chance.randrange(MISSING_ONE_IN):
        folder = chance.choice(("/srv/space0", "/srv/space1", "/secret0"))
        args["path"] = f"{folder}/file{chance.randrange(50)}"
    return DecisionRequest(
        agent={"id": "a1", "name": "a1", "tier": tier, "kind": "assistant", "verified": True},
        call={
            "method": "tools/call",
            "server": "backend",
            "tool": tools[number],
            "scope": f"s{number % 8}",
            "pinned": True,
        },
        chain={"depth": 0, "actors": []},
        token={"scopes": [f"s{number % 8}"], "grant": "client_credentials", "age": 60_000},
        args=args,
        env={"now": NOW_MS + chance.randrange(0, 86_400_000), "today": "2026-01-01"},
    )
