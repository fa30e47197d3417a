"""Parameters: what is read, what is dropped, what is refused."""

import pytest

from pbac.mcp.jsonrpc import Request
from pbac.mcp.messages import Meta, read_initialize, read_list, read_tool_call
from pbac.mcp.wire_errors import JsonRpcError


def request(params, method="tools/call"):
    return Request(id=1, method=method, params=params)


def test_a_call_keeps_its_name_arguments_token_and_trace_and_nothing_else():
    call = read_tool_call(
        request(
            {
                "name": "merge_pr",
                "arguments": {"Name": 1, "name": 2},
                "task": {"ttl": 5},
                "_meta": {
                    "progressToken": "p",
                    "traceparent": "00-a",
                    "tracestate": 5,
                    "baggage": "x" * 600,
                    "com.example/smuggled": True,
                },
            }
        )
    )
    assert call.name == "merge_pr"
    assert call.arguments == {"Name": 1, "name": 2}
    assert call.meta == Meta(progress_token="p", trace={"traceparent": "00-a"})


def test_arguments_may_be_left_out():
    assert read_tool_call(request({"name": "x"})).arguments == {}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": 5},
        {"name": ""},
        {"name": "x" * 129},
        {"name": "merge pr"},
        {"name": "merge_pr\n"},
        {"name": "mérge"},
        {"name": "x", "arguments": []},
        {"name": "x", "arguments": None},
        {"name": "x", "_meta": []},
        {"name": "x", "_meta": {"progressToken": True}},
        {"name": "x", "_meta": {"progressToken": 1.5}},
    ],
)
def test_a_call_of_the_wrong_shape_is_refused(params):
    with pytest.raises(JsonRpcError) as caught:
        read_tool_call(request(params))
    assert (caught.value.code, caught.value.request_id) == ("invalid_params", 1)


@pytest.mark.parametrize(
    "extra",
    ["Name", "NAME", "name\0", "name ", "\u200bname", "Arguments", "argument\u017f", "_META"],
)
def test_a_member_that_another_reader_could_take_for_one_of_ours_is_refused(extra):
    with pytest.raises(JsonRpcError) as caught:
        read_tool_call(request({"name": "list_prs", extra: "merge_pr"}))
    assert caught.value.code == "invalid_request"


def test_the_empty_cursor_is_a_cursor():
    assert read_list(request({"cursor": ""})).cursor == ""
    assert read_list(request({})).cursor is None


@pytest.mark.parametrize("cursor", [5, [], "x" * 5_000])
def test_a_cursor_that_is_not_ours_is_refused(cursor):
    with pytest.raises(JsonRpcError) as caught:
        read_list(request({"cursor": cursor}))
    assert caught.value.code == "invalid_params"


def test_a_handshake_shortens_what_the_client_says_of_itself():
    handshake = read_initialize(
        request(
            {
                "protocolVersion": "2025-06-18",
                "capabilities": {"roots": {}},
                "clientInfo": {"name": "n" * 900, "version": 5},
            }
        )
    )
    assert (len(handshake.client_name), handshake.client_version) == (200, "")
    assert handshake.capabilities == {"roots": {}}


@pytest.mark.parametrize(
    "params", [{}, {"protocolVersion": 1}, {"protocolVersion": "x", "capabilities": []}]
)
def test_a_handshake_of_the_wrong_shape_is_refused(params):
    with pytest.raises(JsonRpcError) as caught:
        read_initialize(request(params))
    assert caught.value.code == "invalid_params"
