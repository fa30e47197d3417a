"""What a JSON Schema says about kinds: as much as is certain, and never more."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbac.base import limits
from pbac.lang.kinds import json_schema
from pbac.lang.kinds.json_schema import JsonSchemaError, kind_of_schema, kind_of_value
from pbac.lang.kinds.kinds import ANY, UNDECLARED, Kind, option
from pbac.model.values import kind_of


@pytest.mark.parametrize(
    ("schema", "brief"),
    [
        (True, "any"),
        ({}, "any"),
        ({"description": "nothing about kinds", "minLength": 3}, "any"),
        ({"properties": {"a": {"type": "string"}}}, "any"),
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "integer"),
        ({"type": ["integer", "null"]}, "integer | null"),
        ({"type": ["integer", "number"]}, "number"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"enum": ["a", 1, None]}, '1 | "a" | null'),
        ({"type": "string", "enum": ["a", 1]}, '"a"'),
        ({"const": 3}, "3"),
        ({"const": None}, "null"),
        ({"type": "array"}, "list of any"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "list of (string | null)"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, "list of any"),
        ({"type": "object"}, "record"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
            "{ a: string, b?: any }",
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"oneOf": [{"type": "string"}, {}]}, "any"),
        ({"type": "string", "anyOf": [{"minLength": 1}, {"pattern": "x"}]}, "string"),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "number"]}]}, "null"),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, '"b"'),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
                    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}},
                ]
            },
            "{ a: integer, b?: any }",
        ),
        (
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"type": "object", "properties": {"b": {"type": "number"}}},
                ]
            },
            "{ a?: string, b?: number }",
        ),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "string"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": True}}}, "true"),
        (
            {"$ref": "#/$defs/a", "type": "null", "$defs": {"a": {"type": ["null", "string"]}}},
            "null",
        ),
        (
            {  # before 2019-09 nothing beside a reference is looked at
                "$schema": "http://json-schema.org/draft-07/schema#",
                "$ref": "#/definitions/a",
                "type": "null",
                "definitions": {"a": {"type": ["null", "string"]}},
            },
            "string | null",
        ),
        ({"$ref": "#"}, "any"),
        ({"not": {"type": "string"}}, "any"),
        ({"type": "string", "if": {"const": "a"}, "then": {"type": "number"}}, "string"),
    ],
)
def test_what_a_schema_says(schema, brief):
    assert kind_of_schema(schema).brief() == brief


def members(**schema):
    return kind_of_schema({"type": "object", "properties": {"a": {}}, **schema}).rest


def test_what_other_members_there_may_be():
    assert members() == UNDECLARED
    assert members(additionalProperties=False) is None
    assert members(additionalProperties=True) == ANY
    assert members(additionalProperties={"type": "null"}) == Kind(word="null")
    assert members(additionalProperties=False, patternProperties={"x": {}}) == ANY


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("string", "a schema is an object, or `true` or `false`"),
        ({"type": "text"}, "`text` is no type of JSON Schema"),
        ({"type": {}}, "`{}` is no type of JSON Schema"),
        ({"anyOf": {"type": "string"}}, "`anyOf` is a list"),
        ({"type": "object", "properties": []}, "`properties` is an object"),
        ({"type": "object", "properties": {"a": {}}, "required": [1]}, "`required` is a list of n"),
        ({"type": "object", "properties": {"a": 1}}, "a schema is an object"),
        ({"$ref": "#/$defs/a"}, "the reference `#/$defs/a` leads nowhere"),
        ({"$ref": "https://example.org/a.json"}, "leads out of the schema"),
        ({"$ref": 3}, "leads out of the schema"),
    ],
)
def test_what_no_schema_may_look_like(schema, message):
    with pytest.raises(JsonSchemaError) as refused:
        kind_of_schema(schema)
    assert message in str(refused.value)


def test_what_is_too_deep_or_too_large_is_of_any_kind():
    deep = {"type": "string"}
    for _ in range(limits.SCHEMA_KIND_DEPTH_MAX + 2):
        deep = {"type": "array", "items": deep}
    assert "string" not in kind_of_schema(deep).brief()
    doubling = {"d0": {"type": "string"}}
    for number in range(1, 40):  # written out, 2⁴⁰ parts
        part = {"$ref": f"#/$defs/d{number - 1}"}
        doubling[f"d{number}"] = {"anyOf": [part, part]}
    assert kind_of_schema({"$ref": "#/$defs/d39", "$defs": doubling}).word in ("any", "string")
    assert kind_of_schema({"enum": list(range(limits.SCHEMA_KIND_PARTS_MAX + 1))}) == ANY


def test_a_circle_is_read_once(monkeypatch):
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert kind_of_schema(schema).brief() == "{ next: { next: any } }"
    monkeypatch.setattr(json_schema, "SCHEMA_KIND_PARTS_MAX", 1)
    assert kind_of_schema(schema).brief() == "{ next: any }"


# --- soundness: a value that a schema allows is of the kind --------------------------------------

VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.5, 2.0, "", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
WORDS = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SCHEMAS = st.recursive(
    st.one_of(
        st.booleans(),
        st.fixed_dictionaries({"type": WORDS | st.lists(WORDS, min_size=1, unique=True)}),
        st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"const": VALUES}),
        st.just({"$ref": "#/$defs/a"}),
        st.just({"$ref": "#"}),
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": WORDS | st.lists(WORDS, min_size=1, unique=True),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
            "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
            "additionalProperties": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=8,
)


def holds(kind, value):
    """Is the value of the kind?"""
    if kind.word == "any":
        return True
    same = option(kind, kind_of(value))
    if same is None:
        return False
    if same.choices is not None and value not in same.choices:
        return False
    if same.whole and float(value) != int(value):
        return False
    if same.word == "list":
        return all(holds(same.item or ANY, item) for item in value)
    if same.word == "record" and same.fields is not None:
        members = {name: same.fields.get(name, same.rest) for name in value}
        return (same.required or frozenset()) <= value.keys() and all(
            kind is not None and holds(kind, value[name]) for name, kind in members.items()
        )
    return True


@given(SCHEMAS, SCHEMAS, VALUES)
def test_a_value_that_a_schema_allows_is_of_its_kind(schema, definition, value):
    if isinstance(schema, dict):
        schema = {**schema, "$defs": {"a": definition}}
    try:
        validator = jsonschema_rs.validator_for(schema)
        allowed = validator.is_valid(value)
    except ValueError:  # `$ref` to itself, and no end of it
        assume(False)
    assume(allowed)
    assert holds(kind_of_schema(schema), value)


@given(VALUES)
def test_a_value_is_of_its_own_kind(value):
    assert holds(kind_of_value(value), value)
