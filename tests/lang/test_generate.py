"""What generated functions look like, where they point, and what cannot get into them."""

from __future__ import annotations

import ast
import linecache
import traceback

import pytest

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import EXPRESSION_DEPTH_MAX, RULE_NODES_MAX
from pbac.base.source import Source, Span
from pbac.lang import emit, nodes, runtime
from pbac.lang.generate import build, generate
from pbac.lang.interpret import truth
from pbac.lang.truth import Truth


def source_of(make, *rules):
    module = build(rules, tiers=make.TIERS, texts={})
    return ast.unparse(module.tree)


def test_a_rule_reads_like_what_it_means(make):
    permit = make.rule(
        "permit", make.for_tier(">=", "developer"), make.when(make.op("<=", "$args.amount", 500))
    )
    forbid = make.rule("forbid", make.when(make.op(">", make.default("args.amount", 0), 100)))
    assert source_of(make, permit, forbid) == (
        "def r0(request, data):\n"
        "    return request.agent.get('tier') in ('developer', 'trusted') and "
        "(((v1 := request.args.get('amount')).__class__ is integer or v1.__class__ is decimal) "
        "and v1 <= 500)\n\n"
        "def r1(request, data):\n"
        "    return not (((v1 := request.args.get('amount', 0)).__class__ is integer "
        "or v1.__class__ is decimal) and (not v1 > 100))"
    )


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
    first, second = (build(rules, tiers=make.TIERS, texts={}) for _ in range(2))
    assert ast.dump(first.tree, include_attributes=True) == ast.dump(
        second.tree, include_attributes=True
    )
    assert list(first.constants) == list(second.constants)


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
    (compiled,) = generate([rule], package="p", tiers=make.TIERS)
    assert compiled.always is always
    if always:
        assert compiled.applies(make.request(), {}) is True


def test_a_rule_about_issuance_and_calls_never_applies(make):
    for effect in ("permit", "forbid"):
        rule = make.rule(effect, make.on_any(), make.on_token())
        (compiled,) = generate([rule], package="p", tiers=make.TIERS)
        assert compiled.applies(make.request(), {}) is False


@pytest.mark.parametrize("value", [[], {}, ["developer"], {"a": 1}, 1, True, None])
def test_values_of_any_kind_may_stand_where_names_are_looked_up(make, value):
    """A list cannot be looked up in a set: that must be unknown and not a fault."""
    many = [f"t{n}" for n in range(20)]
    clauses = [make.when(make.op("in", "$args.x", [*many])), make.on_names("scope", *many)]
    request = make.request(args={"x": value}, call={"scope": value})
    for clause in clauses:
        permit, forbid = generate(
            [make.rule("permit", clause), make.rule("forbid", clause)], package="p", tiers=()
        )
        assert (permit.applies(request, {}), forbid.applies(request, {})) == (False, True)
    tiers = tuple(many)
    rule = make.rule("permit", make.for_tier(">=", "t1"))
    (permit,) = generate([rule], package="p", tiers=tiers)
    assert permit.applies(make.request(agent={"tier": value}), {}) is False


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
    module = build(rules, tiers=(name,), texts={})
    identifiers = {n.id for n in ast.walk(module.tree) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)}
    allowed = {"request", "data", *runtime.NAMES, *module.constants}
    assert {i for i in identifiers if not (i[0] == "v" and i[1:].isdigit())} <= allowed
    assert attributes <= {"agent", "args", "get", "__class__"}
    functions = generate(rules, package="p", tiers=(name,))
    assert functions[0].applies(make.request(args={name: {name: name}}), {}) is True


def test_generated_modules_have_no_builtins(make):
    (compiled,) = generate([make.rule("permit", make.when("$args.x"))], package="p", tiers=())
    assert compiled.applies.__globals__["__builtins__"] == {}


@pytest.mark.parametrize("value", [b"x", ("x",), 1j, ...])
def test_a_constant_that_is_no_scalar_is_refused(make, value):
    literal = nodes.Literal(span=make.NOWHERE, value=value, kind="string")
    rule = make.rule("permit", make.when(make.op("==", "$args.x", literal)))
    with pytest.raises(TypeError):
        generate([rule], package="p", tiers=())


@pytest.mark.parametrize("identifier", ["os", "__import__", "v", "g1 ", "request.x", ""])
def test_no_name_but_ours_can_be_emitted(identifier):
    for build_it in (
        emit.name,
        lambda i: emit.walrus(i, emit.constant(1)),
        lambda i: emit.one_parameter(i, emit.constant(1)),
        lambda i: emit.function(i, []),
        lambda i: emit.assign(i, emit.constant(1)),
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
        generate([make.rule("forbid", make.when(make.op(*condition)))], package="p", tiers=())
    assert caught.value.diagnostics[0].code == "unusable-constant"


def test_target_patterns_that_cannot_be_used_are_refused(make):
    for clause in (make.for_names("kind", "*x" * 200), make.on_names("scope", "*x" * 200)):
        with pytest.raises(PolicyError):
            generate([make.rule("permit", clause)], package="p", tiers=())


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
            permit, forbid = generate(
                [make.rule(e, make.when(expression)) for e in ("permit", "forbid")],
                package="p",
                tiers=(),
            )
            found = truth(expression, request, {})
            assert permit.applies(request, {}) is (found is Truth.TRUE)
            assert forbid.applies(request, {}) is (found is not Truth.FALSE)


def test_code_grows_with_the_rule_and_not_with_its_depth_to_a_power(make):
    def size(depth):
        rule = make.rule("forbid", make.when(nested(make, depth)))
        return len(list(ast.walk(build([rule], tiers=(), texts={}).tree)))

    assert size(60) < 2.5 * size(30)


# --- positions -----------------------------------------------------------------------------


def test_a_fault_points_into_the_policy_file(make):
    """Columns are characters in a span and UTF-8 bytes in Python; the caret must be right."""
    text = 'permit x\n  when "ä" == args.ö and args.boom\n'
    source = Source("p.pbac", text)
    start = text.index("args.boom")
    line_start = text.index("\n") + 1
    span = Span(source.name, start, start + len("args.boom"), 2, start - line_start + 1)
    boom = nodes.Path(span=span, root="args", steps=(nodes.Field(span=span, name="boom"),))
    whole = Span(source.name, 0, len(text), 1, 1)
    rule = nodes.Rule(
        span=whole,
        effect="permit",
        name="x",
        name_span=whole,
        conditions=(nodes.Condition(span=span, negated=False, expression=boom),),
    )
    (compiled,) = generate([rule], package="p", tiers=(), texts={source.name: text})
    linecache.cache[source.name] = (len(text), None, text.splitlines(keepends=True), source.name)
    try:
        compiled.applies(None, {})  # a defect of ours: no request at all
    except AttributeError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        shown = "".join(traceback.format_exception(error))
    assert (frame.filename, frame.lineno) == ("p.pbac", 2)
    line = text.splitlines()[1].encode()
    assert line[frame.colno : frame.end_colno].decode() == "args.boom"
    assert 'when "ä" == args.ö and args.boom' in shown
