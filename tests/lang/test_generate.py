"""What generated functions look like, where they point, and what cannot get into them."""

from __future__ import annotations

import ast
import linecache
import traceback
from dataclasses import replace

import pytest

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import EXPRESSION_DEPTH_MAX, RULE_NODES_MAX
from pbac.base.source import Source, Span
from pbac.lang import nodes
from pbac.lang.evaluate.interpret import truth
from pbac.lang.evaluate.truth import Truth
from pbac.lang.generate import emit, generate, runtime
from pbac.lang.generate.generate import Question, generate_rule, shape_of, write_rule
from pbac.lang.generate.plans import Group, plan_function, write_plan
from pbac.lang.places import Places
from pbac.lang.program import DOUBT, Materials, bit_of

APPLIES = bit_of(0)


def questions(*rules, tiers=(), texts=None):
    materials = Materials(tiers=tiers, places=Places(texts or {}))
    return [Question(rule=rule, materials=materials) for rule in rules]


def asks(*rules, tiers=()):
    """The functions of single rules."""
    return [generate_rule(question) for question in questions(*rules, tiers=tiers)]


def code_of(written):
    return ast.unparse(ast.fix_missing_locations(written.tree))


def plan_of(*rules, some=(), tiers=()):
    """The tree of a plan of these rules, each of another shape; of `some` there are several."""
    given = questions(*rules, tiers=tiers)
    forms = ["some" if number in some else "one" for number in range(len(given))]
    return write_plan([Group(first=q, form=form) for q, form in zip(given, forms, strict=True)])


def test_a_rule_reads_like_what_it_means(make):
    forbid = make.rule("forbid", make.when(make.op(">", make.default("args.amount", 0), 100)))
    (question,) = questions(forbid)
    assert code_of(write_rule(question)) == (
        """
def rules(request, data, g0=g0):
    applied = 0
    r1 = request.args
    r2 = r1.get('amount', 0)
    r3 = kind(r2)
    r4 = r3 is integer or r3 is decimal
    if not (r4 and (not r2 > g0)):
        applied |= 2
        if not (r4 and r2 > g0):
            applied |= 1
    return applied
""".strip()
    )
    assert list(write_rule(question).constants.values()) == [100]


def test_a_plan_reads_like_law_one(make):
    forbid = make.rule("forbid", make.when(make.op(">", make.default("args.amount", 0), 100)))
    permit = make.rule(
        "permit", make.for_tier(">=", "developer"), make.when(make.op("<=", "$args.amount", 500))
    )
    settled, require = make.rule("permit"), make.rule("require", make.when("$args.x"))
    written = plan_of(forbid, permit, settled, require, some=(1, 2), tiers=make.TIERS)
    assert code_of(written) == (
        """
def rules(request, data, given):
    applied = 0
    bit = 2
    g0, p1, p2, p3 = given
    if g0 is not ...:
        r1 = request.args
        r2 = r1.get('amount', 0)
        r3 = kind(r2)
        r4 = r3 is integer or r3 is decimal
        if not (r4 and (not r2 > g0)):
            applied |= bit
            if not (r4 and r2 > g0):
                applied |= 1
        bit += bit
    if applied:
        return applied
    if p1 is not ...:
        r1 = request.agent
        r2 = r1.get('tier')
        r3 = request.args
        r4 = r3.get('amount')
        r5 = kind(r4)
        r6 = r5 is integer or r5 is decimal
        for g1, g2 in p1:
            if r2 in g1 and (r6 and r4 <= g2):
                applied |= bit
            bit += bit
    if p2 is not ...:
        for nothing in p2:
            applied |= bit
            bit += bit
    if not applied:
        return applied
    if p3 is not ...:
        r1 = request.args
        r2 = r1.get('x', MISSING)
        if not r2 is False:
            applied |= bit
            if not r2 is True:
                applied |= 1
        bit += bit
    return applied
""".strip()
    )


def test_a_forbid_that_always_applies_leaves_permits_unasked(make):
    forbids = make.rule("forbid"), make.rule("forbid", make.when("$args.x"))
    ask = make.plan_function(questions(*forbids, make.rule("permit", make.when("$args.y"))))
    assert ask(make.request(args={"x": False, "y": True}), {}) == bit_of(0)
    assert ask(make.request(args={}), {}) == bit_of(0) | bit_of(1) | DOUBT


def test_a_rule_whose_target_is_unknown_is_never_certain(make):
    (question,) = questions(make.rule("forbid"))
    assert generate_rule(question)(make.request(), {}) == APPLIES
    unsure = replace(question, sure=False)
    assert generate_rule(unsure)(make.request(), {}) == APPLIES | DOUBT


def test_the_same_rules_give_the_same_tree(make):
    rules = [
        make.rule(
            "forbid",
            make.for_names("kind", "a*", "b"),
            make.on_names("tag", "x"),
            make.when(make.op("in", "$args.x", list("abcdefghijk"))),
            make.when(make.op("matches", "$args.y", "[a-z]+")),
        )
    ] * 3
    first, second = plan_of(*rules), plan_of(*rules)
    assert ast.dump(first.tree, include_attributes=True) == ast.dump(
        second.tree, include_attributes=True
    )
    first, second = (write_rule(question) for question in questions(*rules[:2]))
    assert ast.dump(first.tree, include_attributes=True) == ast.dump(
        second.tree, include_attributes=True
    )


def test_a_shape_is_what_rules_have_in_common_but_for_constants(make):
    def shape(effect, path, value):
        (question,) = questions(make.rule(effect, make.when(make.op("<", path, value))))
        return shape_of(question)

    first = shape("permit", "$args.n", 1)
    assert first.key == shape("permit", "$args.n", 2.5).key
    assert (first.constants, shape("permit", "$args.n", 2.5).constants) == ((1,), (2.5,))
    others = [
        shape("forbid", "$args.n", 1),
        shape("require", "$args.n", 1),
        shape("permit", "$args.m", 1),
        shape("permit", "$args.n", "a"),
    ]
    assert len({first.key, *(each.key for each in others)}) == 5


def test_what_constants_become_is_made_once(make):
    hours = make.when(make.op("in window", "$env.now", "mon", 0, 60, "Europe/Berlin"))
    like = make.when(make.op("like", "$args.x", "a*"))
    given = questions(make.rule("forbid", hours, like), make.rule("permit", hours, like))
    forbid, permit = (shape_of(question).constants for question in given)
    assert len(permit) == 2
    assert all(one is other for one, other in zip(forbid, permit, strict=True))


def test_constants_that_are_equal_and_not_the_same_stay_apart(make):
    values = [0, 0.0, False, 1, 1.0, True, None, "0"]
    for value in values:
        rules = [
            make.rule("permit", make.when(make.op("==", make.default("args.x", other), value)))
            for other in values
        ]
        lists = [
            make.rule("permit", make.when(make.op("contains", make.listed(other), value)))
            for other in values
        ]
        for found in (rules, lists):
            alone = [ask(make.request(), {}) for ask in asks(*found)]
            applied = make.plan_function(questions(*found))(make.request(), {})
            assert applied == sum(bit_of(n) for n, applies in enumerate(alone) if applies)


@pytest.mark.parametrize(
    ("effect", "clauses", "always"),
    [
        ("permit", [], True),
        ("forbid", [], True),
        ("permit", [("on_any",), ("on_names", "tool", "x"), ("on_names", "server", "y")], True),
        ("require", [("on_token",)], True),
        ("permit", [("for_tier", ">=", "read_only")], False),
        ("forbid", [("on_any",), ("on_token",)], False),
    ],
)
def test_a_rule_that_only_the_index_tests_always_applies(make, effect, clauses, always):
    rule = make.rule(effect, *(getattr(make, word)(*rest) for word, *rest in clauses))
    (ask,) = asks(rule, tiers=make.TIERS)
    assert ask(make.request(agent={}), {}) == (APPLIES if always else 0)


def test_a_rule_about_issuance_and_calls_never_applies(make):
    for effect in ("permit", "forbid"):
        rule = make.rule(effect, make.on_any(), make.on_token())
        (ask,) = asks(rule, tiers=make.TIERS)
        assert ask(make.request(), {}) == 0


def test_a_permit_that_expires_asks_the_clock(make):
    (question,) = questions(make.rule("permit"))
    ask = generate_rule(replace(question, until_ms=1_000))
    for now, applied in ((999, APPLIES), (1_000, 0), ("999", 0), (None, 0), (True, 0)):
        assert ask(make.request(env={"now": now}), {}) == applied
    assert ask(make.request(env={}), {}) == 0


def test_a_function_is_compiled_when_it_is_first_called(make, monkeypatch):
    (ask,) = asks(make.rule("permit", make.when("$args.x")))
    compiled = []
    original = generate.compiled
    monkeypatch.setattr(
        generate, "compiled", lambda *given: compiled.append(given) or original(*given)
    )
    assert compiled == []
    for _ in range(3):
        assert ask(make.request(args={"x": True}), {}) == APPLIES
    assert len(compiled) == 1


@pytest.mark.parametrize("value", [[], {}, ["developer"], {"a": 1}, 1, True, None])
def test_values_of_any_kind_may_stand_where_names_are_looked_up(make, value):
    """A list cannot be looked up in a set: that must be unknown and not a fault."""
    many = [f"t{n}" for n in range(20)]
    clauses = [make.when(make.op("in", "$args.x", [*many])), make.on_names("scope", *many)]
    request = make.request(args={"x": value}, call={"scope": value})
    for clause in clauses:
        permit, forbid = asks(make.rule("permit", clause), make.rule("forbid", clause))
        assert (permit(request, {}), forbid(request, {})) == (0, APPLIES | DOUBT)
    tiers = tuple(many)
    rule = make.rule("permit", make.for_tier(">=", "t1"))
    (permit,) = asks(rule, tiers=tiers)
    assert permit(make.request(agent={"tier": value}), {}) == 0


# --- safety --------------------------------------------------------------------------------

HOSTILE = ["__class__", "'] or True or x['", "\n  import os", "request", "v1", "\x00", "é" * 9, ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_a_policy_become_keys_and_nothing_else(make, name):
    field = nodes.Field(span=make.NOWHERE, name=name)
    path = nodes.Path(span=make.NOWHERE, root="args", steps=(field, field))
    rules = [
        make.rule("permit", make.when(make.op("==", path, name))),
        make.rule(
            "permit", make.when(make.quantified("any", name, "$args.xs", make.path("args.f")))
        ),
        make.rule("permit", make.for_names("kind", name), name=name),
    ]
    tree = plan_of(*rules, some=(0, 2), tiers=(name,)).tree
    identifiers = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    allowed = {"request", "data", "given", "applied", "bit", *runtime.NAMES}
    assert {i for i in identifiers if not (i[0] in "vrgp" and i[1:].isdigit())} <= allowed
    assert attributes <= {"agent", "args", "get", "__class__"}
    ask = make.plan_function(questions(*rules, tiers=(name,)))
    assert ask(make.request(args={name: {name: name}}), {}) & bit_of(0)


def test_generated_modules_have_no_builtins(make):
    rule = make.rule("permit", make.when(make.op("matches", "$args.x", "a+")))
    rules = plan_function([Group(first=question, form="one") for question in questions(rule)])
    assert rules.__globals__["__builtins__"] == {}
    assert set(rules.__globals__) == {"__builtins__", *runtime.NAMES}, "nothing is left behind"


@pytest.mark.parametrize("value", [b"x", ("x",), 1j, ...])
def test_a_constant_that_is_no_scalar_is_refused(make, value):
    literal = nodes.Literal(span=make.NOWHERE, value=value, kind="string")
    rule = make.rule("permit", make.when(make.op("==", "$args.x", literal)))
    with pytest.raises(TypeError):
        asks(rule)


@pytest.mark.parametrize("identifier", ["os", "__import__", "v", "g1 ", "request.x", ""])
def test_no_name_but_ours_can_be_emitted(identifier):
    for build_it in (
        emit.name,
        lambda i: emit.walrus(i, emit.constant(1)),
        lambda i: emit.one_parameter(i, emit.constant(1)),
        lambda i: emit.function([], [i], []),
        lambda i: emit.each([i], emit.name("p1"), []),
        lambda i: emit.each(["g1", "g2"], emit.name(i), []),
        lambda i: emit.times(i, "bit"),
        lambda i: emit.multiply("bit", i),
        lambda i: emit.unpack([i, "g1"], "p1"),
        emit.double,
        emit.there,
        lambda i: emit.assign(i, emit.constant(1)),
        lambda i: emit.include(i, emit.constant(1)),
        lambda i: emit.attribute(emit.name("data"), i),
    ):
        with pytest.raises(ValueError, match="generated"):
            build_it(identifier)


@pytest.mark.parametrize(
    "condition",
    [
        ("matches", "$args.x", "(?=a)"),
        ("matches", "$args.x", "(?:a|b)*a(?:a|b){12}"),
        ("like", "$args.x", "*" * 300),
        ("in cidr", "$env.ip", "10.0.0.1/8"),
        ("in window", "$env.now", "mon", 0, 60, "Mars/Olympus"),
    ],
)
def test_constants_that_cannot_be_used_are_refused_with_their_place(make, condition):
    with pytest.raises(PolicyError) as caught:
        asks(make.rule("forbid", make.when(make.op(*condition))))
    assert caught.value.diagnostics[0].code == "unusable-constant"


def test_target_patterns_that_cannot_be_used_are_refused(make):
    for clause in (make.for_names("kind", "*x" * 200), make.on_names("scope", "*x" * 200)):
        with pytest.raises(PolicyError):
            asks(make.rule("permit", clause))


# --- depth and width -----------------------------------------------------------------------


def nested(make, depth):
    expression = make.op(">", "$args.n", 1)
    for level in range(depth):
        other = make.op("==", "$args.t", "x")
        match level % 5:
            case 0:
                expression = make.and_(expression, other)
            case 1:
                expression = make.not_(expression)
            case 2:
                expression = make.op("==", make.or_(expression, other), True)
            case 3:
                expression = make.quantified("any", "v", "$args.xs", expression)
            case 4:
                expression = make.or_(other, expression)
    return expression


def test_deep_and_wide_rules_compile_and_keep_their_meaning(make):
    deep = nested(make, 2 * EXPRESSION_DEPTH_MAX)
    wide = make.or_(*(make.op("==", "$args.t", f"t{n}") for n in range(RULE_NODES_MAX)))
    for args in ({"n": 5, "t": "x", "xs": [1]}, {"n": 0, "t": "t7", "xs": [1]}, {}):
        request = make.request(args=args)
        for expression in (deep, wide):
            permit, forbid = asks(
                *(make.rule(effect, make.when(expression)) for effect in ("permit", "forbid"))
            )
            found = truth(expression, request, {})
            assert bool(permit(request, {})) is (found is Truth.TRUE)
            assert bool(forbid(request, {})) is (found is not Truth.FALSE)


def test_code_grows_with_the_rule_and_not_with_its_depth_to_a_power(make):
    def size(depth):
        rule = make.rule("forbid", make.when(nested(make, depth)))
        return len(list(ast.walk(plan_of(rule).tree)))

    assert size(60) < 2.5 * size(30)


# --- positions -----------------------------------------------------------------------------


POLICY = 'permit x\n  when "ä" == args.ö and args.boom\n'


def rule_of(text, name, what="args.boom"):
    """A rule with one path, placed where the text has it."""
    source = Source(name, text)
    start, line_start = text.index(what), text.index("\n") + 1
    span = Span(source.name, start, start + len(what), 2, start - line_start + 1)
    boom = nodes.Path(span=span, root="args", steps=(nodes.Field(span=span, name="boom"),))
    whole = Span(source.name, 0, len(text), 1, 1)
    return nodes.Rule(
        span=whole,
        effect="permit",
        name="x",
        name_span=whole,
        conditions=(nodes.Condition(span=span, negated=False, expression=boom),),
    )


@pytest.fixture
def shown():
    """The traceback of a defect of ours: no request at all. Its last frame, and the text."""

    def frame(ask, text):
        linecache.cache["p.pbac"] = (len(text), None, text.splitlines(keepends=True), "p.pbac")
        with pytest.raises(AttributeError) as caught:
            ask(None, {})
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        return last, "".join(traceback.format_exception(caught.value))

    yield frame
    linecache.cache.pop("p.pbac", None)


def test_a_fault_points_into_the_policy_file(shown):
    """Columns are characters in a span and UTF-8 bytes in Python; the caret must be right."""
    (question,) = questions(rule_of(POLICY, "p.pbac"), texts={"p.pbac": POLICY})
    frame, text = shown(generate_rule(question), POLICY)
    assert (frame.filename, frame.lineno) == ("p.pbac", 2)
    line = POLICY.splitlines()[1].encode()
    assert line[frame.colno : frame.end_colno].decode() == "args.boom"
    assert 'when "ä" == args.ö and args.boom' in text


def test_code_that_plans_share_has_no_place_in_any_of_their_files(make, shown):
    given = questions(rule_of(POLICY, "p.pbac"), texts={"p.pbac": POLICY})
    frame, _ = shown(make.plan_function(given), POLICY)
    assert (frame.filename, frame.lineno) == ("<plan>", 1)


# --- many rules of a shape -----------------------------------------------------------------------


def screened(make, effect, *conditions):
    """The code for many rules with one of these conditions."""
    (first, *_) = questions(*(make.rule(effect, make.when(each)) for each in conditions))
    return code_of(write_plan([Group(first=first, form="many")]))


def test_many_rules_of_a_shape_are_asked_as_a_set(make):
    assert (
        screened(make, "forbid", make.op("<", "$args.n", 5))
        == """
def rules(request, data, given):
    applied = 0
    bit = 2
    p0, = given
    if p0 is not ...:
        r1 = request.args
        r2 = r1.get('n')
        r3 = kind(r2)
        r4 = r3 is integer or r3 is decimal
        t0, every, width = p0
        found = t0(r2, 0) if r4 else every
        if found:
            applied |= found * bit
            if found & (every ^ (t0(r2, 0) if r4 else 0)):
                applied |= 1
        bit *= width
    return applied
""".strip()
    )


def test_a_set_that_is_not_exact_is_asked_rule_by_rule(make):
    both = make.and_(make.op("==", "$args.k", "k"), make.op("matches", "$args.x", "a+"))
    assert (
        screened(make, "permit", both)
        == """
def rules(request, data, given):
    applied = 0
    bit = 2
    p0, = given
    if p0 is not ...:
        r1 = request.args
        r2 = r1.get('k')
        r3 = r1.get('x', MISSING)
        t0, rules, every, width = p0
        found = (t0(r2, 0) if kind(r2) in hashed else 0) & every
        if found:
            for one, g0, g1 in picked(found, rules):
                if r2 == g0 and g1(r3) is True:
                    applied |= one * bit
        bit *= width
    return applied
""".strip()
    )


def test_what_cannot_be_looked_up_finds_nothing():
    for value in ([], {}, None, True, [1]):
        assert runtime.filed({1: 1}.get, value, 0) == 0
    assert runtime.filed({1: 1}.get, 1.0, 0) == 1


@pytest.mark.parametrize("bits", [0, 1, 4, 0b10110, 0b11111])
def test_the_rules_of_a_set_are_picked(bits):
    rules = tuple(range(5))
    assert list(runtime.picked(bits, rules)) == [n for n in rules if bits >> n & 1]
