"""Where lint says *never*, it is so: without the rules it names, every decision is the same."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, note
from hypothesis import strategies as st
from msgspec import structs

from pbac.base.source import NOWHERE, Span
from pbac.lang import nodes
from pbac.lang.evaluate.interpret import condition
from pbac.lang.evaluate.targets import texts
from pbac.lang.evaluate.truth import Truth
from pbac.lang.lint.lint import linted
from pbac.lang.lint.rivals import duty_shape
from pbac.lang.resolve.resolve import Resolved, ResolvedPackage

NEVER = {"never-fires", "shadowed-rule", "duplicate-rule", "expired"}
NOW = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp()) * 1000
DAYS = ["2026-06-01", "2026-07-01", "2026-08-01"]
TOOLS = ["get_x", "get_x_y", "get_z", "put.x", "merge"]


# --- rules that meet each other ------------------------------------------------------------------


def dense(make):
    """Rules out of few words, so that many imply, contradict and repeat each other."""
    n, a, f = make.path("args.n"), make.path("args.a"), make.path("args.f")
    number = st.sampled_from([0, 1, 2, 500, 0.5])
    text = st.sampled_from(["a", "b", "acme"])
    some = st.lists(text, min_size=1, max_size=3)
    order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    leaf = st.one_of(
        st.builds(make.op, order, st.just(n), number),
        st.builds(make.op, order, number, st.just(n)),
        st.builds(make.op, order, st.just(make.default("args.n", 1)), number),
        st.builds(make.op, st.sampled_from(["==", "!="]), st.just(a), text),
        st.builds(make.op, st.sampled_from(["in", "not in"]), st.just(a), some),
        st.builds(make.op, st.sampled_from(["==", "!="]), st.just(f), st.booleans()),
        st.just(f),
        st.sampled_from([make.has("args.n"), make.lit(False), make.lit(True)]),
        st.builds(
            make.op, order, st.just("$agent.software_version"), st.just(make.lit("2", "version"))
        ),
        st.builds(make.op, st.just("=="), number, number),
    )
    few = st.lists(leaf, min_size=2, max_size=3).map(tuple)
    expression = st.one_of(
        leaf,
        leaf,
        leaf.map(make.not_),
        few.map(lambda leaves: make.and_(*leaves)),
        few.map(lambda leaves: make.or_(*leaves)),
    )
    globs = ["get_*", "*", "**", "get_x*", "get_**", "put.*", "*_x"]
    names = st.lists(st.sampled_from(TOOLS + globs), min_size=1, max_size=2)
    without = st.lists(st.sampled_from(["get_x", "get_z", "get_*", "*"]), max_size=1)
    on = st.one_of(
        st.builds(lambda n, w: make.on_names("tool", *n, without=w), names, without),
        st.builds(lambda n: make.on_names("scope", *n), st.just(["gh:*"]) | st.just(["gh:read"])),
        st.builds(make.on_names, st.sampled_from(["resource", "tag"]), st.just("write")),
        st.builds(make.on_names, st.just("server"), st.sampled_from(["github", "git*", "other"])),
        st.builds(make.on_any),
        st.builds(make.on_token),
    )
    who = st.one_of(
        st.builds(
            make.for_tier, st.sampled_from([">=", "<", "<=", ">"]), st.sampled_from(make.TIERS)
        ),
        st.builds(
            lambda t: make.for_tier("in", *t),
            st.lists(st.sampled_from(make.TIERS), min_size=1, max_size=2),
        ),
        st.builds(
            make.for_names,
            st.sampled_from(["kind", "agent", "group"]),
            st.sampled_from(["ci", "a1", "private", "*"]),
        ),
    )
    when = st.builds(lambda e, no: make.when(e, negated=no), expression, st.booleans())
    # Each example has a few clauses, and its rules are made of these.
    pools = st.tuples(
        st.lists(who, min_size=1, max_size=2),
        st.lists(on, min_size=1, max_size=3),
        st.lists(when, min_size=1, max_size=4),
    )
    return pools.flatmap(lambda pool: st.lists(of_pool(make, *pool), min_size=2, max_size=6))


def of_pool(make, who, on, whens):
    rule = st.builds(
        lambda effect, who, on, whens: make.rule(effect, *who, *on, *whens),
        st.sampled_from(["permit", "permit", "forbid", "require"]),
        st.lists(st.sampled_from(who), max_size=1),
        st.lists(st.sampled_from(on), max_size=1),
        st.lists(st.sampled_from(whens), max_size=2),
    )
    return st.builds(marked, rule, st.sampled_from([*DAYS, *[""] * 9, "shadow"]), st.booleans())


def marked(rule, day, dutiful):
    """With the annotations and duties that go with its effect."""
    made = []
    if day == "shadow":
        made = [nodes.Annotation(span=NOWHERE, name="shadow")]
    elif day and rule.effect == "permit":
        value = nodes.Literal(span=NOWHERE, value=day, kind="date")
        made = [nodes.Annotation(span=NOWHERE, name="expires", value=value)]
    duties = [nodes.DutyLine(span=NOWHERE, kind="redact", parameters={"paths": ["result.a"]})]
    if dutiful:
        duties.append(nodes.DutyLine(span=NOWHERE, kind="notify", parameters={"to": "x"}))
    kept = tuple(duties) if rule.effect == "require" else ()
    return structs.replace(rule, annotations=tuple(made), duties=kept)


def requests(make):
    """Those of the strategies, at tools, methods and times that the rules speak of."""

    def moved(request, tool, method, now, server):
        call = {**request.call, "method": method, "tool": tool, "server": server}
        if tool is None:
            del call["tool"]
        return structs.replace(request, call=call, env={**request.env, "now": now})

    return st.builds(
        moved,
        make.requests(),
        st.sampled_from([*TOOLS, None]),
        st.sampled_from(["tools/call", "tools/call", "token/issue", "resources/read"]),
        st.sampled_from([NOW_MS - 40 * 86_400_000, NOW_MS, NOW_MS + 40 * 86_400_000]),
        st.sampled_from(["github", "other"]),
    )


def name_of(found, rules):
    """The rule that a finding is about."""
    if found.code == "never-fires":
        return found.message.split("`")[1]
    if found.code == "expired":
        return next(rule.name for rule in rules if found.span in [a.span for a in rule.annotations])
    return rules[found.span.start].name


# --- the property --------------------------------------------------------------------------------


def numbered(rules):
    """Each with a name and a place of its own."""
    for number, rule in enumerate(rules):
        place = Span("p", number, number, 1, number + 1)
        annotations = tuple(structs.replace(each, span=place) for each in rule.annotations)
        yield structs.replace(rule, name=f"r{number}", name_span=place, annotations=annotations)


def as_set(make, rules, servers):
    package = ResolvedPackage(
        name="p",
        sealed=False,
        servers=make.patterns(*servers),
        files=(),
        rules=tuple(rules),
        definitions=(),
        tests=(),
        diagnostics=(),
    )
    return Resolved(packages=(package,), tiers=make.TIERS, diagnostics=())


def ended(rule, request):
    """`@expires` is exclusive, in UTC."""
    for annotation in rule.annotations:
        if annotation.name == "expires":
            day = dt.datetime.fromisoformat(annotation.value.value).replace(tzinfo=dt.UTC)
            return request.env["now"] >= int(day.timestamp()) * 1000
    return False


def outcome(make, rules, servers, request, data):
    """Laws 1 and 2: the effect, and the duties of what is permitted."""
    applied = {"permit": [], "forbid": [], "require": []}
    for rule in rules:
        shadow = any(annotation.name == "shadow" for annotation in rule.annotations)
        found = condition(rule, request, data, make.TIERS, texts(make.patterns(*servers)))
        unlikely = rule.effect != "permit" and found is Truth.UNKNOWN
        if not shadow and not ended(rule, request) and (found is Truth.TRUE or unlikely):
            applied[rule.effect].append(rule)
    if applied["forbid"] or not applied["permit"]:
        return "deny", frozenset()
    duties = [duty for rule in applied["require"] for duty in rule.duties]
    return "permit", frozenset(map(duty_shape, duties))


def test_a_rule_that_lint_calls_idle_changes_no_decision(make):
    seen = set()

    @given(
        st.one_of(dense(make), dense(make), st.lists(make.rules(), min_size=1, max_size=4)),
        st.sampled_from([(), ("github",), ("git*", "other")]),
        st.lists(requests(make), min_size=8, max_size=8),
        make.DATA,
    )
    def check(rules, servers, asked, data):
        rules = list(numbered(rules))
        told = linted(as_set(make, rules, servers), [], [], NOW_MS)
        idle = {name_of(each, rules) for each in told if each.code in NEVER}
        seen.update(each.code for each in told)
        note(str([(each.code, each.message) for each in told]))
        for request in asked:
            if request.env["now"] < NOW_MS and any(each.code == "expired" for each in told):
                continue
            whole = outcome(make, rules, servers, request, data)
            left = [rule for rule in rules if rule.name not in idle]
            assert outcome(make, left, servers, request, data) == whole
            for name in idle:
                rest = [rule for rule in rules if rule.name != name]
                assert outcome(make, rest, servers, request, data) == whole

    check()
    assert seen >= NEVER, seen


# --- chains and everything ------------------------------------------------------------------------


def permits_of(make, rules, servers, request, data):
    """The names of the permits that apply, `@shadow` and `@expires` regarded."""
    return {
        rule.name
        for rule in rules
        if rule.effect == "permit"
        and not any(annotation.name == "shadow" for annotation in rule.annotations)
        and not ended(rule, request)
        and condition(rule, request, data, make.TIERS, texts(make.patterns(*servers))) is Truth.TRUE
    }


def at_tier(request, tier):
    return structs.replace(request, agent={**request.agent, "tier": tier})


def test_where_lint_tells_no_upper_bound_a_higher_tier_loses_nothing(make):
    seen = {True: 0, False: 0}

    @given(
        dense(make),
        st.sampled_from([(), ("github",)]),
        st.lists(requests(make), min_size=6, max_size=6),
        make.DATA,
    )
    def check(rules, servers, asked, data):
        rules = list(numbered(rules))
        told = linted(as_set(make, rules, servers), [], [], NOW_MS)
        gains = any(each.code == "upper-bounded-tier" for each in told)
        bounded = any(isinstance(who, nodes.ForTier) for rule in rules for who in rule.who)
        seen[gains] += bounded
        for request in [] if gains else asked:
            allowed = [
                bool(permits_of(make, rules, servers, at_tier(request, tier), data))
                for tier in make.TIERS
            ]
            assert allowed == sorted(allowed), allowed

    check()
    assert all(seen.values()), seen


def test_what_lint_calls_a_permit_of_everything_permits_every_tool(make):
    seen = set()

    @given(
        st.lists(
            st.builds(
                lambda clauses, when: make.rule("permit", *clauses, *when),
                st.lists(
                    st.sampled_from(
                        [
                            make.on_any(),
                            make.on_names("tool", "*"),
                            make.on_names("server", "x", "**"),
                            make.on_names("scope", "**"),
                            make.on_names("tool", "*", without=["merge"]),
                            make.on_names("resource", "*"),
                            make.for_names("agent", "*"),
                            make.for_names("group", "*"),
                            make.for_tier(">=", make.TIERS[0]),
                            make.for_tier(">", make.TIERS[0]),
                        ]
                    ),
                    min_size=1,
                    max_size=3,
                ),
                st.lists(st.sampled_from([make.when(make.lit(True)), make.when("$args.f")])),
            ),
            min_size=1,
            max_size=3,
        ),
        st.sampled_from([(), ("github",), ("*",)]),
        st.sampled_from(TOOLS),
        st.sampled_from(make.TIERS),
        requests(make),
    )
    def check(rules, servers, tool, tier, request):
        rules = list(numbered(rules))
        told = linted(as_set(make, rules, servers), [], [], NOW_MS)
        everything = {
            rules[each.span.start].name for each in told if each.code == "permits-everything"
        }
        seen.update(everything)
        call = {"method": "tools/call", "tool": tool, "server": "other", "scope": f"other:{tool}"}
        asked = structs.replace(request, agent={"id": "a", "tier": tier}, call=call)
        confined = () if "*" in servers else servers
        assert everything <= permits_of(make, rules, confined, asked, {})

    check()
    assert seen
