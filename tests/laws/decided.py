"""What decisions have to come to, found by the interpreter over every rule, one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
from lang.strategies import TIERS
from pdp.oracle import NOW, applies

from pbac.gateway.issuance import TOKEN_DUTIES, grant_scopes
from pbac.lang.evaluate.interpret import outcomes
from pbac.lang.evaluate.truth import Truth
from pbac.model.decision import Duty
from pbac.oauth.model import Client
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import grant_scope


def kleene(name, truths):
    """Strong Kleene logic by its tables."""
    if name == "not":
        return {"true": Truth.FALSE, "false": Truth.TRUE, "unknown": Truth.UNKNOWN}[truths[0].value]
    strong, weak = (Truth.TRUE, Truth.FALSE) if name == "or" else (Truth.FALSE, Truth.TRUE)
    if strong in truths:
        return strong
    return Truth.UNKNOWN if Truth.UNKNOWN in truths else weak


def truth_of(value):
    """`true` and `false` have a truth and nothing else has."""
    return {True: Truth.TRUE, False: Truth.FALSE}.get(value, Truth.UNKNOWN)


DUTIES = [
    Duty(kind="limit", rule="p.a", parameters={"count": 3, "per_ms": 1_000, "by": ["agent"]}),
    Duty(kind="limit", rule="p.b", parameters={"count": 2, "per_ms": 1_000, "by": ["tool"]}),
    Duty(kind="redact", rule="p.c", parameters={"paths": ["result.a", "result.**.b"]}),
    Duty(kind="redact", rule="p.d", parameters={"pattern": "[0-9]+", "in": None}),
    Duty(
        kind="approval",
        rule="p.e",
        parameters={"count": 1, "from": [["group", "g"]], "within_ms": 1_000},
    ),
    Duty(kind="limit", rule="p.f", parameters={"count": 0, "per_ms": 1_000, "by": ["agent"]}),
    Duty(kind="truncate", rule="p.g", parameters={"path": None, "items": 3}),
]
"""The last two cannot be met."""


def applied_names(policy_set, asked, effect):
    """The rules of an effect that apply and are not shadows."""
    return {
        rule.name
        for rule in policy_set.rules
        if rule.effect == effect and not rule.shadow and applies(policy_set, rule, asked)
    }


# --- Laws 6 and 9 --------------------------------------------------------------------------------


def could_be_permitted(policy_set, described):
    """By outcome sets: some permit can be true, and no forbid must apply."""
    described = narrowed(described, policy_set.tiers)
    found = {"permit": [], "forbid": []}
    for rule in policy_set.rules:
        expired = rule.expires_ms is not None and described.env["now"] >= rule.expires_ms
        if not rule.shadow and rule.effect in found and not expired:
            data, tiers = policy_set.data, policy_set.tiers
            possible = outcomes(rule.node, described, data, tiers, rule.servers)
            found[rule.effect].append(possible)
    stopped = any(Truth.FALSE not in possible for possible in found["forbid"])
    return not stopped and any(Truth.TRUE in possible for possible in found["permit"])


def about_servers(asking, calls):
    """Issuing a scope is asked for each server with a tool that needs it."""
    servers = {call["server"] for call in calls if "server" in call}
    return [_about(asking, {**asking.call, "server": server}) for server in servers] or [asking]


def token_rules(policy_set, asking, calls, effect):
    """The rules `on token` that apply for some of these servers."""
    asked = about_servers(asking, calls)
    return set().union(*(applied_names(policy_set, each, effect) for each in asked))


CLIENT = Client(
    client_id="a1",
    client_name="Agent",
    tier=TIERS[2],
    tier_source="operator",
    scopes=("**",),
    grant_types=("client_credentials",),
    auth_method="client_secret_basic",
    kind="assistant",
    registered_at_ms=NOW - 1,
)


def issued(policy_set, consent, calls):
    """What issuance grants of a consent, and what it has to grant by the interpreter."""
    wanted = set()

    def decide_scope(asking):
        scope = asking.call["scope"]
        needing = [{**call, "scope": scope} for call in calls]
        called = [_about(asking, call) for call in needing]
        duties = [
            duty.kind
            for rule in policy_set.rules
            if rule.name in token_rules(policy_set, asking, needing, "require")
            for duty in rule.duties
        ]
        possible = any(could_be_permitted(policy_set, each) for each in called)
        if (
            possible
            and not token_rules(policy_set, asking, needing, "forbid")
            and set(duties) <= TOKEN_DUTIES
        ):
            wanted.add(scope)
        return grant_scope(policy_set, asking, needing)

    service = SimpleNamespace(environment="test", decide_scope=decide_scope)
    granted = grant_scopes(
        service, CLIENT, "client_credentials", consent, now_ms=NOW - 1, ip="10.0.0.7"
    )
    return granted, wanted


def _about(asking, call):
    return msgspec.structs.replace(asking, call=call)


# --- Law 7 ---------------------------------------------------------------------------------------

_RULES = [
    "permit r{n}\n  for tier >= read_only\n  on tool get_{n}\n",
    "permit r{n}\n  on tool t{n}\n  when args.a == {n} or args.b in data.orgs[agent.id]\n",
    'forbid r{n}\n  on tool get_{n}\n  when args.amount > {n}\n  because "{{args.amount}} is too much"\n',
    "require r{n}\n  on tool get_{n}\n  then limit {n} per 1m by agent\n",
    "define d{n} = args.a == {n}\nforbid r{n}\n  on tool t{n}\n  when d{n}\n",
    'permit r{n}\n  on tool u{n}\ntest "t{n}"\n  call u{n} => permit by r{n}\n',
]


def source_texts(chance):
    """Name → text of a few small files; some are of one package."""
    names = chance.sample(["a", "b", "c"], chance.randint(1, 3))
    texts, number = {}, 0
    for place, name in enumerate(names):
        for part in range(chance.randint(1, 2)):
            header = f"package {name}\n"
            if place == part == 0:
                header += f"tiers {' < '.join(TIERS)}\n"
            rules = []
            for _ in range(chance.randint(1, 3)):
                number += 1
                rules.append(chance.one(_RULES).format(n=number))
            texts[f"{name}/{part}.pbac"] = header + "".join(rules)
    return texts
