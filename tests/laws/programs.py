"""Random values, requests, conditions, rules and policy sets, most of them a little wrong.

The nodes in short are those of the language's own tests. Whatever is drawn is drawn from the
`Chance` that is given, so that an example can be made again.
"""

from __future__ import annotations

import msgspec
from lang.strategies import (
    FIELDS,
    NOT_TEXTS,
    ORDINARY,
    ORDINARY_REQUEST,
    TIERS,
    WORDS,
    and_,
    default,
    for_names,
    for_tier,
    has,
    is_kind,
    listed,
    lit,
    not_,
    on_any,
    on_names,
    on_token,
    op,
    or_,
    path,
    quantified,
    rule,
    when,
)
from pdp.oracle import NOW, SERVERS, TOOL_PATTERNS, TOOLS, assembled

from pbac.base.source import NOWHERE
from pbac.lang import nodes
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.model.request import DecisionRequest

TEXTS = ["", "a", "b", "acme", "acme/api", "/srv/x", "10.0.0.7", "http://b/x", "2.1"]
NUMBERS = [0, 1, 1.0, 2, 500, -3, 0.5, 2**53 - 1]
LABELS = ["private", "write", "a"]
KINDS = ["assistant", "scanner", "ci"]
IDS = ["a1", "a2", "a3"]
PROVIDERS = ["acme", "other"]
SCOPES = ["gh:read", "gh:prs:write"]
SCALARS = [*NOT_TEXTS, *WORDS]

TEXT_PATHS = ["args.a", "args.b.a", "user.login", "agent.name", "env.ip", "data.orgs.u1"]
NUMBER_PATHS = ["args.n", "args.b.n", "chain.depth", "token.age", "session.calls"]
LIST_PATHS = ["args.c", "args.d", "session.labels", "data.list", "call.tags", "user.groups"]
GLOBS = ["*", "a*", "*/api", "acme/**", "a", "**b*", "/srv/*"]
REGEXES = ["a+", "[a-z/]*", r"\d+", "(?i)ACME.*", "(a|b)(/b)?.*"]
WINDOWS = [
    ("mon,tue,wed,thu,fri", 540, 1020, "Europe/Berlin"),
    ("sat,sun", 1320, 360, "America/New_York"),
    ("fri", 0, 1440, "UTC"),
]
DATA = {"orgs": {"u1": ["acme"]}, "list": ["a", 1]}


# --- values and requests -----------------------------------------------------------------------


def value(chance, depth=2):
    """Any JSON value."""
    kind = chance.random()
    if depth == 0 or kind < 0.7:
        return chance.one(SCALARS)
    if kind < 0.85:
        return chance.some(lambda: value(chance, depth - 1), 0, 3)
    return {name: value(chance, depth - 1) for name in chance.sample(["a", "b", "acme", "n"], 2)}


def actor(chance):
    """One actor of a chain; what nobody verified is missing."""
    found = {
        "id": chance.one(IDS),
        "kind": chance.one(KINDS),
        "tier": chance.one(TIERS),
        "provider": chance.one(PROVIDERS),
    }
    return {name: value for name, value in found.items() if not chance.odds(8)}


def request(chance, odd=3):
    """An ordinary request about a tool; up to so many fields are missing or anything at all."""
    fields = {
        **ORDINARY_REQUEST,
        "agent.id": chance.one(IDS),
        "agent.tier": chance.one(TIERS),
        "agent.kind": chance.one(KINDS),
        "chain.actors": chance.some(lambda: actor(chance), 0, 2) if chance.odds(25) else [],
        "call.tool": chance.one(TOOLS),
        "call.server": chance.one(SERVERS),
        "call.scope": chance.one(SCOPES),
        "args.a": chance.one(TEXTS),
        "args.n": chance.one(NUMBERS),
        "args.f": chance.odds(50),
        "args.c": chance.some(lambda: chance.one(TEXTS), 0, 4),
        "session.labels": chance.some(lambda: chance.one(LABELS), 0, 2),
        "env.now": chance.one([NOW - 1, NOW - 1, NOW, chance.randint(0, 2**41)]),
    }
    for name in chance.sample(sorted(fields), chance.randint(0, odd)):
        if chance.odds(50):
            del fields[name]
        else:
            fields[name] = value(chance)
    roots = {"agent": {}, "call": {}}
    for name, found in fields.items():
        root, _, key = name.partition(".")
        roots.setdefault(root, {})[key] = found
    if chance.odds(30):
        roots.pop("user", None)
    return DecisionRequest(**roots)


def requests(chance, many):
    """Requests of one or two tiers about one or two tools: what plans cost is paid once or twice."""
    about = [request(chance) for _ in range(chance.one([1, 1, 2]))]
    found = []
    for _ in range(many):
        asked, like = request(chance), chance.one(about)
        agent = {**asked.agent, "tier": like.agent.get("tier")}
        if agent["tier"] is None:
            del agent["tier"]
        found.append(changed(asked, call=like.call, agent=agent))
    return found


def changed(asked, **roots):
    """The same request with other roots."""
    return msgspec.structs.replace(asked, **roots)


# --- conditions --------------------------------------------------------------------------------


def _compared(chance):
    names = ["==", "!=", "<", "<=", ">", ">="]
    if chance.odds(50):
        return op(chance.one(names), path(chance.one(TEXT_PATHS)), chance.one(TEXTS))
    return op(chance.one(names), path(chance.one(NUMBER_PATHS)), chance.one(NUMBERS))


def _anything_compared(chance):
    name = chance.one(["==", "!=", "<", ">=", "in", "contains", "starts with", "is in"][:7])
    return op(name, path(chance.one(FIELDS)), lit(chance.one(SCALARS)))


def _member(chance):
    name = chance.one(["in", "not in"])
    items = (
        path(chance.one(LIST_PATHS))
        if chance.odds(50)
        else listed(*chance.some(lambda: chance.one(TEXTS), 0, 4))
    )
    return op(name, path(chance.one(TEXT_PATHS)), items)


def _lists(chance):
    name, items = chance.one(["intersects", "subset of", "contains"]), path(chance.one(LIST_PATHS))
    if name == "contains":
        return op(name, items, chance.one(TEXTS))
    return op(name, items, path(chance.one(LIST_PATHS)))


def _texts(chance):
    text = path(chance.one(TEXT_PATHS))
    name = chance.one(["starts with", "ends with", "within", "like", "matches"])
    constant = {"like": GLOBS, "matches": REGEXES}.get(name, TEXTS)
    return op(name, text, lit(chance.one(constant)))


def _defaulted(chance):
    name = chance.one(["==", "<", ">="])
    return op(name, default(chance.one(NUMBER_PATHS), chance.one(NUMBERS)), chance.one(NUMBERS))


def _asked(chance):
    if chance.odds(50):
        return has(chance.one(["user", "args.a", "args.b.a", "user.login", "args.never"]))
    kind = chance.one(["string", "number", "null", "list", "boolean", "record"])
    return is_kind(path(chance.one(FIELDS)), kind, negated=chance.odds(50))


def _odd(chance):
    """An operator over whatever there is."""
    name = chance.one(ORDINARY)
    operands = [operand(chance) for _ in FUNCTIONS[name].operands]
    found = op(name, *operands)
    return found if FUNCTIONS[name].result == "boolean" else op("==", found, chance.one(SCALARS))


def _special(chance):
    return chance.one(
        [
            op("in window", "$env.now", *chance.one(WINDOWS)),
            op("in cidr", "$env.ip", "10.0.0.0/8"),
            op(">=", "$agent.software_version", lit("2.1", "version")),
            op("==", op("lower", "$args.a"), "acme"),
            op(">", op("count", path(chance.one(LIST_PATHS))), 1),
            op("==", op("host", "$args.a"), "b"),
            path("args.f"),
            lit(chance.odds(50)),
        ]
    )


def by_key(chance):
    """A condition that the index can decide, or seems to."""
    return chance.one(
        [
            op("==", "$call.scope", "gh:read"),
            op("in", "$call.scope", listed("gh:read", "gh:x")),
            op("starts with", "$call.tool", "get"),
            op("==", "$agent.tier", "developer"),
            and_(op("==", "$call.scope", "gh:read"), op("==", "$args.n", 500)),
            or_(op("==", "$call.scope", "gh:read"), op("==", "$args.n", 500)),
        ]
    )


LEAVES = [_compared] * 4 + [_member, _lists, _texts, _defaulted, _asked, _special, by_key]
LEAVES += [_anything_compared, _odd]


def operand(chance):
    return path(chance.one(FIELDS)) if chance.odds(60) else lit(chance.one(SCALARS))


def condition(chance, depth=2):
    """Logic over leaves that mostly have an answer."""
    kind = chance.random()
    if depth == 0 or kind < 0.45:
        return chance.one(LEAVES)(chance)
    inner = [condition(chance, depth - 1) for _ in range(chance.randint(2, 3))]
    if kind < 0.55:
        return not_(inner[0])
    if kind < 0.75:
        return and_(*inner)
    if kind < 0.92:
        return or_(*inner)
    item = chance.one([op("==", "$v", chance.one(TEXTS)), op("==", "$v.kind", "ci"), inner[0]])
    collection = chance.one([*LIST_PATHS, "chain.actors"])
    return quantified(chance.one(["any", "all"]), "v", path(collection), item)


# --- rules and policy sets -----------------------------------------------------------------------


def who(chance):
    """A `for` clause."""
    kind = chance.random()
    if kind < 0.3:
        return for_tier(chance.one([">=", ">", "<=", "<"]), chance.one([*TIERS, "undeclared"]))
    if kind < 0.5:
        return for_tier("in", *chance.some(lambda: chance.one(TIERS), 1, 3))
    what = chance.one(["kind", "agent", "provider", "group"])
    names = ["assistant", "a1", "ac*", "*", "private", "scanner"]
    without = chance.some(lambda: chance.one(["a1", "acme", "private"]), 0, 1)
    return for_names(what, *chance.some(lambda: chance.one(names), 1, 3), without=without)


def what(chance):
    """An `on` clause."""
    kind = chance.random()
    if kind < 0.55:
        names = chance.some(lambda: chance.one(TOOL_PATTERNS), 1, 3)
        without = chance.some(lambda: chance.one(TOOL_PATTERNS), 0, 1) if chance.odds(40) else []
        return on_names("tool", *names, without=without)
    if kind < 0.65:
        return on_names("server", *chance.some(lambda: chance.one([*SERVERS, "git*"]), 1, 2))
    if kind < 0.8:
        return on_any()
    if kind < 0.87:
        return on_token()
    names = ["gh:*", "gh:read", "gh:**", "write", "*"]
    about = chance.one(["scope", "scope", "tag", "resource"])
    return on_names(about, *chance.some(lambda: chance.one(names), 1, 2))


EFFECTS = ["permit"] * 4 + ["forbid"] * 3 + ["require"] * 2


def random_rule(chance, effect=None, most=2):
    """A rule with up to so many clauses of each kind."""
    conditions = [
        when(condition(chance), negated=chance.odds(25)) for _ in range(chance.randint(0, most))
    ]
    written = rule(
        effect or chance.one(EFFECTS),
        *(who(chance) for _ in range(chance.one([0, 0, 1, 1, 2]))),
        *(what(chance) for _ in range(chance.one([0, 1, 1, 1, 2]))),
        *conditions,
    )
    if chance.odds(60):
        return written
    return msgspec.structs.replace(written, because=said(chance), internal=said(chance))


def said(chance):
    """A text that shows what the request or the data hold."""
    shown = path(chance.one(["args.a", "args.b", "agent.id", "call.tool", "data.orgs.u1"]))
    return nodes.Text(span=NOWHERE, parts=("about ", shown))


def policy_set(chance, most=8):
    """A policy set of a few rules; some permits expire at `NOW`, some rules are shadows."""
    rules = [random_rule(chance) for _ in range(chance.randint(2, most))]
    return assembled(
        rules,
        confinement=chance.one([(), (), (), ("github",), ("git*",)]),
        expires={number for number in range(most) if chance.odds(8)},
        shadows={number for number in range(most) if chance.odds(8)},
    )


LATE = {"age", "grant", "expires_at"}


def without_undetermined(asked):
    """As tools are listed: of what Law 6 calls undetermined nothing is known."""
    token = {name: value for name, value in asked.token.items() if name not in LATE}
    return changed(asked, args={}, facts={}, session={}, env={"now": NOW - 1}, token=token)


def completed(listed_, other):
    """What was listed, called with what the other request has of undetermined things."""
    late = {name: value for name, value in other.token.items() if name in LATE}
    return changed(
        listed_,
        args=other.args,
        facts=other.facts,
        session=other.session,
        env=other.env,
        token={**listed_.token, **late},
    )
