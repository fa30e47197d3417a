"""SARIF and GitHub annotations: what machines read, held against what their readers promise."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import jsonschema_rs
import pytest

from pbac.base.diagnostics import Code, Diagnostic, Severity
from pbac.base.render import render_github, render_sarif
from pbac.base.source import Span

TEXT = 'package p\npermit 𝒳 on tool "é𝒳" # 👩‍🚀 x\n  when args.a\n'
CODES = {"a-code": Code(severity=Severity.WARNING, meaning="It means this.")}


def complaint(part, text=TEXT, **more):
    start = text.index(part)
    line = text.count("\n", 0, start) + 1
    span = Span("p.pbac", start, start + len(part), line, start - text.rfind("\n", 0, start))
    return Diagnostic(**{"code": "a-code", "message": "`x` is wrong", "span": span} | more)


# --- SARIF -----------------------------------------------------------------------------------


def closed(required, **properties):
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


TEXT_SHAPE = {"type": "string", "minLength": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
NUMBER = {"type": "integer", "minimum": 1}
MESSAGE = closed(["text"], text=TEXT_SHAPE, markdown=TEXT_SHAPE)
REGION = closed(
    ["startLine"], startLine=NUMBER, startColumn=NUMBER, endLine=NUMBER, endColumn=NUMBER
)
PHYSICAL = closed(
    ["artifactLocation"],
    artifactLocation=closed(["uri"], uri={"type": "string", "format": "uri-reference"}),
    region=REGION,
)
SHAPE = closed(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"}},
    runs={
        "type": "array",
        "items": closed(
            ["tool"],
            tool=closed(
                ["driver"],
                driver=closed(
                    ["name"],
                    name=TEXT_SHAPE,
                    version=TEXT_SHAPE,
                    rules={
                        "type": "array",
                        "uniqueItems": True,
                        "items": closed(
                            ["id"],
                            id=TEXT_SHAPE,
                            shortDescription=MESSAGE,
                            help=MESSAGE,
                            defaultConfiguration=closed([], level=LEVEL),
                        ),
                    },
                ),
            ),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results={
                "type": "array",
                "items": closed(
                    ["message"],
                    ruleId=TEXT_SHAPE,
                    ruleIndex={"type": "integer", "minimum": -1},
                    level=LEVEL,
                    message=MESSAGE,
                    locations={
                        "type": "array",
                        "items": closed([], physicalLocation=PHYSICAL),
                    },
                ),
            },
        ),
    },
)
"""The part of the official schema (OASIS, 2.1.0) that is about what we write, and nothing beyond."""


def sarif(*found, text=TEXT):
    log = json.loads(render_sarif(found, {"p.pbac": text}, CODES, "1.0"))
    jsonschema_rs.validator_for(SHAPE, validate_formats=True).validate(log)
    return log["runs"][0]


def region(part, text=TEXT):
    found = sarif(complaint(part, text), text=text)
    return found["results"][0]["locations"][0]["physicalLocation"]["region"]


def cut(text, where):
    """What a reader that counts in UTF-16 takes from the text."""
    lines = [line.encode("utf-16-le") for line in text.split("\n")]
    taken = lines[where["startLine"] - 1 : where["endLine"]]
    taken[-1] = taken[-1][: 2 * (where["endColumn"] - 1)]
    taken[0] = taken[0][2 * (where["startColumn"] - 1) :]
    return "\n".join(line.decode("utf-16-le") for line in taken)


@pytest.mark.parametrize(
    "part",
    ["package", "𝒳 on", '"é𝒳"', "x\n", "👩‍🚀", "args.a", 'tool "é𝒳" # 👩‍🚀 x\n  when', "a\n"],
)
def test_a_region_is_what_was_meant_in_utf_16(part):
    assert cut(TEXT, region(part)) == part


def test_a_run_explains_the_rules_it_reports_once():
    other = complaint("args", code="unknown-to-us", severity=Severity.NOTE, help="write it so")
    run = sarif(complaint("package"), complaint("tool"), other)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["a-code", "unknown-to-us"]
    assert run["tool"]["driver"]["rules"][0]["help"]["text"] == "It means this."
    assert [(each["ruleIndex"], each["level"]) for each in run["results"]] == [
        (0, "error"),
        (0, "error"),
        (1, "note"),
    ]
    assert run["results"][2]["message"]["text"] == "`x` is wrong\n\nhelp: write it so"


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a/b.pbac", "a/b.pbac"),
        ("a b/é#?.pbac", "a%20b/%C3%A9%23%3F.pbac"),
        ("http:x.pbac", "http%3Ax.pbac"),
        ("/srv/a.pbac", "file:///srv/a.pbac"),
        ("a\\b.pbac", "a/b.pbac"),
    ],
)
def test_a_file_name_is_a_uri(name, uri):
    found = Diagnostic(code="a-code", message="m", span=Span(name, 0, 0, 1, 1))
    log = json.loads(render_sarif([found], {}, CODES, "1.0"))
    jsonschema_rs.validator_for(SHAPE, validate_formats=True).validate(log)
    physical = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": uri}}  # no text, so no region


def test_nothing_found_is_an_empty_run():
    assert sarif()["results"] == []


# --- GitHub ----------------------------------------------------------------------------------

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)\Z")


def read(line):
    """A workflow command as GitHub's runner reads it."""
    kind, told, message = COMMAND.match(line).groups()
    properties = dict(each.split("=", 1) for each in told.split(","))
    return kind, {k: unquote(v) for k, v in properties.items()}, unquote(message)


def test_an_annotation_has_its_place():
    line = render_github([complaint("tool", help="write it so")], {"p.pbac": TEXT})
    assert line == (
        "::error file=p.pbac,line=2,col=13,endColumn=17,title=pbac a-code::"
        "`x` is wrong%0Ahelp: write it so\n"
    )


def test_what_goes_over_lines_has_no_columns():
    line = render_github([complaint("x\n  when", severity=Severity.NOTE)], {"p.pbac": TEXT})
    kind, properties, _ = read(line[:-1])
    assert kind == "notice"
    assert properties == {"file": "p.pbac", "line": "2", "endLine": "3", "title": "pbac a-code"}


@pytest.mark.parametrize("hostile", ["a,b:c%0A\n::set-env name=X::y", "\r\n::error::x", "100%"])
def test_a_text_cannot_write_a_command_of_its_own(hostile):
    found = Diagnostic(code="a-code", message=hostile, help=hostile, span=Span(hostile, 0, 0, 1, 1))
    text = render_github([found], {})
    assert text.count("\n") == 1
    assert "\r" not in text
    _, properties, _ = read(text[:-1])
    assert properties["file"] == hostile
