"""Arguments come from a language model: no value of the wrong kind opens or silences a rule.

Every variant of `hostile.ruled` is sent through the served gateways, shared out over the protocol
versions, and random ones meet the decision point alone, where generated functions, interpreter and
the row's own Python have to agree. What must not be published is offered to the compiler and to
the policy folder of a running gateway.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from functools import cache

from hostile import ruled
from hostile.stage import NEWEST, VERSIONS
from hostile.written import plain, shape, text, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lang.strategies import VALUES, expressions
from laws.chance import Chance
from laws.programs import condition as random_condition
from pdp.oracle import policies, request, scan, told
from rego.test_opa import live_differences, recorded_differences
from support.bad_input import META, eventually

from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.lang.syntax.parse import parse
from pbac.model.decision import Cause
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide
from pbac.pdp.telling import tell

FULL = os.environ.get("PBAC_FULL") == "1"
EXAMPLES = 20_000 if FULL else 100
PROGRAMS = 1_000_000 if FULL else 2_000
"""Programs made by chance alone: hypothesis takes milliseconds for one."""

PROPERTY = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
HEADER = "package p\ntiers read_only < developer < trusted\n"


# --- a table of rules, through the gateways and alone -------------------------------------------


def table(*rows):
    """Every row's arguments: those that fit pass, all others are denied."""

    def attack(stage, version):
        for row in rows:
            tool = f"shop__{row.tool}"
            for arguments in share(row.fits, version):
                stage.honest(tool, arguments, version=version)
            for arguments in share(row.refused, version):
                yield from stage.denied(tool, arguments, version=version)
        if version == NEWEST:
            agrees_with_python(rows)

    return attack


def share(variants, version):
    """This version's part of the variants: what decides knows nothing of versions."""
    return variants[VERSIONS.index(version) :: len(VERSIONS)]


def agrees_with_python(rows):
    for row in rows:
        assert all(decided(row, arguments) and row.permits(arguments) for arguments in row.fits)
        assert not any(decided(row, each) or row.permits(each) for each in row.refused)

    @PROPERTY
    @given(st.sampled_from(rows).flatmap(lambda row: st.tuples(st.just(row), twisted(row))))
    def check(drawn):
        row, arguments = drawn
        assert decided(row, arguments) is row.permits(arguments), (row.condition, arguments)

    check()


def decided(row, arguments):
    """Is it permitted? The decision has to be the interpreter's in everything it tells."""
    policy_set, asked = alone(row.text), request(row.tool, args=arguments)
    decision = decide(policy_set, asked)
    assert decision.cause is not Cause.ENGINE_FAULT, decision.internal
    assert told(decision) == scan(policy_set, asked)
    return decision.permitted


@cache
def alone(text):
    return policies(text)


def twisted(row):
    """What the row knows, wrapped, spelled out, left out, or replaced by anything."""
    known = [*row.fits, *row.refused]
    members = sorted({member for arguments in known for member in arguments})
    values = [value for arguments in known for value in arguments.values()]
    odd = st.sampled_from(values).flatmap(
        lambda value: st.sampled_from(
            [value, [value], [value, value], {members[0]: value}, [[value]], _spelled(value)]
        )
    )
    return st.dictionaries(st.sampled_from(members), odd | VALUES, max_size=len(members))


def _spelled(value):
    return value if isinstance(value, str) else json.dumps(value)


def forbids_are_not_silenced(stage, version):
    """The whole table, and the refusal and its record name what could not be evaluated."""
    yield from table(*ruled.ERRORS)(stage, version)
    refused = stage.call("shop__ruled_refund", {"amount": "abc"}, version=version)
    denial = refused.json["result"]["_meta"]["pbac/denial"]
    assert (denial["rules"], denial["unknown"]) == (["ruled.refund"], ["args.amount"])
    record = stage.plain.decision(refused)
    assert (record["rules"], record["unknown"]) == (["ruled.refund"], ["args.amount"])
    certain = stage.call("shop__ruled_refund", {"amount": 101}, version=version)
    assert "unknown" not in certain.json["result"]["_meta"]["pbac/denial"]


# --- numbers ------------------------------------------------------------------------------------

NO_NUMBERS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e400",
    b"9007199254740993",
    b"1e-400",
)
NO_NUMBERS += (b"0x10", b"01", b"+1", b".5", b"1.", b"1_000", b"9" * 65, b"0." + b"1" * 65)


def numbers_are_exact(stage, version):
    yield from table(*ruled.EXACT)(stage, version)
    if version != NEWEST:
        return
    params = {"name": "shop__ruled_positive", "arguments": {"n": "@"}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    for number in NO_NUMBERS:
        sent = json.dumps(body).encode().replace(b'"@"', number)
        answer = stage.plain.send(sent, replace={"Mcp-Name": "shop__ruled_positive"})
        assert answer.status == 400, (number, answer.body)
        assert answer.error in (-32700, -32602)
    numbers_compare_as_numbers()


_NUMBERS = st.integers(1 - 2**53, 2**53 - 1) | st.floats(
    allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15
)


def numbers_compare_as_numbers():
    """Integers beside decimals, near 2**53: compared as what they are, never as each other."""
    near = st.sampled_from([2**53 - 1, 2**53 - 2, 0.1, 0.2, 0.1 + 0.2, 0.3, -0.0, 1, 1.0])
    operators = {
        "<": lambda a, b: a < b,
        "==": lambda a, b: a == b,
        ">=": lambda a, b: a >= b,
        "!=": lambda a, b: a != b,
    }

    @PROPERTY
    @given(near | _NUMBERS, near | _NUMBERS, st.sampled_from(sorted(operators)))
    def check(left, right, name):
        policy_set = alone(f"permit x on any when args.a {name} args.b")
        decision = decide(policy_set, request(args={"a": left, "b": right}))
        exact = operators[name](left.as_integer_ratio(), right.as_integer_ratio())
        if name in ("<", ">="):
            (a, b), (c, d) = left.as_integer_ratio(), right.as_integer_ratio()
            exact = operators[name](a * d, c * b)
        assert decision.permitted is exact, (left, name, right)

    check()


# --- what costs too much ------------------------------------------------------------------------


def bombs(stage, version):
    """Long lists are not looked at, pairs of short ones are, and triples cannot be asked about."""
    tool = "shop__ruled_bomb"
    lists = ([0] * 257, [[0]] * 300, list(range(100_000)), "x" * 300, None)
    for items in share(lists, version):
        yield from stage.denied(tool, {"list": items}, version=version)
    yield from stage.denied(tool, {"list": [-1, 7]}, version=version)
    stage.honest(tool, {"list": list(range(8))}, version=version)
    if version != NEWEST:
        return
    for depth in (3, 5):
        lists = " ".join(f"any v{level} in args.list:" for level in range(depth))
        for effect in ("permit", "forbid"):
            assert "expression-too-deep" in refuses(f"{effect} x on any when {lists} v0 == -1")
    asked = request("ruled_bomb", args={"list": [-2] * 256})
    policy_set = alone(ruled.BOMB)
    assert decide(policy_set, asked).permitted, "as many pairs as there can be, fifty times"


# --- what must not be published -----------------------------------------------------------------


def refuses(rules):
    """The codes with which a set of these rules is refused; none when it may be published."""
    publication = prepare([Source("p.pbac", HEADER + rules)])
    return set() if publication.policy_set else {each.code for each in publication.diagnostics}


def never_published(*rules):
    """Each is refused by the compiler, and the first by a running gateway, which serves on."""

    def attack(stage):
        for rule in rules:
            found = refuses(rule)
            assert found, f"published: {rule}"
            assert not found & {"compiler-fault", "test-failed"}, (rule, found)
        refused_by_a_gateway(stage, rules[0])

    return attack


def refused_by_a_gateway(stage, rule):
    gateway = stage.plain.gateway
    before, refusals = gateway.version(), len(_refused(gateway))
    attack = gateway.directory / "policies/attack.pbac"
    attack.write_text(f"package attack\n{rule}")
    try:
        eventually(lambda: len(_refused(gateway)) > refusals, "the change was not looked at")
        problems = _refused(gateway)[-1]["problems"]
        assert problems
        assert all("attack.pbac" in problem for problem in problems), problems
        assert gateway.version() == before
        stage.honest("echo")
    finally:
        attack.unlink()


def _refused(gateway):
    return [record for record in gateway.records("policy") if record["event"] == "refused"]


HUGE = (
    "permit x on any when env.now + hours(9223372036854775807) > env.now",
    "permit x on any when token.age > 9223372036854775807h",
    "permit x on any when token.age > 99999999999999999999999999d",
    "permit x on any when token.age > days(-1)",
    "permit x on any when token.age > -1d",
    "permit x on any when token.age > 1e308h",
    "permit x on any when token.age > hours(1e308)",
    "permit x on any when token.age + 1h > 2h",
    "permit x on any when env.now - 1h > env.now",
    "permit x on any when env.now > 99999-01-01T00:00:00Z",
    "permit x on any when env.now > 2026-13-01T00:00:00Z",
    "permit x on any when env.today == 2026-02-30",
    'permit x on any when env.now in weekdays 25:00-26:00 "UTC"',
    'permit x on any when env.now in daily 09:00-09:00 "UTC"',
    "permit x @expires 9999-99-99 on any",
    "require x on any then limit 1 per 9223372036854775807h by agent",
    "require x on any then limit 9223372036854775807 per 1h by agent",
    "require x on token then expire in 9223372036854775807w",
    "permit x on any when args.n == 9007199254740993",
    "permit x on any when args.n == 0.1000000000000000055",
)


def time_does_not_overflow(stage):
    """No arithmetic, bounded literals; and no moment of a request makes an evaluation fail."""
    never_published(*HUGE)(stage)
    policy_set = policies(
        'permit day on any when env.now in weekdays 22:00-06:00 "America/New_York"',
        "package q permit late on any when env.now >= 9999-12-31T23:59:59Z or token.age > 300w",
    )
    edges = st.sampled_from([0, -1, 2**53 - 1, -(2**53), 2**63, 253_402_300_799_999, 1e308, 0.5])

    @PROPERTY
    @given(edges | st.integers() | VALUES, edges | VALUES)
    def check(now, age):
        asked = request(env={"now": now}, token={"age": age})
        decision = decide(policy_set, asked)
        assert decision.cause is not Cause.ENGINE_FAULT, decision.internal
        assert told(decision) == scan(policy_set, asked)

    check()


BEYOND_RE2 = (
    r"(a)\1",
    r"\k<n>",
    "(?=a)b",
    "(?!a)b",
    "(?<=a)b",
    "(?<!a)b",
    "(?#x)a",
    "(?:a{1000}){1000}",
    "a{1001}",
    r"\p{Han}",
    r"\P{L}",
    "(?P<n>a)",
    "(?<n>a)",
    "(?P=n)",
    "a*?",
    "a+?",
    "a{1,2}?",
    "a++",
    "(?>a)",
    "^safe$",
    "safe$",
    r"\Asafe\z",
    r"safe\Z",
    r"\bsafe",
    r"\Qa\E",
    "[[:alpha:]]",
    r"\C",
    "(?s).",
    "(?m)a",
    "(?i:a)",
    "a(?i)b",
    "(?x) a",
    "(?(1)a|b)",
    "(?R)",
    r"\u0041",
    r"\x{110000}",
    "[z-a]",
    "[a",
    "(a",
    "a)",
    "*a",
    "a**",
    "{,5}",
    "[]",
    "[^]",
    r"\8",
    "a{2,1}",
    "[a-\\d]",
    "(a|b)*a(a|b){12}",
    "(?:(?:){999}){999}",
    "(" * 40 + ")" * 40,
    "a" * 300,
    "[a&&b",
)


def patterns(form):
    return [form.format(pattern) for pattern in BEYOND_RE2]


_MATCHES = patterns('forbid x on any when args.a matches r"{}"')
_REDACTS = patterns('require x on any then redact matching r"{}"')

FIELDS = (
    'x" or true or "',
    '" or true or "',
    'x" or true',
    'x" or not "',
    'x")\npermit all on any when ("" == "',
    'x"\npermit all\n  on any\n  when "a',
    'x" permit all on any because "',
    'x" } permit all on any when { a: "',
    "x\\",
    "x\n",
    'x""" or true or """',
    'x" or',
    'x" because "{token.scopes}',
    'x" default true or "',
)
"""What somebody types into a field of a form."""


def fields_do_not_become_rules(stage):
    """Pasted between quotes they are refused; written as a text each is that text and no more."""
    form = 'permit x\n  on any\n  when args.owner == "{}"'
    never_published(*(form.format(field) for field in FIELDS))(stage)
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    # Control characters and direction marks may be refused in a policy; nothing else may be.
    odd = st.lists(st.sampled_from([*FIELDS, "{", "}}", "#", "//", "\u201d", "\u2028"]), max_size=3)
    typed = st.text(characters, max_size=12) | odd.map("".join)

    @PROPERTY
    @given(typed, typed)
    def check(field, other):
        rule = form.replace('"{}"', text(field))
        try:
            (found,) = parse(Source("p.pbac", HEADER + rule)).rules
        except PolicyError:
            assert not field.isprintable()
            return
        operands = found.conditions[0].expression.operands
        assert (found.name, found.effect, len(found.conditions)) == ("x", "permit", 1)
        assert operands[1].value == field
        decision = decide(policies(rule), request(args={"owner": other}))
        assert decision.permitted is (field == other)

    check()
    values_do_not_become_texts_of_rules()


def values_do_not_become_texts_of_rules():
    """What a request holds is told, never read again: neither as a rule nor as a template."""
    policy_set = policies(
        "permit x on any when args.owner == data.owner\n"
        'forbid y on any when args.owner != data.owner because "not for {args.owner}"',
        data={"owner": "acme"},
    )
    for field in (*FIELDS, "{agent.tier}", "{data.owner}", "{{", "}}", "{", "data.owner"):
        asked = request(args={"owner": field})
        decision = tell(policy_set, asked, decide(policy_set, asked))
        assert (decision.permitted, decision.rules) == (False, ("p.y",))
        assert "developer" not in decision.reason
        assert "acme" not in decision.reason


def another_engine_agrees(_stage):
    """Random policies that are also written in Rego: OPA decides them as we do, every one."""
    assert next(recorded_differences(Counter()), None) is None
    if shutil.which("opa"):
        assert next(live_differences(29, 10), None) is None


def one_text_one_tree(stage):
    """Written with as few parentheses as possible, or as many: it is read back as it was."""

    def holds(tree, *, generous):
        told = written(tree, generous=generous)
        try:
            found = condition(told)
        except PolicyError as refused:
            if {each.code for each in refused.diagnostics} <= {"expression-too-deep"}:
                return
            raise
        assert shape(found) == shape(tree), told
        assert written(found) == written(tree), "nor does writing it again change it"

    @PROPERTY
    @given(expressions().map(plain), st.booleans())
    def check(tree, generous):
        holds(tree, generous=generous)

    check()
    for number in range(PROGRAMS):
        chance = Chance(f"POL-20 {number}")
        holds(plain(random_condition(chance, depth=3)), generous=chance.odds(50))
    either = written(condition("a.x and b.x or not c.x == d.x"))
    assert either == written(condition("(a.x and b.x) or (not (c.x == d.x))"))
    assert condition("not has a.x and b.x") != condition("not (has a.x and b.x)")
    for chained in ("a and b or not c == d in [e]", "1 < args.n < 3", "a == b == c", "a in b in c"):
        assert refuses(f"permit x on any when {chained}"), chained
    yield from ()


def condition(told):
    (rule,) = parse(Source("p.pbac", f"{HEADER}forbid x when {told}")).rules
    return rule.conditions[0].expression


ATTACKS = {
    "POL-01": forbids_are_not_silenced,
    "POL-03": table(*ruled.NUMBERS_AS_TEXTS),
    "POL-04": table(*ruled.BOOLEANS_AS_NUMBERS),
    "POL-05": table(*ruled.WRAPPED),
    "POL-06": table(*ruled.TEXTS_AS_LISTS),
    "POL-07": table(*ruled.ABSENCES),
    "POL-08": numbers_are_exact,
    "POL-09": time_does_not_overflow,
    "POL-11": never_published(*_MATCHES, *_REDACTS),
    "POL-12": table(*ruled.ANCHORS),
    "POL-13": table(*ruled.LETTERS),
    "POL-14": table(*ruled.GLOBS),
    "POL-15": table(*ruled.PATHS),
    "POL-19": bombs,
    "POL-20": one_text_one_tree,
    "POL-25": fields_do_not_become_rules,
    "POL-29": another_engine_agrees,
}
