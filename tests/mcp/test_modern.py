"""The modern ladder: the body, the headers, and every way they can disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pbac.mcp.headers import decode_value, encode_value
from pbac.mcp.jsonrpc import Request
from pbac.mcp.modern import ServerInfo, cacheable, complete, discovery, read_envelope
from pbac.mcp.parameter_headers import (
    AnnotationError,
    ParameterHeader,
    annotation_problem,
    check_headers,
    parameter_headers,
    render_headers,
)
from pbac.mcp.wire_errors import JsonRpcError

P = "io.modelcontextprotocol/"
META = {
    P + "protocolVersion": "2026-07-28",
    P + "clientCapabilities": {"roots": {}},
    P + "clientInfo": {"name": "tester", "version": "1"},
    P + "logLevel": "warning",
}
SENT = [
    ("MCP-Protocol-Version", "2026-07-28"),
    ("Mcp-Method", "tools/call"),
    ("Mcp-Name", "merge_pr"),
]
SERVER = ServerInfo(name="gateway", version="1.0", title="Gateway")


def call(name="merge_pr", meta=META):
    return Request(id=9, method="tools/call", params={"name": name, "_meta": meta})


def without(name):
    return [pair for pair in SENT if pair[0] != name]


def code_of(request, headers):
    with pytest.raises(JsonRpcError) as caught:
        read_envelope(request, CIMultiDict(headers))
    assert caught.value.request_id == 9
    return caught.value.code


def test_a_sound_request_says_who_asks():
    envelope = read_envelope(call(), CIMultiDict(SENT))
    assert envelope.version == "2026-07-28"
    assert envelope.capabilities == {"roots": {}}
    assert (envelope.client_name, envelope.client_version) == ("tester", "1")
    assert envelope.log_level == "warning"


@pytest.mark.parametrize(
    "meta",
    [
        None,
        [],
        {},
        {k: v for k, v in META.items() if "Version" not in k},
        {k: v for k, v in META.items() if "Capab" not in k},
        {**META, P + "clientCapabilities": None},
        {**META, P + "protocolVersion": 20260728},
    ],
)
def test_a_body_that_does_not_describe_itself_is_invalid(meta):
    assert code_of(call(meta=meta), SENT) == "invalid_params"


@pytest.mark.parametrize(
    "headers",
    [
        without("MCP-Protocol-Version"),
        without("Mcp-Method"),
        without("Mcp-Name"),
        [*SENT, ("mcp-name", "merge_pr")],
        [*SENT, ("MCP-METHOD", "tools/call")],
        [*without("Mcp-Method"), ("Mcp-Method", "tools/list")],
        [*without("Mcp-Method"), ("Mcp-Method", "TOOLS/CALL")],
        [*without("Mcp-Name"), ("Mcp-Name", "list_prs")],
        [*without("Mcp-Name"), ("Mcp-Name", "list_prs, merge_pr")],
        [*without("Mcp-Name"), ("Mcp-Name", "\udcff\udcfe")],
        [*without("Mcp-Name"), ("Mcp-Name", "mérge")],
        [*without("Mcp-Name"), ("Mcp-Name", "=?base64?!!?=")],
        [*without("Mcp-Name"), ("Mcp-Name", "=?base64?/w==?=")],
        [*without("Mcp-Name"), ("Mcp-Name", "=?BASE64?bWVyZ2VfcHI=?=")],
        [*without("MCP-Protocol-Version"), ("MCP-Protocol-Version", "2025-11-25")],
    ],
)
def test_a_header_that_is_missing_doubled_or_different_is_a_mismatch(headers):
    assert code_of(call(), headers) == "header_mismatch"


def test_a_header_may_carry_the_name_in_base64():
    headers = [*without("Mcp-Name"), ("Mcp-Name", " =?base64?bWVyZ2VfcHI=?= ")]
    assert read_envelope(call(), CIMultiDict(headers))


def test_a_version_we_do_not_serve_is_unsupported_when_both_halves_agree():
    meta = {**META, P + "protocolVersion": "2099-01-01"}
    headers = [*without("MCP-Protocol-Version"), ("MCP-Protocol-Version", "2099-01-01")]
    assert code_of(call(meta=meta), headers) == "unsupported_version"


def test_a_log_level_nobody_knows_is_no_log_level():
    assert (
        read_envelope(call(meta={**META, P + "logLevel": "loud"}), CIMultiDict(SENT)).log_level
        is None
    )
    assert (
        read_envelope(call(meta={**META, P + "logLevel": ["info"]}), CIMultiDict(SENT)).log_level
        is None
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_survives_the_header(text):
    header = encode_value(text)
    assert header.isascii()
    assert header.isprintable()
    assert header.strip() == header
    assert decode_value(header) == text


SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "where": {
            "type": "object",
            "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}},
        },
        "x-mcp-header": {"type": "string", "default": {"x-mcp-header": "data, not schema"}},
    },
}
ANNOTATED = parameter_headers(SCHEMA)


def test_annotated_properties_are_found_at_any_depth_and_data_is_not_mistaken_for_them():
    assert list(ANNOTATED) == [
        ParameterHeader(("region",), "mcp-param-Region", "string"),
        ParameterHeader(("count",), "mcp-param-Count", "integer"),
        ParameterHeader(("where", "dry"), "mcp-param-Dry", "boolean"),
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 5}}},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": ["string", "null"], "x-mcp-header": "A"}}},
        {"properties": {"a": {"x-mcp-header": "A"}}},
        {"x-mcp-header": "A", "type": "string"},
        {"properties": {"a": {"items": {"type": "string", "x-mcp-header": "A"}}}},
        {"$defs": {"a": {"type": "string", "x-mcp-header": "A"}}},
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]},
        {
            "properties": {
                "a": {"type": "string", "x-mcp-header": "A"},
                "b": {"type": "string", "x-mcp-header": "a"},
            }
        },
    ],
)
def test_an_annotation_a_client_must_refuse_is_refused(schema):
    assert annotation_problem(schema)
    with pytest.raises(AnnotationError):
        parameter_headers(schema)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"region": None},
        {"region": "eu", "count": 42, "where": {"dry": True}},
        {"region": " é =?base64?", "count": -7},
        {"count": 42.0},
        {"where": "not an object"},
    ],
)
def test_the_headers_we_render_are_headers_we_accept(arguments):
    check_headers(
        ANNOTATED, arguments, CIMultiDict(render_headers(ANNOTATED, arguments).items()), 1
    )


def test_integers_are_compared_as_numbers():
    for body, header in [(42, "42.0"), (42.0, "42"), (0, "-0"), (7, "007")]:
        check_headers(ANNOTATED, {"count": body}, CIMultiDict([("Mcp-Param-Count", header)]), 1)


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, [("Mcp-Param-Region", "us")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "EU")]),
        ({"region": "eu"}, []),
        ({"region": "eu"}, [("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?ZXU?=")]),
        ({}, [("Mcp-Param-Region", "eu")]),
        ({"region": None}, [("Mcp-Param-Region", "null")]),
        ({"count": 42}, [("Mcp-Param-Count", "42.5")]),
        ({"count": 42}, [("Mcp-Param-Count", "4.2e1")]),
        ({"count": True}, [("Mcp-Param-Count", "1")]),
        ({"where": {"dry": True}}, [("Mcp-Param-Dry", "True")]),
        ({"region": ["eu"]}, [("Mcp-Param-Region", "eu")]),
    ],
)
def test_a_parameter_header_that_disagrees_is_a_mismatch(arguments, headers):
    with pytest.raises(JsonRpcError) as caught:
        check_headers(ANNOTATED, arguments, CIMultiDict(headers), 1)
    assert caught.value.code == "header_mismatch"


def test_results_are_complete_and_ours_whatever_the_upstream_called_itself():
    upstream = {"content": [], "_meta": {P + "serverInfo": {"name": "inner"}, "kept": 1}}
    assert complete(upstream, SERVER) == {
        "content": [],
        "resultType": "complete",
        "_meta": {
            "kept": 1,
            P + "serverInfo": {"name": "gateway", "version": "1.0", "title": "Gateway"},
        },
    }


def test_lists_are_cacheable_for_one_authorization_only():
    listed = cacheable({"tools": [], "cacheScope": "public", "ttlMs": 9}, SERVER)
    assert (listed["cacheScope"], listed["ttlMs"]) == ("private", 0)


def test_discovery_names_modern_versions():
    found = discovery(SERVER, {"tools": {}}, "be kind")
    assert found["supportedVersions"] == ["2026-07-28"]
    assert found["capabilities"] == {"tools": {}}
    assert found["instructions"] == "be kind"
    assert found["cacheScope"] == "private"
