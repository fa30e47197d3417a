"""The door: which headers two readers could read differently, and in whose words that is told."""

import json

import pytest
from aiohttp.test_utils import make_mocked_request

from pbac.web.middleware import ambiguous, edge
from pbac.web.refused import Refused


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([(b"Mcp-Name", b"a"), (b"mcp-name", b"a")], "header_mismatch"),
        ([(b"Mcp-Name", b"\xff\xfe")], "header_mismatch"),
        ([(b"Mcp-Session-Id", "é".encode())], "header_mismatch"),
        ([(b"Host", b"a"), (b"HOST", b"a")], "duplicate_header"),
        ([(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer b")], "duplicate_header"),
        ([(b"Content-Type", "application/jſon".encode())], "header_not_ascii"),
        ([(b"Authorization", b"Bearer \xff")], None),
        ([(b"X", b"a"), (b"x", b"\xff")], None),
        ([(b"Mcp-Name", b"a"), (b"Host", b"b")], None),
    ],
)
def test_a_header_that_decides_is_sent_once_and_in_ascii(sent, code):
    refused = ambiguous(sent)
    assert (refused and refused.code) == code


@pytest.mark.parametrize(
    ("coding", "code"),
    [
        ("chunked", None),
        ("Chunked", None),
        ("gzip, chunked", "unsupported_transfer_coding"),
        ("identity, chunked", "unsupported_transfer_coding"),
        ("identity", "unsupported_transfer_coding"),
        ("", "unsupported_transfer_coding"),
    ],
)
def test_a_body_comes_in_plain_chunks_or_with_a_length(coding, code):
    request = make_mocked_request("POST", "/mcp", {"Transfer-Encoding": coding})
    refused = edge(["/mcp"])(request)
    assert (refused and refused.code) == code


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("not_found", {"error": "not_found", "message": "why"}),
        (
            "header_mismatch",
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32020, "message": "why"}},
        ),
    ],
)
def test_a_refusal_is_counted_and_told_in_the_words_of_whoever_asked(code, told):
    counted = []
    answer = Refused(400, code, "why").answer(counted.append)
    assert (answer.status, json.loads(answer.body), counted) == (400, told, [code])
