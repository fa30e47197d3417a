"""Hostile schemas are refused, sound ones decide arguments, and both at a bounded cost."""

import time

import pytest

from pbac.base.lookalikes import EACH, names_of
from pbac.catalog.schema_size import SchemaError, SchemaSize
from pbac.catalog.schemas import ArgumentSchema


def nested(depth, leaf):
    for _ in range(depth):
        leaf = {"n": leaf}
    return leaf


def chain(length, width):
    schema = {
        "$ref": "#/$defs/d0",
        "$defs": {
            f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * width} for i in range(length)
        },
    }
    schema["$defs"][f"d{length}"] = {"type": "object"}
    return schema


REFUSED = [
    ({"properties": {"a": {"$ref": "http://169.254.169.254/x"}}}, "leads out"),
    ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "leads out"),
    ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leads out"),
    ({"properties": {"a": {"$dynamicRef": "http://evil.example/#x"}}}, "leads out"),
    ({"$defs": {"unused": {"$ref": "https://evil.example"}}}, "leads out"),
    ({"$defs": {"a": {"$id": "http://x.example/", "type": "string"}}}, "its own `$id`"),
    ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
    ({"properties": {"a": {"$ref": "#anchorless"}}}, "leads nowhere"),
    ({"properties": {"a": {"pattern": "(?=x)a"}}}, "regex"),
    ({"properties": {"a": {"pattern": "((((a{1,100}){1,100}){1,100}){1,100})"}}}, "regex"),
    ({"$schema": "http://evil.example/schema"}, "meta-schema"),
    ({"type": "objekt"}, "not usable"),
    ({"properties": []}, "not usable"),
    (chain(8, 10), "more than"),
    (chain(2_000, 1), "nested deeper"),
    ("not a schema", "not an object"),
    (None, "not an object"),
    (True, "not an object"),
]


@pytest.mark.parametrize(("schema", "why"), REFUSED, ids=lambda v: str(v)[:50])
def test_a_schema_that_fetches_explodes_or_is_broken_is_refused_at_once(schema, why):
    started = time.perf_counter()
    with pytest.raises(SchemaError) as caught:
        ArgumentSchema(schema)
    assert why in caught.value.message
    assert time.perf_counter() - started < 1


def test_a_long_chain_is_found_even_when_its_parts_are_measured_from_the_end():
    schema = chain(300, 1)
    schema["properties"] = {f"p{i}": {"$ref": f"#/$defs/d{i}"} for i in reversed(range(300))}
    with pytest.raises(SchemaError):
        SchemaSize({"properties": schema["properties"], "$defs": schema["$defs"]})


SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "note": {"type": "string", "maxLength": 5},
        "where": {"type": "object", "properties": {"force": {"type": "boolean"}}},
        "list": {"type": "array", "items": {"type": "integer"}},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"id": {}}}},
        "$id": {"type": "string"},
    },
    "required": ["amount"],
}

COMPLAINTS = [
    ({"amount": 1}, None),
    ({"amount": 1, "extra": 1}, None),
    ({"amount": "500"}, 'arguments.amount: "500" is not of type "number"'),
    ({}, 'arguments: "amount" is a required property'),
    ({"amount": 1, "list": [1, "x"]}, 'arguments.list[1]: "x" is not of type "integer"'),
    ({"amount": 1, "note": "y" * 9_000}, "arguments.note: does not satisfy `maxLength`"),
    ({"amount": 1, "Amount": 2}, "arguments: `Amount` could be read as `amount`"),
    ({"amount": 1, "amount\0x": 2}, "arguments: `amount\\x00x` could be read as `amount`"),
    ({"amount": 1, "where": {"Force": True}}, "arguments.where: `Force` could be read as `force`"),
    ({"amount": 1, "rows": [{}, {"ID": 1}]}, "arguments.rows[1]: `ID` could be read as `id`"),
    ({"amount": 1, "__proto__": 1, "": 1, "a.b": 1, "a[0]": 1, "toString": 1}, None),
]


@pytest.mark.parametrize(("arguments", "complaint"), COMPLAINTS, ids=lambda v: str(v)[:50])
def test_the_complaint_names_the_path_and_echoes_no_long_value(arguments, complaint):
    assert ArgumentSchema(SCHEMA).complaint(arguments) == complaint


def test_references_within_the_schema_are_followed():
    schema = {
        "$defs": {
            "a~/b%": {"type": "string"},
            "named": {"$anchor": "here", "type": "integer"},
        },
        "properties": {
            "s": {"$ref": "#/$defs/a~0~1b%25"},
            "i": {"$ref": "#here"},
            "first": {"$ref": "#/allOf/0"},
        },
        "allOf": [{"type": "object"}],
    }
    validator = ArgumentSchema(schema)
    assert validator.complaint({"s": "x", "i": 1, "first": {}}) is None
    assert validator.complaint({"s": 1})
    assert validator.complaint({"i": "x"})
    assert validator.complaint({"first": 1})


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"n": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "z": {"type": "string"}}},
        {"properties": {"n": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "z": {"type": "string"}}},
    ],
)
def test_a_circular_schema_decides_deep_arguments_in_no_time_but_explains_nothing(schema):
    validator = ArgumentSchema(schema)
    started = time.perf_counter()
    assert validator.complaint(nested(60, {"z": "fine"})) is None
    assert validator.complaint(nested(60, {"z": 1})) == (
        "arguments: do not satisfy the tool's `inputSchema`"
    )
    assert time.perf_counter() - started < 1


def test_a_pattern_that_ruins_backtracking_engines_is_linear():
    validator = ArgumentSchema({"properties": {"a": {"pattern": "^(a+)+$"}}})
    started = time.perf_counter()
    assert validator.complaint({"a": "a" * 100_000 + "b"})
    assert time.perf_counter() - started < 1


def test_an_older_draft_is_read_as_that_draft():
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert ArgumentSchema(
        {**schema, "properties": {"l": {"items": [{"type": "string"}]}}}
    ).complaint({"l": [1]})
    with pytest.raises(SchemaError):
        ArgumentSchema({"items": [{"type": "string"}]})


def test_defaults_are_not_filled_in():
    arguments = {}
    assert ArgumentSchema({"properties": {"a": {"default": 1}}}).complaint(arguments) is None
    assert arguments == {}


READ = names_of([("force",), ("repo", "name"), ("files", EACH, "path"), ("repo", "owner")])


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        ({"Force": True}, "force"),
        ({"force": False, "FORCE": True}, "force"),
        ({"force\x00": True}, "force"),
        ({" force ": True}, "force"),
        ({"\u017f": 1, "for\u200bce": True}, "force"),
        ({"repo": {"Name": "x"}}, "name"),
        ({"Repo": {"name": "x"}}, "repo"),
        ({"files": [{"path": "a"}, {"Path": "x"}]}, "path"),
    ],
)
def test_a_name_that_policy_reads_has_no_double_where_the_schema_is_silent(arguments, near):
    schema = ArgumentSchema({"type": "object"})
    assert f"could be read as `{near}`" in schema.complaint(arguments, READ)
    assert schema.complaint(arguments) is None


@pytest.mark.parametrize(
    "arguments",
    [{"force": True}, {"forced": 1}, {"Title": 1}, {"repo": {"name": 1, "x": {"Name": 1}}}, {}],
)
def test_names_that_nobody_could_mistake_pass(arguments):
    assert ArgumentSchema({"type": "object"}).complaint(arguments, READ) is None


def test_a_name_that_the_schema_declares_is_that_name():
    schema = ArgumentSchema({"type": "object", "properties": {"Force": {}, "repo": {}}})
    assert schema.complaint({"Force": 1, "repo": {"name": 1}}, READ) is None
    assert "`Name` could be read as `name`" in schema.complaint({"repo": {"Name": 1}}, READ)
