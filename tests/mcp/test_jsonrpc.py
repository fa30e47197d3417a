"""Envelopes: tables of hostile bodies (JSN cases), and a small fuzz that must never crash."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.mcp.jsonrpc import Batch, Failure, Notification, Request, Success, parse
from pbac.mcp.wire_errors import (
    WIRE_ERRORS,
    JsonRpcError,
    error,
    http_status,
    relayed_error,
    result,
)

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_pr"}}'


def refused(body):
    with pytest.raises(JsonRpcError) as caught:
        parse(body)
    return caught.value


def test_a_request_a_notification_and_both_answers_are_told_apart():
    assert parse(CALL) == Request(id=1, method="tools/call", params={"name": "read_pr"})
    assert parse(b'{"jsonrpc":"2.0","method":"notifications/initialized"}') == Notification(
        method="notifications/initialized", params={}
    )
    assert parse(b'{"jsonrpc":"2.0","id":"a","result":{}}') == Success(id="a", result={})
    assert parse(
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no","data":[1]}}'
    ) == Failure(id=None, number=-1, message="no", data=[1])


PARSE_ERRORS = [
    b"",
    b"nonsense",
    b'{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"a","\\u006eame":"b"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"arguments":{"a":{"b":1,"b":2}}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":-Infinity}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1e400}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1e-400}}',
    b'{"jsonrpc":"2.0","id":01,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":+1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":0x1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
    b'{"jsonrpc":"2.0","id":1,/**/"method":"ping"}',
    b"{'jsonrpc':'2.0','id':1,'method':'ping'}",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"[" * 65 + b"]" * 65 + b"}}",
    b"\xef\xbb\xbf" + CALL,
    CALL.decode().encode("utf-16"),
    CALL.decode().encode("utf-32"),
    CALL.replace(b"read_pr", b"\xff"),
    CALL.replace(b"read_pr", b"\xc0\xaf"),
    CALL.replace(b"read_pr", b"\xed\xa0\x80\xed\xb0\x80"),
    CALL.replace(b"read_pr", b"\xe2\x82"),
    CALL.replace(b"read_pr", b"\\ud800"),
    CALL + CALL,
    CALL + b"\n" + CALL,
    CALL + b" trailing",
    CALL + b"\0",
]


@pytest.mark.parametrize("body", PARSE_ERRORS, ids=lambda b: repr(b[:40]))
def test_what_two_readers_could_read_differently_is_a_parse_error(body):
    assert refused(body).answer()["error"]["code"] == -32700


@pytest.mark.parametrize(
    "digits", ["9" * 5_000, "9" * 4_299, str(2**63), str(2**64 + 1), str(2**53)]
)
def test_an_integer_another_reader_would_round_is_out_of_range(digits):
    body = CALL.replace(b'"read_pr"', digits.encode())
    assert refused(body).code == "number_out_of_range"
    assert refused(body).number == -32602


INVALID = [
    b"1",
    b"null",
    b'"text"',
    b"{}",
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":2.0,"id":1,"method":"ping"}',
    b'{"id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":[],"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"' + b"x" * 257 + b'","method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":5}',
    b'{"jsonrpc":"2.0","id":1,"method":null}',
    b'{"jsonrpc":"2.0","id":1,"method":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call "}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call\\n"}',
    b'{"jsonrpc":"2.0","id":1,"method":""}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","param\u017f":{}}'.encode(),
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method\\u0000":"tools/call"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
    b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    b'{"jsonrpc":"2.0","id":1,"result":[]}',
    b'{"jsonrpc":"2.0","result":{}}',
    b'{"jsonrpc":"2.0","id":1,"error":"no"}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":{},"error":{"code":1,"message":"no"}}',
    b"[]",
    b"[1]",
    b"[[" + CALL + b"]]",
    b"[" + b",".join([CALL] * 2) + b"]",
    b"[" + b",".join(CALL.replace(b":1,", b":%d," % i) for i in range(10_000)) + b"]",
    b'[{"jsonrpc":"2.0","id":1,"method":"initialize"}]',
]


@pytest.mark.parametrize("body", INVALID, ids=lambda b: repr(b[:60]))
def test_a_strange_envelope_is_an_invalid_request(body):
    caught = refused(body)
    assert (caught.code, caught.number) == ("invalid_request", -32600)


def test_the_id_is_echoed_whenever_it_could_be_read():
    assert refused(b'{"jsonrpc":"2.0","id":"q","method":5}').answer()["id"] == "q"
    assert refused(b'{"jsonrpc":"2.0","id":true,"method":"ping"}').answer()["id"] is None


def test_a_misspelt_member_is_answered_with_its_spelling():
    caught = refused(b'{"jsonrpc":"2.0","id":1,"method":"ping","Params":{}}')
    assert caught.help == "spell it `params`"


def test_a_batch_of_sound_messages_is_read_in_order():
    batch = parse(b"[" + CALL + b',{"jsonrpc":"2.0","method":"notifications/cancelled"}]')
    assert isinstance(batch, Batch)
    assert [type(m) for m in batch.messages] == [Request, Notification]


def test_attribute_like_names_are_plain_keys():
    names = [
        "constructor",
        "prototype",
        "__class__",
        "toString",
        "$ref",
        "a.b",
        "a[0]",
        "",
        "params.name",
    ]
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"arguments": dict.fromkeys(names, 1)},
        }
    )
    assert list(parse(body.encode()).params["arguments"]) == names


def test_own_numbers_lie_outside_the_reserved_range_and_carry_their_word():
    for word, row in WIRE_ERRORS.items():
        number = error(1, word, "text")["error"]["code"]
        assert number == row.number
        if -32768 <= number <= -32000:
            assert number in (-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022)
            assert "data" not in error(1, word, "text")["error"]
        else:
            assert error(1, word, "text", {"rule": "r"})["error"]["data"] == {
                "code": word,
                "rule": "r",
            }


def test_a_modern_caller_gets_404_for_an_unknown_method_and_a_legacy_one_200():
    assert http_status("method_not_found", modern=True) == 404
    assert http_status("method_not_found", modern=False) == 200


def test_answers_are_built_in_the_order_of_the_specification():
    assert result("a", {"x": 1}) == {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}}
    assert relayed_error(2, -32002, "gone", {"uri": "u"})["error"]["data"] == {"uri": "u"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
members = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "Method", "x"])


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60)
    | json_values.map(lambda v: json.dumps(v).encode())
    | st.dictionaries(members, json_values, max_size=5).map(
        lambda d: json.dumps({"jsonrpc": "2.0", **d}).encode()
    )
)
def test_any_bytes_are_read_or_refused_and_what_is_read_has_the_right_kinds(body):
    try:
        message = parse(body)
    except JsonRpcError as caught:
        refusal = caught
        message = None
    if message is None:
        assert refusal.code in {"parse_error", "number_out_of_range", "invalid_request"}
        assert json.dumps(refusal.answer())
        return
    for one in message.messages if isinstance(message, Batch) else [message]:
        if isinstance(one, Request):
            assert type(one.id) in (int, str)
        if isinstance(one, Request | Notification):
            assert type(one.method) is str
            assert type(one.params) is dict
