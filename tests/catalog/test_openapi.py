"""OpenAPI documents as tools, and the YAML they are mostly written in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pbac.base.errors import PbacError
from pbac.catalog.openapi import OpenApiError, is_openapi, read_openapi
from pbac.catalog.schemas import ArgumentSchema
from pbac.catalog.tools import read_tools
from pbac.catalog.vocabulary import owner
from pbac.catalog.yaml_documents import YamlError, decode_yaml

FORGE = Path(__file__).parent / "documents" / "forge.yaml"


@pytest.fixture(scope="module")
def forge():
    return read_openapi(decode_yaml(FORGE.read_bytes()))


@pytest.fixture(scope="module")
def tools(forge):
    return {each["name"]: each for each in forge.definitions}


def document(**operation):
    return {"openapi": "3.1.0", "paths": {"/x": {"post": operation}}}


def schema_of(**operation):
    (definition,) = read_openapi(document(**operation)).definitions
    return definition["inputSchema"]


def body(schema, *, required=True):
    return {"required": required, "content": {"application/json": {"schema": schema}}}


# --- a whole document ----------------------------------------------------------------------------


def test_operations_become_tools_by_their_names(forge, tools):
    assert list(tools) == [
        "pulls_list",
        "pulls_create",
        "pulls_merge",
        "delete_repos_owner_repo",
        "search",
        "markdown_render",
    ]
    assert forge.left_out == (
        ("broken", "the reference `#/components/parameters/nowhere` leads nowhere"),
    )
    assert tools["pulls_list"]["title"] == "List pull requests"
    assert tools["pulls_list"]["description"] == "Draft pull requests are in it too."


def test_every_tool_is_one_that_the_gateway_would_offer(forge):
    toolset = read_tools(owner("forge"), forge.definitions)
    assert toolset.quarantined == ()
    assert len(toolset.tools) == len(forge.definitions)


def test_the_method_tells_what_a_tool_does(tools):
    hints = {name: tuple(each["annotations"].values()) for name, each in tools.items()}
    assert hints["pulls_list"] == (True, False)
    assert hints["pulls_merge"] == (False, False)
    assert hints["delete_repos_owner_repo"] == (False, True)


def test_a_scope_is_told_when_there_is_one(forge):
    assert forge.scopes == {
        "pulls_list": "repo:read",
        "pulls_create": "repo:write",
        "pulls_merge": "repo:merge",
        "search": "repo:read",
        "markdown_render": "repo:read",
    }


def test_parameters_are_arguments(tools):
    schema = tools["pulls_list"]["inputSchema"]
    assert schema == {
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": ["open", "closed", "all"], "default": "open"},
            "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
            "X-Api-Version": {"type": "string"},
            "owner": {"type": "string", "description": "The account."},
            "repo": {"type": "string"},
        },
        "required": ["owner", "repo"],
        "additionalProperties": False,
    }


def test_the_members_of_a_body_are_arguments_too(tools):
    schema = tools["pulls_create"]["inputSchema"]
    assert schema["required"] == ["base", "head", "owner", "repo", "title"]  # `id` is read-only
    assert schema["properties"]["body"] == {"type": ["string", "null"]}
    assert schema["properties"]["draft"] == {"type": "boolean"}
    assert "additionalProperties" not in schema
    user = schema["$defs"]["simple-user"]
    assert user["properties"]["manager"] == {"$ref": "#/$defs/simple-user"}
    assert schema["properties"]["reviewers"]["items"] == {"$ref": "#/$defs/simple-user"}


def test_an_optional_body_requires_nothing(tools):
    schema = tools["pulls_merge"]["inputSchema"]
    assert schema["required"] == ["owner", "pull_number", "repo"]
    assert set(schema["properties"]) > {"commit_title", "merge_method", "sha"}


def test_a_parameter_with_content_and_an_exclusive_bound(tools):
    schema = tools["search"]["inputSchema"]
    assert schema["properties"]["q"] == {"$ref": "#/$defs/query"}
    assert schema["$defs"]["query"]["oneOf"][1]["properties"]["stars"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
    }


def test_a_body_that_is_no_json_is_one_text(tools):
    schema = tools["markdown_render"]["inputSchema"]
    assert schema["properties"] == {"body": {"type": "string"}}
    assert schema["required"] == ["body"]


# --- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"allOf": [{"type": "object", "properties": {"a": {}}}]},
        {"type": "object", "properties": {"a": {}}, "oneOf": [{"required": ["a"]}]},
        {"type": "object", "properties": {"id": {"type": "string"}}},
    ],
    ids=["a list", "all of", "one of", "a name that is taken"],
)
def test_a_body_that_cannot_be_taken_apart_stays_whole(schema):
    found = schema_of(
        parameters=[{"name": "id", "in": "query", "schema": {}}], requestBody=body(schema)
    )
    assert found["properties"]["body"] == schema
    assert found["required"] == ["body"]


def test_a_body_beside_a_parameter_of_that_name():
    parameters = [{"name": "body", "in": "query", "schema": {"type": "string"}}]
    found = schema_of(parameters=parameters, requestBody=body({"type": "array"}))
    assert set(found["properties"]) == {"body", "request_body"}


@pytest.mark.parametrize(
    ("body_schema", "others"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": True}, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, None),
    ],
)
def test_a_body_says_what_other_members_there_may_be(body_schema, others):
    assert schema_of(requestBody=body(body_schema)).get("additionalProperties") is others


def test_an_operations_own_parameter_hides_the_paths():
    tree = document(parameters=[{"name": "a", "in": "query", "schema": {"type": "integer"}}])
    tree["paths"]["/x"]["parameters"] = [{"name": "a", "in": "query", "schema": {"type": "null"}}]
    (definition,) = read_openapi(tree).definitions
    assert definition["inputSchema"]["properties"]["a"] == {"type": "integer"}


def test_two_schemas_of_one_name_stay_apart():
    tree = document(
        requestBody=body(
            {
                "type": "object",
                "properties": {
                    "a": {"$ref": "#/components/schemas/x"},
                    "b": {"$ref": "#/more/x"},
                },
            }
        )
    )
    tree["components"] = {"schemas": {"x": {"type": "string"}}}
    tree["more"] = {"x": {"type": "null"}}
    (definition,) = read_openapi(tree).definitions
    schema = definition["inputSchema"]
    assert ArgumentSchema(schema).complaint({"a": "x", "b": None}) is None
    assert ArgumentSchema(schema).complaint({"a": None, "b": None})


# --- what cannot be read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"swagger": "2.0", "paths": {}}, "OpenAPI 2.0 cannot be read"),
        ({"openapi": "4.0.0", "paths": {}}, "OpenAPI 4.0.0 cannot be read"),
        ({"openapi": "3.1.0"}, "has no `paths`"),
    ],
)
def test_documents_that_are_refused(tree, message):
    assert is_openapi(tree)
    with pytest.raises(OpenApiError, match=message):
        read_openapi(tree)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"parameters": [{"in": "query"}]}, "no `name`"),
        ({"requestBody": []}, "its `requestBody` is no object"),
        ({"requestBody": {"$ref": "other.yaml#/x"}}, "leads out of the document"),
        ({"parameters": [{"$ref": "#/loop"}]}, "round in a circle"),
        ({"requestBody": body({"properties": {"a": 3}})}, "a schema is no object"),
    ],
)
def test_an_operation_that_cannot_be_read_is_left_out(operation, reason):
    tree = document(operationId="odd", **operation)
    tree["paths"]["/fine"] = {"get": {"operationId": "fine"}}
    tree["loop"] = {"$ref": "#/loop"}
    found = read_openapi(tree)
    assert [each["name"] for each in found.definitions] == ["fine"]
    ((name, told),) = found.left_out
    assert name == "odd"
    assert reason in told


def test_two_operations_of_one_name():
    tree = document(operationId="a/b")
    tree["paths"]["/y"] = {"get": {"operationId": "a_b"}}
    assert read_openapi(tree).left_out == (("a_b", "another operation has this name already"),)


def test_a_document_that_doubles_stays_small():
    schemas = {"s0": {"type": "string"}}
    for number in range(1, 60):
        part = {"$ref": f"#/components/schemas/s{number - 1}"}
        schemas[f"s{number}"] = {"anyOf": [part, part]}
    tree = document(requestBody=body({"$ref": "#/components/schemas/s59"}))
    tree["components"] = {"schemas": schemas}
    (definition,) = read_openapi(tree).definitions
    assert len(definition["inputSchema"]["$defs"]) == 60


# --- yaml --------------------------------------------------------------------------------------------


def test_yaml_is_read_as_json_would_be():
    text = b"""
plain: text
on: yes
date: 2026-01-01
number: [1, -2, 0.5, 1e3, 1e999, 0x10, 007]
quoted: ["1", 'true', "null"]
nothing: [~, null, ""]
truth: [true, False]
200: { description: OK }
folded: >
  two
  lines
"""
    assert decode_yaml(text) == {
        "plain": "text",
        "on": "yes",
        "date": "2026-01-01",
        "number": [1, -2, 0.5, 1000.0, "1e999", "0x10", 7],
        "quoted": ["1", "true", "null"],
        "nothing": [None, None, ""],
        "truth": [True, False],
        "200": {"description": "OK"},
        "folded": "two lines\n",
    }


# Which of them: some builds of the library bound the depth before its events come.
NESTED = "exceeded maximum nesting depth|nested deeper than 64 levels|a name has to be a text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: &x 1\nb: *x", "anchors and aliases are not read, at line 1 column 4"),
        (b"a: !!python/object:os.system x", "the type `tag:yaml.org,2002:python/object:os.system`"),
        (b"a: !!binary aGk=", "the type"),
        (b"a: 1\na: 2", "`a` is given twice, at line 2 column 1"),
        (b"? [a]\n: 1", "a name has to be a text"),
        (b"a: 1\n---\nb: 2", "a second document"),
        (b"a: [1", "expected .*, at line 1 column 6"),
        (b"\xff", "not UTF-8"),
        (b"a: b\r\nc: \x07", "the character U.0007 may not stand in YAML, at line 2 column 4"),
        ("a: ä\u2028\na: 2".encode(), "`a` is given twice, at line 3 column 1"),
        (b"[" * 100, "nested deeper than 64 levels"),
        (b"[" * 100_000, NESTED),
        (b"{" * 100_000, NESTED),
    ],
)
def test_yaml_that_is_refused(text, message):
    with pytest.raises(YamlError) as refused:
        decode_yaml(text)
    assert re.search(message, str(refused.value))
    assert isinstance(refused.value, PbacError)
