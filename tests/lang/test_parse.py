"""Text to nodes: every form of the language, its runtime values, its places."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from pbac.base.diagnostics import PolicyError
from pbac.base.limits import POLICY_FILE_BYTES_MAX
from pbac.base.source import Source
from pbac.lang import nodes
from pbac.lang.syntax.parse import parse

EXAMPLES = sorted((Path(__file__).parent / "front" / "examples").glob("*.pbac"))


def read(text):
    return parse(Source("p.pbac", text))


def rule(text):
    (found,) = read("package p " + text).rules
    return found


def condition(text):
    return rule("forbid x when " + text).conditions[0].expression


def codes(text):
    with pytest.raises(PolicyError) as refused:
        read(text)
    return [d.code for d in refused.value.diagnostics]


# --- whole files -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_examples_parse_and_every_node_says_where_it_stands(path):
    text = path.read_text("utf-8")
    package = parse(Source(path.name, text))
    assert package.rules
    for node in every_node(package):
        assert node.span.source == path.name
        assert 0 <= node.span.start < node.span.end <= len(text)
        before = text[: node.span.start]
        assert node.span.line == before.count("\n") + 1
        assert node.span.column == len(before) - before.rfind("\n")


def every_node(value):
    if isinstance(value, nodes.Node):
        yield value
        for field in structs.fields(type(value)):
            yield from every_node(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from every_node(item)


def test_a_header_has_its_seal_servers_and_docstring():
    package = read('sealed package p on server "git hub", gitlab "What it is."')
    assert (package.name, package.sealed, package.docstring) == ("p", True, "What it is.")
    assert [server.text for server in package.servers] == ["git hub", "gitlab"]


def test_tiers_keep_their_order():
    assert [t.text for t in read("package p tiers a < b < c").tiers.names] == ["a", "b", "c"]


def test_a_rule_has_all_its_clauses():
    found = rule(
        """require x "Doc." @owner "team" @severity high @shadow
        for tier >= hi for tier a, b for kind k, "l m" except n for group g
        on tool get_*, "a b" except get_secret on scope a:b on server s on any
        when args.a unless args.b
        because "B" internal "I"
        then expire in 15m then single use"""
    )
    assert (found.effect, found.name, found.docstring) == ("require", "x", "Doc.")
    assert [(a.name, a.value and a.value.value) for a in found.annotations] == [
        ("owner", "team"),
        ("severity", "high"),
        ("shadow", None),
    ]
    assert [(w.operator, [t.text for t in w.tiers]) for w in found.who[:2]] == [
        (">=", ["hi"]),
        ("in", ["a", "b"]),
    ]
    assert [(w.what, texts(w.names), texts(w.without)) for w in found.who[2:]] == [
        ("kind", ["k", "l m"], ["n"]),
        ("group", ["g"], []),
    ]
    assert [(w.what, texts(w.names), texts(w.without)) for w in found.what[:3]] == [
        ("tool", ["get_*", "a b"], ["get_secret"]),
        ("scope", ["a:b"], []),
        ("server", ["s"], []),
    ]
    assert isinstance(found.what[3], nodes.OnAny)
    assert [(c.negated, c.expression.text()) for c in found.conditions] == [
        (False, "args.a"),
        (True, "args.b"),
    ]
    assert (found.because.parts, found.internal.parts) == (("B",), ("I",))
    assert [duty.kind for duty in found.duties] == ["expire", "single"]


def texts(patterns):
    return [pattern.text for pattern in patterns]


def test_the_name_of_a_rule_is_underlined():
    text = "package p\npermit abc on any"
    span = read(text).rules[0].name_span
    assert (text[span.start : span.end], span.line, span.column) == ("abc", 2, 8)


# --- literals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("1_000", 1000, "number"),
        ("-3", -3, "number"),
        ("0.25", 0.25, "number"),
        ("9007199254740991", 2**53 - 1, "number"),
        ("15m", 900_000, "duration"),
        ("2w", 1_209_600_000, "duration"),
        ("2026-07-06", "2026-07-06", "date"),
        ("1970-01-01T00:00:01Z", 1000, "datetime"),
        ("1970-01-01T02:00:00.250+02:00", 250, "datetime"),
        ("1969-12-31T23:59:59Z", -1000, "datetime"),
        ('v"2.10"', "2.10", "version"),
        ("true", True, "boolean"),
        ("null", None, "null"),
        (r'"\"\\\n\r\t\u{1F600}"', '"\\\n\r\t😀', "string"),
        (r'r"\d+{}"', r"\d+{}", "string"),
        ('""', "", "string"),
    ],
)
def test_a_literal_has_its_runtime_form(text, value, kind):
    literal = condition(f"args.a == {text}").operands[1]
    assert (literal.value, type(literal.value), literal.kind) == (value, type(value), kind)


@pytest.mark.parametrize(
    ("block", "value"),
    [
        ('"""one"""', "one"),
        ('"""\n    one\n      two\n    """', "one\n  two"),
        ('"""one\n    two"""', "one\ntwo"),
        ('"""\n  one\n\n  two \\""""', 'one\n\ntwo "'),
        ('""" say "hi" """', ' say "hi" '),
        ('"""\n    """', ""),
    ],
)
def test_a_block_of_text_loses_its_indentation(block, value):
    assert condition(f"args.a == {block}").operands[1].value == value


# --- expressions -----------------------------------------------------------------------------


def shape(node):
    match node:
        case nodes.Literal():
            return node.value
        case nodes.Path():
            keys = [shape(s.key) for s in node.steps if isinstance(s, nodes.Index)]
            return (node.text(), *keys) if keys else node.text()
        case nodes.Operation():
            return (node.name, *map(shape, node.operands))
        case nodes.And() | nodes.Or() | nodes.ListExpression():
            return (type(node).__name__, *map(shape, node.items))
        case nodes.Not():
            return ("Not", shape(node.operand))
        case nodes.Default():
            return ("Default", shape(node.path), shape(node.fallback))
        case nodes.Has():
            return ("Has", shape(node.path))
        case nodes.IsKind():
            return ("IsKind", shape(node.operand), node.kind, node.negated)
        case nodes.Quantified():
            return (node.quantifier, node.variable, shape(node.collection), shape(node.body))
        case nodes.Apply():
            return ("Apply", node.name, *map(shape, node.arguments))
        case nodes.RecordExpression():
            return {name: shape(value) for name, value in node.pairs}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b or c and not d", ("Or", "a.b", ("And", "c", ("Not", "d")))),
        ("(a or b) and c", ("And", ("Or", "a", "b"), "c")),
        ("a < 1", ("<", "a", 1)),
        ("a >= 1", (">=", "a", 1)),
        ("a.b[c.d][0] != 1", ("!=", ("a.b[…][…]", "c.d", 0), 1)),
        ("a default b default 1 == 1", ("==", ("Default", "a", ("Default", "b", 1)), 1)),
        ("has a.b", ("Has", "a.b")),
        ("a is not null", ("IsKind", "a", "null", True)),
        ("a not in [1, 2,]", ("not in", "a", ("ListExpression", 1, 2))),
        ("a starts with b", ("starts with", "a", "b")),
        ("a subset of []", ("subset of", "a", ("ListExpression",))),
        ('a in cidr "::/0"', ("in cidr", "a", "::/0")),
        ('a not in cidr "::/0"', ("Not", ("in cidr", "a", "::/0"))),
        ('a matches r"\\d"', ("matches", "a", "\\d")),
        ("any x in a: not x", ("any", "x", "a", ("Not", "x"))),
        ("all x in a: x and b", ("And", ("all", "x", "a", "x"), "b")),
        ("count(a) > 1", (">", ("count", "a"), 1)),
        ("f(a, 1)", ("Apply", "f", "a", 1)),
        ('a == {b: 1, "c d": [2]}', ("==", "a", {"b": 1, "c d": ("ListExpression", 2)})),
        (
            'a in weekdays 09:00-17:30 "Europe/Berlin"',
            ("in window", "a", "mon,tue,wed,thu,fri", 540, 1050, "Europe/Berlin"),
        ),
        ('a in sun, fri 22:00-06:00 "UTC"', ("in window", "a", "fri,sun", 1320, 360, "UTC")),
        (
            'a in daily 00:00-24:00 "UTC"',
            ("in window", "a", "mon,tue,wed,thu,fri,sat,sun", 0, 1440, "UTC"),
        ),
    ],
)
def test_an_expression_has_its_shape(text, expected):
    assert shape(condition(text)) == expected


# --- texts, duties, tests ------------------------------------------------------------------


def test_a_text_holds_paths_between_braces():
    text = 'package p forbid x because "{{a}} {args.x[0].y}, \\u{7b}{ agent.id }{call.tool}"'
    found = read(text).rules[0].because
    parts = [part if isinstance(part, str) else (part.text(), part) for part in found.parts]
    assert [part if isinstance(part, str) else part[0] for part in parts] == [
        "{a} ",
        "args.x[…].y",
        ", {",
        "agent.id",
        "call.tool",
    ]
    for _, path in (part for part in parts if not isinstance(part, str)):
        assert text[path.span.start : path.span.end] in ("args.x[0].y", "agent.id", "call.tool")


@pytest.mark.parametrize(
    ("line", "kind", "parameters"),
    [
        (
            'approval 2 from group "g" or user "u" within 15m',
            "approval",
            {"count": 2, "from": [["group", "g"], ["user", "u"]], "within_ms": 900_000},
        ),
        (
            'approval from user "u" within 1h',
            "approval",
            {"count": 1, "from": [["user", "u"]], "within_ms": 3_600_000},
        ),
        (
            "limit 20 per 1m by agent, tool, args.owner",
            "limit",
            {"count": 20, "per_ms": 60_000, "by": ["agent", "tool", "args.owner"]},
        ),
        ("redact result.a.*.b, result.**", "redact", {"paths": ["result.a.*.b", "result.**"]}),
        ('redact matching r"a"', "redact", {"pattern": "a", "in": None}),
        ('redact matching "a" in result.b', "redact", {"pattern": "a", "in": "result.b"}),
        ("keep only result.a", "keep", {"paths": ["result.a"]}),
        ("truncate to 64KiB", "truncate", {"path": None, "bytes": 65536}),
        ("truncate result.a to 3 items", "truncate", {"path": "result.a", "items": 3}),
        ("cap args.a at 0.5", "cap", {"path": "args.a", "at": 0.5}),
        ("set args.a = {b: [c, 1m]}", "set", {"path": "args.a", "value": {"b": ["c", 60_000]}}),
        (
            'reauthenticate at "idp" within 5m',
            "reauthenticate",
            {"at": "idp", "within_ms": 300_000},
        ),
        ("expire in 15m", "expire", {"in_ms": 900_000}),
        ("single use", "single", {}),
        ('notify "ops"', "notify", {"channel": "ops"}),
        ("record full", "record", {"full": True}),
        ("record without args.a, args.b", "record", {"without": ["args.a", "args.b"]}),
    ],
)
def test_a_duty_has_plain_json_parameters(line, kind, parameters):
    (duty,) = rule(f"require x on any then {line}").duties
    assert (duty.kind, duty.parameters) == (kind, parameters)


def test_the_paths_of_a_duty_keep_their_places():
    (duty,) = rule("require x on any then limit 2 per 1m by agent, args.owner").duties
    assert [path.text() for path in duty.paths] == ["args.owner"]


def test_a_test_has_plain_values_in_runtime_form():
    (test,) = read(
        """package p test "t"
        agent { tier: developer, at: 1970-01-01T00:00:01Z, age: 1m, v: v"1.2", "a b": [true, null] }
        now 1970-01-01T00:00:02Z no user tool a.b { tags: [x] }
        call a.b { n: -1.5 } => permit by x, q.y with approval, limit
        call a.b => deny by z unknown args.a[0], user.id
        list "a b" => hidden issue repo:read => deny"""
    ).tests
    assert [(s.what, s.value, s.name) for s in test.steps[:4]] == [
        (
            "agent",
            {"tier": "developer", "at": 1000, "age": 60_000, "v": "1.2", "a b": [True, None]},
            "",
        ),
        ("now", 2000, ""),
        ("no user", None, ""),
        ("tool", {"tags": ["x"]}, "a.b"),
    ]
    steps = test.steps[4:]
    assert [(s.what, s.subject, s.arguments, s.outcome) for s in steps] == [
        ("call", "a.b", {"n": -1.5}, "permit"),
        ("call", "a.b", None, "deny"),
        ("list", "a b", None, "hidden"),
        ("issue", "repo:read", None, "deny"),
    ]
    assert [(s.by, s.duties, s.unknown) for s in steps[:2]] == [
        (("x", "q.y"), ("approval", "limit"), ()),
        (("z",), (), ("args.a[…]", "user.id")),
    ]


# --- bounds and garbage --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000 + "args.a" + ")" * 50_000,
        "not " * 50_000 + "args.a",
        "args.a default " * 50_000 + "1",
        "any a in args.b: " * 50_000 + "a",
        "args.a" + "[args.a" * 50_000,
        "[" * 50_000,
    ],
    ids=["parentheses", "not", "default", "any", "index", "lists"],
)
def test_deep_nesting_is_a_diagnostic_and_quick(text):
    started = time.perf_counter()
    assert set(codes("package p forbid x when " + text)) == {"expression-too-deep"}
    assert time.perf_counter() - started < 20


def test_depth_is_allowed_up_to_its_bound():
    assert condition("not " * 31 + "args.a")
    assert codes("package p forbid x when " + "not " * 32 + "args.a") == ["expression-too-deep"]


def test_a_path_is_no_longer_than_values_are_deep():
    assert len(condition("args" + ".a" * 64 + " == 1").operands[0].steps) == 64
    assert codes("package p forbid x when args" + ".a" * 65 + " == 1") == ["expression-too-deep"]


def test_a_deep_constant_is_a_diagnostic():
    given_ = 'package p test "t" args { a: ' + "[" * 40 + "]" * 40 + " } call a => deny"
    assert codes(given_) == ["expression-too-deep"]


def test_a_rule_of_too_many_parts_is_refused():
    items = ", ".join(map(str, range(500)))
    assert codes(f"package p forbid x when args.a in [{items}]") == ["rule-too-large"]


def test_a_file_that_is_too_large_is_refused():
    assert codes("# é" + "x" * POLICY_FILE_BYTES_MAX) == ["file-too-large"]


@pytest.mark.parametrize(
    "text",
    [
        "permit " + "x" * 300 + " on any",
        "forbid x when token.age > " + "9" * 5000 + "s",
        "forbid x when args.a == " + "9" * 5000,
    ],
)
def test_an_endless_word_is_refused(text):
    assert codes("package p " + text) == ["word-too-long"]


def test_a_text_over_lines_says_the_same_whatever_its_lines_end_in():
    unix = 'package p\npermit x\n  """\n  one\n\n  two\n  """\n  on any\n'
    assert read(unix).rules[0].docstring == "one\n\ntwo"
    assert read(unix.replace("\n", "\r\n")).rules[0].docstring == "one\n\ntwo"
    mixed = unix.replace("package p\n", "package p\r\n").replace("one\n", "one\r\n")
    assert read(mixed).rules[0].docstring == "one\n\ntwo"


def test_an_endless_text_is_refused():
    assert codes(f'package p forbid x when args.a == "{"x" * 9000}"') == ["text-too-long"]


@pytest.mark.parametrize("character", "\x00\x07\x0b\x7f\x85\u200b\u202e\u2066\u2028\ufeff\ud800")
def test_what_cannot_be_seen_is_refused_wherever_it_stands(character):
    assert codes(f'package p permit x on any # "{character}"') == ["unseen-character"]


def test_a_lone_carriage_return_is_refused_and_a_windows_line_end_is_not():
    assert codes("package p # a\rpermit x on any") == ["unseen-character"]
    assert len(read("package p # a\r\npermit x on any\r\n").rules) == 1


WORDS = Path(__file__).with_name("front").joinpath("words.txt").read_text("utf-8").split()


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)))
def test_garbage_is_a_package_or_a_policy_error(text):
    for whole in (text, "package p permit x on any when " + text):
        try:
            assert isinstance(read(whole), nodes.Package)
        except PolicyError as error:
            for diagnostic in error.diagnostics:
                assert diagnostic.message == diagnostic.message.rstrip(".")
                assert diagnostic.span.start <= len(whole)
