"""Vocabulary files: what may stand in one, and what a set makes of them."""

from __future__ import annotations

import pytest

from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.lang.kinds import vocabulary
from pbac.lang.kinds.vocabulary import VocabularyError, read_vocabulary

A = Source("a.pbac", "package a on server shop\npermit x on tool refund when args.amount > 100\n")
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}


def tree(server="shop", **tool):
    return {"server": server, "tools": {"refund": {"inputSchema": SCHEMA, **tool}}}


def compiled(tools, previous=None, source=A):
    return compile_program([source], {}, tools=tools, previous=previous)


@pytest.mark.parametrize(
    ("document", "message", "help_"),
    [
        ([], "the file is not an object", "pbac tools import"),
        ({}, "`server` is not the name of a server", "pbac tools import"),
        ({"server": 3, "tools": {}}, "`server` of the file is not a text", "write a text"),
        ({"server": "", "tools": {}}, "`server` is not the name of a server", "import"),
        ({"server": "sh*", "tools": {}}, "`server` is not the name of a server", "import"),
        ({"server": "shop"}, "`tools` is not an object of tools", "pbac tools import"),
        ({"server": "shop", "tools": []}, "`tools` of the file is not an object", "an object"),
        ({**tree(), "tool": {}}, "the file has no member `tool`", "did you mean `tools`?"),
        (tree(fact={}), "the tool `refund` has no member `fact`", "did you mean `facts`?"),
        (tree(facts=[]), "`facts` of the tool `refund` is not an object", "write an object"),
        (tree(hints={"readonly": True}), "has no member `readonly`", "did you mean `read_only`?"),
        (tree(hints={"read_only": 1}), "is not true or false", "write true or false"),
        (tree(scope=None), "`scope` of the tool `refund` is not a text", "leave it out"),
        (tree(inputSchema={"type": "text"}), "`inputSchema` of the tool `refund`", "correct it"),
        (tree(inputSchema={"type": "string"}), "does not say", "correct it"),
        (tree(facts={"order": {"type": "text"}}), "the fact `order` of the tool `refund`", "corr"),
        ({"server": "shop", "tools": {"x": {}}}, "the tool `x` has no `inputSchema`", "import"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_remedy(document, message, help_):
    (found,) = compiled({"tools/shop.json": document}).diagnostics
    assert (found.code, found.span.source) == ("bad-vocabulary", "tools/shop.json")
    assert found.message.startswith("`tools/shop.json`: ")
    assert message in found.message
    assert help_ in found.help


def test_a_broken_vocabulary_keeps_the_set_from_being_used_and_blames_no_rule():
    compilation = compiled({"tools/shop.json": {"server": "shop"}})
    assert compilation.program is None
    assert [each.code for each in compilation.diagnostics] == ["bad-vocabulary"]


def test_two_files_about_one_server():
    (found,) = compiled({"tools/a.json": tree(), "tools/b.json": tree()}).diagnostics
    assert found.span.source == "tools/b.json"
    assert "`tools/a.json` describes the server `shop` already" in found.message


def test_too_many_tools(monkeypatch):
    monkeypatch.setattr(vocabulary, "TOOLS_PER_BACKEND_MAX", 0)
    with pytest.raises(VocabularyError, match="at most 0 tools"):
        read_vocabulary("f", tree())


def test_what_is_filled_in_is_always_there():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "integer", "default": None},
            "c": {"type": "array", "items": {"type": "string"}, "default": []},
            "d": {"enum": ["x", "y"], "default": "z"},
        },
    }
    arguments = read_vocabulary("f", tree(inputSchema=schema)).tools["refund"].arguments
    assert arguments.required == {"b", "c", "d"}
    assert {name: kind.brief() for name, kind in arguments.fields.items()} == {
        "a": "string",
        "b": "integer | null",
        "c": "list of string",
        "d": '"x" | "y" | "z"',
    }


def test_a_tool_whose_scope_nobody_knows_may_need_any():
    source = Source("a.pbac", A.text.replace("tool refund", "scope a:b").replace("amount", "sum"))
    (found,) = compiled({"tools/shop.json": tree()}, source=source).diagnostics
    assert (found.code, found.help) == ("unknown-field", "it has `amount`")
    found = compiled({"tools/shop.json": tree(scope="a:c")}, source=source).diagnostics
    assert [each.code for each in found] == ["unneeded-scope"]


def test_what_a_server_calls_things_is_shown_so_that_one_sees_it():
    names = {"\x1b[2J": {}, "a\u202eb": {}}
    schema = {"type": "object", "properties": names}
    (found,) = compiled({"tools/shop.json": tree(inputSchema=schema)}).diagnostics
    assert found.help == "it has `\\x1b[2J`, `a\\u202eb`"
    (found,) = compiled({"tools/shop.json": tree(**{"\x1b": 1})}).diagnostics
    assert "\\x1b" in found.message


# --- versions and what runs share (Law 7) ----------------------------------------------------------


def test_vocabularies_are_part_of_the_version():
    without, with_it = compiled({}), compiled({"tools/shop.json": tree()})
    other = compiled({"tools/shop.json": tree(title="another")})
    assert len({without.version, with_it.version, other.version}) == 3
    assert with_it.program.version == with_it.version
    assert compiled({"tools/shop.json": tree()}).version == with_it.version


def test_packages_are_shared_until_a_vocabulary_changes():
    first = compiled({"tools/shop.json": tree()})
    again = compiled({"tools/shop.json": tree()}, first)
    assert again.schema is first.schema
    assert again.packages[0] is first.packages[0]
    other = compiled({"tools/shop.json": tree(title="another")}, first)
    assert other.packages[0] is not first.packages[0]
    assert other.packages[0].digest != first.packages[0].digest


def test_an_earlier_run_never_hides_what_is_wrong():
    broken = {"tools/shop.json": {"server": "shop"}}
    first = compiled(broken)
    assert compiled(broken, first).diagnostics == first.diagnostics
    mistaken = Source("a.pbac", A.text.replace("> 100", '> "100"'))
    good = compiled({"tools/shop.json": tree()})
    (found,) = compiled({"tools/shop.json": tree()}, good, mistaken).diagnostics
    assert found.code == "unlike-kinds"
    (found,) = compiled({"tools/shop.json": tree(inputSchema={"type": "object"})}, good).diagnostics
    assert found.code == "unknown-field"


A_FIELD = {"properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    "says",
    [
        {"patternProperties": {"^a": {"type": "string"}}},
        {"allOf": [A_FIELD]},
        {"anyOf": [A_FIELD, {"properties": {"b": {"type": "string"}}}]},
        {"$ref": "#/$defs/a", "$defs": {"a": A_FIELD}},
        {"allOf": [{"anyOf": [A_FIELD]}], "properties": {"b": {}}},
        {"if": {"required": ["b"]}, "then": A_FIELD, "properties": {"b": {}}},
        {"dependentSchemas": {"b": A_FIELD}, "properties": {"b": {}}},
        {"additionalProperties": {"type": "string"}},
    ],
)
def test_an_argument_that_some_part_of_a_schema_allows_is_no_mistake(says):
    source = Source(
        "a.pbac", 'package a on server shop\npermit x on tool refund when args.a == "x"\n'
    )
    document = {
        "server": "shop",
        "tools": {"refund": {"inputSchema": {"type": "object", **says}}},
    }
    assert compiled({"tools/shop.json": document}, source=source).program is not None
