"""What types from schemas promise, held against random tools, rules and valid arguments.

*Sound*: a forbid about which the checker says nothing is never in doubt over arguments that the
tool accepts. *Silent*: a vocabulary changes what is complained about and nothing that is decided.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from pbac.base.diagnostics import has_errors
from pbac.base.source import Source
from pbac.catalog.schema_size import SchemaError
from pbac.catalog.schemas import ArgumentSchema
from pbac.lang.compile import compile_program
from pbac.lang.program import DOUBT
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet

NAMES = ("a", "b", "c")
SCALARS = {
    "string": ["", "x", "acme"],
    "integer": [0, 1, 7],
    "number": [0, 0.5, 7],
    "boolean": [True, False],
    "null": [None],
}
EVERY = [value for values in SCALARS.values() for value in values]
seen = Counter()


# --- schemas, values of them, and the paths into them --------------------------------------------


@st.composite
def schemas(draw, depth=2):
    shape = draw(st.sampled_from(["plain", "plain", "enum", "types", "any_of", "array", "object"]))
    if shape == "plain" or (depth == 0 and shape in ("any_of", "array", "object")):
        return {"type": draw(st.sampled_from(list(SCALARS)))}
    if shape == "enum":
        return {"enum": draw(st.lists(st.sampled_from(EVERY), min_size=1, max_size=3))}
    if shape == "types":
        words = st.sampled_from(list(SCALARS))
        return {"type": draw(st.lists(words, min_size=1, max_size=2, unique=True))}
    if shape == "any_of":
        parts = draw(st.lists(schemas(depth - 1), min_size=1, max_size=2))
        return {draw(st.sampled_from(["anyOf", "oneOf"])): parts}
    if shape == "array":
        return {"type": "array", "items": draw(schemas(depth - 1))}
    return draw(objects(depth))


@st.composite
def objects(draw, depth=2):
    names = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    schema = {
        "type": "object",
        "properties": {name: draw(schemas(depth - 1)) for name in names},
        "required": [name for name in names if draw(st.integers(0, 3))],
    }
    if draw(st.booleans()):  # never `true`: whatever is of any kind is promised nothing
        schema["additionalProperties"] = False
    if names and draw(st.booleans()):  # the same said in another way
        definition = schema["properties"][names[0]]
        schema = {
            **schema,
            "properties": {**schema["properties"], names[0]: {"allOf": [definition]}},
        }
    return schema


def values(schema):
    """Values that mostly fit; the validator has the last word."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return st.one_of(*map(values, schema[keyword]))
    if "allOf" in schema:
        return values(schema["allOf"][0])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    words = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of(*(_of_type(word, schema) for word in words))


def _of_type(word, schema):
    if word == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if word == "object":
        members = {name: values(each) for name, each in schema["properties"].items()}
        must = set(schema["required"])
        return st.fixed_dictionaries(
            {name: each for name, each in members.items() if name in must},
            optional={name: each for name, each in members.items() if name not in must},
        )
    return st.sampled_from(SCALARS[word])


def paths(schema, here="args"):
    """Every path below, with the schema of what stands there."""
    for keyword in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(keyword, ()):
            yield from paths(part, here)
    for name, each in schema.get("properties", {}).items():
        yield f"{here}.{name}", each
        yield from paths(each, f"{here}.{name}")


# --- conditions ------------------------------------------------------------------------------------


def written(value):
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


@st.composite
def atoms(draw, places):
    path, schema = draw(st.sampled_from(places))
    near = draw(values(schema))
    value = near if type(near) in (str, int, float, bool) else draw(st.sampled_from(EVERY))
    literal = written(value)
    word = (
        "string" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"
    )
    form = draw(
        st.sampled_from(
            [
                f"{path} == {literal}",
                f"{path} in [{literal}]",
                f"{path} != {literal}",
                f"{path} < {literal}",
                f"has {path}",
                f"{path} is {word}",
                f"{path} default {literal} == {literal}",
                f"has {path} and {path} == {literal}",
                f"has {path} and {path} is {word} and {path} == {literal}",
                f"not has {path} or {path} is not {word} or {path} == {literal}",
                f"has {path} and {path} is list and any x in {path}: x == {literal}",
                f"any x in {path}: x == {literal}",
                f"{path} contains {literal}",
                f'{path} starts with "a"',
                f"count({path}) > 1",
                path,
            ]
        )
    )
    return f"({form})"


def conditions(places):
    def grow(inner):
        return st.one_of(
            st.builds("not {}".format, inner),
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
        )

    return st.recursive(atoms(places), grow, max_leaves=4)


@st.composite
def worlds(draw):
    """One or two tools, a condition over their arguments, and a call that one of them accepts."""
    tools = {name: draw(objects()) for name in draw(st.sampled_from([["t1"], ["t1", "t2"]]))}
    places = [place for schema in tools.values() for place in paths(schema)]
    assume(places)
    condition = draw(conditions(places))
    name = draw(st.sampled_from(sorted(tools)))
    arguments = draw(values(tools[name]))
    try:
        assume(ArgumentSchema(tools[name]).complaint(arguments) is None)
    except SchemaError:
        assume(False)
    return tools, condition, name, arguments


def compiled(condition, tools):
    text = f"package p on server s\nforbid f on tool t* when {condition}\npermit every on tool t*\n"
    tree = {name: {"inputSchema": schema, "facts": {}} for name, schema in tools.items()}
    documents = {"tools/s.json": {"server": "s", "tools": tree}} if tools else {}
    return compile_program([Source("p.pbac", text)], {}, tools=documents)


def request_of(name, arguments):
    call = {"method": "tools/call", "server": "s", "tool": name, "scope": "s", "pinned": True}
    return DecisionRequest(agent={"id": "a"}, call=call, args=arguments)


@given(worlds())
def test_a_forbid_without_complaints_is_never_in_doubt(world):
    tools, condition, name, arguments = world
    compilation = compiled(condition, tools)
    seen["all"] += 1
    if compilation.diagnostics:
        return
    seen["without complaints"] += 1
    rule = next(r for p in compilation.program.packages for r in p.rules if r.name == "p.f")
    assert not rule.ask(request_of(name, arguments), {}) & DOUBT


def test_the_law_above_is_about_something(say):
    said = f"typed laws: {seen['without complaints']} of {seen['all']} conditions without complaint"
    say(said)
    assert seen["without complaints"] * 20 >= seen["all"], said


@given(worlds())
def test_a_vocabulary_changes_no_decision(world):
    tools, condition, name, arguments = world
    typed, untyped = compiled(condition, tools), compiled(condition, {})
    assume(not has_errors(typed.diagnostics))
    assert not has_errors(untyped.diagnostics)
    request = request_of(name, arguments)
    decided = [decide(PolicySet(each.program), request) for each in (typed, untyped)]
    assert typed.version != untyped.version
    first, second = ((d.effect, d.cause, d.rules, d.unknown) for d in decided)
    assert first == second
