"""What names mean: packages of several files, tiers, definitions and their expansion."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pbac.base.limits import SERVERS_NAMED_MAX, TEST_STEPS_MAX, TIERS_MAX
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.compile import compile_program
from pbac.lang.evaluate.paths import children
from pbac.lang.resolve.measure import measure
from pbac.lang.resolve.resolve import resolve
from pbac.lang.syntax.parse import parse


def files(*texts):
    return [parse(Source(f"{number}.pbac", text)) for number, text in enumerate(texts)]


def codes(*texts):
    return [d.code for d in resolve(files(*texts)).diagnostics]


def written(node):
    """An expression as text, enough to compare."""
    match node:
        case nodes.Path():
            keys = [written(s.key) for s in node.steps if isinstance(s, nodes.Index)]
            return node.text() + "".join(keys)
        case nodes.Literal():
            return repr(node.value)
        case nodes.Quantified():
            body = written(node.body)
            return f"{node.quantifier} {node.variable} in {written(node.collection)}: {body}"
    name = getattr(node, "name", type(node).__name__.lower())
    return f"{name}({', '.join(map(written, children(node)))})"


def expanded(definitions, condition):
    text = f"package p {definitions} forbid x when {condition}"
    resolved = resolve(files(text))
    assert resolved.diagnostics == ()
    return written(resolved.packages[0].rules[0].conditions[0].expression)


# --- packages --------------------------------------------------------------------------------


def test_files_of_one_package_are_one_package_whatever_their_order():
    texts = ["package b permit x on any", "package a permit y on any", "package b permit z on any"]
    parsed = files(*texts)
    outcomes = {resolve(list(order)) for order in itertools.permutations(parsed)}
    (resolved,) = outcomes
    assert [p.name for p in resolved.packages] == ["a", "b"]
    assert [rule.name for rule in resolved.packages[1].rules] == ["x", "z"]


def test_names_are_unique_per_package_and_not_across():
    assert codes("package a permit x on any", "package a forbid x") == ["duplicate-name"]
    assert codes("package a permit x on any", "package b forbid x") == []
    shared = ("package a define d = args.x", "package a forbid x when d")
    assert codes(*shared) == []
    assert codes("package a define d = args.x", "package b forbid x when d") == ["unknown-name"]


def test_files_of_a_package_cannot_differ_in_their_header():
    assert codes("package a on server x", "package a") == ["unlike-confinement"]
    assert codes("package a on server x, y", "package a on server y, x") == []
    assert codes("sealed package a", "package a") == ["unlike-seal"]


def test_tiers_are_declared_once():
    assert resolve(files("package a tiers lo < hi", "package b")).tiers == ("lo", "hi")
    assert codes("package a tiers lo", "package b tiers lo") == ["duplicate-tiers"]


def test_with_a_sealed_package_only_it_declares_tiers():
    assert codes("sealed package a tiers lo", "package b") == []
    assert codes("sealed package a", "package b tiers lo") == ["tiers-not-sealed"]
    both = files("sealed package a tiers lo", "package b tiers hi")
    assert resolve(both).tiers == ("lo",)


# --- expansion -------------------------------------------------------------------------------


def test_definitions_are_put_in_place_of_their_names():
    assert expanded("define a = args.x == 1 define b = a and args.y", "b or a") == (
        "or(and(==(args.x, 1), args.y), ==(args.x, 1))"
    )


def test_a_definition_may_stand_below_its_use():
    assert expanded("define b = a define a = args.x", "b") == "args.x"


def test_parameters_are_replaced_wherever_a_path_may_stand():
    definition = "define f(p, q) = has p and p.x[q] default q == q"
    assert expanded(definition, 'f(args.a, "k")') == (
        "and(has(args.a), ==(default(args.a.x[…]'k', 'k'), 'k'))"
    )


def test_no_definition_or_application_is_left():
    text = """package p
    define a(x) = any y in x: y == 1
    define b = a(args.list) and not a(data.list)
    forbid x when b or all z in args.all: a(z)"""
    (package,) = resolve(files(text)).packages
    left = list(walk(package.rules[0].conditions[0].expression))
    assert not [node for node in left if isinstance(node, nodes.Apply)]
    roots = {node.root for node in left if isinstance(node, nodes.Path)}
    assert roots == {"args", "data", "y", "z"}


def walk(node):
    yield node
    for child in children(node):
        yield from walk(child)


def test_a_quantifier_captures_no_argument():
    definition = "define has_it(x) = any a in data.list: a == x"
    assert expanded(definition, "all a in args.list: has_it(a)") == (
        "all a in args.list: any a_2 in data.list: ==(a_2, a)"
    )


def test_a_quantifier_captures_no_parameter_of_an_outer_definition():
    definitions = """
    define inner(y) = any x in data.list: x == y
    define outer(x) = inner(x) and x == 2"""
    assert expanded(definitions, "outer(args.v)") == (
        "and(any x_2 in data.list: ==(x_2, args.v), ==(args.v, 2))"
    )


def test_nested_renaming_keeps_each_variable_apart():
    definitions = """
    define d2(x) = any a in data.m: a == x
    define d1 = any a in data.l: d2(a)"""
    assert expanded(definitions, "all a in args.z: (d1 and a)") == (
        "all a in args.z: and(any a_2 in data.l: any a_2_2 in data.m: ==(a_2_2, a_2), a)"
    )


# --- bounds ------------------------------------------------------------------------------------


def doubling(levels):
    steps = "".join(f"define d{n} = d{n - 1} and d{n - 1}\n" for n in range(1, levels))
    return f"package p define d0 = args.x == 1\n{steps}forbid x when d{levels - 1}"


def test_a_chain_that_doubles_is_measured_before_it_is_expanded():
    started = time.perf_counter()
    assert codes(doubling(400)) == ["expansion-too-large"]
    assert time.perf_counter() - started < 5
    assert codes(doubling(8)) == []


def test_a_chain_that_deepens_is_refused():
    steps = "".join(f"define d{n} = not d{n - 1}\n" for n in range(1, 100))
    text = f"package p define d0 = args.x\n{steps}forbid x when d99"
    assert codes(text) == ["expression-too-deep"]


def test_a_chain_longer_than_the_stack_is_fine():
    steps = "".join(f"define d{n} = d{n - 1}\n" for n in range(4_000, 0, -1))
    assert codes(f"package p {steps} define d0 = args.x forbid x when d4000") == []


def test_circles_are_told_once_from_their_first_name():
    text = "package p define a = b define b = c define c = b and a forbid x when a"
    found = resolve(files(text)).diagnostics
    assert [d.message for d in found] == ["`a` uses itself: `a` → `b` → `c` → `a`"]


def test_what_uses_a_broken_definition_is_not_complained_about_again():
    text = "package p define a = nothing define b = a forbid x when b and args.y"
    resolved = resolve(files(text))
    assert [d.code for d in resolved.diagnostics] == ["unknown-name"]
    assert resolved.packages[0].rules[0].conditions == ()


EXPRESSIONS = st.recursive(
    st.sampled_from(["args.x", "p", "q", "one", "1", "p.y"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} and {pair[1]})"),
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, inner).map(lambda pair: f"two({pair[0]}, {pair[1]})"),
        inner.map(lambda text: f"(any v in data.l: {text})"),
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.sampled_from(["args.a", "data.b[args.c]"]))
def test_the_measure_is_exactly_the_size_after_expansion(text, argument):
    text = f"""package p
    define one = args.z == 1 or args.y
    define two(r, s) = r and one and (not s or r)
    define it(p, q) = {text}
    forbid x when it({argument}, args.k)"""
    resolved = resolve(files(text))
    assert {d.code for d in resolved.diagnostics} <= {"shadowed-name"}
    assume(not resolved.diagnostics)
    expression = resolved.packages[0].rules[0].conditions[0].expression
    definitions = {}
    (package,) = files(text)
    for definition in package.definitions:
        parameters = definition.parameters
        size = measure(definition.expression, definitions, frozenset(parameters))
        definitions[definition.name] = parameters, size
    before = measure(package.rules[0].conditions[0].expression, definitions)
    after = measure(expression, {})
    assert (before.size, before.depth) == (after.size, after.depth)


# --- how many ------------------------------------------------------------------------------------

STEPS = "\n".join(["call t => deny"] * (TEST_STEPS_MAX + 1))
TEXT = "{args.x}" * 2_000


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            f"package p tiers {' < '.join(f't{n}' for n in range(TIERS_MAX + 1))}",
            "too-many",
            "64 tiers",
        ),
        (
            f"package p on server {', '.join(f's{n}' for n in range(SERVERS_NAMED_MAX + 1))}",
            "too-many",
            "256 servers",
        ),
        (f'package p test "t" {STEPS}', "too-many", "1,000 steps"),
        (f'package p forbid x on any because "{TEXT}"', "text-too-long", "8192 characters"),
        (f'package p forbid x on any internal "{TEXT}"', "text-too-long", "8192 characters"),
    ],
    ids=["tiers", "servers", "steps", "because", "internal"],
)
def test_whatever_can_be_listed_has_a_bound(text, code, message):
    (found,) = compile_program([Source("p.pbac", text)], {}).diagnostics
    assert found.code == code
    assert message in found.message
    assert found.help
