"""Syntax nodes in short, and random rules and requests, most of them wrong on purpose.

Tests are not a package, so this is reached through the fixture `make` of `conftest.py`.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo

from hypothesis import strategies as st

from pbac.base.source import NOWHERE
from pbac.lang import nodes
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.generate import plans
from pbac.lang.generate.generate import shape_of
from pbac.model.request import DecisionRequest

TIERS = ("read_only", "ci_agent", "developer", "trusted")
KINDS = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}


# --- nodes in short ------------------------------------------------------------------------


def lit(value, kind=None):
    return nodes.Literal(span=NOWHERE, value=value, kind=kind or KINDS[type(value)])


def listed(*items):
    return nodes.ListExpression(span=NOWHERE, items=tuple(map(expr, items)))


def expr(value):
    """A node as it is; a text beginning with `$` is a path; a list is a list; else a literal."""
    if isinstance(value, nodes.Node):
        return value
    if isinstance(value, list):
        return listed(*value)
    if isinstance(value, str) and value.startswith("$"):
        return path(value[1:])
    return lit(value)


def path(text, *keys):
    """`args.a.b`; keys that are not text become index steps at the end."""
    root, *names = text.split(".")
    steps = [nodes.Field(span=NOWHERE, name=name) for name in names]
    steps += [nodes.Index(span=NOWHERE, key=expr(key)) for key in keys]
    return nodes.Path(span=NOWHERE, root=root, steps=tuple(steps))


def op(name, *operands):
    return nodes.Operation(span=NOWHERE, name=name, operands=tuple(map(expr, operands)))


def default(text, fallback):
    return nodes.Default(span=NOWHERE, path=path(text), fallback=expr(fallback))


def has(text, *keys):
    return nodes.Has(span=NOWHERE, path=path(text, *keys))


def is_kind(operand, kind, *, negated=False):
    return nodes.IsKind(span=NOWHERE, operand=expr(operand), kind=kind, negated=negated)


def not_(operand):
    return nodes.Not(span=NOWHERE, operand=expr(operand))


def and_(*items):
    return nodes.And(span=NOWHERE, items=tuple(map(expr, items)))


def or_(*items):
    return nodes.Or(span=NOWHERE, items=tuple(map(expr, items)))


def quantified(quantifier, variable, collection, body):
    return nodes.Quantified(
        span=NOWHERE,
        quantifier=quantifier,
        variable=variable,
        collection=expr(collection),
        body=expr(body),
    )


def patterns(*names):
    return tuple(nodes.Pattern(span=NOWHERE, text=name) for name in names)


def for_tier(operator, *tiers):
    return nodes.ForTier(span=NOWHERE, operator=operator, tiers=patterns(*tiers))


def for_names(what, *names, without=()):
    return nodes.ForNames(
        span=NOWHERE, what=what, names=patterns(*names), without=patterns(*without)
    )


def on_names(what, *names, without=()):
    return nodes.OnNames(
        span=NOWHERE, what=what, names=patterns(*names), without=patterns(*without)
    )


def on_any():
    return nodes.OnAny(span=NOWHERE)


def on_token():
    return nodes.OnToken(span=NOWHERE)


def when(expression, *, negated=False):
    return nodes.Condition(span=NOWHERE, negated=negated, expression=expr(expression))


def rule(effect="forbid", *clauses, name="x"):
    """A rule out of clauses in any order."""

    def of(*kinds):
        return tuple(clause for clause in clauses if isinstance(clause, kinds))

    return nodes.Rule(
        span=NOWHERE,
        effect=effect,
        name=name,
        name_span=NOWHERE,
        who=of(nodes.ForTier, nodes.ForNames),
        what=of(nodes.OnNames, nodes.OnAny, nodes.OnToken),
        conditions=of(nodes.Condition),
    )


def request(**roots):
    """An ordinary call; roots given replace the ordinary ones."""
    ordinary = {
        "agent": {"id": "a1", "tier": "developer", "kind": "assistant", "provider": "acme"},
        "chain": {"depth": 0, "actors": []},
        "call": {"method": "tools/call", "tool": "get_x", "server": "github", "scope": "gh:read"},
    }
    return DecisionRequest(**{**ordinary, **roots})


# --- random values and requests ------------------------------------------------------------

NOT_TEXTS = [None, True, False, 0, 1, 1.0, 2, 500, -3, 0.5, 2**53 - 1, 1783321200000]
WORDS = ["", "a", "b", "A", "acme", "acme/api", "a/b/c", "/srv/x", "/srv/../x", "1", "true", "é"]
WORDS += ["2.1", "2.10.0", "10.0.0.7", "::ffff:10.0.0.7", "https://api.example.com/x"]
WORDS += ["http://a@b/"]
SCALARS = st.sampled_from([*NOT_TEXTS, *WORDS])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.sampled_from(["a", "b", "acme"]), max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "acme", "orgs"]), inner, max_size=3),
    ),
    max_leaves=5,
)


TIER = st.sampled_from([*TIERS, "root"])
KIND = st.sampled_from(["assistant", "scanner", "ci"])
TEXTS = st.sampled_from(["", "a", "b", "acme", "acme/api", "/srv/x", "10.0.0.7", "http://b/x"])
NUMBERS = st.sampled_from([0, 1, 1.0, 2, 500, -3, 0.5, 2**53 - 1])
LABELS = st.lists(st.sampled_from(["private", "write", "a"]), max_size=3)
ABSENT = object()

ORDINARY_REQUEST = {
    "agent.id": "a1",
    "agent.tier": "developer",
    "agent.kind": "assistant",
    "agent.provider": "acme",
    "agent.software_version": "2.1",
    "user.id": "u1",
    "user.groups": ["private", "a"],
    "user.login": "a",
    "chain.depth": 1,
    "chain.actors": [{"id": "a2", "kind": "ci", "provider": "acme", "tier": "trusted"}],
    "token.scopes": ["write"],
    "token.age": 1,
    "call.method": "tools/call",
    "call.tool": "get_x",
    "call.server": "github",
    "call.scope": "gh:prs:write",
    "call.tags": ["write"],
    "args.a": "acme/api",
    "args.n": 500,
    "args.f": True,
    "args.b": {"a": "b", "n": 2},
    "args.c": ["a", "acme"],
    "args.d": ["a", 1, None, True],
    "facts.pull": {"author": "a1"},
    "session.labels": ["private"],
    "session.calls": 2,
    "env.now": 1783321200000,
    "env.ip": "10.0.0.7",
}
USUAL = {
    "agent.tier": TIER,
    "agent.kind": KIND,
    "call.scope": st.sampled_from(["gh:read", "gh:prs:write"]),
    "call.method": st.sampled_from(["tools/call", "tools/list"]),
    "args.a": TEXTS,
    "args.n": NUMBERS,
    "args.f": st.booleans(),
    "args.c": st.lists(TEXTS, max_size=4),
    "env.now": st.integers(0, 2**41),
    "chain.actors": st.lists(
        st.builds(lambda k, t: {"id": "a1", "kind": k, "tier": t}, KIND, TIER), max_size=2
    ),
}
CHANGES = st.tuples(st.sampled_from(sorted(ORDINARY_REQUEST)), st.just(ABSENT) | st.none() | VALUES)


def requests(max_changes=6):
    """An ordinary request with some fields missing, null or of the wrong kind."""

    def changed(usual, changes, *, with_user):
        roots = {"agent": {}, "call": {}}
        for name, value in {**ORDINARY_REQUEST, **usual, **dict(changes)}.items():
            root, _, key = name.partition(".")
            if value is not ABSENT:
                roots.setdefault(root, {})[key] = value
        roots["call"].setdefault("method", "tools/call")
        if not with_user:
            roots.pop("user", None)
        return DecisionRequest(**roots)

    return st.builds(
        lambda usual, changes, with_user: changed(usual, changes, with_user=with_user),
        st.fixed_dictionaries(USUAL),
        st.lists(CHANGES, max_size=max_changes),
        st.booleans(),
    )


DATA = st.builds(
    lambda orgs, items: {"orgs": orgs, "list": items},
    st.sampled_from([{"u1": ["acme"]}, {}, None, ["u1"]]),
    st.lists(SCALARS, max_size=4) | st.just("a"),
)


# --- random expressions --------------------------------------------------------------------

FIELDS = [
    "args.a",
    "args.n",
    "args.f",
    "args.b",
    "args.c",
    "args.d",
    "args.b.a",
    "args.b.a.b",
    "args",
    "user",
    "user.id",
]
FIELDS += ["user.groups", "user.login", "agent.tier", "agent.software_version", "chain.actors"]
FIELDS += ["chain.depth", "token.scopes", "token.age", "call.tags", "session.labels", "env.now"]
FIELDS += ["facts.pull.author", "data.orgs", "data.list", "data.orgs.u1", "data", "env.ip", "v"]
FIELDS += ["v.a", "w", "undefined.x"]
KEYS = st.sampled_from([0, 1, -1, 7, 1.0, True, None, "a", "$user.id", "$args.a"])
PATHS = st.one_of(
    st.sampled_from(FIELDS).map(path),
    st.builds(path, st.sampled_from(["args.c", "args.b", "data.orgs", "args", "data"]), KEYS),
)
LITERALS = SCALARS.map(lit) | st.sampled_from([lit("2.1", "version"), lit("2", "version")])
GLOBS = st.sampled_from(["*", "a*", "*/api", "acme/**", "a", "**b*", "/srv/*"])
REGEXES = st.sampled_from(["a+", "[a-z/]*", r"\d+", "(?i)ACME.*", "(a|b)(/b)?.*"])
WINDOWS = st.tuples(
    st.sampled_from(["mon,tue,wed,thu,fri", "sat,sun", "fri"]),
    st.sampled_from([540, 1320, 0]),
    st.sampled_from([1020, 360, 1440]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
)
PREPARED = {"like", "matches", "in cidr", "in window"}
ORDINARY = sorted(n for n in FUNCTIONS if n not in PREPARED and not n.startswith("version "))


def operations(inner):
    one = [name for name in ORDINARY if len(FUNCTIONS[name].operands) == 1]
    two = [name for name in ORDINARY if len(FUNCTIONS[name].operands) == 2]
    return st.one_of(
        st.builds(op, st.sampled_from(one), inner),
        st.builds(op, st.sampled_from(two), inner, inner),
        st.builds(lambda a, b: op("like", a, b), inner, GLOBS.map(lit) | PATHS),
        st.builds(lambda a, b: op("matches", a, b), inner, REGEXES),
        st.builds(lambda a, b: op("in cidr", a, b), inner, st.just("10.0.0.0/8")),
        st.builds(lambda a, w: op("in window", a, *w), inner, WINDOWS),
    )


def comparisons():
    """The shapes people write: a path against a constant. Generated code writes these in line."""
    names = ["==", "!=", "<", "<=", ">", ">=", "starts with", "ends with", "in", "not in"]
    words = st.lists(st.sampled_from(["a", "b", "acme", "u1", *"cdefgh"]), max_size=10)
    return st.one_of(
        st.builds(op, st.sampled_from(names), PATHS, LITERALS),
        st.builds(op, st.sampled_from(names), LITERALS, PATHS),
        st.builds(
            lambda n, p, w: op(n, p, listed(*w)), st.sampled_from(["in", "not in"]), PATHS, words
        ),
        st.builds(
            lambda n, p, d, v: op(n, default(p, d), v),
            st.sampled_from(names),
            st.sampled_from(["args.a", "args.b.a", "user.login", "data.list"]),
            SCALARS,
            SCALARS,
        ),
    )


TEXT_PATHS = st.sampled_from(["args.a", "args.b.a", "user.login", "agent.tier", "v", "env.ip"])
NUMBER_PATHS = st.sampled_from(["args.n", "args.b.n", "chain.depth", "token.age", "session.calls"])
LIST_PATHS = st.sampled_from(["args.c", "args.d", "session.labels", "data.list", "call.tags"])


def sensible():
    """Leaves whose kinds fit when the request is an ordinary one."""
    text, number, items = TEXT_PATHS.map(path), NUMBER_PATHS.map(path), LIST_PATHS.map(path)
    texts = st.lists(TEXTS, max_size=10).map(lambda ts: listed(*ts))
    ordered = st.sampled_from(["<", "<=", ">", ">="])
    equal = st.sampled_from(["==", "!="])
    return st.one_of(
        st.builds(op, equal | ordered, text, TEXTS.map(lit)),
        st.builds(op, equal | ordered, number, NUMBERS.map(lit)),
        st.builds(op, equal, st.just(path("args.f")), st.booleans().map(lit)),
        st.builds(op, equal | ordered, text, text),
        st.builds(op, st.sampled_from(["in", "not in"]), text, texts | items),
        st.builds(op, st.just("contains"), items, TEXTS.map(lit)),
        st.builds(op, st.sampled_from(["intersects", "subset of"]), items, texts | items),
        st.builds(
            op, st.sampled_from(["starts with", "ends with", "within"]), text, TEXTS.map(lit)
        ),
        st.builds(op, st.just("like"), text, GLOBS.map(lit)),
        st.builds(op, st.just("matches"), text, REGEXES.map(lit)),
        st.builds(lambda w: op("in window", "$env.now", *w), WINDOWS),
        st.builds(op, equal, text.map(lambda t: op("lower", t)), TEXTS.map(lit)),
        st.builds(op, ordered, items.map(lambda i: op("count", i)), NUMBERS.map(lit)),
        st.builds(lambda o, v: op(o, "$agent.software_version", v), ordered, TEXTS | st.just("2")),
        st.builds(lambda o, p, n: op(o, default(p, n), n), ordered, NUMBER_PATHS, NUMBERS),
        st.sampled_from([has("user"), has("args.b.a"), has("args.a"), has("user.login")]),
        st.builds(
            lambda p, k, n: is_kind(p, k, negated=n),
            PATHS,
            st.sampled_from(["string", "number", "null"]),
            st.booleans(),
        ),
        st.just(path("args.f")),
    )


def values(max_leaves=3):
    """Expressions of any kind at all, most of them without a value."""

    def more(inner):
        several = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            operations(inner),
            several.map(lambda items: listed(*items)),
            several.map(lambda items: and_(*items)),
            several.map(lambda items: or_(*items)),
            st.builds(not_, inner),
            st.builds(
                lambda es: nodes.RecordExpression(
                    span=NOWHERE, pairs=tuple(zip("abc", es, strict=False))
                ),
                several,
            ),
            st.builds(lambda p, f: nodes.Default(span=NOWHERE, path=p, fallback=f), PATHS, inner),
            st.builds(
                lambda e, k: is_kind(e, k, negated=k == "list"),
                inner,
                st.sampled_from(["boolean", "list", "record"]),
            ),
            st.builds(quantified, st.sampled_from(["any", "all"]), st.just("w"), inner, inner),
        )

    return st.recursive(sensible() | comparisons() | PATHS | LITERALS, more, max_leaves=max_leaves)


def expressions(max_leaves=8):
    """Conditions as they are written: logic over leaves that mostly have an answer."""
    leaves = st.one_of(*[sensible()] * 4, comparisons(), values())
    quantifier = st.sampled_from(["any", "all"])

    def more(inner):
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            st.builds(not_, inner),
            several.map(lambda items: and_(*items)),
            several.map(lambda items: or_(*items)),
            st.builds(quantified, quantifier, st.just("v"), LIST_PATHS.map(path), inner),
            st.builds(op, st.sampled_from(["==", "!="]), inner, st.booleans()),
            st.builds(
                lambda q, v: quantified(q, "v", "$chain.actors", op("==", "$v.kind", v)),
                quantifier,
                KIND,
            ),
        )

    return st.recursive(leaves, more, max_leaves=max_leaves)


# --- random rules --------------------------------------------------------------------------

FOR_CLAUSES = st.one_of(
    st.builds(for_tier, st.sampled_from([">=", "<=", ">", "<"]), st.sampled_from([*TIERS, "x"])),
    st.builds(lambda ts: for_tier("in", *ts), st.lists(TIER, min_size=1, max_size=3)),
    st.builds(
        lambda what, names, without: for_names(what, *names, without=without),
        st.sampled_from(["kind", "agent", "provider", "group"]),
        st.lists(
            st.sampled_from(["assistant", "a1", "ac*", "*", "private", "scanner"]),
            min_size=1,
            max_size=3,
        ),
        st.lists(st.sampled_from(["a1", "acme", "private"]), max_size=1),
    ),
)
ON_CLAUSES = st.builds(
    lambda what, names, without: on_names(what, *names, without=without),
    st.sampled_from(["scope", "scope", "tag", "tag", "resource", "prompt"]),
    st.lists(st.sampled_from(["gh:*", "gh:read", "gh:**", "write", "*"]), min_size=1, max_size=2),
    st.lists(st.sampled_from(["gh:read", "private"]), max_size=1),
)
EFFECTS = st.sampled_from(["permit", "forbid", "require"])


def rules():
    """Rules with up to two `for` clauses, one `on` clause and two conditions."""
    conditions = st.builds(lambda e, n: when(e, negated=n), expressions(), st.booleans())
    return st.builds(
        lambda effect, who, what, conditions: rule(effect, *who, *what, *conditions),
        EFFECTS,
        st.lists(FOR_CLAUSES, max_size=2),
        st.lists(ON_CLAUSES, max_size=1),
        st.lists(conditions, max_size=2),
    )


def moment(text, zone):
    """Milliseconds of a local time, for tests of windows."""
    local = dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return int(local.timestamp() * 1000)


# --- functions -----------------------------------------------------------------------------


def plan_function(questions):
    """One function for questions that are in the order of effects, in groups of neighbours."""
    shapes = [shape_of(question) for question in questions]
    groups = []
    for number, shape in enumerate(shapes):
        if groups and groups[-1][-1][1].key == shape.key:
            groups[-1].append((number, shape))
        else:
            groups.append([(number, shape)])
    forms = ["some" if len(group) > 1 else "one" for group in groups]
    given = [
        plans.given_for([shape for _, shape in group], form, None)
        for group, form in zip(groups, forms, strict=True)
    ]
    rules = plans.plan_function(
        [
            plans.Group(first=questions[group[0][0]], form=form)
            for group, form in zip(groups, forms, strict=True)
        ]
    )
    return lambda request, data: rules(request, data, tuple(given))
